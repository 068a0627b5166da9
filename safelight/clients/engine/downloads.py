"""Downloads of renditions: streamed, decrypted segment by segment, and compared with what the signed record says.

Length and FLOE header come from the record, never from the wire; a cut goes on from the last whole segment.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safelight.clients.engine import durable
from safelight.clients.engine.answers import ConnectionCut
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.files import file_context
from safelight.sync_protocol.padding import check_file_size, check_zeros
from safelight.sync_protocol.records import RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe

MAX_IN_MEMORY_SIZE_BYTES = 64 * 1024 * 1024
_REPEATED = frozenset({Code.SESSION_EXPIRED, Code.SESSION_REQUIRED, Code.RATE_LIMITED})

Write = Callable[[memoryview], object]
Progress = Callable[[int], None]


class Reads(Protocol):
    """A stream that gives exactly so many bytes, or raises IncompleteReadError."""

    async def readexactly(self, n: int, /) -> bytes:
        """Return exactly *n* bytes."""
        ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One rendition to fetch: its signed reference, and what opens and checks it. *sha256* is known of originals."""

    space_id: bytes
    asset_id: bytes
    ref: RenditionRef
    key: bytes
    length_bytes: int
    sha256: bytes | None = None

    def __repr__(self) -> str:
        return f"StoredFile({self.ref.blob.hex()})"


class Opener:
    """Opens one blob in order. `at` is how many stored bytes were taken; a new stream goes on from there."""

    def __init__(self, file: StoredFile, write: Write) -> None:
        """Begin; LENGTH_MISMATCH or PADDING_INVALID if the stored size does not belong to the file's length."""
        ref = file.ref
        check_file_size(file.length_bytes, floe.plaintext_size_bytes(ref.size_bytes))
        self._file = file
        self._ref = ref
        place = file_context(file.asset_id, ref.name, ref.rendition_id)
        self._decryptor = floe.FloeDecryptor(file.key, place, ref.header)
        self._segments = floe.segment_count(ref.size_bytes)
        self._index = 0
        self._left = file.length_bytes
        self._write = write
        self._out = memoryview(bytearray(floe.PLAINTEXT_SEGMENT_SIZE_BYTES))
        self._blob = hashlib.sha256()
        self._plain = hashlib.sha256()
        self.at = 0

    @property
    def wanted(self) -> int:
        """How many stored bytes come next: the header, then segment by segment; 0 at the end."""
        if self.at == 0:
            return floe.HEADER_SIZE_BYTES
        return min(floe.SEGMENT_SIZE_BYTES, self._ref.size_bytes - self.at)

    def take(self, stored: bytes) -> None:
        """Take the next piece, exactly as long as `wanted`; OPEN_FAILED for other bytes than were sealed."""
        self._blob.update(stored)
        if self.at == 0:
            if stored != self._ref.header:
                raise Refused(Code.OPEN_FAILED, "the stored header is not the one in the signed record")
        else:
            final = self._index + 1 == self._segments
            size_bytes = self._decryptor.decrypt_segment_into(self._index, stored, self._out, final=final)
            real = min(size_bytes, self._left)
            check_zeros(self._out[real:size_bytes])
            self._plain.update(self._out[:real])
            self._write(self._out[:real])
            self._left -= real
            self._index += 1
        self.at += len(stored)

    def finish(self) -> None:
        """Check the whole: the blob is the one named, and the content has its digest where one is known."""
        if self._blob.digest() != self._ref.blob:
            raise Refused(Code.OPEN_FAILED, "these are not the bytes that the blob is named for")
        if self._file.sha256 is not None and self._plain.digest() != self._file.sha256:
            raise Refused(Code.OPEN_FAILED, "the content is not what its record says")


async def download(
    connection: Connection, file: StoredFile, write: Write, *, on_progress: Progress | None = None
) -> None:
    """Stream a file's content, in order, into *write*; SERVER_UNREACHABLE after bounded attempts without progress.

    What is written is authentic piece by piece; that it is the whole is known when this returns.
    """
    opener = Opener(file, write)
    failures = 0
    while True:
        before = opener.at
        try:
            async with connection.open_blob(file.space_id, file.ref.blob, start=opener.at) as stream:
                await _drain(stream, opener, on_progress)
            break
        except ConnectionCut as cut:
            refusal = Refused(Code.SERVER_UNREACHABLE, str(cut))
        except asyncio.IncompleteReadError:
            # *Blob truncated*: from a server that never sends the rest this ends as a refusal, too.
            refusal = Refused(Code.LENGTH_MISMATCH, "the server ends the blob too early")
        except Refused as error:
            if error.code not in _REPEATED:
                raise
            refusal = error
        failures = 1 if opener.at > before else failures + 1
        if failures >= connection.retries.attempts:
            raise refusal
        await asyncio.sleep(connection.retries.pause_s(failures))
    opener.finish()


async def _drain(stream: Reads, opener: Opener, on_progress: Progress | None) -> None:
    while size_bytes := opener.wanted:
        stored = await stream.readexactly(size_bytes)
        await asyncio.to_thread(opener.take, stored)
        if on_progress:
            on_progress(opener.at)


async def download_bytes(connection: Connection, file: StoredFile) -> bytes:
    """Return a file's content; TOO_LARGE beyond 64 MiB."""
    if file.length_bytes > MAX_IN_MEMORY_SIZE_BYTES:
        raise Refused(Code.TOO_LARGE, "download it to a file")
    content = bytearray()
    await download(connection, file, content.extend)
    return bytes(content)


async def download_file(
    connection: Connection,
    file: StoredFile,
    target: Path,
    *,
    modified_ns: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Write a file's content to *target*, which appears whole and verified, with its time, or not at all.

    FILE_UNREADABLE where the target cannot be written, or is there and no file: a device stays one.
    """
    await asyncio.to_thread(_check_target, target)
    # A name that nobody can guess: in a folder that others may write to, a link may have been laid.
    temporary = target.with_name(f".safelight-{secrets.token_hex(16)}.part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            await download(connection, file, lambda data: _write_all(handle, data), on_progress=on_progress)
            if modified_ns is not None:
                os.utime(handle, ns=(modified_ns, modified_ns))
            await asyncio.to_thread(os.fsync, handle)
        finally:
            os.close(handle)
        await asyncio.to_thread(durable.publish, temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Refused(Code.FILE_UNREADABLE, f"{target}: {error.strerror}") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check_target(target: Path) -> None:
    if os.path.lexists(target) and not target.is_file():
        raise Refused(Code.FILE_UNREADABLE, f"{target} is there, and is no ordinary file")


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]
