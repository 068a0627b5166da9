"""ThumbHash, against what the format's own JavaScript (npm `thumbhash` 0.1.1) made of the same pixels."""

import random
from collections.abc import Callable

import pytest

from safelight.clients.camera.develop import thumbhash

Pixel = tuple[int, int, int, int]

# Pixels without symmetry: where a term is exactly zero, rounding noise decides between 7 and 8, here and there.
PICTURES: dict[str, tuple[int, int, Callable[[int, int], Pixel], str]] = {
    "upright": (
        36,
        100,
        lambda x, y: ((x * x) % 256, (y * 3) % 256, (x * y) % 256, 255),
        "9bd7051b10227107777b725965a330e3f8",
    ),
    "landscape": (
        64,
        48,
        lambda x, y: ((x * x + y) % 256, (y * 5 + x * 3) % 251, (x * y) % 239, 255),
        "5de8051588122234067275229d388a747a3f3843bf",
    ),
    "square": (
        48,
        48,
        lambda x, y: ((x * 7 + y * y) % 256, (x * x * 3) % 253, (y * 9) % 241, 255),
        "5c18061f0644665574767874860867a8777845e4f7af7606",
    ),
    "clear in part": (
        40,
        30,
        lambda x, y: (x * 5 % 256, 255 - y * 5, 128, (x * y) % 256),
        "628885148616a0988e77867708ea68a0a20a32047528978304",
    ),
    "one pixel": (1, 1, lambda _x, _y: (12, 200, 77, 255), "d888303f5c08f708888788708f7088f80888808008f7870f"),
    "all clear": (10, 20, lambda _x, _y: (9, 9, 9, 0), "0008820300000000000000000000000000000000000000"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_equals_the_formats_own_encoder(name: str) -> None:
    """Byte for byte what the pages' decoder was made for."""
    width, height, pixel, expected = PICTURES[name]
    rgba = bytes(value for y in range(height) for x in range(width) for value in pixel(x, y))
    assert thumbhash.encode(width, height, rgba).hex() == expected


def test_never_exceeds_its_bound() -> None:
    """However wild the pixels, a hash is short enough for the field that carries it."""
    chance = random.Random(1)
    for _ in range(50):
        width, height = chance.randint(1, 48), chance.randint(1, 48)
        assert 5 <= len(thumbhash.encode(width, height, chance.randbytes(width * height * 4))) <= 40


@pytest.mark.parametrize(("width", "height", "size"), [(101, 1, 404), (1, 101, 404), (0, 4, 0), (2, 2, 15)])
def test_refuses_other_sizes(width: int, height: int, size: int) -> None:
    """More than 100 pixels a side, or a number of bytes that does not fit, is the caller's mistake."""
    with pytest.raises(ValueError, match="pixels"):
        thumbhash.encode(width, height, bytes(size))
