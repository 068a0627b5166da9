"""Padding: few sizes, one padded form a value, and nothing hidden in it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.sync_protocol import padding
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.refusing import refuses


@given(st.integers(min_value=2, max_value=2**50))
def test_padme_is_small_and_stable(size_bytes: int) -> None:
    """The Padmé size is at least the size, at most 12 % more, is its own Padmé size, and grows with the size."""
    padded = padding.padme(size_bytes)
    assert size_bytes <= padded <= size_bytes * 1.12
    assert padding.padme(padded) == padded
    assert padding.padme(size_bytes + 1) >= padded


@given(st.integers(min_value=2, max_value=2**50))
def test_padme_is_as_published(size_bytes: int) -> None:
    """It is the paper's formula, written here with its own words."""
    exponent = size_bytes.bit_length() - 1
    digits = math.floor(math.log2(exponent)) + 1 if exponent else 1
    step = 2 ** max(0, exponent - digits)
    assert padding.padme(size_bytes) == math.ceil(size_bytes / step) * step


def test_padme_leaves_few_sizes() -> None:
    """Of all the sizes below a megabyte, about three hundred remain."""
    assert [padding.padme(size_bytes) for size_bytes in (0, 1, 2, 9, 1000)] == [0, 1, 2, 10, 1024]
    assert len({padding.padme(size_bytes) for size_bytes in range(2**20)}) == 301
    with pytest.raises(ValueError, match="negative"):
        padding.padme(-1)


@given(st.binary(max_size=2000))
def test_round_trip(data: bytes) -> None:
    """What was padded comes back, whatever it ends with."""
    padded = padding.pad(data)
    assert padding.unpad(padded) == data
    assert len(padded) == padding.padme(4 + len(data))


@given(st.binary(max_size=80))
def test_a_value_has_one_padded_form(padded: bytes) -> None:
    """Whatever `unpad` accepts is exactly what `pad` makes of it."""
    refused = None
    try:
        data = padding.unpad(padded)
    except Refused as caught:
        refused = caught.code
    assert refused is Code.PADDING_INVALID or padding.pad(data) == padded


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\x01",
        b"\xff\xff\xff\xff" + bytes(28),
        padding.pad(b"") + b"\0",
        padding.pad(bytes(29))[:-1],
        padding.pad(bytes(29))[:-1] + b"\x01",
        padding.pad(b"x") + bytes(59),
    ],
)
def test_bad_padding_is_refused(padded: bytes) -> None:
    """Cut, stretched, wrongly counted or filled with anything but zeros: all one refusal."""
    with refuses(Code.PADDING_INVALID):
        padding.unpad(padded)


def test_padding_of_files() -> None:
    """A file's padded size must be exactly that of its real size, and the bytes after it zero."""
    padding.check_file_size(1000, 1024)
    padding.check_file_size(0, 0)
    for size_bytes, padded_size_bytes in ((1000, 1000), (1000, 1025), (900, 1024), (-1, 0)):
        with refuses(Code.PADDING_INVALID):
            padding.check_file_size(size_bytes, padded_size_bytes)
    padding.check_zeros(memoryview(bytes(1000)))
    padding.check_zeros(b"")
    with refuses(Code.PADDING_INVALID):
        padding.check_zeros(bytes(999) + b"\x01")
