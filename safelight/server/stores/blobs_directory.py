"""Blobs in a folder: `<first two digits>/<name>`, and the parts of uploads in `uploads/`.

A blob is published durably: its bytes are synced, its length is checked, it is renamed to its name, and the folder is
synced; only then is it said to be there. So whatever has its final name is whole. Nothing that failed to sync is synced
again, since the pages that failed may be gone: from then on the store takes nothing more, and says so.

Disk work runs in a few threads of its own, so that nothing else waits for the disk.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from safelight.server.domain.ports.blobs import AfterRead, StoredBlob, StoredPart, Taken
from safelight.server.domain.ports.state import StoreState
from safelight.server.stores import disk
from safelight.server.stores.blob_hashing import hash_to, unhurried
from safelight.server.stores.blob_names import blob_of, upload_of
from safelight.server.stores.blob_part import Hashed, Part, Piece
from safelight.sync_protocol.refusals import Code, Refused

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
BUFFER_BYTES = 1024 * 1024
SMALL_PIECE_BYTES = 16 * 1024
LENT_AT_ONCE = 4
LENT_FROM_BYTES = 256 * 1024  # less is copied, and given back at once
SMALL_BLOB_SIZE_BYTES = 256 * 1024
MAX_KEPT_HASHES = 256


class DirectoryAppender:
    """One request appending to one upload: while one buffer is written and hashed in a thread, the next one fills."""

    def __init__(self, store: "DirectoryBlobs", upload_id: bytes, part: Part) -> None:
        self.offset_bytes = part.written_bytes
        self._store = store
        self._upload_id = upload_id
        self._part = part
        self._pieces: list[Piece] = []
        self._lent: list[Taken] = []
        self._buffered_bytes = 0
        self._writing: asyncio.Task[Any] | None = None
        self._closed = False

    async def write(self, data: bytes | bytearray | memoryview, taken: Taken | None = None) -> None:
        """Take more bytes; waits only while too many wait already. Raises what an earlier buffer's writing met.

        Of memory that was lent, whose owner has only so much, a few pieces wait; of copies, one buffer.
        """
        size_bytes = len(data)
        last = self._pieces[-1] if self._pieces else None
        lent = taken is not None and size_bytes >= LENT_FROM_BYTES
        if taken is not None and lent:
            self._pieces.append(data)
            self._lent.append(taken)
        elif isinstance(data, bytes) and size_bytes >= SMALL_PIECE_BYTES:
            self._pieces.append(data)  # never changes
            if taken is not None:
                taken()
        else:
            if size_bytes < SMALL_PIECE_BYTES and isinstance(last, bytearray) and len(last) < BUFFER_BYTES:
                last += data
            else:
                self._pieces.append(bytearray(data))
            if taken is not None:
                taken()
        self._buffered_bytes += size_bytes
        self.offset_bytes += size_bytes
        if lent or self._buffered_bytes >= BUFFER_BYTES:
            if lent and self._is_busy() and len(self._lent) < LENT_AT_ONCE:
                return  # it goes next, with what comes until then
            await self._written()
            if self._pieces:
                self._start(self._part.write)

    def hold_back(self) -> None:
        """Nothing to do: of a file only what was stated counts."""

    async def flush(self) -> int:
        """Make everything written durable and return the offset, which never decreases."""
        await self._written()
        return await asyncio.shield(self._start(self._part.flush))

    async def name(self) -> bytes:
        """Return the SHA-256 of everything written so far."""
        await self._written()
        return await asyncio.shield(self._start(self._part.name))

    async def finish(self, digest: bytes | None = None) -> tuple[bytes, int]:
        """Durably publish the upload as the blob named for its SHA-256; returns name and size.

        Raises UPLOAD_DIGEST_MISMATCH where that is not *digest*; then nothing is published, and the bytes are gone.
        """
        await self._written()
        return await asyncio.shield(self._start(partial(self._store.publish, self._upload_id, self._part, digest)))

    async def close(self) -> None:
        """Let go of the upload. What was not flushed may be gone."""
        if self._closed:
            return
        self._closed = True
        self._pieces.clear()
        try:
            if self._writing is not None:
                await asyncio.wait([self._writing])  # which goes on even where this is cancelled
        finally:
            _give_back(self._lent)
            await self._store.release(self._upload_id, self._part)

    def _start(self, work: Callable[[list[Piece]], T]) -> asyncio.Task[T]:
        """Begin *work* with all that was taken; it goes on, in order, even if the request is cut off meanwhile."""
        pieces, lent = self._pieces, self._lent
        self._pieces, self._lent, self._buffered_bytes = [], [], 0
        task = self._writing = asyncio.create_task(self._store.writing(work, pieces))
        task.add_done_callback(partial(self._over, lent))
        return task

    def _over(self, lent: list[Taken], done: asyncio.Task[Any]) -> None:
        """Give back what *done* was lent, and go on with what came meanwhile: who lent that may have no more.

        After a failure nothing more is written. So that is given back, too: who waits for it would never be told.
        """
        if done.cancelled():
            return  # its thread may still be reading
        _give_back(lent)
        if done.exception() is not None:
            self._pieces.clear()
            _give_back(self._lent)
        elif done is self._writing and self._lent and not self._closed:
            self._start(self._part.write)

    def _is_busy(self) -> bool:
        return self._writing is not None and not self._writing.done()

    async def _written(self) -> None:
        """Wait for the work before; raises what it met, and again for whoever comes later."""
        while (writing := self._writing) is not None:
            await asyncio.shield(writing)
            if self._writing is writing:
                self._writing = None


def _give_back(lent: list[Taken]) -> None:
    for taken in lent:
        taken()
    lent.clear()


class DirectoryReader:
    """An open blob. Small ones are read whole when they are opened."""

    def __init__(self, store: "DirectoryBlobs", fd: int, size_bytes: int, whole: bytes | None) -> None:
        self.size_bytes = size_bytes
        self._store = store
        self._fd = fd
        self._whole = whole

    def fileno(self) -> int:
        """Return the open file for those who send from it; it is valid until `close`."""
        return self._fd

    async def chunks(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* up to, not including, *end*, at most *chunk_bytes* at a time."""
        for offset in range(start, end, chunk_bytes):
            size_bytes = min(chunk_bytes, end - offset)
            if self._whole is not None:
                yield self._whole[offset : offset + size_bytes]
            else:
                yield await self._store.run(disk.read_exactly, self._fd, size_bytes, offset)

    async def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DirectoryBlobs:
    """The port `Blobs`, in one folder of one file system. Open it with `open_in`."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder
        self._uploads = folder / "uploads"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        # Threads of their own: those that write wait for them.
        self._hashers = ThreadPoolExecutor(THREADS, thread_name_prefix="hashes")
        self._uploads_sync = disk.FolderSync(self._uploads)
        self._syncs = {prefix: disk.FolderSync(self._blobs / prefix) for prefix in _prefixes()}
        self._appending: set[bytes] = set()
        self._hashes: OrderedDict[bytes, Hashed] = OrderedDict()
        self._failed = False

    @classmethod
    async def open_in(cls, folder: Path) -> "DirectoryBlobs":
        """Open the store in *folder*, and durably make its folders where they are missing."""
        store = cls(folder)
        await store.run(store._make_folders)
        return store

    async def append(self, upload_id: bytes, offset_bytes: int) -> DirectoryAppender:
        """Open an upload's part for appending at its durable offset; bytes beyond it are cut off.

        After a restart the part's bytes are read once, to hash them. Raises UPLOAD_BUSY while another has it open,
        UPLOAD_OFFSET_MISMATCH if the part is shorter, STORAGE_READ_ONLY after the disk failed.
        """
        self._check_writable()
        if upload_id in self._appending:
            raise Refused(Code.UPLOAD_BUSY)
        self._appending.add(upload_id)
        known = self._hashes.pop(upload_id, None)
        path = self._part_path(upload_id)
        try:
            if offset_bytes:
                part = await self.writing(Part, path, self._uploads_sync, self._hashers, offset_bytes, known)
            else:
                part = Part(path, self._uploads_sync, self._hashers, 0, None)  # its file is made with the first bytes
        except BaseException:
            self._appending.discard(upload_id)
            raise
        return DirectoryAppender(self, upload_id, part)

    async def durable_bytes(self, upload_id: bytes, stated_bytes: int) -> int:  # noqa: ARG002 - a bucket needs to ask
        """Return what was stated: of a file, no more than that is known to be durable."""
        return stated_bytes

    async def part_size_bytes(self, upload_id: bytes) -> int:
        """Return how long the part is, durable or not; 0 if there is none."""
        return await self.run(_size_bytes, self._part_path(upload_id))

    async def cut_back(self, upload_id: bytes, offset_bytes: int) -> None:
        """Do nothing: what is beyond the offset is cut off by the next append, and counts for nothing until then."""

    async def discard(self, upload_id: bytes) -> None:
        """Remove an upload's part, if there is one."""
        self._hashes.pop(upload_id, None)
        await self.run(self._part_path(upload_id).unlink, missing_ok=True)

    async def open(self, name: bytes) -> DirectoryReader | None:
        """Open a blob, or return None if it is not here."""
        opened = await self.run(_open_blob, self._blob_path(name))
        return DirectoryReader(self, *opened) if opened else None

    async def delete(self, name: bytes) -> None:
        """Durably remove a blob, if it is here."""
        await self.writing(self._delete, name)

    async def verify(self, name: bytes) -> bool:
        """Whether the stored bytes still hash to the name; not so if they are missing or cannot be read."""
        return (await self.verify_each([name], unhurried))[0]

    async def verify_each(self, names: Sequence[bytes], after_read: AfterRead) -> list[bool]:
        """The same of each of *names*, in one thread, and no faster than *after_read* says."""
        return await self.run(hash_to, [(self._blob_path(name), name) for name in names], after_read)

    async def blobs(self, first_byte: int | None = None) -> AsyncIterator[StoredBlob]:
        """Yield every blob that is there. A folder that cannot be listed raises: its blobs are not gone."""
        for prefix in _prefixes() if first_byte is None else [f"{first_byte:02x}"]:
            for file in await self.run(_files_in, self._blobs / prefix):
                if (name := blob_of(file.name)) is not None:
                    yield StoredBlob(name, file.size_bytes, file.modified_ms)

    async def parts(self) -> AsyncIterator[StoredPart]:
        """Yield every part that is there."""
        for file in await self.run(_files_in, self._uploads):
            if (upload_id := upload_of(file.name)) is not None:
                yield StoredPart(upload_id, file.modified_ms)

    async def state(self) -> StoreState:
        """Say whether the store still writes, and how much room there is."""
        room = await asyncio.to_thread(disk.room_at, self._uploads)  # not in our threads, which may all be hashing
        refusal = Code.STORAGE_READ_ONLY if self._failed or room.read_only else None
        return StoreState(refusal, None, room.free_bytes, room.total_bytes)

    async def close(self) -> None:
        """Wait for what the threads are doing."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._hashers.shutdown)

    # For appenders and readers

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* in a thread of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def writing(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for work that writes: the disk's failures become refusals, and a broken disk ends all writing."""
        self._check_writable()
        try:
            return await self.run(work, *args, **kwargs)
        except OSError as error:
            refusal = disk.refusal_of(error)
            if refusal is None:
                raise
            self._failed = self._failed or refusal.code is Code.STORAGE_READ_ONLY
            raise refusal from error

    def publish(self, upload_id: bytes, part: Part, digest: bytes | None, pieces: Sequence[Piece]) -> tuple[bytes, int]:
        """In a thread: write the last *pieces*, sync, rename, sync the folder. In this order, or a crash may lie."""
        path = self._part_path(upload_id)
        try:
            name, size_bytes = part.seal(pieces, digest)
        except (disk.SyncFailure, Refused):
            path.unlink(missing_ok=True)  # nobody may take up bytes that failed to sync, or that are not what was said
            raise
        # Over a blob that is there already, which they may heal; whoever reads that keeps the old file.
        try:
            path.replace(self._blob_path(name))
        except FileNotFoundError:
            if path.exists():
                raise
            raise Refused(Code.NOT_FOUND, "the upload was cleared away meanwhile") from None
        self._syncs[name.hex()[:2]].sync()
        return name, size_bytes

    async def release(self, upload_id: bytes, part: Part) -> None:
        """Close the part, once a thread that still writes to it is done, and let another appender have it."""
        try:
            known = None if part.sealed else await asyncio.shield(self.run(part.close))
        finally:
            self._appending.discard(upload_id)
        if known is not None:
            self._hashes[upload_id] = known
            if len(self._hashes) > MAX_KEPT_HASHES:
                self._hashes.popitem(last=False)

    def _check_writable(self) -> None:
        if self._failed:
            raise Refused(Code.STORAGE_READ_ONLY, "the disk failed while blobs were written")

    def _part_path(self, upload_id: bytes) -> Path:
        return self._uploads / upload_id.hex()

    def _blob_path(self, name: bytes) -> Path:
        digits = name.hex()
        return self._blobs / digits[:2] / digits

    def _delete(self, name: bytes) -> None:
        self._blob_path(name).unlink(missing_ok=True)
        self._syncs[name.hex()[:2]].sync()

    def _make_folders(self) -> None:
        self._blobs.mkdir(mode=0o700, exist_ok=True)
        for folder in (self._uploads, *(self._blobs / prefix for prefix in _prefixes())):
            folder.mkdir(mode=0o700, exist_ok=True)
        disk.sync_folder(self._blobs)
        disk.sync_folder(self._blobs.parent)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size_bytes: int
    modified_ms: int


def _files_in(folder: Path) -> list[_File]:
    """List a folder; what goes while it is listed is passed over."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                files.append(_File(entry.name, stat.st_size, stat.st_mtime_ns // 1_000_000))
    return files


def _prefixes() -> list[str]:
    return [f"{number:02x}" for number in range(256)]


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open_blob(path: Path) -> tuple[int, int, bytes | None] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        size_bytes = os.fstat(fd).st_size
        whole = disk.read_exactly(fd, size_bytes, 0) if size_bytes <= SMALL_BLOB_SIZE_BYTES else None
    except BaseException:
        os.close(fd)
        raise
    return fd, size_bytes, whole
