"""Spaces that benches fill have the rows that commits would have left."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.cameras import RENDITIONS, Cameras, check
from bench.filling import TABLES, begun, fill_sqlite
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.stores.tables import METADATA
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL

ASSETS = MAX_ASSETS_PER_ROLL + 3
_COUNTS = {"number", "counter", "assets"}  # differ from row to row


def _shapes(path: Path, table: str, space_id: bytes) -> set[tuple[object, ...]]:
    """Of each kind of row its types, its lengths, and what is written out."""
    columns = [column.name for column in METADATA.tables[table].columns if column.name not in _COUNTS]
    parts = [f"typeof({name}), CASE typeof({name}) WHEN 'blob' THEN length({name}) ELSE {name} END" for name in columns]
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute(f"SELECT {', '.join(parts)} FROM {table} WHERE space_id = ?", (space_id,)))


async def test_a_filled_space_is_like_one_that_was_committed(tmp_path: Path) -> None:
    """Its rows are of the same shapes, add up, and real commits go on from them."""
    path = tmp_path / "safelight.db"
    database = await SqliteDatabase.open(path)
    filled, committed = await begun(database), Cameras(database, 1, RENDITIONS)
    await committed.begin()
    check(await database.commit(await committed.assets(3)))
    await database.close()
    fill_sqlite(path, filled.log, ASSETS)
    for table in TABLES:
        assert _shapes(path, table, filled.log.space_id) == _shapes(path, table, committed.space_id), table

    database = await SqliteDatabase.open(path)
    try:
        check(await database.commit(await filled.at(database).cameras.assets(3)))
        space = await database.space(filled.log.space_id)
        assert space is not None
        assert space.number == len(await database.entry_ids(space.space_id, 0, 10_000)) == 2 + 2 + ASSETS + 3
        sums = await database.sums(space.space_id)
        assert sums is not None
        assert sums.added_up_bytes == sums.by_device_bytes == sums.used_bytes
        assert await database.integrity() == []
    finally:
        await database.close()
