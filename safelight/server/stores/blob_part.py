"""The part of an upload on disk: the bytes so far, their hash, and how many of them are durable. Used in threads."""

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safelight.server.stores import disk
from safelight.sync_protocol.refusals import Code, Refused

HASHING_READ_BYTES = 1024 * 1024
HASHED_BESIDE_FROM_BYTES = 256 * 1024  # of less, handing it over costs as much

# Memory that begins at a page comes as a memoryview, and goes to disk past the system's cache.
Piece = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A SHA-256 on its way."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """Return the hash of the bytes so far."""
        ...

    def copy(self) -> "Hasher":
        """Return another that goes on from here."""
        ...


@dataclass(frozen=True, slots=True)
class Hashed:
    """A hash as far as it is known."""

    offset_bytes: int
    hasher: Hasher


class Part:
    """A part file. Its methods exclude one another, so that it is never closed under a thread that still writes."""

    def __init__(
        self, path: Path, folder: disk.FolderSync, hashers: Executor, offset_bytes: int, known: Hashed | None
    ) -> None:
        """Open what there is of it at *path*; *hashers* hash beside the writing."""
        self._path = path
        self._folder = folder
        self._hashers = hashers
        self._lock = threading.Lock()
        self._fd = -1
        self._direct = False
        self._closed = False
        self._sealed = False
        self._named = offset_bytes > 0  # an offset that was stated once stands in a synced folder
        self._hasher: Hasher = hashlib.sha256()
        self.written_bytes = offset_bytes
        self.durable_bytes = offset_bytes
        if offset_bytes:
            self._open_again(offset_bytes, known)
        self._durable_hasher: Hasher = self._hasher.copy()

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write and hash *pieces*, of which more will follow."""
        with self._lock:
            start_bytes = self.written_bytes
            self._write(pieces)
            if not self._direct:
                disk.begin_writing_out(self._fd, start_bytes, self.written_bytes - start_bytes)

    def flush(self, pieces: Sequence[Piece]) -> int:
        """Write *pieces*, make all bytes durable, and return how many they are."""
        with self._lock:
            self._write(pieces)
            if self.durable_bytes < self.written_bytes:
                disk.sync_data(self._fd)
                if not self._named:
                    self._folder.sync()
                    self._named = True
                self.durable_bytes = self.written_bytes
                self._durable_hasher = self._hasher.copy()
            return self.durable_bytes

    def name(self, pieces: Sequence[Piece]) -> bytes:
        """Write *pieces* and return the hash of all bytes."""
        with self._lock:
            self._write(pieces)
            return self._hasher.digest()

    def seal(self, pieces: Sequence[Piece], digest: bytes | None) -> tuple[bytes, int]:
        """Write *pieces*, make all durable and return name and size; the file may then be renamed.

        Raises UPLOAD_DIGEST_MISMATCH, and LENGTH_MISMATCH if the file is not as long as what was written to it.
        """
        with self._lock:
            self._write(pieces)
            name = self._hasher.digest()
            if digest is not None and digest != name:
                raise Refused(Code.UPLOAD_DIGEST_MISMATCH)
            disk.sync_file(self._fd)
            if os.fstat(self._fd).st_size != self.written_bytes:
                raise Refused(Code.LENGTH_MISMATCH, "something else wrote to the upload's file")
            self._sealed = True
            self._close()
            return name, self.written_bytes

    @property
    def sealed(self) -> bool:
        """Whether all is durable and the file closed, so that nothing is left to close."""
        return self._sealed

    def close(self) -> Hashed | None:
        """Close the file; what is known of the hash, of the durable bytes alone.

        What a failed writing left behind them goes: nothing counts it, and on a full disk it takes others' room.
        """
        with self._lock:
            if self._fd >= 0:
                with suppress(OSError):  # a disk that fails, or is read-only
                    if os.fstat(self._fd).st_size > self.durable_bytes:
                        os.ftruncate(self._fd, self.durable_bytes)
            self._close()
            return Hashed(self.durable_bytes, self._durable_hasher) if self.durable_bytes and not self._sealed else None

    def _write(self, pieces: Sequence[Piece]) -> None:
        if self._closed:
            raise Refused(Code.UPLOAD_BUSY, "the upload was given up")
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._direct = disk.begin_direct(self._fd)
        size_bytes = sum(map(len, pieces))
        # The disk's time and the processor's, beside each other. Whatever the disk does, the hash is waited for: what
        # it reads belongs to others afterwards.
        hashing = self._hashers.submit(self._hash, pieces) if size_bytes >= HASHED_BESIDE_FROM_BYTES else None
        try:
            disk.write_all(self._fd, self._write_directly(pieces) if self._direct else pieces)
        finally:
            if hashing is not None:
                hashing.result()
        if hashing is None:
            self._hash(pieces)
        self.written_bytes += size_bytes

    def _hash(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._hasher.update(piece)

    def _write_directly(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Write past the cache as far as *pieces* are whole pages of memory, and return what is to be written usually.

        From the first that is not, all that follows is: it does not begin at a page of the file any more.
        """
        pages, rest = _whole_pages(pieces)
        left_bytes = sum(map(len, pages))
        left_bytes -= disk.write_pages(self._fd, pages, self.written_bytes) if pages else 0
        if rest or left_bytes:
            self._direct = False
            disk.end_direct(self._fd)
        return [*_last_bytes(pages, left_bytes), *rest]

    def _open_again(self, offset_bytes: int, known: Hashed | None) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refused(Code.UPLOAD_OFFSET_MISMATCH, "the upload's bytes are gone") from None
        try:
            if os.fstat(self._fd).st_size < offset_bytes:
                raise Refused(Code.UPLOAD_OFFSET_MISMATCH, "the upload's bytes are gone")
            os.ftruncate(self._fd, offset_bytes)
            os.lseek(self._fd, offset_bytes, os.SEEK_SET)
            if known is not None and known.offset_bytes == offset_bytes:
                self._hasher = known.hasher
            else:
                for offset in range(0, offset_bytes, HASHING_READ_BYTES):
                    size_bytes = min(HASHING_READ_BYTES, offset_bytes - offset)
                    self._hasher.update(disk.read_exactly(self._fd, size_bytes, offset))
            self._direct = offset_bytes % disk.PAGE_BYTES == 0 and disk.begin_direct(self._fd)
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        self._closed = True
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _whole_pages(pieces: Sequence[Piece]) -> tuple[list[memoryview], list[Piece]]:
    """Part *pieces* where they cease to be whole pages of memory."""
    pages = []
    for number, piece in enumerate(pieces):
        size_bytes = len(piece) // disk.PAGE_BYTES * disk.PAGE_BYTES if isinstance(piece, memoryview) else 0
        if size_bytes:
            pages.append(memoryview(piece)[:size_bytes])
        if size_bytes < len(piece):
            return pages, [memoryview(piece)[size_bytes:], *pieces[number + 1 :]]
    return pages, []


def _last_bytes(pieces: Sequence[memoryview], size_bytes: int) -> list[memoryview]:
    """Return the last *size_bytes* of *pieces*."""
    last: list[memoryview] = []
    for piece in reversed(pieces):
        if not size_bytes:
            break
        last.insert(0, piece[-min(size_bytes, len(piece)) :])
        size_bytes -= len(last[0])
    return last
