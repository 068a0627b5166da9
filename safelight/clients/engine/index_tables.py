"""What the local index' tables have in common: the connection, one transaction at a time, and rows that wait in it.

A large space's log has some hundred thousand entries and assets, each a row. They wait until something is asked of the
tables, or until the transaction ends, and are then written together, which costs a third of one after the other.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safelight.clients.engine import durable

_CACHE_SIZE_KIB = 32 * 1024  # the pages of what a large space's log touches


class IndexTables:
    """The tables of one space. Changes within one `transaction` are kept together or not at all."""

    def __init__(self, path: Path | None, tables: str, version: int) -> None:
        if path is not None:
            durable.make_folder(path.parent)
        self._connection = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._forget()
        try:
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_SIZE_KIB}")
            if path is None:
                # Else what it sorts could go to a temporary file, and that of a vault is never on the disk.
                self._connection.execute("PRAGMA temp_store = MEMORY")
            if self._connection.execute("PRAGMA user_version").fetchone()[0] != version:
                self._build(tables, version)
        except BaseException:
            self._connection.close()
            raise

    def _build(self, tables: str, version: int) -> None:
        """Begin empty; an index of another version is only a copy of what the server has."""
        with self.transaction():
            found = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in found:
                self._db.execute(f'DROP TABLE "{name}"')
            for statement in tables.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all changes made inside, or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._before_commit()
            self._db.execute("COMMIT")
        except BaseException:
            self._forget()
            if self._connection.in_transaction:  # SQLite ends it by itself where the disk is full
                self._connection.execute("ROLLBACK")
            raise

    def _before_commit(self) -> None:
        """Write what else waits for the end of the transaction."""

    def _forget(self) -> None:
        """Hold nothing at hand: the transaction that it belonged to was given up."""
        self._entry_rows: list[tuple[object, ...]] = []
        self._asset_rows: list[tuple[object, ...]] = []
        self._waiting_ids: set[bytes] = set()

    @property
    def _db(self) -> sqlite3.Connection:
        """The tables with all that waited to be written into them."""
        if self._entry_rows or self._asset_rows:
            entries, assets = self._entry_rows, self._asset_rows
            self._entry_rows, self._asset_rows = [], []
            self._waiting_ids.clear()
            self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", entries)
            self._connection.executemany("INSERT INTO assets VALUES (?, ?, ?, ?)", assets)
        return self._connection

    def _add_entry_row(self, row: tuple[object, ...]) -> None:
        """Have an entry's row wait; its slot is a new one."""
        self._entry_rows.append(row)

    def _add_asset_rows(self, number: int, roll_id: bytes, asset_ids: Sequence[bytes]) -> None:
        """Have assets' rows wait; `_has_asset_row` said that their ids are new."""
        self._asset_rows += [(number, position, asset_id, roll_id) for position, asset_id in enumerate(asset_ids)]
        self._waiting_ids.update(asset_ids)

    def _has_asset_row(self, asset_ids: Sequence[bytes]) -> bool:
        """Whether one of *asset_ids* is in the table of assets, or waits for it."""
        if not self._waiting_ids.isdisjoint(asset_ids):
            return True
        places = ", ".join("?" * len(asset_ids))
        sql = f"SELECT 1 FROM assets WHERE asset_id IN ({places}) LIMIT 1"  # noqa: S608  # nosec B608 - question marks alone
        return self._connection.execute(sql, asset_ids).fetchone() is not None

    def _one(self, sql: str, number: int) -> bytes | None:
        row = self._db.execute(sql, (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def _insert(self, sql: str, row: tuple[object, ...]) -> bool:
        return self._db.execute(sql, row).rowcount == 1
