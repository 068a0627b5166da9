"""Sealing one rendition: one pass over its bytes encrypts them and hashes both what goes in and what comes out.

Files under 8 MiB are sealed in memory, larger ones into a spool file; a segment of 256 KiB is in memory at a time. All
of it blocks: run it in a thread.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safelight.sync_protocol import ids
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.padding import padme
from safelight.sync_protocol.records import RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe

MAX_IN_MEMORY_SIZE_BYTES = 8 * 1024 * 1024


def file_context(asset_id: bytes, name: RenditionName, rendition_id: bytes) -> bytes:
    """Return what binds a sealed file to its asset, rendition and rendition id."""
    return context(Label.FILE, asset_id, name.value.encode("ascii"), rendition_id)


class KeepsKeys(Protocol):
    """An asset that gives out the keys of its renditions: `rolls.NewAsset`."""

    asset_id: bytes

    def rendition_key(self, name: RenditionName, rendition_id: bytes) -> bytes:
        """Return the key for one file."""
        ...


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A sealed rendition, ready to send: *source* holds the blob (bytes, or the spool file)."""

    ref: RenditionRef
    length_bytes: int
    sha256: bytes
    modified_ns: int
    source: bytearray | Path


def seal_file(
    asset: KeepsKeys,
    name: RenditionName,
    path: Path,
    *,
    spool: Path | None = None,
    check: Callable[[os.stat_result], None] | None = None,
) -> SealedFile:
    """Seal the file at *path*; into the file *spool* if it has 8 MiB or more, which is then durable.

    *check* looks at the status of what was opened, and raises if it is not what was meant.
    Raises FILE_UNREADABLE; FILE_CHANGED if it changed while it was read (read it again, as a new rendition); and
    TOO_LARGE if it needs a spool and none is given.
    """
    try:
        with open(_open_regular(path), "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if check is not None:
                check(before)
            sealer = _Sealer(asset, name, before.st_size, before.st_mtime_ns)
            if before.st_size < MAX_IN_MEMORY_SIZE_BYTES:
                sealed = sealer.into_memory(file)
            elif spool is not None:
                sealed = sealer.into_file(file, spool)
            else:
                raise Refused(Code.TOO_LARGE, "a file of this size needs a spool")
            after = os.fstat(file.fileno())
            if file.read(1) or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                if isinstance(sealed.source, Path):
                    sealed.source.unlink(missing_ok=True)
                raise Refused(Code.FILE_CHANGED, path.name)
            return sealed
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{path.name}: {error.strerror}") from None


def seal_bytes(asset: KeepsKeys, name: RenditionName, data: bytes, *, modified_ns: int = 0) -> SealedFile:
    """Seal a rendition that is in memory: a preview, a thumbnail."""
    return _Sealer(asset, name, len(data), modified_ns).into_memory(_Memory(data))


class _Reads(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


class _Memory:
    """Bytes, read as a file is."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Sealer:
    """One pass over one file of a size known beforehand."""

    def __init__(self, asset: KeepsKeys, name: RenditionName, length_bytes: int, modified_ns: int) -> None:
        self._name = name
        self._rendition_id = ids.new_id()
        self._length_bytes = length_bytes
        self._modified_ns = modified_ns
        self._padded_size_bytes = padme(length_bytes)
        self._stored_size_bytes = floe.sealed_size_bytes(self._padded_size_bytes)
        key = asset.rendition_key(name, self._rendition_id)
        self._encryptor = floe.FloeEncryptor(key, file_context(asset.asset_id, name, self._rendition_id))
        self._original = hashlib.sha256()
        self._blob = hashlib.sha256(self._encryptor.header)
        step = min(floe.PLAINTEXT_SEGMENT_SIZE_BYTES, max(self._padded_size_bytes, 1))
        self._plain = memoryview(bytearray(step))
        self._offset = 0

    def into_memory(self, file: _Reads) -> SealedFile:
        """Seal into one buffer of exactly the blob's size."""
        out = bytearray(self._stored_size_bytes)
        view = memoryview(out)
        view[: floe.HEADER_SIZE_BYTES] = self._encryptor.header
        at = floe.HEADER_SIZE_BYTES
        for index in range(floe.segment_count(self._stored_size_bytes)):
            at += self._segment(file, index, view[at:])
        return self._result(out)

    def into_file(self, file: _Reads, spool: Path) -> SealedFile:
        """Seal through one reused segment into *spool*, and make it durable."""
        segment = memoryview(bytearray(floe.SEGMENT_SIZE_BYTES))
        handle = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(handle, memoryview(self._encryptor.header))
            for index in range(floe.segment_count(self._stored_size_bytes)):
                size_bytes = self._segment(file, index, segment)
                _write_all(handle, segment[:size_bytes])
            os.fsync(handle)
        except BaseException:
            spool.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return self._result(spool)

    def _segment(self, file: _Reads, index: int, out: memoryview) -> int:
        size_bytes = min(len(self._plain), self._padded_size_bytes - self._offset)
        real = min(size_bytes, max(self._length_bytes - self._offset, 0))
        self._fill(file, self._plain[:real])
        self._plain[real:size_bytes] = bytes(size_bytes - real)
        self._original.update(self._plain[:real])
        self._offset += size_bytes
        final = index + 1 == floe.segment_count(self._stored_size_bytes)
        written = self._encryptor.encrypt_segment_into(self._plain[:size_bytes], out, final=final)
        self._blob.update(out[:written])
        return written

    def _fill(self, file: _Reads, buffer: memoryview) -> None:
        while buffer:
            count = file.readinto(buffer)
            if not count:
                raise Refused(Code.FILE_CHANGED, "it became shorter")
            buffer = buffer[count:]

    def _result(self, source: bytearray | Path) -> SealedFile:
        ref = RenditionRef(
            name=self._name,
            rendition_id=self._rendition_id,
            blob=self._blob.digest(),
            size_bytes=self._stored_size_bytes,
            header=self._encryptor.header,
        )
        return SealedFile(ref, self._length_bytes, self._original.digest(), self._modified_ns, source)


def _open_regular(path: Path) -> int:
    """Open a file without waiting for the other end of what turned out to be a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused(Code.FILE_UNREADABLE, f"{path.name} is not a regular file")
    return handle


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]
