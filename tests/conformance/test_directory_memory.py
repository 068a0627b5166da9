"""The folder store's memory: what it is lent goes to disk and into the hash from there, and only then back."""

import asyncio
import errno
import fcntl
import mmap
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from safelight.server.domain.ports.blobs import Taken
from safelight.server.stores import disk
from safelight.server.stores.blob_part import Part, Piece
from safelight.server.stores.blobs_directory import BUFFER_BYTES, LENT_AT_ONCE, DirectoryAppender, DirectoryBlobs
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import some_id
from tests.conformance.test_blobs import MIB, lend, read


def page_memory(size_bytes: int = MIB) -> memoryview:
    """Memory that begins at a page, with something in it."""
    memory = memoryview(mmap.mmap(-1, size_bytes))
    memory[:] = secrets.token_bytes(size_bytes)
    return memory


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """A disk that begins to write when it is let, and how many pieces each writing had."""
    go_on, pieces_of = threading.Event(), list[int]()
    write = Part._write

    def waiting(self: Part, pieces: Sequence[Piece]) -> None:
        pieces_of.append(len(pieces))
        go_on.wait()
        write(self, pieces)

    monkeypatch.setattr(Part, "_write", waiting)
    return go_on, pieces_of


async def test_what_comes_while_the_disk_is_busy_goes_together(
    directory: DirectoryBlobs, held_up: tuple[threading.Event, list[int]]
) -> None:
    """Whoever sends is not held up by one writing, and the next has all that came; nobody has to ask for it.

    But no more waits than `LENT_AT_ONCE`: who brings more waits for the disk.
    """
    go_on, pieces_of = held_up
    memories = [page_memory() for _ in range(LENT_AT_ONCE + 2)]
    back = [asyncio.Event() for _ in memories]
    appender = await directory.append(some_id(), 0)
    try:
        for memory, given_back in zip(memories[:LENT_AT_ONCE], back[:LENT_AT_ONCE], strict=True):
            await appender.write(memory, given_back.set)
        one_more = asyncio.create_task(appender.write(memories[LENT_AT_ONCE], back[LENT_AT_ONCE].set))
        await asyncio.sleep(0.1)
        assert not one_more.done()
    finally:
        go_on.set()
    for given_back in back[: LENT_AT_ONCE + 1]:
        await given_back.wait()
    await one_more
    assert pieces_of == [1, LENT_AT_ONCE]
    await appender.write(memories[-1], back[-1].set)
    name, _ = await appender.finish()
    await appender.close()
    assert await read(directory, name) == b"".join(memories)


async def test_a_failure_is_not_passed_over_by_what_waits(
    directory: DirectoryBlobs, held_up: tuple[threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a writing that failed nothing that waits is written, and whoever flushes is told.

    What waits is given back, though: who needs it to send more would else not learn of the failure.
    """
    go_on, pieces_of = held_up
    monkeypatch.setattr(disk, "write_all", failing)
    appender = await directory.append(some_id(), 0)
    first_back, second_back = asyncio.Event(), asyncio.Event()
    await appender.write(page_memory(), first_back.set)
    await appender.write(page_memory(), second_back.set)
    go_on.set()
    await first_back.wait()
    assert second_back.is_set()
    with pytest.raises(Refused) as told:
        await appender.flush()
    assert told.value.code is Code.STORAGE_FULL
    assert pieces_of == [1]
    await appender.close()


async def test_copies_wait_for_the_disk(directory: DirectoryBlobs, held_up: tuple[threading.Event, list[int]]) -> None:
    """One buffer of what had to be copied fills while another is written: many that send so would else fill memory."""
    go_on, _ = held_up
    appender = await directory.append(some_id(), 0)
    try:
        await appender.write(bytes(BUFFER_BYTES))
        one_more = asyncio.create_task(appender.write(bytes(BUFFER_BYTES)))
        await asyncio.sleep(0.1)
        assert not one_more.done()
    finally:
        go_on.set()
    await one_more
    await appender.close()


async def test_who_is_cancelled_while_it_closes_lets_go_all_the_same(
    directory: DirectoryBlobs, held_up: tuple[threading.Event, list[int]]
) -> None:
    """The thread that still writes keeps its memory and its file until it is done; then the upload is free again."""
    go_on, _ = held_up
    upload_id, back, before = some_id(), asyncio.Event(), open_files()
    appender = await directory.append(upload_id, 0)
    await appender.write(page_memory(), back.set)
    closing = asyncio.create_task(appender.close())
    await asyncio.sleep(0)
    closing.cancel()
    try:
        await asyncio.sleep(0.1)
        assert not back.is_set()
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert back.is_set()
    assert open_files() == before
    await (await directory.append(upload_id, 0)).close()


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def failing(*_: object) -> None:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_did_not_fit_gives_its_room_back(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an upload that a full disk refused, only what is durable stays on it, and goes on from there.

    *A full disk that stayed full*: what every refused upload had written was kept until the upload expired.
    """
    upload_id, memory = some_id(), page_memory(2 * MIB)
    appender = await directory.append(upload_id, 0)
    await appender.write(memory[:MIB], lambda: None)
    assert await appender.flush() == MIB
    with monkeypatch.context() as patch:
        write = disk.write_all

        def some(fd: int, pieces: Sequence[Piece]) -> None:
            write(fd, [pieces[0][:4096]])
            failing()

        patch.setattr(disk, "write_all", some)
        await appender.write(memory[MIB:], lambda: None)
        with pytest.raises(Refused):
            await appender.flush()
    assert await directory.part_size_bytes(upload_id) == MIB + 4096
    await appender.close()
    assert await directory.part_size_bytes(upload_id) == MIB
    again = await directory.append(upload_id, MIB)
    await again.write(memory[MIB:], lambda: None)
    name, _ = await again.finish()
    await again.close()
    assert await read(directory, name) == memory


async def test_memory_is_not_given_back_while_it_is_hashed(
    directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk has failed already: what the hash still reads is not used again."""
    hashing, go_on, hashed = threading.Event(), threading.Event(), threading.Event()
    real = Part._hash

    def slowly(self: Part, pieces: Sequence[Piece]) -> None:
        hashing.set()
        go_on.wait()
        real(self, pieces)
        hashed.set()

    monkeypatch.setattr(Part, "_hash", slowly)
    monkeypatch.setattr(disk, "write_all", failing)
    was_hashed: list[bool] = []
    appender = await directory.append(some_id(), 0)
    await appender.write(page_memory(), lambda: was_hashed.append(hashed.is_set()))
    try:
        await asyncio.to_thread(hashing.wait)
        await asyncio.sleep(0.1)
        assert was_hashed == []
    finally:
        go_on.set()
    with pytest.raises(Refused):
        await appender.flush()
    await appender.close()
    assert was_hashed == [True]


async def test_memory_given_back_too_early_is_noticed(
    directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of lent memory can fail: a store that gives it back too early stores other bytes."""
    write, start, take = Part.write, DirectoryAppender._start, DirectoryAppender.write
    used_again = threading.Event()

    def slowly(self: Part, pieces: Sequence[Piece]) -> None:
        used_again.wait()
        write(self, pieces)

    async def noted(self: DirectoryAppender, data: memoryview, taken: Taken) -> None:
        if self.offset_bytes:
            used_again.set()
        await take(self, data, taken)

    def early(self: DirectoryAppender, work: Any) -> Any:
        for taken in self._lent:
            taken()
        self._lent.clear()
        return start(self, work)

    await lend(directory, 4 * MIB, MIB, pieces=1)
    monkeypatch.setattr(Part, "write", slowly)
    monkeypatch.setattr(DirectoryAppender, "write", noted)
    monkeypatch.setattr(DirectoryAppender, "_start", early)
    with pytest.raises(AssertionError):
        await lend(directory, 4 * MIB, MIB, pieces=1)


@pytest.fixture
def direct_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was written past the system's cache, write by write."""
    written: list[int] = []
    real = disk.write_pages

    def noted(fd: int, pages: Sequence[memoryview], offset_bytes: int) -> int:
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT
        written.append(real(fd, pages, offset_bytes))
        return written[-1]

    monkeypatch.setattr(disk, "write_pages", noted)
    return written


async def test_whole_pages_go_past_the_cache(directory: DirectoryBlobs, direct_bytes: list[int]) -> None:
    """Memory that begins at a page goes to the disk as it is, but for the last few bytes; an append goes on so."""
    if not can_write_directly(directory):
        pytest.skip("NOT RUN: this file system writes nothing past the cache")
    direct_bytes.clear()
    memory = memoryview(mmap.mmap(-1, MIB))
    data = secrets.token_bytes(3 * MIB + 300_000)
    upload_id = some_id()
    for start, end in ((0, 2 * MIB), (2 * MIB, len(data))):
        appender = await directory.append(upload_id, start)
        for at in range(start, end, MIB):
            piece = data[at : min(at + MIB, end)]
            given_back = asyncio.Event()
            memory[: len(piece)] = piece
            await appender.write(memory[: len(piece)], given_back.set)
            await appender.flush()
            await given_back.wait()
        if end == len(data):
            name, _ = await appender.finish()
        await appender.close()
    assert sum(direct_bytes) == len(data) // 4096 * 4096
    assert await read(directory, name) == data


@pytest.mark.parametrize("shifted", [1, 512])
async def test_memory_that_begins_nowhere_is_written_all_the_same(
    directory: DirectoryBlobs, direct_bytes: list[int], shifted: int
) -> None:
    """What the disk does not take past the cache is written the usual way, and every byte once."""
    memory = memoryview(mmap.mmap(-1, 2 * MIB))[shifted:]
    data = secrets.token_bytes(MIB + 100)
    memory[: len(data)] = data
    appender = await directory.append(some_id(), 0)
    await appender.write(memory[: len(data)], lambda: None)
    await appender.write(b"more" * 10_000)
    name, _ = await appender.finish()
    await appender.close()
    assert await read(directory, name) == data + b"more" * 10_000


async def test_a_disk_that_takes_nothing_directly(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system knows no writing past its cache, everything is written through it."""
    monkeypatch.setattr(disk, "_DIRECT", 0)
    await lend(directory, 3 * MIB + 1, MIB)


def can_write_directly(directory: DirectoryBlobs) -> bool:
    """Whether the file system under the store writes past its cache."""
    path = directory._uploads / "probe"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        return disk.begin_direct(fd) and disk.write_pages(fd, [memoryview(mmap.mmap(-1, 4096))], 0) == 4096
    finally:
        os.close(fd)
        path.unlink()
