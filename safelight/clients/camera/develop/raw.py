"""The picture inside a raw file: the largest JPEG that a TIFF-shaped raw (NEF, CR2, ARW, DNG, PEF) carries for show."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

_SUB_IFDS, _JPEG_OFFSET, _JPEG_SIZE = 0x014A, 0x0201, 0x0202
_STRIP_OFFSETS, _STRIP_SIZES, _COMPRESSION = 0x0111, 0x0117, 0x0103
_JPEG_COMPRESSIONS = {6, 7}
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4}
_MAX_IFDS = 32
_MAX_TAGS = 512
_MAX_VALUES = 64
_MAX_JPEG_SIZE_BYTES = 64 * 1024 * 1024
_JPEG_START = b"\xff\xd8\xff"


def largest_jpeg(file: BinaryIO) -> bytes | None:
    """Return the largest JPEG that the directories of the TIFF in *file* name, or None; damage counts as none."""
    try:
        candidates = sorted(_jpegs(file), key=lambda place: -place[1])
    except (struct.error, OverflowError, ValueError):
        return None
    for offset, size_bytes in candidates:
        file.seek(offset)
        data = file.read(size_bytes)
        # A lossless JPEG (SOF3) holds the sensor's data, which nothing here shows.
        if len(data) == size_bytes and data.startswith(_JPEG_START) and b"\xff\xc3" not in data[:2048]:
            return data
    return None


def _jpegs(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Offset and size of everything that a directory calls a JPEG; each directory is looked at once."""
    file.seek(0)
    head = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return
    waiting = [struct.unpack(order + "I", head[4:8])[0]]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_IFDS:
        offset = waiting.pop()
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        tags, following = _directory(file, order, offset)
        waiting += [following, *tags.get(_SUB_IFDS, [])]
        places = [(_JPEG_OFFSET, _JPEG_SIZE)]
        if tags.get(_COMPRESSION, [0])[0] in _JPEG_COMPRESSIONS and len(tags.get(_STRIP_OFFSETS, [])) == 1:
            places.append((_STRIP_OFFSETS, _STRIP_SIZES))
        for offset_tag, size_tag in places:
            if tags.get(offset_tag) and tags.get(size_tag) and 0 < tags[size_tag][0] <= _MAX_JPEG_SIZE_BYTES:
                yield tags[offset_tag][0], tags[size_tag][0]


def _directory(file: BinaryIO, order: str, offset: int) -> tuple[dict[int, list[int]], int]:
    """The whole-number tags of the directory at *offset*, and where the next one is."""
    file.seek(offset)
    count = struct.unpack(order + "H", file.read(2))[0]
    if count > _MAX_TAGS:
        raise ValueError("more tags than a camera writes")
    raw = file.read(12 * count + 4)
    tags = {}
    for index in range(count):
        tag, kind, values = struct.unpack_from(order + "HHI", raw, 12 * index)
        if kind in _TYPE_SIZES and 0 < values <= _MAX_VALUES:
            tags[tag] = _values(file, order, kind, values, raw[12 * index + 8 : 12 * index + 12])
    return tags, struct.unpack_from(order + "I", raw, 12 * count)[0]


def _values(file: BinaryIO, order: str, kind: int, count: int, field: bytes) -> list[int]:
    size_bytes = _TYPE_SIZES[kind] * count
    if size_bytes > 4:
        file.seek(struct.unpack(order + "I", field)[0])
        field = file.read(size_bytes)
    letter = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I"}[kind]
    return list(struct.unpack_from(f"{order}{count}{letter}", field))
