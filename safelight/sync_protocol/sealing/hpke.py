"""Sealing to a public key: HPKE base mode with MLKEM768-X25519 (0x647a), HKDF-SHA256, ChaCha20-Poly1305 (RFC 9180).

Hybrid post-quantum: traffic harvested today stays shut. The associated data is always empty; everything is bound in
`info`, which comes from `context` (docs/spec/encodings.md; docs/decisions/0003-hpke.md).
"""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite

from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.sizes import require_key

ENCAPSULATED_SIZE_BYTES = 1120
TAG_SIZE_BYTES = 16

_MLKEM_SEED_SIZE_BYTES = 64
_MLKEM_PUBLIC_SIZE_BYTES = 1184
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def public_key(seed: bytes) -> bytes:
    """Return the 1216-byte public key of the 32-byte X-Wing *seed*: ML-KEM-768 ‖ X25519."""
    mlkem, x25519 = _expand(seed)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def seal(public_key: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Return *plaintext* sealed to *public_key* and bound to *info*: encapsulated key ‖ ciphertext and tag.

    Refuses with FORMAT_UNSUPPORTED what is not a public key of this kind, or one that anybody could open for.
    """
    if len(public_key) != INBOX_KEY_SIZE_BYTES:
        raise Refused(Code.FORMAT_UNSUPPORTED, f"a public key has {INBOX_KEY_SIZE_BYTES} bytes, not {len(public_key)}")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_SIZE_BYTES]),
            X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_SIZE_BYTES:]),
        )
        return _SUITE.encrypt(plaintext, key, info)
    except ValueError:
        # A coefficient out of range, or an X25519 point of small order, whose shared secret anyone knows.
        raise Refused(Code.FORMAT_UNSUPPORTED, "this is not a public key to seal to") from None


def open_sealed(seed: bytes, info: bytes, sealed: bytes) -> bytes:
    """Return the plaintext of *sealed*, sealed to the public key of the 32-byte X-Wing *seed*.

    Refuses a seed of another size with LENGTH_MISMATCH; another seed, another *info*, or changed or cut bytes with
    OPEN_FAILED.
    """
    key = MLKEM768X25519PrivateKey(*_expand(seed))
    if len(sealed) < ENCAPSULATED_SIZE_BYTES + TAG_SIZE_BYTES:
        raise Refused(Code.OPEN_FAILED, "shorter than an empty sealed value")
    try:
        return _SUITE.decrypt(sealed, key, info)
    except InvalidTag:
        raise Refused(Code.OPEN_FAILED) from None


def _expand(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    # X-Wing's key expansion. HPKE's DeriveKeyPair would hash the seed once more and give another key.
    require_key(seed, "a sealing seed")
    expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_SIZE_BYTES + 32)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE_BYTES]),
        X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE_BYTES:]),
    )
