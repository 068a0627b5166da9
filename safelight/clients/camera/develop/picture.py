"""Preview, thumbnail and placeholder of a picture, in sRGB, the right way up, without a byte of what it says of itself.

WebP, method 0: a 1600-pixel preview costs 28 ms and 48 kB where JPEG costs 5 ms and 130 kB. Decoding (30 to 250 ms)
costs more than either and runs on every core, the way up and the guest's way down are the narrow parts, and screenshots
keep their transparency.
"""

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from PIL import Image, ImageCms, ImageOps

from safelight.clients.camera.develop import messages, metadata, raw, thumbhash
from safelight.clients.camera.develop import watermark as watermarks
from safelight.clients.camera.develop.messages import Developed, Metadata, NotDeveloped, Watermarked

T = TypeVar("T")

PREVIEW_SIDE_PIXELS = 1600
THUMBNAIL_HEIGHT_PIXELS = 320
IMAGE_FORMAT = "WEBP"
_THUMBNAIL_MAX_WIDTH_PIXELS = 960
_PLACEHOLDER_SIDE_PIXELS = 48
_PREVIEW_QUALITY = 75
_THUMBNAIL_QUALITY = 72
# Letters make a preview half as large again; this method takes 20 ms more and a sixth off.
_WATERMARKED_METHOD = 2
# Larger than any phone's picture; beyond it a file of some kilobytes could ask for all memory there is.
MAX_PICTURE_PIXELS = 300_000_000
_RAW_PIXELS_WORTH_SHOWING = 640


def develop(file: BinaryIO) -> Developed | NotDeveloped:
    """Develop the picture in *file*; NotDeveloped, with the reason, for whatever does not open as one."""
    said = Metadata()

    def work(image: Image.Image) -> Developed | NotDeveloped:
        nonlocal said
        said = metadata.read(image)
        if max(image.size) < _RAW_PIXELS_WORTH_SHOWING and image.format in {"TIFF", "MPO"}:
            return _develop_raw(file, image, said)
        return _develop(image, said)

    answer = _opened(file, work)
    return NotDeveloped(answer.reason, said) if isinstance(answer, NotDeveloped) else answer


def watermark(file: BinaryIO, text: str) -> Watermarked | NotDeveloped:
    """Make preview and thumbnail of the picture in *file*, each with *text* all over it in letters of its own size.

    What differs from picture to picture comes from the picture itself, so that the same asked again gives the same.
    """
    seed = hashlib.sha256(file.read())
    file.seek(0)

    def work(image: Image.Image) -> Watermarked:
        preview, thumbnail = _renditions(image)
        if thumbnail is preview:
            thumbnail = preview.copy()  # else the text would be drawn over itself
        for number, rendition in enumerate((preview, thumbnail)):
            watermarks.draw(rendition, text, seed.digest() + bytes((number,)))
        return Watermarked(
            _encode(preview, _PREVIEW_QUALITY, _WATERMARKED_METHOD),
            _encode(thumbnail, _THUMBNAIL_QUALITY, _WATERMARKED_METHOD),
        )

    return _opened(file, work)


def _opened(file: BinaryIO, work: Callable[[Image.Image], T]) -> T | NotDeveloped:
    try:
        with Image.open(file) as image:
            return work(image)
    except Image.DecompressionBombError:
        return NotDeveloped("it has more pixels than any camera takes")
    except MemoryError:
        return NotDeveloped("it needs more memory than developing may use")
    except Exception as error:  # noqa: BLE001 - a damaged picture fails in every way that there is; its original is kept
        return NotDeveloped(f"it does not open as a picture ({type(error).__name__})")


def _develop_raw(file: BinaryIO, small: Image.Image, said: Metadata) -> Developed | NotDeveloped:
    """Show what the camera put into its raw file for show; it is turned by the raw file's own orientation."""
    data = raw.largest_jpeg(file)
    if data is None:
        return _develop(small, said)
    with Image.open(io.BytesIO(data)) as image:
        turn = small.getexif().get(0x0112, 1)
        image.getexif()[0x0112] = turn
        return _develop(image, said)


def _develop(image: Image.Image, said: Metadata) -> Developed:
    turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
    width, height = image.size
    preview, thumbnail = _renditions(image)
    placeholder = _fit(thumbnail, _PLACEHOLDER_SIDE_PIXELS, _PLACEHOLDER_SIDE_PIXELS).convert("RGBA")
    return Developed(
        width=height if turned else width,
        height=width if turned else height,
        thumbhash=thumbhash.encode(*placeholder.size, placeholder.tobytes()),
        preview=_encode(preview, _PREVIEW_QUALITY),
        thumbnail=_encode(thumbnail, _THUMBNAIL_QUALITY),
        metadata=said,
    )


def _renditions(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Preview and thumbnail, as RGB or RGBA; a picture that is small enough is both."""
    image.draft("RGB", (PREVIEW_SIDE_PIXELS, PREVIEW_SIDE_PIXELS))
    profile = image.info.get("icc_profile")
    preview = _fit(_plain(image), PREVIEW_SIDE_PIXELS, PREVIEW_SIDE_PIXELS)
    preview = _to_srgb(preview, profile)
    preview = _turn(preview, image.getexif().get(0x0112, 1))
    return preview, _fit(preview, _THUMBNAIL_MAX_WIDTH_PIXELS, THUMBNAIL_HEIGHT_PIXELS)


def _plain(image: Image.Image) -> Image.Image:
    """The pixels as RGB or RGBA, or as CMYK or Lab where a colour profile may still have to be applied."""
    image.load()
    if image.mode in {"RGB", "RGBA", "CMYK", "LAB", "L"}:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    has_alpha = "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBa"}
    return image.convert("RGBA" if has_alpha else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greys of 16 and more bits, spread over 8: converting them as they are would cut off all but the darkest."""
    floating = image.convert("F")
    extrema = floating.getextrema()
    lowest, highest = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]  # one band, so two numbers
    span = (highest - lowest) or 1.0
    return floating.point(lambda value: value * (255 / span) - lowest * 255 / span).convert("L")


def _fit(image: Image.Image, max_width: int, max_height: int) -> Image.Image:
    """The picture within these bounds, never enlarged, at least one pixel a side."""
    scale = min(max_width / image.width, max_height / image.height, 1.0)
    if scale == 1.0:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Apply the picture's own colour profile, which the preview will not carry."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if profile:
        colours = image.convert("RGB") if alpha else image
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            converted = None  # a damaged profile, or one of another colour space: shown as if it were sRGB
        image = converted or colours
    result = image.convert("RGB")
    if alpha:
        result.putalpha(alpha)
    return result


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    bare.getexif()[0x0112] = orientation if orientation in range(1, 9) else 1
    return ImageOps.exif_transpose(bare)


def _encode(image: Image.Image, quality: int, method: int = 0) -> messages.Image:
    buffer = io.BytesIO()
    # Nothing but pixels: no EXIF, no XMP, no profile is handed to the encoder.
    image.save(buffer, IMAGE_FORMAT, method=method, quality=quality, exif=b"", xmp=b"", icc_profile=b"")
    return messages.Image(buffer.getvalue(), image.width, image.height)
