"""ThumbHash: a picture's placeholder in some 25 bytes, as the pages decode it (github.com/evanw/thumbhash, version 1).

The average colour, and the lowest cosine terms of luminance, two colour differences and opacity, in a few bits each.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

MAX_SIDE_PIXELS = 100
_CHANNELS = 4


class _Terms(NamedTuple):
    """One channel: its mean, and its varying terms as 0 to 15 in units of the largest."""

    mean: float
    scale: float
    nibbles: list[int]


def encode(width: int, height: int, rgba: bytes) -> bytes:
    """Return the ThumbHash of *rgba*, row by row, not premultiplied; neither side exceeds 100 pixels.

    Raises ValueError for other sizes.
    """
    if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
        raise ValueError(f"a ThumbHash is made of at most {MAX_SIDE_PIXELS} pixels a side")
    if len(rgba) != width * height * _CHANNELS:
        raise ValueError("there are more or fewer pixels than the size says")
    luminance, yellow_blue, red_green, opacity = _channels(rgba)
    has_alpha = any(value != 255 for value in rgba[3::_CHANNELS])
    limit = 5 if has_alpha else 7
    terms_x = max(1, _round(limit * width / max(width, height)))
    terms_y = max(1, _round(limit * height / max(width, height)))

    first = _cosine_terms(luminance, width, height, max(3, terms_x), max(3, terms_y))
    second = _cosine_terms(yellow_blue, width, height, 3, 3)
    third = _cosine_terms(red_green, width, height, 3, 3)
    is_landscape = width > height
    head = _round(63 * first.mean) | _round(31.5 + 31.5 * second.mean) << 6 | _round(31.5 + 31.5 * third.mean) << 12
    head |= _round(31 * first.scale) << 18 | has_alpha << 23
    tail = (terms_y if is_landscape else terms_x) | _round(63 * second.scale) << 3
    tail |= _round(63 * third.scale) << 9 | is_landscape << 15
    result = bytearray(head.to_bytes(3, "little") + tail.to_bytes(2, "little"))
    nibbles = first.nibbles + second.nibbles + third.nibbles
    if has_alpha:
        fourth = _cosine_terms(opacity, width, height, 5, 5)
        result.append(_round(15 * fourth.mean) | _round(15 * fourth.scale) << 4)
        nibbles += fourth.nibbles
    nibbles += [0] * (len(nibbles) % 2)
    result += bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return bytes(result)


def _channels(rgba: bytes) -> tuple[list[float], list[float], list[float], list[float]]:
    """Luminance, yellow minus blue, red minus green and opacity of each pixel, laid over the average colour."""
    opacity = [value / 255 for value in rgba[3::_CHANNELS]]
    total = sum(opacity)
    colours: list[list[float]] = []
    for channel in range(3):
        weighted = [alpha * value / 255 for alpha, value in zip(opacity, rgba[channel::_CHANNELS], strict=True)]
        average = sum(weighted) / total if total else 0.0
        colours.append([average * (1 - alpha) + value for alpha, value in zip(opacity, weighted, strict=True)])
    pixels = list(zip(*colours, strict=True))
    luminance = [(red + green + blue) / 3 for red, green, blue in pixels]
    yellow_blue = [(red + green) / 2 - blue for red, green, blue in pixels]
    red_green = [red - green for red, green, _ in pixels]
    return luminance, yellow_blue, red_green, opacity


def _cosine_terms(channel: Sequence[float], width: int, height: int, terms_x: int, terms_y: int) -> _Terms:
    """The lower triangle of the channel's cosine transform; rows first, as the transform is separable."""
    waves_x = [_wave(width, frequency) for frequency in range(terms_x)]
    rows = [channel[start : start + width] for start in range(0, width * height, width)]
    by_row = [[sum(map(float.__mul__, row, wave)) for row in rows] for wave in waves_x]
    varying: list[float] = []
    mean = 0.0
    for index_y in range(terms_y):
        wave_y = _wave(height, index_y)
        for index_x in range(terms_x):
            if index_x * terms_y >= terms_x * (terms_y - index_y):
                break
            term = sum(map(float.__mul__, by_row[index_x], wave_y)) / (width * height)
            if index_x or index_y:
                varying.append(term)
            else:
                mean = term
    scale = max(map(abs, varying), default=0.0)
    return _Terms(mean, scale, [_round(15 * (0.5 + 0.5 / scale * term)) if scale else 0 for term in varying])


def _wave(size: int, frequency: int) -> list[float]:
    return [math.cos(math.pi / size * frequency * (position + 0.5)) for position in range(size)]


def _round(value: float) -> int:
    """Halves go up, as in JavaScript, where the format comes from."""
    return math.floor(value + 0.5)
