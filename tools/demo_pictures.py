"""A few pictures for who has none at hand: skies over hills, painted by arithmetic, each with a time and a place."""

import itertools
import random
from datetime import datetime, timedelta
from pathlib import Path

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]

# Sky above, sky at the horizon, hills far, hills near, and how high the sun stands (0 horizon, 1 zenith; None: stars).
_SCENES: tuple[tuple[Colour, Colour, Colour, Colour, float | None], ...] = (
    ((38, 70, 131), (250, 190, 140), (120, 90, 120), (30, 28, 48), 0.12),
    ((92, 158, 214), (226, 238, 244), (120, 150, 160), (44, 78, 62), 0.72),
    ((12, 18, 44), (44, 62, 104), (28, 40, 72), (8, 12, 26), None),
    ((214, 104, 84), (255, 214, 150), (150, 84, 92), (60, 30, 48), 0.2),
    ((150, 176, 190), (230, 232, 228), (168, 180, 182), (96, 112, 112), 0.5),
    ((64, 130, 160), (204, 230, 220), (92, 132, 118), (32, 60, 50), 0.6),
    ((90, 60, 120), (240, 160, 170), (110, 70, 110), (36, 22, 50), 0.16),
    ((20, 34, 60), (120, 130, 160), (54, 66, 96), (16, 22, 38), None),
    ((120, 180, 226), (250, 244, 226), (190, 170, 130), (130, 100, 66), 0.8),
)
_SIZES = ((1800, 1200), (1200, 1600), (1800, 1200), (2000, 1000), (1500, 1500))


def paint_pictures(folder: Path) -> Path:
    """Paint the pictures into *folder*, if they are not there yet, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = datetime(2024, 6, 21, 6, 30)  # noqa: DTZ001 - a camera's local time, as EXIF has it
    for number, scene in enumerate(_SCENES, start=1):
        path = folder / f"IMG_{number:04}.JPG"
        if not path.exists():
            chance = random.Random(number)  # noqa: S311 - the same pictures every time
            image = _paint(chance, _SIZES[number % len(_SIZES)], *scene)
            image.save(path, "JPEG", quality=90, exif=_exif(taken + timedelta(hours=7 * number), number))
    return folder


def _paint(
    chance: random.Random,
    size: tuple[int, int],
    top: Colour,
    horizon: Colour,
    far: Colour,
    near: Colour,
    sun: float | None,
) -> Image.Image:
    width, height = size
    gradient = Image.linear_gradient("L").resize(size)
    image = Image.composite(Image.new("RGB", size, horizon), Image.new("RGB", size, top), gradient)
    image = _stars(chance, image) if sun is None else _sun(chance, image, sun)
    layers = 5
    for layer in range(layers):
        share = layer / (layers - 1)
        colour = tuple(round(a + (b - a) * share) for a, b in zip(far, near, strict=True))
        base = height * (0.52 + 0.1 * layer)
        ridge = _ridge(chance, width, base, height * (0.05 + 0.03 * share))
        ImageDraw.Draw(image).polygon([*ridge, (width, height), (0, height)], fill=colour)
    grain = Image.effect_noise(size, 9).convert("L")
    return ImageChops.overlay(image, Image.merge("RGB", (grain, grain, grain)))


def _sun(chance: random.Random, image: Image.Image, altitude: float) -> Image.Image:
    width, height = image.size
    x, y = width * chance.uniform(0.25, 0.75), height * (0.55 - 0.45 * altitude)
    radius = height * 0.045
    glow = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(glow)
    for step, brightness in ((7, 40), (4, 70), (2, 110), (1, 255)):
        draw.ellipse((x - radius * step, y - radius * step, x + radius * step, y + radius * step), fill=brightness)
    small = glow.resize((width // 8, height // 8)).filter(ImageFilter.GaussianBlur(5)).resize(image.size)
    glow = ImageChops.lighter(small, glow.point(lambda value: value if value == 255 else 0))
    return Image.composite(Image.new("RGB", image.size, (255, 248, 226)), image, glow)


def _stars(chance: random.Random, image: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for _ in range(500):
        x, y = chance.uniform(0, image.width), image.height * 0.6 * chance.random() ** 1.4
        size, light = chance.choice((0.6, 0.6, 0.9, 1.6)), chance.randint(120, 255)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=(light, light, min(255, light + 20)))
    return image


def _ridge(chance: random.Random, width: int, base: float, rise: float) -> list[tuple[float, float]]:
    """A skyline: halves of halves, each moved up or down by half as much."""
    heights = [base + chance.uniform(-rise, rise), base + chance.uniform(-rise, rise)]
    while len(heights) < 257:
        between = [(a + b) / 2 + chance.uniform(-rise, rise) for a, b in itertools.pairwise(heights)]
        heights = [height for pair in zip(heights, [*between, 0.0], strict=False) for height in pair][:-1]
        rise *= 0.52
    return [(width * index / (len(heights) - 1), height) for index, height in enumerate(heights)]


def _exif(taken: datetime, number: int) -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "Safelight"
    data[ExifTags.Base.Model] = "Demo"
    detail = data.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    detail[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    data.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (47.0, 10.0 + number, 0.0), 3: "E", 4: (11.0, 20.0, 0.0)})
    return data
