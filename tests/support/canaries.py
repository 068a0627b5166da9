"""Canaries: words that stand nowhere else, and the hunt for them, in every disguise, in what a server wrote."""

import base64
import json
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_GZIP_START = re.compile(b"\x1f\x8b\x08")
_MAX_INFLATED_BYTES = 1 << 20


def canary(what: str) -> str:
    """Return a new word that says what it marks; its letters beyond ASCII are escaped in JSON."""
    return f"kanarië-{what}-{secrets.token_hex(8)}"


def disguises(word: str) -> set[bytes]:
    """Every way in which *word* may lie in a file: UTF-8, UTF-16, base64 at any offset, hex, JSON escapes."""
    forms = {word.encode("utf-16-be"), json.dumps(word)[1:-1].encode()}
    return forms | disguises_of_bytes(word.encode()) | disguises_of_bytes(word.encode("utf-16-le"))


def disguises_of_bytes(data: bytes) -> set[bytes]:
    """*data* as it is, in hex, and in base64 at any offset."""
    forms = {data, data.hex().encode(), data.hex().upper().encode()}
    for offset in range(3):
        # Cut what depends on the neighbours: the first and the last group of four.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(bytes(offset) + data)[4 if offset else 0 :].rstrip(b"=")[:-1])
    return forms


def hunt(folders: Iterable[Path], words: Iterable[str]) -> list[tuple[str, str]]:
    """Return (word, file) for every canary that stands in a file, in a file's name, or in something gzipped in one."""
    searched = [(word, re.compile(b"|".join(map(re.escape, sorted(disguises(word)))))) for word in words]
    found: list[tuple[str, str]] = []
    for path in _files(folders):
        for data in _layers(str(path).encode("utf-8", "surrogateescape") + b"\n" + path.read_bytes()):
            found += [(word, str(path)) for word, pattern in searched if pattern.search(data)]
    return found


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from ([folder] if folder.is_file() else (path for path in folder.rglob("*") if path.is_file()))


def _layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and whatever in them unpacks."""
    yield data
    for start in _GZIP_START.finditer(data):
        try:
            yield zlib.decompressobj(31).decompress(data[start.start() :], _MAX_INFLATED_BYTES)
        except zlib.error:
            continue
