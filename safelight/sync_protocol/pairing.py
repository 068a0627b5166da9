"""Pairing codes: what a camera needs to find its space and to trust it (docs/spec/keys.md).

`safelight:pair?server=URL#letters`, where the letters are the base32 of version ‖ server key fingerprint ‖ space id ‖
ledger number and hash ‖ camera id ‖ pairing secret ‖ checksum.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from safelight.sync_protocol.codes import from_letters, to_letters
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import MAX_INTEGER
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused

PAIRING_VERSION = 1
_SIZE_BYTES = 1 + 16 + 32 + 8 + 32 + 16 + 32 + 4


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
    )
    body = b"".join(parts)
    letters = to_letters(body + _checksum(pairing.server_url, body))
    return f"safelight:pair?server={quote(pairing.server_url, safe='')}#{letters}"


def parse_pairing_uri(text: str) -> Pairing:
    """Read a pairing code; raises PAIRING_INVALID for one that is cut, changed or of another version."""
    try:
        split = urlsplit(text.strip())
        servers = parse_qs(split.query, strict_parsing=True).get("server", [])
    except ValueError:
        raise Refused(Code.PAIRING_INVALID) from None
    whole = from_letters(split.fragment)
    if split.scheme != "safelight" or split.path != "pair" or len(servers) != 1 or whole is None:
        raise Refused(Code.PAIRING_INVALID)
    if len(whole) != _SIZE_BYTES or whole[-4:] != _checksum(servers[0], whole[:-4]):
        raise Refused(Code.PAIRING_INVALID)
    number = int.from_bytes(whole[49:57], "big")
    if whole[0] != PAIRING_VERSION or number > MAX_INTEGER:
        raise Refused(Code.PAIRING_INVALID, "it was made by a newer Safelight")
    return Pairing(
        server_url=servers[0],
        server_fingerprint=whole[1:17],
        space_id=whole[17:49],
        head=Head(number, whole[57:89]),
        camera_id=whole[89:105],
        secret=whole[105:137],
    )


def _checksum(server_url: str, body: bytes) -> bytes:
    return hashlib.sha256(context(Label.PAIRING_CHECKSUM, server_url.encode(), body)).digest()[:4]
