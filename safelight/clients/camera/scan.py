"""Scanning a folder: which files a camera uploads, in a stable order, and which it names as left out.

Uploaded is every regular file but those that are named as skipped: names that begin with a dot (and whole folders of
that kind), `Thumbs.db`, `desktop.ini`, symbolic links, FIFOs, sockets and devices. Links are never followed, so no loop
of folders and nothing outside the folder is reached.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safelight.sync_protocol.refusals import Code, Refused

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_NOT_TEXT = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells that a file is the one that was seen, unchanged: size, modification and change time, device, inode."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Found:
    """A file to upload. `relative` names it in messages; `name` is its last part, as text."""

    path: Path
    relative: str
    name: str
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not uploaded: skipped by rule, or failed because it could not be read."""

    relative: str
    reason: str
    failed: bool


def stamp_of(status: os.stat_result) -> FileStamp:
    """Return the stamp in a file's *status*."""
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)


def safe_text(name: str) -> str:
    """Return a file *name* of any bytes as text that can be encoded: what is not UTF-8 stands as `%E9` and the like."""
    if not _NOT_TEXT.search(name):
        return name
    # Python shows byte N that is not UTF-8 as U+DC00 + N; other surrogates come from systems with 16-bit names.
    return _NOT_TEXT.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)


def for_message(text: str) -> str:
    """Return *text* fit for a line on a terminal: no line breaks, control or direction characters."""
    return "".join(character if character.isprintable() else "\ufffd" for character in safe_text(text))


def scan(folder: Path) -> Iterator[Found | LeftOut]:
    """Yield what is in *folder* and below, each folder's files and then its folders, by name.

    Raises FILE_UNREADABLE if *folder* itself is no folder or cannot be listed: an unmounted disk must not look empty.
    """
    entries = _list(folder)
    if isinstance(entries, OSError):
        raise Refused(Code.FILE_UNREADABLE, f"{for_message(str(folder))}: {_os_reason(entries)}")
    return _scan_entries(folder, entries)


def _scan_entries(top: Path, entries: list[os.DirEntry[str]]) -> Iterator[Found | LeftOut]:
    waiting = [iter(entries)]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        relative = os.path.relpath(entry.path, top)
        reason = _skip_reason(entry)
        if reason:
            yield LeftOut(for_message(relative), reason, failed=False)
        elif entry.is_dir(follow_symlinks=False):
            below = _list(Path(entry.path))
            if isinstance(below, OSError):
                yield LeftOut(for_message(relative), _os_reason(below), failed=True)
            else:
                waiting.append(iter(below))
        else:
            yield _look_at(entry, relative)


def _list(folder: Path) -> list[os.DirEntry[str]] | OSError:
    """The folder's entries, files first, each group by name; or why they cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: (entry.is_dir(follow_symlinks=False), os.fsencode(entry.name)))
    except OSError as error:
        return error


def _skip_reason(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "its name begins with a dot"
    if entry.name.lower() in _SYSTEM_FILES:
        return "the system made it for itself"
    if entry.is_symlink():
        return "it is a symbolic link"
    return ""


def _look_at(entry: os.DirEntry[str], relative: str) -> Found | LeftOut:
    shown = for_message(relative)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return LeftOut(shown, _os_reason(error), failed=True)
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(shown, "it is no ordinary file", failed=False)
    if not os.access(entry.path, os.R_OK):
        return LeftOut(shown, "it may not be read", failed=True)
    return Found(Path(entry.path), shown, safe_text(entry.name), stamp_of(status))


def _os_reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
