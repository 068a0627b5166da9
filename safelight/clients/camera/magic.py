"""What a file is, by its first bytes: its media type, and whether it is a photo, a video or just a file.

Names lie and are missing; the first bytes say what a program would take the file for. Only prefixes are compared here:
nothing is parsed, since this runs in the process that holds keys.
"""

from dataclasses import dataclass
from typing import Literal

HEAD_SIZE_BYTES = 64

Kind = Literal["photo", "video", "file"]


@dataclass(frozen=True, slots=True)
class FileType:
    """A file's kind and its media type."""

    kind: Kind
    media_type: str


UNKNOWN = FileType("file", "application/octet-stream")

_PREFIXES: tuple[tuple[bytes, FileType], ...] = (
    (b"\xff\xd8\xff", FileType("photo", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", FileType("photo", "image/png")),
    (b"GIF87a", FileType("photo", "image/gif")),
    (b"GIF89a", FileType("photo", "image/gif")),
    (b"BM", FileType("photo", "image/bmp")),
    (b"\0\0\0\x0cjP  ", FileType("photo", "image/jp2")),
    (b"\xff\x0a", FileType("photo", "image/jxl")),
    (b"\0\0\0\x0cJXL ", FileType("photo", "image/jxl")),
    (b"II\x2a\0\x10\0\0\0CR", FileType("photo", "image/x-canon-cr2")),
    (b"II\x2a\0", FileType("photo", "image/tiff")),
    (b"MM\0\x2a", FileType("photo", "image/tiff")),
    (b"II\x55\0", FileType("photo", "image/x-panasonic-rw2")),
    (b"IIRO", FileType("photo", "image/x-olympus-orf")),
    (b"FUJIFILMCCD-RAW", FileType("photo", "image/x-fuji-raf")),
    (b"\x1aE\xdf\xa3", FileType("video", "video/x-matroska")),
    (b"\0\0\x01\xba", FileType("video", "video/mpeg")),
    (b"\0\0\x01\xb3", FileType("video", "video/mpeg")),
    (b"%PDF-", FileType("file", "application/pdf")),
    (b"PK\x03\x04", FileType("file", "application/zip")),
)

# The major brand of an ISO base media file (the four bytes after `ftyp`).
_BRANDS: dict[bytes, FileType] = {
    b"avif": FileType("photo", "image/avif"),
    b"avis": FileType("photo", "image/avif"),
    b"crx ": FileType("photo", "image/x-canon-cr3"),
    b"qt  ": FileType("video", "video/quicktime"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), FileType("photo", "image/heic")),
    **dict.fromkeys((b"mif1", b"msf1", b"miaf"), FileType("photo", "image/heif")),
    **dict.fromkeys((b"M4A ", b"M4B "), FileType("file", "audio/mp4")),
}

# TIFF is the envelope of most raw formats; their names tell them apart, and nothing depends on it but the media type.
_RAW_SUFFIXES: dict[str, FileType] = {
    ".nef": FileType("photo", "image/x-nikon-nef"),
    ".nrw": FileType("photo", "image/x-nikon-nrw"),
    ".arw": FileType("photo", "image/x-sony-arw"),
    ".dng": FileType("photo", "image/x-adobe-dng"),
    ".pef": FileType("photo", "image/x-pentax-pef"),
}


def file_type(head: bytes, name: str) -> FileType:
    """Return what the file *name* is that begins with *head* (at least `HEAD_SIZE_BYTES` of it, if it has as many)."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], FileType("video", "video/mp4"))
    if head[4:8] in {b"moov", b"mdat", b"wide"}:
        return FileType("video", "video/quicktime")
    if head[:4] == b"RIFF":
        return _riff(head[8:12])
    found = next((known for prefix, known in _PREFIXES if head.startswith(prefix)), UNKNOWN)
    if found.media_type == "image/tiff":
        return _RAW_SUFFIXES.get(name[name.rfind(".") :].lower(), found)
    return found


def _riff(form: bytes) -> FileType:
    if form == b"WEBP":
        return FileType("photo", "image/webp")
    return FileType("video", "video/x-msvideo") if form == b"AVI " else UNKNOWN
