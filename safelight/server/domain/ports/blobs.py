"""The port of a place for blobs: uploads are appended to, published whole, and read by name."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from safelight.server.domain.ports.state import StoreState

# Told, in any thread, how many bytes were just read. Returns for how many seconds to wait before reading on, or raises
# to end it. Who waits asks again, with 0 bytes, every WAIT_STEP_S at least: what is to end ends soon.
AfterRead = Callable[[int], float]
WAIT_STEP_S = 0.2

# Told, in the event loop, that lent memory may be used again.
Taken = Callable[[], None]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as a listing names it; `modified_ms` is by the store's clock."""

    name: bytes
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Something of an upload that is not a blob yet; `modified_ms` is by the store's clock."""

    upload_id: bytes
    modified_ms: int


class Appender(Protocol):
    """One request appending to one upload. Bytes are hashed and written; `flush` makes them durable."""

    offset_bytes: int

    def hold_back(self) -> None:
        """Let nothing that is written now count before `flush`, `name` or `finish`, whenever this process dies."""
        ...

    async def write(self, data: bytes | bytearray | memoryview, taken: Taken | None = None) -> None:
        """Take bytes; they are hashed and written, and durable only after `flush`.

        With *taken*, the memory of *data* stays as it is until that is called, so it needs no copy. That does not wait
        for more bytes; it is called once at most, and not where something failed and it can no longer be told.
        """
        ...

    async def flush(self) -> int:
        """Make everything written durable and return the offset, which never decreases."""
        ...

    async def name(self) -> bytes:
        """Return the SHA-256 of everything written so far."""
        ...

    async def finish(self, digest: bytes | None = None) -> tuple[bytes, int]:
        """Durably publish the upload as the blob named for its SHA-256; returns name and size.

        Raises UPLOAD_DIGEST_MISMATCH, and publishes nothing, where that is not *digest*.
        """
        ...

    async def close(self) -> None:
        """Release what is held open."""
        ...


class BlobReader(Protocol):
    """An open blob."""

    size_bytes: int

    def fileno(self) -> int | None:
        """Return a file to send from, valid until `close`; None where the blob is not a file."""
        ...

    def chunks(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* up to *end* (exclusive), at most *chunk_bytes* at a time."""
        ...

    async def close(self) -> None:
        """Release what is held open."""
        ...


class Blobs(Protocol):
    """Stored ciphertext, named by its SHA-256, and the parts of uploads not yet complete."""

    async def append(self, upload_id: bytes, offset_bytes: int) -> Appender:
        """Open an upload's part for appending at the offset that `durable_bytes` told; bytes beyond it are cut off."""
        ...

    async def durable_bytes(self, upload_id: bytes, stated_bytes: int) -> int:
        """Return where an upload goes on: at what was stated last, or later where the store knows of durable bytes.

        A store that several servers share knows of more where one of them ended before its offset was written.
        """
        ...

    async def part_size_bytes(self, upload_id: bytes) -> int:
        """Return the size of an upload's part; 0 where there is none."""
        ...

    async def cut_back(self, upload_id: bytes, offset_bytes: int) -> None:
        """Drop what an upload that nobody has open has beyond *offset_bytes*, which was not stated and never counts."""
        ...

    async def discard(self, upload_id: bytes) -> None:
        """Delete an upload's part."""
        ...

    async def open(self, name: bytes) -> BlobReader | None:
        """Open a blob for reading; None if it is not there. Raises STORAGE_UNAVAILABLE where that cannot be told.

        Whoever is reading when it is deleted gets its bytes, or NOT_FOUND, and never others.
        """
        ...

    async def delete(self, name: bytes) -> None:
        """Delete a blob's bytes."""
        ...

    async def verify(self, name: bytes) -> bool:
        """Whether the stored bytes still hash to the name."""
        ...

    async def verify_each(self, names: Sequence[bytes], after_read: AfterRead) -> list[bool]:
        """The same of each of *names*, one after another, and no faster than *after_read* says."""
        ...

    def blobs(self, first_byte: int | None = None) -> AsyncIterator[StoredBlob]:
        """Yield every blob that is there, or each whose name begins with *first_byte*, in no order.

        Where it cannot be listed it raises: an end means all.
        """
        ...

    def parts(self) -> AsyncIterator[StoredPart]:
        """Yield what there is of uploads, which may name one several times. Where it cannot be listed it raises."""
        ...

    async def state(self) -> StoreState:
        """Say how the store is. Nothing is written for it; asked once a second at most.

        `refusal` is STORAGE_READ_ONLY from the first failed sync on; a store elsewhere is asked something small.
        """
        ...

    async def close(self) -> None:
        """Release what is held open."""
        ...
