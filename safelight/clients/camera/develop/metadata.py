"""What a picture's file says of itself: time, place, device, keywords, rights, and its EXIF as text.

Everything is cut to the bounds of `messages`: a megabyte of EXIF must not become a record that no server takes.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from safelight.clients.camera.develop.messages import (
    MAX_EXIF_SIZE_BYTES,
    MAX_EXIF_TAGS,
    MAX_KEYWORDS,
    MAX_TEXT_LENGTH,
    Metadata,
)

_TIME_TAGS = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal, ExifTags.Base.SubsecTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized, ExifTags.Base.SubsecTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.OffsetTime, ExifTags.Base.SubsecTime),
)
_TIME = re.compile(r"^(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"^([+-])(\d\d):?(\d\d)")
_IPTC_KEYWORDS = (2, 25)
_IPTC_COPYRIGHT = (2, 116)
# Nothing that a person would look for, and often large: maker notes, embedded pictures, offsets.
_TAGS_LEFT_OUT = frozenset({
    ExifTags.Base.MakerNote, ExifTags.Base.ExifOffset, ExifTags.Base.GPSInfo, ExifTags.Base.XMLPacket,
    ExifTags.Base.InterColorProfile, ExifTags.Base.JpegIFOffset, ExifTags.Base.JpegIFByteCount, ExifTags.Base.IPTCNAA,
    ExifTags.Base.ImageResources, ExifTags.Base.PrintImageMatching, ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.StripOffsets, ExifTags.Base.StripByteCounts, ExifTags.Base.SubIFDs, ExifTags.Base.DNGPrivateData,
})  # fmt: skip

Tags = Mapping[int, Any]


def read(image: Image.Image) -> Metadata:
    """Return what *image* says of itself; what is damaged is left out, never a reason to fail."""
    try:
        return _read(image)
    except Exception:  # noqa: BLE001 - whatever a damaged file makes fail here must not cost the picture its preview
        return Metadata()


def _read(image: Image.Image) -> Metadata:
    main = _tags(image, None)
    detail = _tags(image, ExifTags.IFD.Exif)
    taken_local, offset_min = _taken({**main, **detail})
    latitude, longitude, altitude_m = _place(_tags(image, ExifTags.IFD.GPSInfo))
    iptc = _iptc(image)
    rights = _text(main.get(ExifTags.Base.Copyright)) or next(iter(_texts(iptc.get(_IPTC_COPYRIGHT))), "")
    return Metadata(
        taken_local=taken_local,
        taken_offset_min=offset_min,
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        make=_text(main.get(ExifTags.Base.Make)),
        model=_text(main.get(ExifTags.Base.Model)),
        lens=_text(detail.get(ExifTags.Base.LensModel)),
        rights=rights,
        keywords=_keywords(main, iptc),
        exif=_as_text({**main, **detail}),
    )


def _tags(image: Image.Image, ifd: ExifTags.IFD | None) -> Tags:
    try:
        exif = image.getexif()
        return dict(exif.get_ifd(ifd) if ifd else exif)
    except Exception:  # noqa: BLE001 - damaged EXIF fails in every way that there is, and the picture goes on without
        return {}


def _iptc(image: Image.Image) -> Mapping[tuple[int, int], Any]:
    try:
        return IptcImagePlugin.getiptcinfo(image) or {} if isinstance(image, ImageFile.ImageFile) else {}
    except Exception:  # noqa: BLE001 - the same for damaged IPTC
        return {}


def _taken(tags: Tags) -> tuple[str, int | None]:
    """The capture time, local and without zone, and the minutes east of UTC where the file knows them."""
    for time_tag, offset_tag, fraction_tag in _TIME_TAGS:
        found = _TIME.match(_text(tags.get(time_tag)))
        if not found:
            continue
        numbers = [int(part) for part in found.groups()]
        try:
            moment = datetime(*numbers[:6])  # type: ignore[arg-type]  # noqa: DTZ001 - six numbers; local by meaning
        except ValueError:
            continue  # a camera that was never told the time writes 0000:00:00
        digits = _text(tags.get(fraction_tag))
        fraction = f".{digits[:6]}" if digits.isascii() and digits.isdigit() else ""
        return moment.isoformat(timespec="seconds") + fraction, _offset_min(_text(tags.get(offset_tag)))
    return "", None


def _offset_min(text: str) -> int | None:
    found = _OFFSET.match(text)
    if not found or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


def _place(gps: Tags) -> tuple[float | None, float | None, float | None]:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None:
        return None, None, None
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if altitude is not None and gps.get(ExifTags.GPS.GPSAltitudeRef) in {1, b"\x01"}:
        altitude = -altitude
    in_range = altitude is not None and -20_000 <= altitude <= 1_000_000
    return latitude, longitude, altitude if in_range else None


def _degrees(value: Any, reference: Any, negative: str, limit: int) -> float | None:
    if not isinstance(value, tuple | list) or not 1 <= len(value) <= 3:
        return None
    parts = [_number(part) for part in value]
    degrees = 0.0
    for index, part in enumerate(parts):
        if part is None:
            return None
        degrees += part / 60**index
    if _text(reference).upper() == negative:
        degrees = -degrees
    return round(degrees, 7) if -limit <= degrees <= limit else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _keywords(main: Tags, iptc: Mapping[tuple[int, int], Any]) -> list[str]:
    words = [*_texts(iptc.get(_IPTC_KEYWORDS)), *_windows_text(main.get(ExifTags.Base.XPKeywords)).split(";")]
    return list(dict.fromkeys(word for word in map(_text, words) if word))[:MAX_KEYWORDS]


def _windows_text(value: Any) -> str:
    data = bytes(value) if isinstance(value, bytes | tuple) and all(0 <= part < 256 for part in value) else b""
    return data.decode("utf-16-le", "ignore").rstrip("\0")


def _texts(value: Any) -> Iterable[str]:
    return [_text(part) for part in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> str:
    """A tag's value as clean text of bounded length; empty for what is no text or number."""
    if isinstance(value, bytes):
        value = value[: 4 * MAX_TEXT_LENGTH].decode("utf-8", "replace")
    if not isinstance(value, str | int | float) and not hasattr(value, "numerator"):
        return ""
    text = str(value)[: 4 * MAX_TEXT_LENGTH].split("\0", 1)[0]
    clean = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(clean.split())[:MAX_TEXT_LENGTH]


def _as_text(tags: Tags) -> dict[str, str]:
    """All tags with a name and a value that a person can read, as far as the bounds allow."""
    found: dict[str, str] = {}
    size_bytes = 0
    for tag, value in tags.items():
        if tag in _TAGS_LEFT_OUT or tag not in ExifTags.TAGS:
            continue
        text = _sequence_text(value) if isinstance(value, tuple) else _text(value)
        name = ExifTags.TAGS[tag]
        size_bytes += len(name.encode()) + len(text.encode("utf-8", "replace")) + 8
        if size_bytes > MAX_EXIF_SIZE_BYTES or len(found) >= MAX_EXIF_TAGS:
            break
        if text:
            found[name] = text
    return found


def _sequence_text(values: tuple[Any, ...]) -> str:
    return _text(" ".join(_text(value) for value in values[:16]))
