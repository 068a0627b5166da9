"""Strict signatures: one form a signature, one verdict everywhere."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.signatures import public_key_of, set_apart, sign, verify
from tests.support.refusing import refuses
from tools import edwards25519 as curve

SEED = bytes(range(32))
KEY = public_key_of(SEED)
SECRET, NONCE = 2**200 + 12345, 2**201 + 67890
MESSAGES = [context(Label.SIGN_ENTRY, number.to_bytes(2, "big")) for number in range(200)]


@pytest.fixture(params=["libsodium", "a lax library"])
def any_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library as it is, or one that takes every signature: what it lets through must not decide."""
    if request.param == "a lax library":
        monkeypatch.setattr(bindings, "crypto_sign_open", lambda signed, _: signed[64:])
        verify(KEY, sign(SEED, b"one message"), b"another")  # it does take what nobody signed


@settings(max_examples=30)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_round_trip(seed: bytes, message: bytes) -> None:
    """What a seed signs, its public key verifies, and signing again gives the same bytes."""
    signature = sign(seed, message)
    verify(public_key_of(seed), signature, message)
    assert sign(seed, message) == signature
    assert len(signature) == 64


def test_every_changed_bit_is_noticed() -> None:
    """No bit of key, signature or message can be changed."""
    message = b"an entry"
    values = [KEY, sign(SEED, message), message]
    for position, value in enumerate(values):
        for bit in range(8 * len(value)):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            with refuses(Code.SIGNATURE_INVALID):
                key, signature, text = (bytes(changed) if i == position else v for i, v in enumerate(values))
                verify(key, signature, text)


def test_labels_keep_signatures_apart() -> None:
    """A signature made for one purpose is none for another over the same bytes."""
    signature = sign(SEED, context(Label.SIGN_SESSION, b"challenge"))
    with refuses(Code.SIGNATURE_INVALID):
        verify(KEY, signature, context(Label.SIGN_ENTRY, b"challenge"))


@pytest.mark.usefixtures("any_library")
def test_s_has_one_form() -> None:
    """S plus the group's order verifies by arithmetic alone; it would give one entry two hashes."""
    signature = sign(SEED, b"")
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 16):
        larger = s + multiple * curve.GROUP_ORDER
        if larger < 2**256:
            with refuses(Code.SIGNATURE_INVALID):
                verify(KEY, signature[:32] + larger.to_bytes(32, "little"), b"")


@pytest.mark.parametrize("multiple", range(1, 8))
def test_a_torsion_variant_of_r_is_refused(multiple: int) -> None:
    """*One insider splits the ledger*: true for verifiers that multiply by the cofactor, so it must be false here."""
    key = curve.encode(curve.multiply(SECRET, curve.BASE))
    point = curve.add(curve.multiply(NONCE, curve.BASE), curve.multiply(multiple, curve.ORDER_8))
    for message in MESSAGES[:16]:
        signature = curve.answer(NONCE, SECRET, curve.encode(point), key, message)
        with refuses(Code.SIGNATURE_INVALID):
            verify(key, signature, message)


def test_a_torsion_variant_of_the_key_is_judged_without_cofactor() -> None:
    """A key with a torsion part signs validly only where the message cancels it; there all verifiers agree."""
    key = curve.encode(curve.add(curve.multiply(SECRET, curve.BASE), curve.ORDER_8))
    r = curve.encode(curve.multiply(NONCE, curve.BASE))
    for message in MESSAGES[:40]:
        signature = curve.answer(NONCE, SECRET, r, key, message)
        if curve.challenge(r, key, message) % 8:
            with refuses(Code.SIGNATURE_INVALID):
                verify(key, signature, message)
        else:
            verify(key, signature, message)


@pytest.mark.usefixtures("any_library")
@pytest.mark.parametrize("multiple", range(8))
def test_keys_of_small_order_are_refused(multiple: int) -> None:
    """For such a key anyone makes a signature over any message, so it binds nobody."""
    key = curve.encode(curve.multiply(multiple, curve.ORDER_8))
    r = curve.encode(curve.multiply(NONCE, curve.BASE))
    for message in MESSAGES[:24]:
        with refuses(Code.SIGNATURE_INVALID):
            verify(key, curve.answer(NONCE, 0, r, key, message), message)


@pytest.mark.usefixtures("any_library")
@pytest.mark.parametrize("multiple", range(8))
def test_r_of_small_order_is_refused(multiple: int) -> None:
    """Libsodium refuses these and others do not; the verdict must not depend on who looks."""
    key = curve.encode(curve.multiply(SECRET, curve.BASE))
    r = curve.encode(curve.multiply(multiple, curve.ORDER_8))
    with refuses(Code.SIGNATURE_INVALID):
        verify(key, curve.answer(0, SECRET, r, key, b"entry"), b"entry")


@pytest.mark.usefixtures("any_library")
@pytest.mark.parametrize("y", [*range(curve.FIELD_PRIME, 2**255)])
@pytest.mark.parametrize("sign_bit", [0, 1])
def test_points_have_one_form(y: int, sign_bit: int) -> None:
    """None of the 19 heights at or above p is taken, as a key or as R."""
    odd = (y | sign_bit << 255).to_bytes(32, "little")
    r = curve.encode(curve.multiply(NONCE, curve.BASE))
    with refuses(Code.SIGNATURE_INVALID):
        verify(odd, curve.answer(NONCE, 0, r, odd, b"entry"), b"entry")
    key = curve.encode(curve.multiply(SECRET, curve.BASE))
    with refuses(Code.SIGNATURE_INVALID):
        verify(key, curve.answer(0, SECRET, odd, key, b"entry"), b"entry")


def test_sizes_are_exact() -> None:
    """Keys, signatures and seeds of another size are refused; bytes may not move from one field to the next."""
    signature = sign(SEED, b"message")
    for key, candidate, message in (
        (KEY[:-1], signature, b"message"),
        (KEY + b"\0", signature, b"message"),
        (KEY, signature[:-1], b"message"),
        (KEY, signature + b"m", b"essage"),
        (KEY, b"", b"message"),
        (b"", signature, b"message"),
    ):
        with refuses(Code.SIGNATURE_INVALID):
            verify(key, candidate, message)
    for seed in (b"", SEED[:-1], SEED + b"\0"):
        with refuses(Code.LENGTH_MISMATCH):
            sign(seed, b"message")
        with refuses(Code.LENGTH_MISMATCH):
            public_key_of(seed)


def test_set_apart_ends_with_its_block() -> None:
    """*A context that was copied inside of a block* verifies as ever: in other threads, in tasks, and after its end."""
    taken: list[bytes] = []
    bad = (KEY, sign(SEED, b"message"), b"another")

    async def later() -> None:
        verify(*bad)

    async def begun_inside() -> None:
        with set_apart(lambda *each: taken.append(each[2])):
            verify(*bad)
            task = asyncio.create_task(later())
            copied = contextvars.copy_context()
            with ThreadPoolExecutor(1) as other, refuses(Code.SIGNATURE_INVALID):
                other.submit(lambda: copied.run(verify, *bad)).result()
        with refuses(Code.SIGNATURE_INVALID):
            copied.run(verify, *bad)
        with refuses(Code.SIGNATURE_INVALID):
            await task

    asyncio.run(begun_inside())
    assert taken == [b"another"]


def test_blocks_within_one_another() -> None:
    """What is set apart in an inner block is the inner one's; whatever ends a block, afterwards all is verified."""
    taken: list[str] = []
    bad = (KEY, sign(SEED, b"message"), b"another")

    def judge(end: type[BaseException]) -> None:
        with set_apart(lambda *_: taken.append("outer")):
            with set_apart(lambda *_: taken.append("inner")):
                verify(*bad)
            verify(*bad)
            raise end

    for end in (KeyboardInterrupt, GeneratorExit, RecursionError):
        with pytest.raises(end):
            judge(end)
        with refuses(Code.SIGNATURE_INVALID):
            verify(*bad)
    assert taken == ["inner", "outer"] * 3
