"""A text over a whole picture, again and again, in slanted rows: no part that is worth keeping is without it.

Light letters within a dark halo read on white walls and on night skies alike. Both are translucent, so that a picture
can be judged through them. Angle, place and strength differ from picture to picture and a little from stamp to stamp:
what was learned from one picture does not take the text off the next one unchanged.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from safelight.clients.camera.develop import lettering

_MAX_LINES = 4
_MIN_SIZE_PIXELS = 8
# The letters' largest size and the room for a line, as shares of the shorter side; more of it where the side is small.
_SIZE_SHARE = 1 / 16
_ROOM_LARGE, _ROOM_SMALL = 0.62, 0.74
# Another line must make the letters larger by so much.
_GAIN = 1.3
_SMALL_SIDE_PIXELS, _LARGE_SIDE_PIXELS = 320, 900
_ANGLE_DEGREES, _ANGLE_SPREAD_DEGREES = 28.0, 5.0
_FILL_OPACITY, _HALO_OPACITY, _OPACITY_SPREAD = 0.44, 0.45, 0.08
_LINE_HEIGHT = 1.12
_HALO_DIVISOR = 17
_SEPARATORS = frozenset("·•|/-–—")
_OVERSAMPLING = 2
_WHITE, _BLACK = (255, 255, 255, 255), (0, 0, 0, 255)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Lines of text and the size of their letters."""

    lines: Sequence[str]
    size_pixels: int


@dataclass(frozen=True, slots=True)
class _Stamp:
    """One slanted block of text: how strongly each pixel is made light, and dark."""

    light: Image.Image
    dark: Image.Image
    width: float  # of the block before it was slanted
    height: float


def draw(image: Image.Image, text: str, seed: bytes) -> None:
    """Draw *text* all over *image* (RGB or RGBA). *seed* chooses what differs between pictures."""
    chance = random.Random(seed)  # noqa: S311 - it makes pictures differ; nothing is kept secret by it
    layout = _lay_out(text, *image.size)
    angle = _ANGLE_DEGREES + chance.uniform(-_ANGLE_SPREAD_DEGREES, _ANGLE_SPREAD_DEGREES)
    stamp = _stamp(layout, angle)
    colours = (_WHITE, _BLACK) if image.mode == "RGBA" else (_WHITE[:3], _BLACK[:3])
    for x, y in _places(image.size, stamp, layout.size_pixels, angle, chance):
        strength = 1 + chance.uniform(-_OPACITY_SPREAD, _OPACITY_SPREAD)
        corner = (round(x - stamp.light.width / 2), round(y - stamp.light.height / 2))
        image.paste(colours[1], corner, _weakened(stamp.dark, _HALO_OPACITY * strength))
        image.paste(colours[0], corner, _weakened(stamp.light, _FILL_OPACITY * strength))


def _lay_out(text: str, width: int, height: int) -> _Layout:
    """The number of lines that lets the letters be largest; as few as will do."""
    shorter = min(width, height)
    smallness = (_LARGE_SIDE_PIXELS - shorter) / (_LARGE_SIDE_PIXELS - _SMALL_SIDE_PIXELS)
    smallness = max(0.0, min(1.0, smallness))
    room = shorter * (_ROOM_LARGE + (_ROOM_SMALL - _ROOM_LARGE) * smallness)
    largest = shorter * _SIZE_SHARE * (1 + smallness / 3)
    best: _Layout | None = None
    for count in range(1, _MAX_LINES + 1):
        lines = [*map(_without_separator, _balanced(_pieces(text), count))]
        widest = max(_width(line) for line in lines)
        tall = len(lines) * _LINE_HEIGHT
        size = max(_MIN_SIZE_PIXELS, int(min(largest, room / widest, 0.5 * room / tall)))
        if best is None or size > _GAIN * best.size_pixels:
            best = _Layout(lines, size)
    if best is None:
        raise ValueError("there is nothing to draw")
    return best


def _width(line: str) -> float:
    """A line's width where its letters are one pixel large."""
    return lettering.font(100).getlength(line) / 100


def _pieces(text: str) -> list[str]:
    """The words of a text; what parts two of them stays with the first."""
    pieces: list[str] = []
    for word in text.split():
        if pieces and word in _SEPARATORS:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces


def _without_separator(line: str) -> str:
    """A line's end parts words as well as any dot does."""
    rest, _, last = line.rpartition(" ")
    return rest if rest and last in _SEPARATORS else line


def _balanced(words: Sequence[str], count: int) -> list[str]:
    """The words in at most *count* lines, the widest as narrow as can be."""
    spans = itertools.combinations(range(len(words) + 1), 2)
    for limit in sorted({_width(" ".join(words[start:end])) for start, end in spans}):
        lines = _filled(words, limit)
        if lines is not None and len(lines) <= count:
            return lines
    return [" ".join(words)]


def _filled(words: Sequence[str], limit: float) -> list[str] | None:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer) <= limit:
            lines[-1] = longer
        elif _width(word) <= limit:
            lines.append(word)
        else:
            return None
    return lines


def _stamp(layout: _Layout, angle: float) -> _Stamp:
    size = layout.size_pixels * _OVERSAMPLING
    font = lettering.font(size)
    halo = max(2, round(size / _HALO_DIVISOR))
    margin, step = 3 * halo, round(_LINE_HEIGHT * size)
    width = math.ceil(max(font.getlength(line) for line in layout.lines)) + 2 * margin
    height = step * len(layout.lines) + 2 * margin
    light, dark = (Image.new("L", (width, height)) for _ in range(2))
    for number, line in enumerate(layout.lines):
        # By the middle of its base line, which a stroke around the letters does not move.
        foot = (width / 2, margin + number * step + 0.8 * size)
        ImageDraw.Draw(light).text(foot, line, fill=255, font=font, anchor="ms")
        ImageDraw.Draw(dark).text(foot, line, fill=255, font=font, anchor="ms", stroke_width=halo)
    dark = dark.filter(ImageFilter.GaussianBlur(halo / 2))
    dark.paste(0, mask=light)  # what is dark surrounds the letters and does not grey them
    return _Stamp(_slanted(light, angle), _slanted(dark, angle), width / _OVERSAMPLING, height / _OVERSAMPLING)


def _slanted(mask: Image.Image, angle: float) -> Image.Image:
    turned = mask.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    size = (max(1, turned.width // _OVERSAMPLING), max(1, turned.height // _OVERSAMPLING))
    return turned.resize(size, Image.Resampling.LANCZOS)


def _places(
    area: tuple[int, int], stamp: _Stamp, size: int, angle: float, chance: random.Random
) -> Iterator[tuple[float, float]]:
    """The middles of all stamps that touch the picture: slanted rows, every other one shifted by half a step."""
    width, height = area
    step, row_step = stamp.width + 1.1 * size, stamp.height + 1.0 * size
    turn = math.radians(-angle)
    reach = math.hypot(width, height) / 2 + math.hypot(step, row_step)
    first, above = chance.uniform(0, step), chance.uniform(0, row_step)
    rows, columns = math.ceil(reach / row_step), math.ceil(reach / step) + 1
    for row, column in itertools.product(range(-rows, rows + 1), range(-columns, columns + 1)):
        along = first + (column + row % 2 / 2) * step + chance.uniform(-0.2, 0.2) * size
        across = above + row * row_step + chance.uniform(-0.1, 0.1) * size
        x = width / 2 + along * math.cos(turn) - across * math.sin(turn)
        y = height / 2 + along * math.sin(turn) + across * math.cos(turn)
        if -stamp.light.width / 2 < x < width + stamp.light.width / 2 and (
            -stamp.light.height / 2 < y < height + stamp.light.height / 2
        ):
            yield x, y


def _weakened(mask: Image.Image, opacity: float) -> Image.Image:
    return mask.point([round(value * opacity) for value in range(256)])
