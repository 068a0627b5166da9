"""Pairing codes: what a camera needs to find its space and to trust it (docs/spec/keys.md).

`safelight:pair#letters`, where the letters are the base32 of version ‖ server key fingerprint ‖ space id ‖ ledger
number and hash ‖ camera id ‖ pairing secret ‖ the server's URL ‖ checksum.
"""

import hashlib
from dataclasses import dataclass

from safelight.sync_protocol.codes import from_letters, to_letters
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import MAX_INTEGER
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused

PAIRING_VERSION = 1
_PREFIX = "safelight:pair#"
_FIXED_SIZE_BYTES = 1 + 16 + 32 + 8 + 32 + 16 + 32
_MAX_URL_SIZE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a pairing code says. `head` is the ledger's place at which the camera was certified."""

    server_url: str
    server_fingerprint: bytes
    space_id: bytes
    head: Head
    camera_id: bytes
    secret: bytes


def build_pairing_uri(pairing: Pairing) -> str:
    """Return the URI that the QR code shows."""
    parts = (
        bytes((PAIRING_VERSION,)),
        pairing.server_fingerprint,
        pairing.space_id,
        uint(pairing.head.number),
        pairing.head.hash,
        pairing.camera_id,
        pairing.secret,
        pairing.server_url.encode(),
    )
    body = b"".join(parts)
    return _PREFIX + to_letters(body + _checksum(body))


def parse_pairing_uri(text: str) -> Pairing:
    """Read a pairing code; raises PAIRING_INVALID for one that is cut, changed or of another version."""
    stripped = text.strip()
    whole = from_letters(stripped[len(_PREFIX) :]) if stripped.lower().startswith(_PREFIX) else None
    if whole is None or not _FIXED_SIZE_BYTES + 4 < len(whole) <= _FIXED_SIZE_BYTES + 4 + _MAX_URL_SIZE_BYTES:
        raise Refused(Code.PAIRING_INVALID)
    body = whole[:-4]
    if whole[-4:] != _checksum(body):
        raise Refused(Code.PAIRING_INVALID)
    number = int.from_bytes(body[49:57], "big")
    if body[0] != PAIRING_VERSION or number > MAX_INTEGER:
        raise Refused(Code.PAIRING_INVALID, "it was made by a newer Safelight")
    try:
        server_url = body[_FIXED_SIZE_BYTES:].decode()
    except UnicodeDecodeError:
        raise Refused(Code.PAIRING_INVALID) from None
    return Pairing(
        server_url=server_url,
        server_fingerprint=body[1:17],
        space_id=body[17:49],
        head=Head(number, body[57:89]),
        camera_id=body[89:105],
        secret=body[105:137],
    )


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(context(Label.PAIRING_CHECKSUM, body)).digest()[:4]
