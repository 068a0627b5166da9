"""The port of whole tables, row by row: what moving an installation to another database needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Value = bytes | str | int | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table: its columns, and those of them that are its key, by which its rows are in order on every engine."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def key_of(self, row: Row) -> Row:
        """The key of one of its rows."""
        return tuple(row[self.columns.index(column)] for column in self.key)


class KeepsTables(Protocol):
    """Every row of every table, as it is stored."""

    def tables(self) -> Sequence[TableShape]:
        """Return all tables, each after those that it refers to."""
        ...

    async def table_rows(self, table: TableShape, after: Row, limit: int) -> list[Row]:
        """Return the rows whose key follows *after* (all from the first on, where that is empty), in order."""
        ...

    async def last_table_key(self, table: TableShape) -> Row:
        """Return the key of the last row; empty where there is none."""
        ...

    async def add_table_rows(self, table: TableShape, rows: Sequence[Row]) -> None:
        """Add rows as they are."""
        ...

    async def clear_table(self, table: TableShape) -> None:
        """Remove all rows."""
        ...
