"""The addresses of invitations: what a joiner needs to find a space and to trust it (docs/spec/keys.md).

`safelight:join#letters`, where the letters are the base32 of version ‖ server key fingerprint ‖ space id ‖ ledger
number and hash ‖ invitation id ‖ fingerprint of the inviter's identity ‖ secret ‖ the server's URL ‖ checksum.
"""

import hashlib
from dataclasses import dataclass, field

from safelight.sync_protocol.codes import from_letters, to_letters
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import MAX_INTEGER
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused

INVITATION_VERSION = 1
_PREFIX = "safelight:join#"
_FIXED_SIZE_BYTES = 1 + 16 + 32 + 8 + 32 + 16 + 16 + 32
_MAX_URL_SIZE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class InvitationAddress:
    """What an invitation says. `head` is the ledger's place at which it was given."""

    server_url: str
    server_fingerprint: bytes
    space_id: bytes
    head: Head
    invitation_id: bytes
    inviter_fingerprint: bytes
    secret: bytes = field(repr=False)


def build_invitation_uri(address: InvitationAddress) -> str:
    """Return the URI that the QR code shows."""
    parts = (
        bytes((INVITATION_VERSION,)),
        address.server_fingerprint,
        address.space_id,
        uint(address.head.number),
        address.head.hash,
        address.invitation_id,
        address.inviter_fingerprint,
        address.secret,
        address.server_url.encode(),
    )
    body = b"".join(parts)
    return _PREFIX + to_letters(body + _checksum(body))


def parse_invitation_uri(text: str) -> InvitationAddress:
    """Read an invitation; raises INVITATION_INVALID for one that is cut, changed or of another version."""
    stripped = text.strip()
    whole = from_letters(stripped[len(_PREFIX) :]) if stripped.lower().startswith(_PREFIX) else None
    if whole is None or not _FIXED_SIZE_BYTES + 4 < len(whole) <= _FIXED_SIZE_BYTES + 4 + _MAX_URL_SIZE_BYTES:
        raise Refused(Code.INVITATION_INVALID)
    body = whole[:-4]
    if whole[-4:] != _checksum(body):
        raise Refused(Code.INVITATION_INVALID)
    number = int.from_bytes(body[49:57], "big")
    if body[0] != INVITATION_VERSION or number > MAX_INTEGER:
        raise Refused(Code.INVITATION_INVALID, "it was made by a newer Safelight")
    try:
        server_url = body[_FIXED_SIZE_BYTES:].decode()
    except UnicodeDecodeError:
        raise Refused(Code.INVITATION_INVALID) from None
    return InvitationAddress(
        server_url=server_url,
        server_fingerprint=body[1:17],
        space_id=body[17:49],
        head=Head(number, body[57:89]),
        invitation_id=body[89:105],
        inviter_fingerprint=body[105:121],
        secret=body[121:153],
    )


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(context(Label.INVITATION_CHECKSUM, body)).digest()[:4]
