"""Files read again and hashed, in a thread."""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from safelight.server.domain.ports.blobs import WAIT_STEP_S, AfterRead
from safelight.server.stores.blob_part import HASHING_READ_BYTES


def unhurried(_: int) -> float:
    """Read on at once."""
    return 0


def hash_to(blobs: Sequence[tuple[Path, bytes]], after_read: AfterRead) -> list[bool]:
    """Whether each file hashes to its name; not so if it is missing or cannot be read."""
    buffer = memoryview(bytearray(HASHING_READ_BYTES))
    return [_hashes_to(path, name, buffer, after_read) for path, name in blobs]


def _hashes_to(path: Path, name: bytes, buffer: memoryview, after_read: AfterRead) -> bool:
    hasher = hashlib.sha256()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while size_bytes := os.readv(fd, [buffer]):
                hasher.update(buffer[:size_bytes])
                wait_s = after_read(size_bytes)
                while wait_s:
                    time.sleep(min(wait_s, WAIT_STEP_S))
                    wait_s = after_read(0)
        finally:
            os.close(fd)
    except OSError:
        return False
    return hasher.digest() == name
