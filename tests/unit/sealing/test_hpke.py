"""Sealing to a public key: it opens for its seed and its info alone, and only to keys that are keys."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import hpke
from tests.support.refusing import refuses

SEED = bytes(range(32))
PUBLIC_KEY = hpke.public_key(SEED)
INFO = b"where it belongs"


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_round_trip(plaintext: bytes) -> None:
    """What was sealed to the public key opens with the seed."""
    sealed = hpke.seal(PUBLIC_KEY, INFO, plaintext)
    assert hpke.open_sealed(SEED, INFO, sealed) == plaintext
    assert len(sealed) == hpke.ENCAPSULATED_SIZE_BYTES + len(plaintext) + hpke.TAG_SIZE_BYTES


def test_the_public_key_has_the_size_that_the_ledger_expects() -> None:
    """An inbox key is ML-KEM-768's 1184 bytes and X25519's 32."""
    assert len(PUBLIC_KEY) == INBOX_KEY_SIZE_BYTES == 1184 + 32


def test_two_seals_differ() -> None:
    """Each sealing has an encapsulation of its own, in both halves."""
    first, second = (hpke.seal(PUBLIC_KEY, INFO, b"same") for _ in range(2))
    assert first[:1088] != second[:1088]
    assert first[1088:1120] != second[1088:1120]


def test_another_seed_or_info_does_not_open() -> None:
    """A value sealed for one member, space, epoch or tier is nothing for another."""
    sealed = hpke.seal(PUBLIC_KEY, INFO, b"epoch secret")
    for seed, info in ((bytes(32), INFO), (SEED, b"another info"), (SEED, b"")):
        with refuses(Code.OPEN_FAILED):
            hpke.open_sealed(seed, info, sealed)


def test_the_seed_is_not_hashed_once_more() -> None:
    """The seed is X-Wing's own: what DeriveKeyPair would make of it is another key."""
    derived = hashlib.shake_256(SEED).digest(32)
    assert hpke.public_key(derived) != PUBLIC_KEY


@pytest.mark.parametrize("offset", [0, 500, 1087, 1088, 1119, 1120, 1130, -1])
def test_changed_bytes_are_noticed(offset: int) -> None:
    """A change in either encapsulation, the ciphertext or the tag does not open."""
    sealed = bytearray(hpke.seal(PUBLIC_KEY, INFO, b"epoch secret"))
    sealed[offset] ^= 1
    with refuses(Code.OPEN_FAILED):
        hpke.open_sealed(SEED, INFO, bytes(sealed))


@pytest.mark.parametrize("size_bytes", [0, 1, 1088, 1119, 1120, 1135, 1136, 1147])
def test_cuts_are_noticed(size_bytes: int) -> None:
    """No shorter piece opens."""
    sealed = hpke.seal(PUBLIC_KEY, INFO, b"epoch secret")
    with refuses(Code.OPEN_FAILED):
        hpke.open_sealed(SEED, INFO, sealed[:size_bytes])


@pytest.mark.parametrize("size_bytes", [0, 31, 33, 64])
def test_seeds_have_32_bytes(size_bytes: int) -> None:
    """A seed of another size is refused; a 64-byte ML-KEM seed is none of ours."""
    with refuses(Code.LENGTH_MISMATCH):
        hpke.public_key(bytes(size_bytes))
    with refuses(Code.LENGTH_MISMATCH):
        hpke.open_sealed(bytes(size_bytes), INFO, bytes(1200))


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        PUBLIC_KEY[:-1],
        PUBLIC_KEY + b"\0",
        PUBLIC_KEY[1184:],
        b"\xff" * 1184 + PUBLIC_KEY[1184:],
        PUBLIC_KEY[:1184] + bytes(32),
        PUBLIC_KEY[:1184] + (1).to_bytes(32, "little"),
    ],
    ids=["none", "short", "long", "X25519 alone", "out of range", "zero", "one"],
)
def test_what_is_no_public_key_is_not_sealed_to(public_key: bytes) -> None:
    """A server or insider who puts a weak or broken key into the ledger gets a refusal, not a readable box."""
    with refuses(Code.FORMAT_UNSUPPORTED):
        hpke.seal(public_key, INFO, b"epoch secret")
