"""File names made safe for the target: no name that came from elsewhere leaves its folder or stands for a device.

A name that needs no change keeps its exact bytes.
"""

import hashlib
import re
import unicodedata

MAX_NAME_SIZE_BYTES = 255
SIDECAR_ENDING = ".json"
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789")})
_RESERVED = frozenset('<>:"\\|?*')  # on Windows, and on the file systems that come from there
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ESCAPED = {"\\": "\\", "n": "\n", "r": "\r"}
_ESCAPE = re.compile(r"\\([\\nr])")
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ROOM_BYTES = 40  # for what is put after a name: a number and an ending


def safe_name(name: str, *, strict: bool = False) -> str:
    """Return *name* as one plain file name that stays in its folder, is no device, and has at most 255 bytes.

    Control characters go, and what makes a name read as another one. *strict* is for a folder that takes only what
    Windows takes.
    """
    kept = "".join("_" if _is_unsafe(character, strict=strict) else character for character in name)
    if strict:
        kept = kept.rstrip(" .")
    if kept.startswith("."):
        kept = f"_{kept[1:]}"  # `..` leaves the folder; a hidden file looks like a lost one, and ours begin so
    if kept.split(".", 1)[0].rstrip(" ").upper() in _DEVICES:
        kept = f"_{kept}"
    kept = kept or "_"
    return shorten(kept, MAX_NAME_SIZE_BYTES - _ROOM_BYTES) if _size_bytes(kept) > MAX_NAME_SIZE_BYTES else kept


def shorten(name: str, max_size_bytes: int) -> str:
    """Return *name* cut to so many bytes of UTF-8, its ending kept, and told apart by a hash of the whole."""
    stem, dot, ending = name.rpartition(".")
    if not dot or _size_bytes(ending) > 16:
        stem, dot, ending = name, "", ""
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    tail = f"~{mark}{dot}{ending}"
    room = max_size_bytes - _size_bytes(tail)
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + tail


def folded(name: str) -> str:
    """Return what two names share if a file system may take them for one: case and Unicode form aside."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def numbered(name: str, number: int) -> str:
    """Return *name* with a number before its ending: `IMG_1.JPG` becomes `IMG_1 (2).JPG`."""
    stem, dot, ending = name.rpartition(".")
    mark = f" ({number})"
    made = f"{stem}{mark}{dot}{ending}" if stem else f"{name}{mark}"
    return shorten(made, MAX_NAME_SIZE_BYTES - _ROOM_BYTES) if _size_bytes(made) > MAX_NAME_SIZE_BYTES else made


def sidecar_name(name: str) -> str:
    """Return the name of the sidecar of the file *name*; where both do not fit into a name, the sidecar's is cut."""
    made = name + SIDECAR_ENDING
    return made if _size_bytes(made) <= MAX_NAME_SIZE_BYTES else shorten(made, MAX_NAME_SIZE_BYTES)


def checksum_line(digest: bytes, name: str) -> str:
    """Return a line as `sha256sum` writes and checks it, with its escapes for backslash and line ends."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest.hex()}  {escaped}\n"


def read_checksum_line(line: str) -> tuple[str, bytes] | None:
    """Return name and digest of a line as `checksum_line` makes it; None for any other."""
    escaped = line.startswith("\\")
    digest, _, name = line.removeprefix("\\").partition("  ")
    if not _DIGEST.fullmatch(digest) or not name:
        return None
    if escaped:
        name = _ESCAPE.sub(lambda found: _ESCAPED[found[1]], name)
    return name, bytes.fromhex(digest)


def _is_unsafe(character: str, *, strict: bool) -> bool:
    if character == "/" or character in _REORDERING or (strict and character in _RESERVED):
        return True
    return unicodedata.category(character) in ("Cc", "Cs")


def _size_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
