"""A disk that remembers: one file of a file system of our own (FUSE), which logs each write and each flush in order.

A loop device over the file makes a block device of it, so that the log is what a real disk would have been sent: the
loop driver turns the kernel's flushes and FUA writes into fsync. The kernel's protocol is spoken directly, without
libfuse: the mounted root is itself the file, so six kinds of request are all that there is (Linux
`include/uapi/linux/fuse.h`).

Run as `python recorder.py IMAGE LOG`: serves the bytes of IMAGE over IMAGE itself until it is unmounted.
"""

import ctypes
import errno
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAX_WRITE_SIZE_BYTES = 1024 * 1024
_IN_HEADER = struct.Struct("<IIQQIIIHH")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_ATTR_OUT = struct.Struct("<QII6Q3I7I")
_OPEN_OUT = struct.Struct("<QII")
_READ_IN = struct.Struct("<QQI")
_WRITE_IN = struct.Struct("<QQIIQII")
_WRITE_OUT = struct.Struct("<II")

_FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _RELEASE = 2, 3, 4, 14, 15, 16, 18
_FSYNC, _FLUSH, _INIT, _INTERRUPT, _BATCH_FORGET = 20, 25, 26, 36, 42
_SILENT = frozenset({_FORGET, _INTERRUPT, _BATCH_FORGET})
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_KEEP_CACHE = 2

_RECORD = struct.Struct("<QI")
_FLUSHED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that the disk was sent; they may or may not be there after a power loss."""

    offset_bytes: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """All that was written before is there, whatever happens."""


def read_log(path: Path) -> Iterator[tuple[int, Write | Flush]]:
    """Yield what the disk was sent, each with the length of the log after it, which is how moments are named."""
    with path.open("rb") as log:
        while header := log.read(_RECORD.size):
            offset_bytes, size_bytes = _RECORD.unpack(header)
            data = log.read(size_bytes)
            yield log.tell(), Flush() if offset_bytes == _FLUSHED else Write(offset_bytes, data)


class Recorder:
    """Answers the kernel."""

    def __init__(self, image: mmap.mmap, log: int) -> None:
        self._image = image
        self._log = log

    def answer(self, opcode: int, body: memoryview) -> bytes:
        """Return what a request is answered with; raises OSError."""
        if opcode == _INIT:
            flags, pages = _BIG_WRITES | _MAX_PAGES, _MAX_WRITE_SIZE_BYTES // mmap.PAGESIZE
            return _INIT_OUT.pack(7, 31, 0, flags, 16, 12, _MAX_WRITE_SIZE_BYTES, 1, pages, 0, 0)
        if opcode in {_GETATTR, _SETATTR}:
            size_bytes = len(self._image)
            times = (0,) * 3
            return _ATTR_OUT.pack(3600, 0, 0, 1, size_bytes, size_bytes // 512, *times, *times, 0o100600, 1, *(0,) * 5)
        if opcode == _OPEN:
            return _OPEN_OUT.pack(0, _KEEP_CACHE, 0)
        if opcode == _READ:
            _, offset_bytes, size_bytes = _READ_IN.unpack_from(body)
            return self._image[offset_bytes : offset_bytes + size_bytes]
        if opcode == _WRITE:
            _, offset_bytes, size_bytes, *_ = _WRITE_IN.unpack_from(body)
            data = body[_WRITE_IN.size : _WRITE_IN.size + size_bytes]
            self._note(offset_bytes, data)
            self._image[offset_bytes : offset_bytes + size_bytes] = bytes(data)
            return _WRITE_OUT.pack(size_bytes, 0)
        if opcode == _FSYNC:
            self._note(_FLUSHED, b"")
            return b""
        if opcode in {_FLUSH, _RELEASE}:
            return b""
        raise OSError(errno.ENOSYS, "not of this file system")

    def _note(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Log before answering: whoever then sees the answer finds the log at least so long."""
        record = _RECORD.pack(offset_bytes, len(data)) + data
        if os.write(self._log, record) != len(record):
            raise OSError(errno.EIO, "the log is not whole")


def serve(image_path: Path, log_path: Path) -> None:
    """Mount the file over itself and answer until it is unmounted."""
    with image_path.open("r+b") as file:
        image = mmap.mmap(file.fileno(), 0)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    _mount(image_path, fuse)
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    recorder = Recorder(image, log)
    while True:
        try:
            request = os.read(fuse, _MAX_WRITE_SIZE_BYTES + 65536)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            if error.errno in {errno.EINTR, errno.ENOENT}:  # the request was taken back
                continue
            raise
        _, opcode, unique, *_ = _IN_HEADER.unpack_from(request)
        if opcode in _SILENT:
            continue
        code, reply = 0, b""
        try:
            reply = recorder.answer(opcode, memoryview(request)[_IN_HEADER.size :])
        except OSError as error:
            code = -(error.errno or errno.EIO)
        try:
            os.write(fuse, _OUT_HEADER.pack(_OUT_HEADER.size + len(reply), code, unique) + reply)
        except FileNotFoundError:  # whoever asked was interrupted
            continue


def _mount(path: Path, fuse: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=100000,user_id=0,group_id=0,max_read={_MAX_WRITE_SIZE_BYTES}"
    if libc.mount(b"safelight-recorder", os.fsencode(path), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
