"""Boxes: small values under XChaCha20-Poly1305, padded, bound to the exact place where they stand.

Normative text: docs/spec/encodings.md.

A box is nonce (24 bytes) ‖ ciphertext and tag. The associated data comes from `context` and names space, object, field,
tier, and epoch, roll or generation: a box that was moved does not open.

Opening calls libsodium's function as PyNaCl's public binding does, but past it: the binding makes three sentences of
errors that did not happen, which cost twice what all else does, and a listing opens four boxes an asset
(docs/decisions/0018-speed-of-reading.md).
"""

import secrets

from nacl import bindings
from nacl._sodium import ffi, lib  # type: ignore[import-not-found] # compiled, without types

from safelight.sync_protocol.padding import pad, unpad
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.sizes import require_key, require_size

NONCE_SIZE_BYTES = 24
TAG_SIZE_BYTES = 16
_new_buffer = ffi.new_allocator(should_clear_after_alloc=False)


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
    size_bytes = len(ciphertext) - TAG_SIZE_BYTES
    padded = _new_buffer("unsigned char[]", size_bytes or 1)
    failed = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        padded, ffi.NULL, ffi.NULL, ciphertext, len(ciphertext), associated_data, len(associated_data), nonce, key
    )
    if failed:
        raise Refused(Code.OPEN_FAILED)
    return unpad(ffi.buffer(padded, size_bytes)[:])
