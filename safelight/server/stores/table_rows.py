"""Whole tables, row by row; the statements are made from `tables.py`."""

from collections.abc import Sequence
from functools import cache

from safelight.server.domain.ports.tables import Row, TableShape
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import Statement, statement
from safelight.server.stores.tables import METADATA
from safelight.server.stores.transaction import Transaction


class TableRows(Engine):
    """Every row of every table, as it is stored."""

    def tables(self) -> Sequence[TableShape]:
        """Return all tables, each after those that it refers to."""
        return shapes()

    async def table_rows(self, table: TableShape, after: Row, limit: int) -> list[Row]:
        """Return the rows whose key follows *after*, in order."""
        named = dict(zip(table.key, after, strict=True)) if after else {}
        return list(await self._reading.rows(_page(table, first=not after), page=limit, **named))

    async def last_table_key(self, table: TableShape) -> Row:
        """Return the key of the last row; empty where there is none."""
        rows = await self._reading.rows(_last(table))
        return rows[0] if rows else ()

    async def add_table_rows(self, table: TableShape, rows: Sequence[Row]) -> None:
        """Add rows as they are."""

        async def work(tx: Transaction) -> None:
            await tx.run_many(_add(table), rows)

        await self._write(work)

    async def clear_table(self, table: TableShape) -> None:
        """Remove all rows."""

        async def work(tx: Transaction) -> None:
            await tx.rows(statement(f"clear {table.name}", f"DELETE FROM {table.name}"))  # nosec B608 # noqa: S608 - our names

        await self._write(work)


@cache
def shapes() -> tuple[TableShape, ...]:
    """All tables, each after those that it refers to."""
    return tuple(
        TableShape(table.name, tuple(table.columns.keys()), tuple(table.primary_key.columns.keys()))
        for table in METADATA.sorted_tables
    )


@cache
def _page(table: TableShape, *, first: bool) -> Statement:
    key, places = ", ".join(table.key), ", ".join(f":{column}" for column in table.key)
    where = "" if first else f" WHERE ({key}) > ({places})"
    text = f"SELECT {', '.join(table.columns)} FROM {table.name}{where} ORDER BY {key} LIMIT :page"  # nosec B608 # noqa: S608 - our names
    return statement(f"rows of {table.name}", text)


@cache
def _last(table: TableShape) -> Statement:
    key, order = ", ".join(table.key), ", ".join(f"{column} DESC" for column in table.key)
    return statement(f"last of {table.name}", f"SELECT {key} FROM {table.name} ORDER BY {order} LIMIT 1")  # nosec B608 # noqa: S608 - our names


@cache
def _add(table: TableShape) -> Statement:
    places = ", ".join(f":{column}" for column in table.columns)
    text = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"  # nosec B608 # noqa: S608 - our names
    return statement(f"add to {table.name}", text)
