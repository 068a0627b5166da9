"""Spaces of any size, made fast: the rows that a camera's commits would have left, written directly, in their order.

tests/unit/test_filling.py holds them to what real commits leave. Order matters: what is random by nature (asset ids,
fingerprints, blob names) is inserted in the log's order, so that an index has the half-full pages that it grows by use.
"""

import itertools
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.cameras import BLOB_SIZE_BYTES, ENVELOPE_SIZE_BYTES, NOW_MS, RENDITIONS, Cameras
from safelight.server.domain.ports.database import Database
from safelight.server.stores.tables import METADATA
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL
from safelight.sync_protocol.log import next_chain

TABLES = ("entries", "assets", "blob_refs", "space_blobs", "rolls")
_RUN_ASSETS = 10_000
_CACHE_SIZE_KIB = 1024 * 1024

Rows = dict[str, list[tuple[object, ...]]]


@dataclass
class Log:
    """Where a space's log stands, and the one device that fills it."""

    space_id: bytes
    device_id: bytes
    number: int
    chain: bytes
    counter: int
    entry_id: bytes
    used_bytes: int

    def rows(self, assets: int) -> Iterator[Rows]:
        """The rows of so many more assets, each in an entry of its own, in rolls as full as they may be; in runs."""
        noise = os.urandom(ENVELOPE_SIZE_BYTES)
        for start in range(0, assets, _RUN_ASSETS):
            made: Rows = {table: [] for table in TABLES}
            for index in range(start, min(start + _RUN_ASSETS, assets)):
                if index % MAX_ASSETS_PER_ROLL == 0:
                    in_roll = min(MAX_ASSETS_PER_ROLL, assets - index)
                    made["rolls"].append((self.space_id, os.urandom(16), self.device_id, 1, in_roll, NOW_MS))
                    self._entry(made, noise)
                self._entry(made, noise)
                self._asset(made)
            yield made

    def _entry(self, made: Rows, noise: bytes) -> None:
        self.number += 1
        self.counter += 1
        self.used_bytes += ENVELOPE_SIZE_BYTES
        self.entry_id = os.urandom(32)
        self.chain = next_chain(self.chain, self.number, self.entry_id)
        envelope = self.entry_id + noise[32:]
        about = (self.space_id, self.number, NOW_MS, 0, len(envelope), self.device_id, self.counter)
        made["entries"].append((*about, self.entry_id, self.chain, b"", envelope))

    def _asset(self, made: Rows) -> None:
        asset_id = os.urandom(16)
        made["assets"].append((self.space_id, asset_id, self.number, os.urandom(32)))
        for place, (rendition, tier) in enumerate(RENDITIONS):
            name = os.urandom(32)
            made["blob_refs"].append((self.space_id, self.number, place, name, asset_id, rendition, tier))
            made["space_blobs"].append((name, self.space_id, BLOB_SIZE_BYTES, tier, 1, self.device_id, NOW_MS))
            self.used_bytes += BLOB_SIZE_BYTES

    def end(self) -> tuple[tuple[str, tuple[object, ...]], ...]:
        """What to do when all rows are there, with `?` for values."""
        return (
            (
                "UPDATE spaces SET number = ?, chain = ?, used_bytes = used_bytes + ? WHERE space_id = ?",
                (self.number, self.chain, self.used_bytes, self.space_id),
            ),
            (
                "INSERT INTO positions (space_id, device_id, counter, entry_id, used_bytes) VALUES (?, ?, ?, ?, ?)",
                (self.space_id, self.device_id, self.counter, self.entry_id, self.used_bytes),
            ),
        )


@dataclass(frozen=True, slots=True)
class Space:
    """A space with a camera whose commits are real, and the log that is filled beneath them."""

    cameras: Cameras
    log: Log

    def at(self, database: Database) -> "Space":
        """The same, where the database was opened anew."""
        self.cameras.database = database
        return self


async def begun(database: Database) -> Space:
    """Make a space with one camera by real commits."""
    cameras = Cameras(database, 1, RENDITIONS)
    await cameras.begin()
    space = await database.space(cameras.space_id)
    if space is None:
        raise RuntimeError("the space that was just made is not there")
    return Space(cameras, Log(cameras.space_id, secrets.token_bytes(16), space.number, space.chain, 0, b"", 0))


def fill_sqlite(path: Path, log: Log, assets: int) -> None:
    """Add so many assets to the database at *path*, which nobody has open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nothing is synced on the way: what is made here is thrown away. The cache holds the random pages.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_SIZE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for made in log.rows(assets):
            for table, rows in made.items():
                columns = _columns(table)
                places = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608 - our own names
        for sql, values in log.end():
            connection.execute(sql, values)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


async def fill_postgres(address: str, log: Log, assets: int) -> None:
    """Add so many assets to the database at *address*, and leave it as autovacuum would."""
    connection = await asyncpg.connect(address)
    try:
        # Every row's space is there: nobody has to look for it five million times.
        await connection.execute("SET session_replication_role = replica")
        async with connection.transaction():
            for made in log.rows(assets):
                for table, rows in made.items():
                    await connection.copy_records_to_table(table, records=rows, columns=_columns(table))
            for sql, values in log.end():
                places = itertools.count(1)
                await connection.execute("".join(f"${next(places)}" if c == "?" else c for c in sql), *values)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _columns(table: str) -> list[str]:
    return [column.name for column in METADATA.tables[table].columns]
