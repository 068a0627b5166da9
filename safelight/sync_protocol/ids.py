"""Identifiers: 16 random bytes, or the SHA-256 of what they name; lower-case hexadecimal where text is needed."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Annotated

import msgspec

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, ID_SIZE_BYTES

# A length besides the pattern: `$` matches before a last line break, too.
HexId = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$", max_length=32, description="16 bytes in lower-case hexadecimal")
]
HexHash = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", max_length=64, description="32 bytes in lower-case hexadecimal")
]

Id = Annotated[bytes, msgspec.Meta(min_length=ID_SIZE_BYTES, max_length=ID_SIZE_BYTES)]
Hash = Annotated[bytes, msgspec.Meta(min_length=HASH_SIZE_BYTES, max_length=HASH_SIZE_BYTES)]
OptionalId = Annotated[bytes, msgspec.Meta(max_length=ID_SIZE_BYTES)]
OptionalHash = Annotated[bytes, msgspec.Meta(max_length=HASH_SIZE_BYTES)]


def new_id(random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return 16 random bytes: an account, device, asset, rendition, roll, album, link or camera id."""
    return random(ID_SIZE_BYTES)


def space_id(genesis_entry: bytes) -> bytes:
    """Return the id of the space that *genesis_entry* (the exact envelope bytes) creates."""
    return hashlib.sha256(context(Label.SPACE_ID, genesis_entry)).digest()


def key_fingerprint(public_key: bytes) -> bytes:
    """Return the 16-byte fingerprint of *public_key* that pairing codes and link addresses carry."""
    return hashlib.sha256(context(Label.KEY_FINGERPRINT, public_key)).digest()[:16]
