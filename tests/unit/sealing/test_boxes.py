"""Boxes: small values open at their place, under their key, with their padding, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from safelight.sync_protocol.padding import pad, padme
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import boxes
from tests.support.refusing import refuses

KEY = bytes(range(32))


@given(st.binary(max_size=600), st.binary(max_size=80))
def test_round_trip(plaintext: bytes, place: bytes) -> None:
    """What was sealed opens, and the box's size says no more than the Padmé size."""
    sealed = boxes.seal_box(KEY, place, plaintext, nonce=boxes.random_nonce())
    assert boxes.open_box(KEY, place, sealed) == plaintext
    assert len(sealed) == 40 + padme(4 + len(plaintext))


@given(st.binary(max_size=600), st.binary(max_size=80))
def test_the_public_binding_makes_what_opens(plaintext: bytes, place: bytes) -> None:
    """PyNaCl's public binding and the library's own function, by which boxes are opened, are each other's reverse."""
    nonce = boxes.random_nonce()
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(pad(plaintext), place, nonce, KEY)
    assert boxes.open_box(KEY, place, nonce + ciphertext) == plaintext
    padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, place, nonce, KEY)
    assert padded == pad(plaintext)


def test_an_empty_box_is_no_value() -> None:
    """A box of nothing, not even a length, is authentic and refused all the same."""
    nonce = boxes.random_nonce()
    with refuses(Code.PADDING_INVALID):
        boxes.open_box(KEY, b"", nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(b"", b"", nonce, KEY))


def test_every_changed_byte_is_noticed() -> None:
    """No byte of nonce, ciphertext or tag can be changed."""
    sealed = boxes.seal_box(KEY, b"place", b"caption", nonce=boxes.random_nonce())
    for offset in range(len(sealed)):
        changed = bytearray(sealed)
        changed[offset] ^= 0x10
        with refuses(Code.OPEN_FAILED):
            boxes.open_box(KEY, b"place", bytes(changed))


def test_every_cut_is_noticed() -> None:
    """No shorter piece opens."""
    sealed = boxes.seal_box(KEY, b"place", b"caption", nonce=boxes.random_nonce())
    for size_bytes in range(len(sealed)):
        with refuses(Code.OPEN_FAILED):
            boxes.open_box(KEY, b"place", sealed[:size_bytes])


@pytest.mark.parametrize("size_bytes", [0, 31, 33])
def test_keys_have_32_bytes(size_bytes: int) -> None:
    """A key of another size, as an insider could seal into a box, is a refusal and not a crash."""
    with refuses(Code.LENGTH_MISMATCH):
        boxes.seal_box(bytes(size_bytes), b"", b"", nonce=bytes(24))
    with refuses(Code.LENGTH_MISMATCH):
        boxes.open_box(bytes(size_bytes), b"", bytes(44))


def test_nonces_have_24_bytes_and_are_fresh() -> None:
    """A nonce of another size is refused, and the helper never gives one twice."""
    with refuses(Code.LENGTH_MISMATCH):
        boxes.seal_box(KEY, b"", b"", nonce=bytes(12))
    nonces = {boxes.random_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert {len(nonce) for nonce in nonces} == {24}
