"""Sample files: the real photographs beside the repository where they are, else a small roll made here."""

import io
import random
from pathlib import Path

import pillow_heif
from PIL import ExifTags, Image, ImageDraw

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"

_ORIENTATIONS = (1, 3, 6, 8)
_GPS_LATITUDE = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}


def shared_folder(name: str) -> Path | None:
    """Return the folder *name* of ../shared, or None where this machine has none."""
    folder = SHARED / name
    return folder if folder.is_dir() else None


def picture(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A picture that no other *seed* makes, with gradients and edges as a photograph has them."""
    chance = random.Random(seed)
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        left, top = chance.randrange(size[0]), chance.randrange(size[1])
        box = (left, top, left + chance.randrange(20, 200), top + chance.randrange(20, 200))
        colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
        (draw.ellipse if chance.random() < 0.5 else draw.rectangle)(box, fill=colour)
    return image


def exif(orientation: int = 1, taken: str = "2024:03:01 12:34:56") -> Image.Exif:
    """EXIF as a phone writes it: orientation, device, time and a place."""
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = orientation
    data[ExifTags.Base.Make] = "Safelight"
    data[ExifTags.Base.Model] = "Test phone"
    data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    data.get_ifd(ExifTags.IFD.GPSInfo).update(_GPS_LATITUDE)
    return data


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Return the bytes of *image* in *image_format*."""
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def make_roll(folder: Path) -> Path:
    """Write a small mixed camera roll into *folder*: pictures of several formats, a video, a raw file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, orientation in enumerate(_ORIENTATIONS, start=1):
        data = encoded(picture(number), "JPEG", exif=exif(orientation), quality=88)
        (folder / f"IMG_{number:04}.JPG").write_bytes(data)
    (folder / "IMG_0005.HEIC").write_bytes(encoded(picture(5), "HEIF", exif=exif().tobytes()))
    (folder / "screenshot.png").write_bytes(encoded(picture(6, (390, 844)), "PNG"))
    (folder / "sticker.webp").write_bytes(encoded(picture(7, (200, 200)), "WEBP"))
    # Nothing here opens these two; they must go up as they are all the same.
    noise = random.Random(8)
    (folder / "VID_0006.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + noise.randbytes(300_000))
    (folder / "DSC_0007.NEF").write_bytes(b"MM\0\x2a\0\0\0\x08" + noise.randbytes(100_000))
    return folder


def make_broken(folder: Path) -> Path:
    """Write damaged pictures into *folder*: cut, overwritten in the middle, empty, and noise under a picture's name."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = encoded(picture(9), "JPEG", exif=exif())
    middle = len(whole) // 2
    (folder / "cut.jpg").write_bytes(whole[:middle])
    (folder / "overwritten.jpg").write_bytes(whole[:200] + b"\xff" * 400 + whole[600:])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "noise.heic").write_bytes(random.Random(10).randbytes(4096))
    return folder
