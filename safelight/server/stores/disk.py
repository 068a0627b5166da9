"""What a durable store asks of a disk, and what it makes of the disk's failures."""

import errno
import fcntl
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safelight.sync_protocol.refusals import Code, Refused

MAX_PIECES = 512  # of one writev; the kernel takes 1024
PAGE_BYTES = 4096  # what is written past the system's cache begins and ends at multiples of it, in file and memory
# Linux's alone, and not of every file system.
_DIRECT: int = getattr(os, "O_DIRECT", 0)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_BROKEN = frozenset({errno.EIO, errno.EROFS, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EUCLEAN})


class SyncFailure(OSError):
    """Bytes that were written may be gone, and syncing again would not tell: never try."""


def refusal_of(error: OSError) -> Refused | None:
    """The refusal that says what the disk did; None if it was something else, and a mistake of ours."""
    if error.errno in _FULL:
        return Refused(Code.STORAGE_FULL)
    if error.errno in _BROKEN or isinstance(error, SyncFailure):
        return Refused(Code.STORAGE_READ_ONLY, "the disk failed while blobs were written")
    return None


def write_all(fd: int, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write all of *pieces*, however often the system takes less."""
    for start in range(0, len(pieces), MAX_PIECES):
        waiting = [memoryview(piece) for piece in pieces[start : start + MAX_PIECES]]
        while waiting:
            written_bytes = os.writev(fd, waiting)
            while waiting and written_bytes >= len(waiting[0]):
                written_bytes -= len(waiting.pop(0))
            if written_bytes:
                waiting[0] = waiting[0][written_bytes:]


def begin_direct(fd: int) -> bool:
    """Let *fd* write past the system's cache, and say whether it does. A sync is still needed for durability.

    It saves copying every byte and, at the sync, finding and writing out the pages again.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | _DIRECT)
    except OSError:
        return False
    return bool(_DIRECT)


def end_direct(fd: int) -> None:
    """Let *fd* write the usual way again."""
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~_DIRECT)


def write_pages(fd: int, pages: Sequence[memoryview], offset_bytes: int) -> int:
    """Write whole pages past the cache, at *offset_bytes*, which is where *fd* stands.

    Returns how much was written, which is less where disk or memory cannot do that.
    """
    try:
        write_all(fd, pages)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.lseek(fd, 0, os.SEEK_CUR) - offset_bytes
    return sum(map(len, pages))


def read_exactly(fd: int, size_bytes: int, offset_bytes: int) -> bytes:
    """Read from *offset_bytes*; raises EOFError where the file ends before."""
    data = os.pread(fd, size_bytes, offset_bytes)
    while len(data) < size_bytes:
        more = os.pread(fd, size_bytes - len(data), offset_bytes + len(data))
        if not more:
            raise EOFError("a stored file is shorter than it was")
        data += more
    return data


@dataclass(frozen=True, slots=True)
class Room:
    """The disk that a path lies on, in bytes; `free_bytes` is what we may use of it."""

    free_bytes: int
    total_bytes: int
    read_only: bool


def room_at(path: Path) -> Room:
    """Ask the file system under *path*, which reads and writes nothing."""
    found = os.statvfs(path)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, bool(found.f_flag & os.ST_RDONLY))


def begin_writing_out(fd: int, offset_bytes: int, size_bytes: int) -> None:
    """Let the disk begin with bytes that a sync will wait for later, where the system can be told so."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, offset_bytes, size_bytes, os.POSIX_FADV_DONTNEED)


def sync_file(fd: int) -> None:
    """Make the file's bytes and length durable; raises SyncFailure."""
    try:
        os.fsync(fd)
    except OSError as error:
        raise SyncFailure(error.errno, error.strerror) from error


def sync_data(fd: int) -> None:
    """Make the file's bytes durable and readable at its length, and not its times; raises SyncFailure."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        raise SyncFailure(error.errno, error.strerror) from error


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable; raises SyncFailure."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file(fd)
    finally:
        os.close(fd)


class FolderSync:
    """Syncs of one folder, shared by the threads that wait for one together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asking = threading.Lock()
        self._syncing = threading.Lock()
        self._asked = 0
        self._done = 0
        self._failure: SyncFailure | None = None

    def sync(self) -> None:
        """Return when a sync that began after this call is done; raises SyncFailure, and for ever after one."""
        with self._asking:
            self._asked += 1
            mine = self._asked
        with self._syncing:
            if self._failure is not None:
                raise SyncFailure(self._failure.errno, self._failure.strerror)
            if self._done >= mine:
                return
            with self._asking:
                asked = self._asked
            try:
                sync_folder(self._folder)
            except SyncFailure as failure:
                self._failure = failure
                raise
            self._done = asked
