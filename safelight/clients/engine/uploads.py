"""Resumable uploads of blobs (draft-ietf-httpbis-resumable-upload; docs/spec/upload.md).

What fits in one piece is created with its body in one request. Anything longer, and anything that was cut once, is
created empty, so that its address is known and every byte that the server has made durable is kept.

No version of the draft is named, because that would invite interim responses (104). We cannot read them and need none,
and some proxies, stock nginx among them, take one for the answer and wait for ever.
"""

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safelight.clients.engine.answers import Answer, Busy, ConnectionCut, decode
from safelight.clients.engine.connection import Connection
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import Code, Refused

PIECE_SIZE_BYTES = 32 * 1024 * 1024
MIN_PIECE_SIZE_BYTES = 256 * 1024
READ_SIZE_BYTES = 256 * 1024
_APPEND_LIMIT = re.compile(r"(?:^|,)[ \t]*max-append-size=([0-9]{1,15})[ \t]*(?=,|$)")
_UPLOAD_PATH = re.compile(r"/v1/blobs/uploads/[A-Za-z0-9_-]+$")
_RESTARTS = frozenset({Code.NOT_FOUND, Code.UPLOAD_COMPLETED, Code.UPLOAD_LENGTH_INCONSISTENT})
_REPEATS = frozenset({Code.SESSION_EXPIRED, Code.SESSION_REQUIRED, Code.UPLOAD_OFFSET_MISMATCH, Code.UPLOAD_BUSY})
_HALVES = frozenset({Code.TOO_LARGE, Code.UPLOAD_TOO_LONG})

Progress = Callable[[int], None]
Created = Callable[[str], None]


class Source(Protocol):
    """Bytes that can be read again from any place."""

    def pieces(self, start: int, end: int) -> AsyncIterator[bytes | memoryview]:
        """Yield the bytes from *start* to *end*, at most 256 KiB at a time."""
        ...


class BytesSource:
    """Bytes in memory, sent without copying."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes | memoryview]:
        """Yield the bytes from *start* to *end*."""
        for offset in range(start, end, READ_SIZE_BYTES):
            yield self._view[offset : min(offset + READ_SIZE_BYTES, end)]


class FileSource:
    """A file, or a part of it from *offset*; 256 KiB of it are in memory at a time."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes | memoryview]:
        """Yield the bytes from *start* to *end*; FILE_UNREADABLE if the file ends before."""
        handle = await asyncio.to_thread(_open, self._path)
        try:
            while start < end:
                wanted = min(READ_SIZE_BYTES, end - start)
                piece = await asyncio.to_thread(os.pread, handle, wanted, self._offset + start)
                if not piece:
                    raise Refused(Code.FILE_UNREADABLE, f"{self._path.name} is shorter than it was")
                start += len(piece)
                yield piece
        finally:
            os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{path.name}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _Offset:
    """Where an upload stands at the server, and the answer if it is complete."""

    at: int
    complete: bool = False


async def upload_blob(
    connection: Connection,
    space_id: bytes,
    source: bytes | bytearray | memoryview | Path | Source,
    *,
    digest: bytes,
    size_bytes: int,
    on_progress: Progress | None = None,
    resume: str | None = None,
    on_created: Created | None = None,
) -> None:
    """Upload one blob, named by *digest* (SHA-256 of its bytes), into the space; afterwards a commit may name it.

    *on_progress* hears how many bytes the server has. *on_created* hears the upload's path, with which a later process
    may *resume*. Repeating a finished upload does no harm. Raises `Refused`; SERVER_UNREACHABLE after bounded attempts
    without progress, UPLOAD_DIGEST_MISMATCH if the server stored other bytes.
    """
    if isinstance(source, Path):
        source = FileSource(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        source = BytesSource(source)
    upload = _Upload(connection, space_id, source, digest, size_bytes, on_progress, on_created)
    upload.path = resume
    await upload.run()


class _Upload:
    """One upload's way through cuts and refusals."""

    def __init__(
        self,
        connection: Connection,
        space_id: bytes,
        source: Source,
        digest: bytes,
        size_bytes: int,
        on_progress: Progress | None,
        on_created: Created | None,
    ) -> None:
        self.path: str | None = None
        self._connection = connection
        self._create_path = f"/v1/blobs?space={space_id.hex()}"
        self._source = source
        self._digest = digest
        self._size_bytes = size_bytes
        self._on_progress = on_progress
        self._on_created = on_created
        self._piece_size_bytes = PIECE_SIZE_BYTES
        self._cut = False
        self._furthest = 0

    async def run(self) -> None:
        """Go on until the server has stored the blob; attempts are counted from the last progress."""
        failures = 0
        while True:
            before, piece_size_bytes = self._furthest, self._piece_size_bytes
            wished_s = 0.0
            try:
                if await self._advance():
                    return
                continue  # an upload was made; only bytes that the server has are progress
            except ConnectionCut as error:
                self._cut = True
                self._halve()
                refusal = Refused(Code.SERVER_UNREACHABLE, str(error))
            except Busy as busy:
                refusal, wished_s = busy.refusal, busy.wished_s
            except Refused as error:
                refusal = error
                self._react(error)
                if error.code in _HALVES and self._piece_size_bytes < piece_size_bytes:
                    continue  # smaller pieces are another attempt, not the same once more, and there is a smallest
            failures = 1 if self._furthest > before else failures + 1
            if failures >= self._connection.retries.attempts:
                raise refusal
            await asyncio.sleep(self._connection.retries.pause_s(failures, wished_s=wished_s))

    def _react(self, refusal: Refused) -> None:
        """Prepare the next attempt after a refusal that another attempt can cure; raise any other."""
        if refusal.code in _HALVES and self._piece_size_bytes > MIN_PIECE_SIZE_BYTES:
            self._halve()
            self._cut = True
        elif refusal.code in _RESTARTS and self.path is not None:
            self.path = None
        elif refusal.code not in _REPEATS:
            raise refusal

    def _halve(self) -> None:
        self._piece_size_bytes = max(self._piece_size_bytes // 2, MIN_PIECE_SIZE_BYTES)

    async def _advance(self) -> bool:
        """Send the next piece; True when the blob is stored."""
        if self.path is None:
            whole = not self._cut and self._size_bytes <= self._piece_size_bytes
            answer = await self._create(self._size_bytes if whole else 0)
            return self._finished(answer) if whole else self._keep_path(answer)
        offset = await self._ask_offset(self.path)
        self._report(offset.at)
        # A completed upload whose answer was lost: the last append, repeated empty, is answered again.
        if offset.complete:
            return True
        while True:
            end = min(offset.at + self._piece_size_bytes, self._size_bytes)
            answer = await self._append(self.path, offset.at, end)
            if end == self._size_bytes:
                return self._finished(answer)
            offset = _Offset(end)
            self._report(end)

    async def _create(self, body_size_bytes: int) -> Answer:
        complete = body_size_bytes == self._size_bytes
        headers = {
            "Upload-Complete": "?1" if complete else "?0",
            "Upload-Length": str(self._size_bytes),
            "Repr-Digest": f"sha-256=:{base64.b64encode(self._digest).decode()}:",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(body_size_bytes),
        }
        body = self._source.pieces(0, body_size_bytes) if body_size_bytes else None
        return await self._connection.exchange("POST", self._create_path, headers=headers, body=body)

    async def _append(self, path: str, start: int, end: int) -> Answer:
        headers = {
            "Upload-Offset": str(start),
            "Upload-Complete": "?1" if end == self._size_bytes else "?0",
            "Content-Type": "application/partial-upload",
            "Content-Length": str(end - start),
        }
        body = self._source.pieces(start, end) if end > start else None
        return await self._connection.exchange("PATCH", path, headers=headers, body=body)

    async def _ask_offset(self, path: str) -> _Offset:
        answer = await self._connection.exchange("HEAD", path, headers={})
        self._heed_limits(answer)
        text = answer.headers.get("Upload-Offset", "")
        at = int(text) if text.isdecimal() and len(text) < 20 else -1
        if not 0 <= at <= self._size_bytes:
            raise Refused(Code.UPLOAD_LENGTH_INCONSISTENT, "the server states an offset that cannot be")
        return _Offset(at, answer.headers.get("Upload-Complete") == "?1" and at == self._size_bytes)

    def _keep_path(self, answer: Answer) -> bool:
        """Take the upload's path only: where the server is, this side knows."""
        self._heed_limits(answer)
        found = _UPLOAD_PATH.search(answer.headers.get("Location", "").partition("?")[0])
        if found is None:
            raise Refused(Code.SERVER_FAULT, "it names no place for the upload")
        self.path = found[0]
        if self._on_created:
            self._on_created(self.path)
        return False

    def _heed_limits(self, answer: Answer) -> None:
        """Send no larger pieces than the server says it takes; what is unknown or malformed is passed over."""
        found = _APPEND_LIMIT.search(answer.headers.get("Upload-Limit", ""))
        if found is not None and int(found[1]) > 0:
            self._piece_size_bytes = min(self._piece_size_bytes, int(found[1]))

    def _finished(self, answer: Answer) -> bool:
        stored = decode(answer.body, BlobStored)
        if stored.name != self._digest.hex() or stored.size_bytes != self._size_bytes:
            raise Refused(Code.UPLOAD_DIGEST_MISMATCH, "the server stored other bytes than were sent")
        self._report(self._size_bytes)
        return True

    def _report(self, at: int) -> None:
        self._furthest = max(self._furthest, at)
        if self._on_progress:
            self._on_progress(at)
