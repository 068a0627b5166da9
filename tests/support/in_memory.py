"""Folders in memory, for tests that ask what is stored and not what a disk does with it.

A server's data has a folder for each first byte of a blob's name, and a database in PostgreSQL has 300 files: on a disk
that others write to, making and removing them takes most of a short test. Nothing is lost by it but that wait, since a
process that is killed leaves the same behind on either. What a disk does is tried on one, in tests/faults and
tests/journeys.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2 * 1024**3  # a container may have little


def enough_memory() -> Path | None:
    """Where folders in memory are made, or None where there is not enough."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES else None


@contextmanager
def folder_in_memory(request: pytest.FixtureRequest, on_disk: Path) -> Iterator[Path]:
    """A folder of the test's own in memory, or *on_disk* where there is not enough.

    Where the test fails, what it left is copied there.
    """
    memory = enough_memory()
    if memory is None:
        yield on_disk
        return
    failed = request.session.testsfailed
    with tempfile.TemporaryDirectory(prefix=on_disk.name, dir=memory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        if request.session.testsfailed > failed:
            with suppress(shutil.Error):  # a socket cannot be copied; the rest is
                shutil.copytree(folder, on_disk, symlinks=True, dirs_exist_ok=True)
