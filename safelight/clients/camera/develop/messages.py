"""What the developing process answers. The process that asks trusts none of it: every field has a type and a bound."""

from typing import Annotated

import msgspec

MAX_PREVIEW_SIZE_BYTES = 8 * 1024 * 1024
MAX_THUMBNAIL_SIZE_BYTES = 1024 * 1024
MAX_PICTURE_SIZE_BYTES = 16 * 1024 * 1024  # of one that is sent to be watermarked
MAX_ANSWER_SIZE_BYTES = MAX_PREVIEW_SIZE_BYTES + MAX_THUMBNAIL_SIZE_BYTES + 64 * 1024

# Together with the rest they stay below what one sealed field of a record may hold.
MAX_TEXT_LENGTH = 256
MAX_EXIF_TAGS = 120
MAX_EXIF_SIZE_BYTES = 12 * 1024
MAX_KEYWORDS = 50
MAX_PIXELS_A_SIDE = 1_000_000

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
Pixels = Annotated[int, msgspec.Meta(ge=0, le=MAX_PIXELS_A_SIDE)]


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a picture's file says of itself; `taken_local` is ISO 8601 without zone, the place WGS 84 degrees."""

    taken_local: Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?)?$")] = ""
    taken_offset_min: Annotated[int, msgspec.Meta(ge=-1440, le=1440)] | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    altitude_m: Annotated[float, msgspec.Meta(ge=-20_000, le=1_000_000)] | None = None
    make: Text = ""
    model: Text = ""
    lens: Text = ""
    rights: Text = ""
    keywords: Annotated[list[Text], msgspec.Meta(max_length=MAX_KEYWORDS)] = []
    exif: Annotated[dict[Text, Text], msgspec.Meta(max_length=MAX_EXIF_TAGS)] = {}


class Image(msgspec.Struct, frozen=True):
    """A developed image: its bytes and pixels."""

    data: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PREVIEW_SIZE_BYTES)]
    width: Pixels
    height: Pixels


class Developed(msgspec.Struct, frozen=True, tag=True):
    """A picture that opened: the size it is shown at, its images and what it says of itself."""

    width: Pixels
    height: Pixels
    thumbhash: Annotated[bytes, msgspec.Meta(max_length=40)]
    preview: Image
    thumbnail: Image
    metadata: Metadata


class NotDeveloped(msgspec.Struct, frozen=True, tag=True):
    """A file that did not open as a picture, and why. What it says of itself may be readable all the same."""

    reason: Text
    metadata: Metadata = Metadata()


class Watermarked(msgspec.Struct, frozen=True, tag=True):
    """A picture that opened, with a text all over it."""

    preview: Image
    thumbnail: Image


Answer = Developed | NotDeveloped
WatermarkAnswer = Watermarked | NotDeveloped

# What is asked for, one byte each. The first comes with an open file; the second with the sizes of a text and of a
# picture (4 bytes each) and then both: what was decrypted to be watermarked is never put into a file.
DEVELOP = b"F"
WATERMARK = b"W"
SIZE_BYTES = 4

IMAGE_MEDIA_TYPE = "image/webp"
