"""A whole installation copied from one pair of stores to another, and compared; may be stopped anywhere and run again.

Rows go first, in the order of their keys, then every blob that the target has not verified yet, which its own rows say.
Until all is there and equal, the target says of itself that it is being moved into, and no server starts over it.

What is of its place, and not of the installation, stays behind: notes of orphans and of checks, leases, which store is
used. So do uploads that are not complete, of which nothing was promised: devices begin them anew.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import BlobReader, Blobs
from safelight.server.domain.ports.checks import CheckedBlob
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.tables import Row, TableShape
from safelight.server.upkeep.events import Progress
from safelight.server.upkeep.store_check import range_of
from safelight.sync_protocol.refusals import Code, Refused

MOVING = "moving"
MOVED = "moved"
# Of the place, and not of the installation.
PLACE_KEYS = frozenset({MOVING, MOVED, "blobs", "blobs folder", "server key", "listed_ms", "check begun"})
_PLACE_TABLES = frozenset({"forgotten_blobs", "orphan_blobs", "blob_checks", "leases"})
_PAGE = 200
_BLOBS_AT_ONCE = 4
_CHUNK_BYTES = 1024 * 1024
_UPLOAD_OF = b"move of "


class MoveRefused(Exception):
    """The installation cannot be moved so; the message says why and what to do."""


class ClaimBlobs(Protocol):
    """Makes the target's place for blobs this installation's, or finds that it still is."""

    async def __call__(self, *, claimed_before: bool) -> None:
        """Raise what says why it cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation is, or goes to."""

    database: Database
    blobs: Blobs


@dataclass
class Move:
    """One move. `rows`, `blobs` and `size_bytes` count what was moved; `damaged` is what the source has not whole."""

    source: Place
    target: Place
    key: bytes
    now_ms: Milliseconds
    tell: Callable[[Progress], None]
    rows: int = 0
    blobs: int = 0
    size_bytes: int = 0
    damaged: list[bytes] = field(default_factory=list)

    async def begin(self, claim_blobs: ClaimBlobs) -> bool:
        """Make the target this move's own; True if it was before. Raises MoveRefused where it is anything else's.

        The blobs are claimed before the rows say so: whoever dies in between begins anew, and finds its own claim.
        """
        if await self.source.database.get_meta(MOVING):
            raise MoveRefused(
                "the installation to move is not all there yet: an earlier move to it has to be repeated first"
            )
        begun = await self.target.database.get_meta(MOVING)
        if begun == self.key:
            await claim_blobs(claimed_before=True)
            return True
        if begun:
            raise MoveRefused("another installation is being moved into that database; name an empty one")
        moved = await self.source.database.get_meta(MOVED)
        if moved:
            raise MoveRefused(f"this installation was moved to {moved.decode()} already")
        for table in self.target.database.tables():
            if await self.target.database.last_table_key(table):
                raise MoveRefused("the database to move to is not empty; name an empty one")
        async for _ in self.target.blobs.blobs():
            raise MoveRefused("the place to move blobs to is not empty; name an empty one")
        await claim_blobs(claimed_before=False)
        await self.target.database.set_meta(MOVING, self.key)
        return False

    async def copy(self) -> None:
        """Copy everything that is not there yet, and compare all rows at the end."""
        await self._copy_rows()
        await self._copy_blobs()
        if not await self._rows_are_equal():
            raise MoveRefused(
                "the rows changed while they were copied: stop every server that uses them, and repeat this"
            )

    async def _copy_rows(self) -> None:
        """Go on after the last row of each table; where that does not lead to the same rows, copy all anew."""
        for anew in (False, True):
            if anew:
                for table in reversed(self._tables()):
                    await self._clear(table)
            self.rows = 0
            for table in self._tables():
                await self._copy_table(table)
            if await self._rows_are_equal():
                return
        raise MoveRefused("the rows changed while they were copied: stop every server that uses them, and repeat this")

    def _tables(self) -> list[TableShape]:
        return [table for table in self.source.database.tables() if table.name not in _PLACE_TABLES]

    async def _copy_table(self, table: TableShape) -> None:
        # The target's own notes in `meta` may follow rows that are not there yet: what is there is passed over.
        after = () if table.name == "meta" else await self.target.database.last_table_key(table)
        there = {table.key_of(row) async for row in _rows_of(self.target, table)} if table.name == "meta" else set()
        page: list[Row] = []
        async for row in _rows_of(self.source, table, after):
            if table.key_of(row) not in there:
                page.append(row)
            if len(page) == _PAGE:
                await self._add(table, page)
                page = []
        await self._add(table, page)

    async def _add(self, table: TableShape, rows: list[Row]) -> None:
        if rows:
            await self.target.database.add_table_rows(table, rows)
            self.rows += len(rows)
            self.tell(Progress("rows", self.rows, self.rows))

    async def _clear(self, table: TableShape) -> None:
        if table.name != "meta":
            await self.target.database.clear_table(table)
            return
        for row in [row async for row in _rows_of(self.target, table)]:
            await self.target.database.set_meta(str(row[0]), await self.source.database.get_meta(str(row[0])) or b"")

    async def _rows_are_equal(self) -> bool:
        """Compare each table by a digest of all its rows, in the order of their keys."""
        self.rows = 0
        for table in self._tables():
            mine, count = await _digest(self.source, table)
            self.rows += count
            if (mine, count) != await _digest(self.target, table):
                return False
        return True

    async def _copy_blobs(self) -> None:
        total = 0
        for first_byte in range(256):
            total += len(await self.target.database.held_between(*range_of(first_byte)))
        after = b""
        left = 0
        while page := await self.target.database.unchecked_blobs(after, _PAGE):
            for start in range(0, len(page), _BLOBS_AT_ONCE):
                names = [blob.name for blob in page[start : start + _BLOBS_AT_ONCE]]
                copied = await asyncio.gather(*(self._copy_blob(name) for name in names))
                well = [
                    CheckedBlob(name, "") for name, size_bytes in zip(names, copied, strict=True) if size_bytes >= 0
                ]
                await self.target.database.note_checks(well, self.now_ms())
                self.size_bytes += sum(size_bytes for size_bytes in copied if size_bytes > 0)
                left += len(names)
                self.tell(Progress("blobs", left, total, self.size_bytes))
            after = page[-1].name
        self.blobs = total - len(self.damaged)

    async def _copy_blob(self, name: bytes) -> int:
        """Copy a blob and read it back; returns its size, or -1 where the source has it not, or not whole."""
        there = await self.target.blobs.open(name)
        if there is not None:
            await there.close()
            if await self.target.blobs.verify(name):  # as far as an earlier run came, before it noted it
                return there.size_bytes
        reader = await self.source.blobs.open(name)
        if reader is None:
            self.damaged.append(name)
            return -1
        try:
            size_bytes = await self._send(reader, name)
        except (Refused, EOFError) as error:
            if isinstance(error, Refused) and error.code not in {Code.UPLOAD_DIGEST_MISMATCH, Code.NOT_FOUND}:
                raise
            self.damaged.append(name)
            return -1
        finally:
            await reader.close()
        if not await self.target.blobs.verify(name):
            raise MoveRefused(
                f"the blob {name.hex()} does not read back from the target as it was written; is it sound?"
            )
        return size_bytes

    async def _send(self, reader: BlobReader, name: bytes) -> int:
        """The target hashes what it takes, and publishes nothing that is not what the name says."""
        upload_id = hashlib.sha256(_UPLOAD_OF + name).digest()[:16]
        await self.target.blobs.discard(upload_id)  # what an earlier run left of it
        appender = await self.target.blobs.append(upload_id, 0)
        try:
            async for data in reader.chunks(0, reader.size_bytes, _CHUNK_BYTES):
                await appender.write(data)
            _, size_bytes = await appender.finish(name)
            return size_bytes
        finally:
            await appender.close()
            with suppress(Refused):
                await self.target.blobs.discard(upload_id)


async def _rows_of(place: Place, table: TableShape, after: Row = ()) -> AsyncIterator[Row]:
    """Every row of the installation, in order of the key; not those of the place."""
    while page := await place.database.table_rows(table, after, _PAGE):
        for row in page:
            if not _stays_behind(table, row):
                yield row
        after = table.key_of(page[-1])


def _stays_behind(table: TableShape, row: Row) -> bool:
    match table.name:
        case "meta":
            return row[table.columns.index("key")] in PLACE_KEYS
        case "uploads":
            return row[table.columns.index("state")] == "open"
        case _:
            return False


async def _digest(place: Place, table: TableShape) -> tuple[bytes, int]:
    hasher, count = hashlib.sha256(), 0
    async for row in _rows_of(place, table):
        hasher.update(msgspec.msgpack.encode(row))
        count += 1
    return hasher.digest(), count
