"""Signatures: strict Ed25519 over a context and the exact bytes sent (RFC 8032; docs/spec/encodings.md).

Verifiers differ in which odd signatures they accept, and whoever may sign could use that to show one history to some
members and another to the rest. So what is accepted is spelt out here and does not depend on a library's version.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident

from nacl import bindings
from nacl.exceptions import BadSignatureError

from safelight.sync_protocol.limits import KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused

_FIELD_PRIME = 2**255 - 19
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_SIGN_BIT = 1 << 255


class _Block:
    """A block whose signatures are set apart: in force until it ends, and in the thread that it runs in alone.

    *A copy of its context that outlives it*, in a task or a thread begun inside, would else verify nothing for ever.
    """

    def __init__(self, take: Callable[[bytes, bytes, bytes], None]) -> None:
        self.take = take
        self._thread_id: int | None = get_ident()

    @property
    def in_force(self) -> bool:
        """Whether whoever asks runs inside of it."""
        return self._thread_id == get_ident()

    def end(self) -> None:
        """It is in force nowhere any more."""
        self._thread_id = None


_set_apart: ContextVar[_Block | None] = ContextVar("set apart", default=None)

# The y coordinates of the eight points whose order divides 8; each y stands for both signs of x.
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})


def public_key_of(seed: bytes) -> bytes:
    """Return the 32-byte public key of the 32-byte *seed*. Refuses another size with LENGTH_MISMATCH."""
    return _key_pair(seed)[0]


class Signer:
    """A signing key made ready once, for whoever signs often. Refuses a seed of another size with LENGTH_MISMATCH."""

    def __init__(self, seed: bytes) -> None:
        self.public_key, self._secret = _key_pair(seed)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over *message*, which is context(Label.SIGN_…, exact bytes). Deterministic."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_SIZE_BYTES]


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature by *seed* over *message*, once; see `Signer`."""
    return Signer(seed).sign(message)


def verify(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Refuse with SIGNATURE_INVALID unless *signature* is the one that *public_key* makes over *message*.

    Strict: sizes are exact; the key and R are canonical encodings of points that are not of small order; S is below the
    group's order; R is compared byte for byte with what the equation without cofactor gives.
    """
    block = _set_apart.get()
    if block is not None and block.in_force:
        block.take(public_key, signature, message)
        return
    if len(public_key) != KEY_SIZE_BYTES or len(signature) != SIGNATURE_SIZE_BYTES:
        raise Refused(Code.SIGNATURE_INVALID, "a key or signature of the wrong size")
    _check_point(public_key, "key")
    _check_point(signature[:32], "R")
    if int.from_bytes(signature[32:], "little") >= _GROUP_ORDER:
        # S + order verifies by arithmetic alone: one entry would have two signatures, and so two hashes.
        raise Refused(Code.SIGNATURE_INVALID, "S is not canonical")
    try:
        # Without cofactor, R byte for byte: a variant with an added torsion point fails here.
        bindings.crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        raise Refused(Code.SIGNATURE_INVALID) from None


@contextmanager
def set_apart(take: Callable[[bytes, bytes, bytes], None]) -> Iterator[None]:
    """Within the block `verify` hands what it is given to *take* (public key, signature, message), and refuses nothing.

    For whoever judges much at once and has the signatures verified together, by several processors. **Nothing that was
    judged in the block counts before every one of them was verified outside of it**; where one does not hold, all of
    the block is judged again without this, so that the first entry at fault is the one that is refused. The block does
    not await: what else runs meanwhile would not be verified either. Nor does *take* verify anything itself.
    """
    block = _Block(take)
    token = _set_apart.set(block)
    try:
        yield
    finally:
        block.end()
        _set_apart.reset(token)


def _check_point(encoded: bytes, what: str) -> None:
    y = int.from_bytes(encoded, "little") & ~_SIGN_BIT
    if y >= _FIELD_PRIME:
        raise Refused(Code.SIGNATURE_INVALID, f"{what} is not canonical")
    if y in _SMALL_ORDER_Y:
        # A key of small order verifies signatures over messages that nobody signed.
        raise Refused(Code.SIGNATURE_INVALID, f"{what} is of small order")


def _key_pair(seed: bytes) -> tuple[bytes, bytes]:
    if len(seed) != KEY_SIZE_BYTES:
        raise Refused(Code.LENGTH_MISMATCH, "a signing seed has 32 bytes")
    return bindings.crypto_sign_seed_keypair(seed)
