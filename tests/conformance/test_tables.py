"""Whole tables: every engine gives the same rows in the same order, and takes them back as they were."""

from pathlib import Path

from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.tables import Row, TableShape
from tests.conformance.engines import DATABASES
from tests.conformance.library import Library


async def everything(database: Database, limit: int = 3) -> dict[TableShape, list[Row]]:
    """All rows of all tables, page by page."""
    found: dict[TableShape, list[Row]] = {}
    for table in database.tables():
        rows: list[Row] = []
        while page := await database.table_rows(table, table.key_of(rows[-1]) if rows else (), limit):
            rows += page
        found[table] = rows
    return found


async def test_there_and_back(library: Library, tmp_path: Path) -> None:
    """What one engine holds is held by another after it was copied, row for row, and by the first again."""
    for _ in range(5):
        await library.do(await library.an_asset(await library.hold(), await library.hold()))
    await library.publish(await library.a_link())
    await library.database.set_meta("ö", b"\0\xff")
    await library.database.set_meta("z", b"")
    before = await everything(library.database)
    assert {table.name for table, rows in before.items() if rows} > {"spaces", "entries", "links", "blob_refs", "meta"}
    (tmp_path / "other").mkdir()
    other = await DATABASES["sqlite"](tmp_path / "other")
    for table in other.tables():
        await other.add_table_rows(table, before[table])
    assert await everything(other) == before
    for table in reversed(library.database.tables()):
        await library.database.clear_table(table)
        assert await library.database.last_table_key(table) == ()
    for table, rows in (await everything(other, 1000)).items():
        await library.database.add_table_rows(table, rows)
        assert await library.database.last_table_key(table) == (table.key_of(rows[-1]) if rows else ())
    assert await everything(library.database, 2) == before
    await other.close()
