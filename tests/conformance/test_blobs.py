"""Blob stores: bytes come back as they were sent, under the SHA-256 of them, however they were cut on the way."""

import asyncio
import hashlib
import mmap
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from safelight.server.domain.ports.blobs import Blobs
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.engines import OpenBlobs
from tests.conformance.library import some_hash, some_id

MIB = 1024 * 1024


async def store(blobs: Blobs, data: bytes, *, piece_bytes: int = 64 * 1024) -> bytes:
    """Upload *data* in pieces and return the blob's name."""
    appender = await blobs.append(some_id(), 0)
    for start in range(0, len(data), piece_bytes):
        await appender.write(data[start : start + piece_bytes])
    name, size_bytes = await appender.finish()
    await appender.close()
    assert size_bytes == len(data)
    return name


async def read(blobs: Blobs, name: bytes, start: int = 0, end: int | None = None, chunk_bytes: int = MIB) -> bytes:
    """Read a range of a blob, which must be there, in chunks of at most the size asked for."""
    reader = await blobs.open(name)
    assert reader is not None
    chunks = [chunk async for chunk in reader.chunks(start, reader.size_bytes if end is None else end, chunk_bytes)]
    await reader.close()
    assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks)
    return b"".join(chunks)


@contextmanager
def suppress_gone() -> Iterator[None]:
    """Let pass that a blob is not there any more."""
    try:
        yield
    except Refused as refused:
        if refused.code is not Code.NOT_FOUND:
            raise


@pytest.mark.parametrize("size_bytes", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
async def test_bytes_come_back(blobs: Blobs, size_bytes: int) -> None:
    """A blob of any size is published under its hash, verifies, and reads back whole."""
    data = secrets.token_bytes(size_bytes)
    name = await store(blobs, data)
    assert name == hashlib.sha256(data).digest()
    assert await blobs.verify(name)
    assert await read(blobs, name) == data


@pytest.mark.parametrize("piece_bytes", [1, 1000, 16 * 1024, 3 * MIB])
async def test_pieces_of_any_size(blobs: Blobs, piece_bytes: int) -> None:
    """However the bytes are cut into pieces, the same blob comes of them."""
    data = secrets.token_bytes(40_000 if piece_bytes == 1 else 3 * MIB)
    assert await read(blobs, await store(blobs, data, piece_bytes=piece_bytes)) == data


async def lend(blobs: Blobs, size_bytes: int, memory_bytes: int, pieces: int = 2) -> None:
    """Upload random bytes from a few pieces of memory, each filled anew as soon as it is given back; check the blob."""
    free: asyncio.Queue[memoryview] = asyncio.Queue()
    for _ in range(pieces):
        free.put_nowait(memoryview(mmap.mmap(-1, memory_bytes)))
    sent = b""
    appender = await blobs.append(some_id(), 0)
    while len(sent) < size_bytes:
        memory = await free.get()
        data = secrets.token_bytes(min(memory_bytes, size_bytes - len(sent)))
        memory[: len(data)] = data
        sent += data
        await appender.write(memory[: len(data)], partial(free.put_nowait, memory))
    name, _ = await appender.finish()
    await appender.close()
    assert name == hashlib.sha256(sent).digest()
    assert await read(blobs, name) == sent


@pytest.mark.parametrize("memory_bytes", [4096, 64 * 1024, MIB])
@pytest.mark.parametrize("tail_bytes", [0, 1, 4096, 5000])
async def test_lent_memory_stays_until_it_is_taken(blobs: Blobs, memory_bytes: int, tail_bytes: int) -> None:
    """Memory that is used again as soon as it may be gives the blob that was sent, whole pages or not."""
    await lend(blobs, 3 * MIB + tail_bytes if memory_bytes > 4096 else 100_000 + tail_bytes, memory_bytes)


async def test_a_buffer_may_be_used_again(blobs: Blobs) -> None:
    """What is handed over in a buffer is taken before the buffer is filled anew."""
    buffer, whole = bytearray(100_000), b""
    appender = await blobs.append(some_id(), 0)
    for _ in range(30):
        buffer[:] = secrets.token_bytes(len(buffer))
        whole += buffer
        await appender.write(memoryview(buffer))
    name, _ = await appender.finish()
    await appender.close()
    assert await read(blobs, name) == whole


@pytest.mark.parametrize("size_bytes", [1000, 2 * MIB])
async def test_ranges(blobs: Blobs, size_bytes: int) -> None:
    """Any range reads as it stands in the blob, and an empty one is empty."""
    data = secrets.token_bytes(size_bytes)
    name = await store(blobs, data)
    for start, end in ((0, 1), (1, 999), (999, 1000), (0, 0), (size_bytes, size_bytes), (5, size_bytes)):
        assert await read(blobs, name, start, end, chunk_bytes=333_333) == data[start:end]


async def test_a_blob_that_is_not_there(blobs: Blobs) -> None:
    """What is not there does not open, does not verify, and may be deleted."""
    name = some_hash()
    assert await blobs.open(name) is None
    assert not await blobs.verify(name)
    await blobs.delete(name)


async def test_delete(blobs: Blobs) -> None:
    """A deleted blob is gone; who is reading it gets its bytes, or is told that it is gone, and never others."""
    data = secrets.token_bytes(2 * MIB)
    name = await store(blobs, data)
    reader = await blobs.open(name)
    assert reader is not None
    await blobs.delete(name)
    assert await blobs.open(name) is None
    got = bytearray()
    with suppress_gone():
        async for chunk in reader.chunks(0, len(data), MIB):
            got += chunk
        assert len(got) == len(data)
    assert data.startswith(got)
    await reader.close()


async def test_the_same_blob_twice_at_once(blobs: Blobs) -> None:
    """Uploaded by several at once, a blob is there once and whole; uploaded again, it stays."""
    data = secrets.token_bytes(2 * MIB)
    names = await asyncio.gather(*(store(blobs, data) for _ in range(8)))
    assert set(names) == {hashlib.sha256(data).digest()}
    await store(blobs, data)
    assert await read(blobs, names[0]) == data


async def test_stated_offset_is_kept(open_blobs: OpenBlobs, tmp_path: Path) -> None:
    """After a restart an upload goes on at the offset that was stated, and its hash is that of all its bytes."""
    upload_id, data = some_id(), secrets.token_bytes(5 * MIB)
    blobs = await open_blobs(tmp_path)
    appender = await blobs.append(upload_id, 0)
    assert await appender.flush() == 0
    await appender.write(data[: 2 * MIB + 5])
    offset = await appender.flush()
    assert offset == 2 * MIB + 5 == appender.offset_bytes
    await appender.write(data[offset : 4 * MIB])  # not flushed: may be there or not
    await appender.close()
    await blobs.close()

    blobs = await open_blobs(tmp_path)
    assert await blobs.part_size_bytes(upload_id) >= offset
    appender = await blobs.append(upload_id, offset)
    assert appender.offset_bytes == offset
    await appender.write(data[offset:])
    assert await appender.finish(hashlib.sha256(data).digest()) == (hashlib.sha256(data).digest(), len(data))
    await appender.close()
    assert await read(blobs, hashlib.sha256(data).digest()) == data
    await blobs.close()


async def test_cut_at_any_byte(blobs: Blobs) -> None:
    """An upload that is cut again and again, anywhere, ends whole."""
    upload_id, data, offset = some_id(), secrets.token_bytes(3 * MIB), 0
    for cut in (0, 1, 17, 64 * 1024, MIB, MIB + 1, 2 * MIB + 99, len(data)):
        appender = await blobs.append(upload_id, offset)
        await appender.write(data[offset:cut])
        offset = await appender.flush()
        assert offset == cut
        await appender.close()
        assert await blobs.part_size_bytes(upload_id) == offset
    appender = await blobs.append(upload_id, offset)
    name, _ = await appender.finish()
    await appender.close()
    assert await read(blobs, name) == data


async def test_bytes_beyond_the_offset(blobs: Blobs) -> None:
    """Bytes that were made durable and never stated are cut off, or counted: the store says which, and keeps to it."""
    upload_id, data = some_id(), secrets.token_bytes(2 * MIB)
    appender = await blobs.append(upload_id, 0)
    await appender.write(data)
    await appender.flush()
    await appender.close()
    for stated in (100, 0):
        offset = await blobs.durable_bytes(upload_id, stated)
        assert offset in {stated, len(data)}
        appender = await blobs.append(upload_id, offset)
        await appender.close()
        assert offset <= await blobs.part_size_bytes(upload_id) <= len(data)
    rest = secrets.token_bytes(MIB)
    appender = await blobs.append(upload_id, offset)
    await appender.write(rest)
    name, _ = await appender.finish()
    await appender.close()
    assert await read(blobs, name) == data[:offset] + rest


async def test_part_that_is_shorter_than_stated(blobs: Blobs) -> None:
    """An upload does not go on at an offset that its bytes do not reach."""
    upload_id = some_id()
    for wanted in (1, 11):
        with pytest.raises(Refused) as refusal:
            await blobs.append(upload_id, wanted)
        assert refusal.value.code is Code.UPLOAD_OFFSET_MISMATCH
        appender = await blobs.append(upload_id, await blobs.durable_bytes(upload_id, 0))
        await appender.write(bytes(10 - appender.offset_bytes))
        await appender.flush()
        await appender.close()


async def test_the_name_beforehand(blobs: Blobs) -> None:
    """An upload's name can be known before it is published, and more may follow."""
    upload_id, data = some_id(), secrets.token_bytes(3 * MIB)
    appender = await blobs.append(upload_id, 0)
    assert await appender.name() == hashlib.sha256(b"").digest()
    for start in range(0, len(data), MIB):
        await appender.write(data[start : start + MIB])
        assert await appender.name() == hashlib.sha256(data[: start + MIB]).digest()
    assert (await appender.finish())[0] == hashlib.sha256(data).digest()
    await appender.close()


async def test_what_is_there(blobs: Blobs) -> None:
    """Every blob is listed with its size, and every upload that is not complete; their times are near now."""
    contents = [secrets.token_bytes(size_bytes) for size_bytes in (0, 5, MIB)]
    names = [await store(blobs, data) for data in contents]
    upload_id = some_id()
    appender = await blobs.append(upload_id, 0)
    await appender.write(b"on its way")
    await appender.flush()
    await appender.close()
    stored = [blob async for blob in blobs.blobs()]
    parts = [part async for part in blobs.parts()]
    assert {blob.name: blob.size_bytes for blob in stored} == {
        name: len(data) for name, data in zip(names, contents, strict=True)
    }
    assert {part.upload_id for part in parts} == {upload_id}
    now_ms = time.time() * 1000
    times = [blob.modified_ms for blob in stored] + [part.modified_ms for part in parts]
    assert all(abs(now_ms - modified_ms) < 60_000 for modified_ms in times)
    await blobs.delete(names[0])
    await blobs.discard(upload_id)
    assert {blob.name async for blob in blobs.blobs()} == set(names[1:])
    assert [part async for part in blobs.parts()] == []


async def test_two_appenders_at_once(blobs: Blobs) -> None:
    """An upload has one appender at a time."""
    upload_id = some_id()
    appender = await blobs.append(upload_id, 0)
    with pytest.raises(Refused) as refusal:
        await blobs.append(upload_id, 0)
    assert refusal.value.code is Code.UPLOAD_BUSY
    await appender.close()
    await appender.close()
    await (await blobs.append(upload_id, 0)).close()


async def test_wrong_digest_publishes_nothing(blobs: Blobs) -> None:
    """Bytes that are not what was stated become no blob, under no name, and leave no part."""
    upload_id, data = some_id(), secrets.token_bytes(MIB + 1)
    appender = await blobs.append(upload_id, 0)
    await appender.write(data)
    with pytest.raises(Refused) as refusal:
        await appender.finish(some_hash())
    assert refusal.value.code is Code.UPLOAD_DIGEST_MISMATCH
    await appender.close()
    assert await blobs.open(hashlib.sha256(data).digest()) is None
    assert await blobs.part_size_bytes(upload_id) == 0


async def test_what_was_written_is_taken_back(blobs: Blobs) -> None:
    """Bytes that turned out to be none of the upload's are cut off, whether the store had put them away or not."""
    upload_id, data = some_id(), secrets.token_bytes(MIB)
    appender = await blobs.append(upload_id, 0)
    await appender.write(data)
    await appender.flush()
    await appender.close()
    for size_bytes in (0, 100, 20 * MIB):
        appender = await blobs.append(upload_id, len(data))
        for start in range(0, size_bytes, MIB):
            await appender.write(secrets.token_bytes(min(MIB, size_bytes - start)))
        await appender.close()
        await blobs.cut_back(upload_id, len(data))
        assert await blobs.durable_bytes(upload_id, len(data)) == len(data)
    await blobs.cut_back(some_id(), 0)
    appender = await blobs.append(upload_id, len(data))
    await appender.write(b"rest")
    name, _ = await appender.finish()
    await appender.close()
    assert await read(blobs, name) == data + b"rest"


@pytest.mark.parametrize("begun_bytes", [0, MIB])
async def test_what_is_held_back(open_blobs: OpenBlobs, tmp_path: Path, begun_bytes: int) -> None:
    """Bytes that are held back count once they are flushed; where the process dies before, no other counts them."""
    blobs, upload_id = await open_blobs(tmp_path), some_id()
    data = secrets.token_bytes(begun_bytes + 20 * MIB + 7)
    appender = await blobs.append(upload_id, 0)
    await appender.write(data[:begun_bytes])
    await appender.flush()
    await appender.close()
    dying = await blobs.append(upload_id, begun_bytes)
    dying.hold_back()
    for _ in range(5):
        await dying.write(secrets.token_bytes(4 * MIB))
    other = await open_blobs(tmp_path)  # nothing was closed, as after a kill
    assert await other.durable_bytes(upload_id, begun_bytes) == begun_bytes
    appender = await other.append(upload_id, begun_bytes)
    appender.hold_back()
    for start in range(begun_bytes, len(data), MIB):
        await appender.write(data[start : start + MIB])
    assert await other.durable_bytes(upload_id, begun_bytes) == begun_bytes
    assert await appender.flush() == len(data)
    assert await other.durable_bytes(upload_id, len(data)) == len(data)
    name, size_bytes = await appender.finish()
    await appender.close()
    assert (name, size_bytes) == (hashlib.sha256(data).digest(), len(data))
    assert await read(other, name) == data
    await dying.close()
    await blobs.discard(upload_id)
    assert [part async for part in blobs.parts() if part.upload_id == upload_id] == []
    await blobs.close()
    await other.close()


async def test_discard(blobs: Blobs) -> None:
    """A discarded upload is gone; discarding what is not there is no error."""
    upload_id = some_id()
    appender = await blobs.append(upload_id, 0)
    await appender.write(bytes(1000))
    await appender.flush()
    await appender.close()
    for _ in range(2):
        await blobs.discard(upload_id)
        assert await blobs.part_size_bytes(upload_id) == 0


async def test_cut_off_while_writing(blobs: Blobs) -> None:
    """A request that is cancelled in the middle of a write loses no byte that it had handed over."""
    upload_id, data = some_id(), secrets.token_bytes(24 * MIB)
    appender = await blobs.append(upload_id, 0)
    under_way = asyncio.Event()

    async def send() -> None:
        for start in range(0, len(data), 100_000):
            await appender.write(data[start : start + 100_000])
            if start > 5 * MIB:
                under_way.set()

    sending = asyncio.create_task(send())
    await under_way.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    offset = await appender.flush()
    assert len(data) >= offset == appender.offset_bytes > 5 * MIB
    await appender.close()
    appender = await blobs.append(upload_id, offset)
    await appender.write(data[offset:])
    assert (await appender.finish())[0] == hashlib.sha256(data).digest()
    await appender.close()


async def test_many_uploads_at_once(blobs: Blobs) -> None:
    """Many uploads at once do not disturb one another."""
    contents = [secrets.token_bytes(MIB + number) for number in range(24)]
    names = await asyncio.gather(*(store(blobs, data) for data in contents))
    assert names == [hashlib.sha256(data).digest() for data in contents]
    assert all(await asyncio.gather(*map(blobs.verify, names)))


async def test_verifying_many(blobs: Blobs) -> None:
    """Each of many is hashed, in order; what is missing does not verify; every byte that was read is told of."""
    names = [await store(blobs, secrets.token_bytes(size_bytes)) for size_bytes in (0, 5, 3 * MIB)]
    read_bytes: list[int] = []

    def after_read(size_bytes: int) -> float:
        read_bytes.append(size_bytes)
        return 0.001 if size_bytes else 0

    assert await blobs.verify_each([*names, some_hash(), names[1]], after_read) == [True, True, True, False, True]
    assert sum(read_bytes) == 5 + 3 * MIB + 5
    assert await blobs.verify_each([], after_read) == []


async def test_verifying_ends_where_it_is_told_to(blobs: Blobs) -> None:
    """What `after_read` raises ends it in the middle of a blob."""
    name = await store(blobs, secrets.token_bytes(9 * MIB))

    def after_read(size_bytes: int) -> float:
        raise RuntimeError(f"{size_bytes} bytes are enough")

    with pytest.raises(RuntimeError):
        await blobs.verify_each([name], after_read)


async def test_listing_by_the_first_byte(blobs: Blobs) -> None:
    """A listing can be of one first byte only; all of them together are everything."""
    names = {await store(blobs, secrets.token_bytes(100)) for _ in range(12)}
    first = min(names)[0]
    assert {blob.name async for blob in blobs.blobs(first)} == {name for name in names if name[0] == first}
    unused = next(byte for byte in range(256) if byte not in {name[0] for name in names})
    assert [blob async for blob in blobs.blobs(unused)] == []
