"""Files that survive a crash: whole or not at all, and readable by their owner alone."""

import os
import tempfile
from pathlib import Path

_OWNER_ONLY = 0o700


def make_folder(folder: Path) -> Path:
    """Make *folder*, readable by its owner alone, where it is not there; return it."""
    folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    return folder


def write_file(path: Path, data: bytes | bytearray) -> None:
    """Write *path* durably: temporary file (mode 0600), fsync, rename, fsync of the folder.

    After a crash the file holds the old bytes or the new ones, never a mixture.
    """
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a written and fsynced *temporary* its name, durably."""
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_file(path: Path) -> bytes | None:
    """Return the file's bytes, or None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
