"""Boxes: small values under XChaCha20-Poly1305, padded, bound to the exact place where they stand.

Normative text: docs/spec/encodings.md.

A box is nonce (24 bytes) ‖ ciphertext and tag. The associated data comes from `context` and names space, object, field,
tier, and epoch, roll or generation: a box that was moved does not open.
"""

import secrets

from nacl import bindings
from nacl.exceptions import CryptoError

from safelight.sync_protocol.padding import pad, unpad
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.sizes import require_key, require_size

NONCE_SIZE_BYTES = 24
TAG_SIZE_BYTES = 16


def random_nonce() -> bytes:
    """Return a fresh nonce; 24 random bytes never repeat under one key, however many devices use it."""
    return secrets.token_bytes(NONCE_SIZE_BYTES)


def seal_box(key: bytes, associated_data: bytes, plaintext: bytes, *, nonce: bytes) -> bytes:
    """Return *plaintext*, padded and sealed under *key*, bound to *associated_data*.

    A *nonce* (from `random_nonce`) serves once. Refuses keys and nonces of another size with LENGTH_MISMATCH.
    """
    require_key(key)
    require_size(nonce, NONCE_SIZE_BYTES, "a nonce")
    padded = pad(plaintext)
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, associated_data, nonce, key)


def open_box(key: bytes, associated_data: bytes, sealed: bytes) -> bytes:
    """Return the plaintext of *sealed*.

    Refuses a key of another size with LENGTH_MISMATCH; another key, place or a changed or cut box with OPEN_FAILED; and
    padding that `pad` would not have made with PADDING_INVALID.
    """
    require_key(key)
    if len(sealed) < NONCE_SIZE_BYTES + TAG_SIZE_BYTES:
        raise Refused(Code.OPEN_FAILED, "shorter than an empty box")
    nonce, ciphertext = sealed[:NONCE_SIZE_BYTES], sealed[NONCE_SIZE_BYTES:]
    try:
        padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, associated_data, nonce, key)
    except CryptoError:
        raise Refused(Code.OPEN_FAILED) from None
    return unpad(padded)
