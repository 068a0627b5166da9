"""Uploads on their way to a bucket: pieces, each an object `uploads/<upload>/<where it starts>`.

A piece is put only where none is ("if none match"). That alone keeps the servers that share a bucket apart: of two that
go on at the same offset one is told no, so an upload's pieces never fork, and no lock that a stalled server could
outlive is trusted with acknowledged bytes. How far an upload has come is what its pieces, in a row from the start, add
up to.

What must not count before it was verified lies beside them, `uploads/<upload>/held-<attempt>/<where it starts>`, and is
put among them once it was: a server that dies in between leaves nothing that anybody takes for the upload's bytes.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from safelight.server.domain.ports.blobs import Taken
from safelight.server.stores.blob_part import Hashed, Hasher
from safelight.server.stores.s3_bucket import Bucket
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

PIECE_BYTES = 8 * 1024 * 1024
SMALL_PIECE_BYTES = 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
PREFIX = "uploads"
_HELD = "held-"


class PiecesDiffer(Exception):
    """The pieces of an upload, read back, do not hash to the name that they should have."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One object of an upload."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        """Where the next one starts."""
        return self.start + self.size_bytes


def folder_of(upload_id: bytes) -> str:
    """Where an upload's pieces lie."""
    return f"{PREFIX}/{upload_id.hex()}"


def key_of(upload_id: bytes, start: int) -> str:
    """Where the piece that starts at *start* lies."""
    return f"{folder_of(upload_id)}/{start:016x}"


def upload_at(key: str) -> str:
    """Return what stands for the upload in the key of a piece."""
    return key.removeprefix(f"{PREFIX}/").partition("/")[0]


async def pieces_of(bucket: Bucket, upload_id: bytes) -> list[Piece]:
    """Return an upload's pieces, in a row from its start; what is held back, or comes after a gap, does not count."""
    pieces: list[Piece] = []
    async for listed in bucket.listing(folder_of(upload_id)):
        if listed.key.rpartition("/")[0] != folder_of(upload_id):
            continue
        start = int(listed.key.rpartition("/")[2], 16)
        if start != end_of(pieces):
            break
        pieces.append(Piece(start, listed.size_bytes))
    return pieces


def end_of(pieces: Sequence[Piece]) -> int:
    """How far the pieces reach."""
    return pieces[-1].end if pieces else 0


async def read_object(bucket: Bucket, key: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield an object's bytes, fetching the next ones while the last are used; raises if it is not that long."""
    ahead: asyncio.Task[bytes] | None = None

    async def fetch(start: int, end: int) -> bytes:
        fetched = await bucket.get(key, start, end)
        if fetched is None or fetched.size_bytes != size_bytes:
            raise Refused(Code.STORAGE_UNAVAILABLE, "what was stored is not there as it was stored")
        return fetched.data

    try:
        for start in range(0, size_bytes, READ_BYTES):
            data = await (ahead or fetch(start, min(start + READ_BYTES, size_bytes)))
            after = start + len(data)
            ahead = (
                asyncio.create_task(fetch(after, min(after + READ_BYTES, size_bytes))) if after < size_bytes else None
            )
            yield data
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


class Room:
    """How much waits in memory for the bucket, over all uploads: where there is little left, pieces become smaller."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._used_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Note that so much more waits."""
        self._used_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Note that so much waits no longer."""
        self._used_bytes -= size_bytes

    def piece_bytes(self) -> int:
        """How large a piece may grow before it must go."""
        return PIECE_BYTES if self._used_bytes < self._size_bytes else SMALL_PIECE_BYTES


class Publisher(Protocol):
    """What an appender asks of its store."""

    bucket: Bucket
    room: Room

    async def publish(self, upload_id: bytes, pieces: Sequence[Piece], tail: bytes, name: bytes) -> None:
        """Publish *pieces* and *tail* as the blob *name*, and read it back; raises PiecesDiffer."""
        ...

    def release(self, upload_id: bytes, known: Hashed | None) -> None:
        """Let another appender have the upload."""
        ...


class S3Appender:
    """One request appending to one upload: while one piece is hashed and put, the next one fills."""

    def __init__(self, store: Publisher, upload_id: bytes, pieces: list[Piece], hasher: Hasher | None) -> None:
        self.offset_bytes = end_of(pieces)
        self._store = store
        self._upload_id = upload_id
        self._pieces = pieces
        self._hasher = hasher
        self._held_in = ""
        self._held: list[Piece] = []
        self._buffer = bytearray()
        self._working: asyncio.Task[Any] | None = None
        self._published = False
        self._closed = False

    def hold_back(self) -> None:
        """Let nothing that is written count before it is flushed, named or finished."""
        self._held_in = f"{folder_of(self._upload_id)}/{_HELD}{secrets.token_hex(8)}"

    async def write(self, data: bytes | bytearray | memoryview, taken: Taken | None = None) -> None:
        """Take more bytes; waits while one piece is on its way and another is full. Raises what an earlier one met."""
        self._buffer += data
        if taken is not None:
            taken()
        self.offset_bytes += len(data)
        self._store.room.take(len(data))
        if len(self._buffer) >= self._store.room.piece_bytes():
            await self._done()
            self._start(self._hold(self._taken()) if self._held_in else self._put(self._taken()))

    async def flush(self) -> int:
        """Put everything written, and return the offset: no more than what the bucket has acknowledged."""
        await self._counted()
        return await asyncio.shield(self._start(self._put(self._taken())))

    async def name(self) -> bytes:
        """Return the SHA-256 of everything written so far."""
        await self._counted()
        return await asyncio.shield(self._start(self._name()))

    async def finish(self, digest: bytes | None = None) -> tuple[bytes, int]:
        """Publish the upload as the blob named for its SHA-256, read it back, and return name and size.

        Raises UPLOAD_DIGEST_MISMATCH where that is not *digest*; then nothing is published, and the pieces are gone.
        """
        await self._counted()
        return await asyncio.shield(self._start(self._finish(digest)))

    async def close(self) -> None:
        """Let go of the upload. What was not flushed is gone; what was published needs its pieces no more."""
        if self._closed:
            return
        self._closed = True
        if self._working is not None:
            await asyncio.gather(self._working, return_exceptions=True)
        whole = not self._buffer and not self._held
        known = Hashed(end_of(self._pieces), self._hasher) if self._hasher and whole else None
        self._store.room.give(len(self._buffer))
        self._buffer.clear()
        try:
            await self._drop_held()
            if self._published:
                await self._drop_pieces()
        except Refused:
            pass  # they are cleared away later, like those of uploads that nobody knows any more
        finally:
            self._store.release(self._upload_id, None if self._published else known)

    async def _put(self, data: bytes) -> int:
        if not data:
            return end_of(self._pieces)
        start = end_of(self._pieces)
        await self._put_hashed(key_of(self._upload_id, start), data)
        self._pieces.append(Piece(start, len(data)))
        return end_of(self._pieces)

    async def _hold(self, data: bytes) -> None:
        start = end_of(self._held or self._pieces)
        self._held.append(Piece(start, len(data)))  # noted first: what may be there is to go
        await self._put_hashed(self._held_key(start), data)

    async def _put_hashed(self, key: str, data: bytes) -> None:
        hashing = asyncio.create_task(asyncio.to_thread(self._hasher.update, data)) if self._hasher else None
        try:
            await self._put_at(key, data)
        except BaseException:
            self._hasher = None  # it is of more than was put
            raise
        finally:
            if hashing is not None:
                await hashing
            self._store.room.give(len(data))

    async def _put_at(self, key: str, data: bytes) -> None:
        if not await self._store.bucket.put_new(key, data):
            there = await self._store.bucket.get(key, 0, len(data) + 1)
            if there is None or there.data != data:  # else ours: put again because its answer was lost
                raise Refused(Code.UPLOAD_OFFSET_MISMATCH, "another request went on with the upload")

    async def _counted(self) -> None:
        """Wait for the work before; then what was held back is among the pieces that count."""
        await self._done()
        if self._held:
            await asyncio.shield(self._start(self._let_count()))
        self._held_in = ""

    async def _let_count(self) -> None:
        """A server that dies in between has put some of it: all of it was verified."""
        for piece in self._held:
            data = b"".join(
                [data async for data in read_object(self._store.bucket, self._held_key(piece.start), piece.size_bytes)]
            )
            await self._put_at(key_of(self._upload_id, piece.start), data)
            self._pieces.append(piece)
        await self._drop_held()

    async def _drop_held(self) -> None:
        await self._store.bucket.delete([self._held_key(piece.start) for piece in self._held])
        self._held.clear()

    def _held_key(self, start: int) -> str:
        return f"{self._held_in}/{start:016x}"

    async def _name(self) -> bytes:
        if self._hasher is None:
            hasher = hashlib.sha256()
            for piece in self._pieces:
                async for data in self._piece(piece):
                    await asyncio.to_thread(hasher.update, data)
            self._hasher = hasher
        whole = self._hasher.copy()
        await asyncio.to_thread(whole.update, bytes(self._buffer))
        return whole.digest()

    async def _finish(self, digest: bytes | None) -> tuple[bytes, int]:
        sure = digest is None or self._hasher is not None
        name = await self._name() if digest is None or self._hasher is not None else digest
        try:
            if digest not in {None, name}:
                raise Refused(Code.UPLOAD_DIGEST_MISMATCH)
            await self._store.publish(self._upload_id, self._pieces, bytes(self._buffer), name)
        except PiecesDiffer:
            await self._drop_pieces()  # nobody may go on from bytes that are not what was sent
            if sure:
                raise Refused(Code.STORAGE_UNAVAILABLE, "the upload does not read back as it was sent") from None
            raise Refused(Code.UPLOAD_DIGEST_MISMATCH) from None
        except Refused as refused:
            if refused.code is Code.UPLOAD_DIGEST_MISMATCH:
                await self._drop_pieces()
            raise
        self._published = True
        return name, self.offset_bytes

    def _piece(self, piece: Piece) -> AsyncGenerator[bytes, None]:
        return read_object(self._store.bucket, key_of(self._upload_id, piece.start), piece.size_bytes)

    async def _drop_pieces(self) -> None:
        await self._store.bucket.delete([key_of(self._upload_id, piece.start) for piece in self._pieces])
        self._pieces.clear()

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin work that goes on even if the request is cut off meanwhile: what was taken is put, and in order."""
        task = self._working = asyncio.create_task(work)
        return task

    async def _done(self) -> None:
        """Wait for the work before; raises what it met, and again for whoever comes later."""
        if self._working is not None:
            await asyncio.shield(self._working)
            self._working = None

    def _taken(self) -> bytes:
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken
