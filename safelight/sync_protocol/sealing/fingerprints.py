"""Content fingerprints: tell that a file was uploaded before, and say nothing outside the space (docs/spec/keys.md)."""

import hashlib

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.sealing.sizes import require_key, require_size


def content_fingerprint(dedupe_key: bytes, space_id: bytes, sha256: bytes) -> bytes:
    """Return the 32-byte fingerprint, in *space_id*, of the original whose digest is *sha256*.

    Keyed BLAKE2b-256 (RFC 7693) over context(FINGERPRINT, space id, digest): without the dedupe key nobody can test
    whether a known file is in a space. Refuses inputs of another size than 32 bytes with LENGTH_MISMATCH.
    """
    require_key(dedupe_key)
    require_size(space_id, HASH_SIZE_BYTES, "a space id")
    require_size(sha256, HASH_SIZE_BYTES, "a digest")
    message = context(Label.FINGERPRINT, space_id, sha256)
    return hashlib.blake2b(message, key=dedupe_key, digest_size=HASH_SIZE_BYTES).digest()
