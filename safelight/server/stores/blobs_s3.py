"""Blobs in a bucket: `blobs/<first two digits>/<name>`, and the pieces of uploads in `uploads/`.

A blob's object is read back and hashed before the blob is said to be there, so neither a bucket that answers too early
nor one that keeps other bytes makes us promise what we do not have. An object that is there already counts only once it
was hashed as well; then it is not written again. docs/decisions/0009-blobs-in-a-bucket.md.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from safelight.server.domain.ports.blobs import WAIT_STEP_S, AfterRead, StoredBlob, StoredPart
from safelight.server.domain.ports.state import StoreState
from safelight.server.stores import s3_upload
from safelight.server.stores.blob_names import blob_of, upload_of
from safelight.server.stores.blob_part import Hashed, Hasher
from safelight.server.stores.bucket_address import BucketAddress
from safelight.server.stores.s3_bucket import PROBE, Bucket, BucketRefused, Fetched
from safelight.server.stores.s3_upload import PIECE_BYTES, Piece, PiecesDiffer, Room, S3Appender
from safelight.sync_protocol.refusals import Code, Refused

FIRST_READ_BYTES = 256 * 1024
MAX_PARTS = 9000  # a store takes 10,000
ROOM_BYTES = 256 * 1024 * 1024
MAX_KEPT = 256
PREFIX = "blobs"
MARKER = "safelight-store"
_HEADING = b"This prefix belongs to a Safelight server. Format 1.\n"


class S3Reader:
    """An open blob. Its first bytes came with its size; the rest is fetched as it is asked for, one read ahead."""

    def __init__(self, bucket: Bucket, key: str, first: Fetched) -> None:
        self.size_bytes = first.size_bytes
        self._bucket = bucket
        self._key = key
        self._first = first

    def fileno(self) -> None:
        """Return nothing: there is no file to send from."""
        return

    async def chunks(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* up to, not including, *end*, at most *chunk_bytes* at a time."""
        reads = self._reads(start, end)
        try:
            async for data in reads:
                for offset in range(0, len(data), chunk_bytes):
                    yield data[offset : offset + chunk_bytes]
        finally:
            await reads.aclose()

    async def close(self) -> None:
        """Nothing is held open."""

    async def _reads(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        first = self._first.data
        if start < min(end, len(first)):
            yield first[start:end]
            start = len(first)
        ahead: asyncio.Task[bytes] | None = None
        try:
            while start < end:
                stop = min(start + s3_upload.READ_BYTES, end)
                data = await (ahead or self._read(start, stop))
                start = stop
                stop = min(start + s3_upload.READ_BYTES, end)
                ahead = asyncio.create_task(self._read(start, stop)) if start < end else None
                yield data
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _read(self, start: int, end: int) -> bytes:
        fetched = await self._bucket.get(self._key, start, end, self._first.etag)
        if fetched is None:
            raise Refused(Code.NOT_FOUND, "its bytes are missing")
        if len(fetched.data) != end - start:
            raise Refused(Code.STORAGE_UNAVAILABLE, "a blob has another size than before")
        return fetched.data


class S3Blobs:
    """The port `Blobs`, under one prefix of one bucket. Open it with `open_at`."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.room = Room(ROOM_BYTES)
        self.lacks: list[str] = []
        self._appending: set[bytes] = set()
        self._hashes: OrderedDict[bytes, Hashed] = OrderedDict()

    @classmethod
    async def open_at(cls, address: BucketAddress, timeout_s: int) -> "S3Blobs":
        """Open the store, after trying out the bucket; raises BucketRefused. `lacks` says what the bucket cannot do."""
        store = cls(Bucket(address, timeout_s))
        store.lacks = await store.bucket.try_out()
        return store

    async def claim(self, owner: bytes, *, claimed_before: bool) -> None:
        """Make the prefix *owner*'s, or check that it is. Raises BucketRefused.

        Only a prefix that is nobody's can be claimed, and one that was claimed before must still say so. A database
        that has nothing to do with these blobs therefore never finds them to be nobody's.
        """
        text = _HEADING + owner.hex().encode() + b"\n"
        if not claimed_before:
            await self.bucket.put_new(MARKER, text)
        marker = await self.bucket.get(MARKER, 0, 1024)
        if marker is None:
            raise BucketRefused("that bucket and prefix hold none of this server's blobs; was something renamed?")
        if marker.data != text:
            raise BucketRefused("that bucket and prefix belong to another Safelight server; name another prefix")

    async def is_same_place(self, other: "S3Blobs") -> bool:
        """Whether *other* is this bucket and prefix, however both are spelt: what is put here is looked for there."""
        key = f"probe/{secrets.token_hex(16)}"
        await self.bucket.put_new(key, PROBE)
        try:
            return await other.bucket.size_bytes(key) is not None
        finally:
            await self.bucket.delete([key])

    async def append(self, upload_id: bytes, offset_bytes: int) -> S3Appender:
        """Open an upload for appending at the offset that `durable_bytes` told.

        Raises UPLOAD_BUSY while another request of this process has it open, and UPLOAD_OFFSET_MISMATCH where its
        pieces end elsewhere.
        """
        if upload_id in self._appending:
            raise Refused(Code.UPLOAD_BUSY)
        self._appending.add(upload_id)
        known = self._hashes.pop(upload_id, None)
        try:
            pieces = await s3_upload.pieces_of(self.bucket, upload_id) if offset_bytes else []
            if s3_upload.end_of(pieces) != offset_bytes:
                raise Refused(Code.UPLOAD_OFFSET_MISMATCH, "the upload's bytes end elsewhere")
        except BaseException:
            self._appending.discard(upload_id)
            raise
        hasher: Hasher | None = None if offset_bytes else hashlib.sha256()
        if known is not None and known.offset_bytes == offset_bytes:
            hasher = known.hasher
        return S3Appender(self, upload_id, pieces, hasher)

    async def durable_bytes(self, upload_id: bytes, stated_bytes: int) -> int:
        """How far the upload has come: what its pieces add up to, whichever server put them."""
        return max(stated_bytes, await self.part_size_bytes(upload_id))

    async def part_size_bytes(self, upload_id: bytes) -> int:
        """Return what the upload's pieces add up to; 0 if there are none."""
        return s3_upload.end_of(await s3_upload.pieces_of(self.bucket, upload_id))

    async def cut_back(self, upload_id: bytes, offset_bytes: int) -> None:
        """Remove the upload's pieces from *offset_bytes* on, the last ones first, so that no gap is left."""
        self._hashes.pop(upload_id, None)
        pieces = await s3_upload.pieces_of(self.bucket, upload_id)
        for piece in reversed(pieces):
            if piece.start >= offset_bytes:
                await self.bucket.delete([s3_upload.key_of(upload_id, piece.start)])

    async def discard(self, upload_id: bytes) -> None:
        """Remove an upload's pieces, if there are any."""
        self._hashes.pop(upload_id, None)
        keys = [listed.key async for listed in self.bucket.listing(s3_upload.folder_of(upload_id))]
        await self.bucket.delete(keys)

    async def open(self, name: bytes) -> S3Reader | None:
        """Open a blob, or return None if the bucket says that there is none."""
        first = await self.bucket.get(_key(name), 0, FIRST_READ_BYTES)
        return None if first is None else S3Reader(self.bucket, _key(name), first)

    async def delete(self, name: bytes) -> None:
        """Remove a blob, if it is there."""
        await self.bucket.delete([_key(name)])

    async def verify(self, name: bytes) -> bool:
        """Whether the stored bytes hash to the name; not so if there are none. Raises STORAGE_UNAVAILABLE."""
        size_bytes = await self.bucket.size_bytes(_key(name))
        return size_bytes is not None and await self._hash_of(_key(name), size_bytes) == name

    async def verify_each(self, names: Sequence[bytes], after_read: AfterRead) -> list[bool]:
        """The same of each of *names*, one after another, and no faster than *after_read* says."""
        verified = []
        for name in names:
            size_bytes = await self.bucket.size_bytes(_key(name))
            found = size_bytes is not None and await self._hash_of(_key(name), size_bytes, after_read) == name
            verified.append(found)
        return verified

    async def blobs(self, first_byte: int | None = None) -> AsyncIterator[StoredBlob]:
        """Yield every blob that is there; a listing that fails raises, and has no end."""
        async for listed in self.bucket.listing(PREFIX if first_byte is None else f"{PREFIX}/{first_byte:02x}"):
            if (name := blob_of(listed.key.rpartition("/")[2])) is not None:
                yield StoredBlob(name, listed.size_bytes, listed.modified_ms)

    async def parts(self) -> AsyncIterator[StoredPart]:
        """Yield every piece of an upload that is there."""
        async for listed in self.bucket.listing(s3_upload.PREFIX):
            if (upload_id := upload_of(s3_upload.upload_at(listed.key))) is not None:
                yield StoredPart(upload_id, listed.modified_ms)

    async def state(self) -> StoreState:
        """Ask the bucket for something small; it says nothing of its room. Raises STORAGE_UNAVAILABLE."""
        await self.bucket.size_bytes(MARKER)
        return StoreState()

    async def close(self) -> None:
        """Nothing is held open."""

    # For appenders

    def release(self, upload_id: bytes, known: Hashed | None) -> None:
        """Let another appender have the upload, and remember its hash so far."""
        self._appending.discard(upload_id)
        if known is not None and known.offset_bytes:
            self._hashes[upload_id] = known
            if len(self._hashes) > MAX_KEPT:
                self._hashes.popitem(last=False)

    async def publish(self, upload_id: bytes, pieces: Sequence[Piece], tail: bytes, name: bytes) -> None:
        """Publish *pieces* and *tail* as the blob *name*, and read it back; raises PiecesDiffer."""
        key, size_bytes = _key(name), s3_upload.end_of(pieces) + len(tail)
        there = await self.bucket.size_bytes(key)
        if there == size_bytes and await self._hash_of(key, size_bytes) == name:
            await self._check_pieces(upload_id, pieces, tail, name)
            return
        async with aclosing(self._bytes(upload_id, pieces, tail, name)) as data:
            if size_bytes > PIECE_BYTES:
                await self.bucket.put_parts(key, data, max(PIECE_BYTES, -(-size_bytes // MAX_PARTS)))
            elif there is None:  # another may be first all the same: what counts is what reads back
                await self.bucket.put_new(key, b"".join([piece async for piece in data]))
            else:  # what is there is damaged, and this heals it
                await self.bucket.put_over(key, b"".join([piece async for piece in data]))
        if await self._hash_of(key, size_bytes) != name:
            raise Refused(Code.STORAGE_UNAVAILABLE, "the blob does not read back as it was stored")

    async def _bytes(
        self, upload_id: bytes, pieces: Sequence[Piece], tail: bytes, name: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Yield an upload's bytes, the last of them only once all hash to *name*; raises PiecesDiffer before it."""
        hasher, last = hashlib.sha256(), b""
        for piece in pieces:
            async for data in s3_upload.read_object(
                self.bucket, s3_upload.key_of(upload_id, piece.start), piece.size_bytes
            ):
                if last:
                    yield last
                await asyncio.to_thread(hasher.update, data)
                last = data
        if last and tail:
            yield last
        last = tail or last
        await asyncio.to_thread(hasher.update, tail)
        if hasher.digest() != name:
            raise PiecesDiffer
        yield last

    async def _check_pieces(self, upload_id: bytes, pieces: Sequence[Piece], tail: bytes, name: bytes) -> None:
        """Nobody gets a blob for naming it: who says that they sent it must have sent it."""
        async for _ in self._bytes(upload_id, pieces, tail, name):
            pass

    async def _hash_of(self, key: str, size_bytes: int, after_read: AfterRead | None = None) -> bytes:
        hasher = hashlib.sha256()
        async for data in s3_upload.read_object(self.bucket, key, size_bytes):
            await asyncio.to_thread(hasher.update, data)
            wait_s = 0.0 if after_read is None else after_read(len(data))
            while after_read is not None and wait_s:
                await asyncio.sleep(min(wait_s, WAIT_STEP_S))
                wait_s = after_read(0)
        return hasher.digest()


def _key(name: bytes) -> str:
    digits = name.hex()
    return f"{PREFIX}/{digits[:2]}/{digits}"
