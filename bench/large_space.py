"""What a space's size costs: single-asset commits and feed pages of a large space, beside those of a small one.

`python -m bench.large_space [--assets 1000000] [--small 1000] [--commits 400] [--groups 21] [--pages 60] [--folder .]`
does it at the database port, on SQLite and on PostgreSQL, both spaces in one database and taking turns; exits 1 where
the large one costs more than 1.3 times the small one. It writes 3 to 4 GB for each of the two, one after the other.

What 64 commits cost that wait together is shown and has no ceiling. They share a sync, so what is left is mostly pages
to write, and an asset's id and its fingerprint are random: in a large space each falls on a page of its own, in a small
one all fall on a few.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.cameras import Cameras, check
from bench.filling import Log, Space, begun, fill_postgres, fill_sqlite
from safelight.server.domain.ports.database import Database
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.sync_protocol.limits import MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES
from tests.support.postgres import postgres_server

CEILING = 1.3
TOGETHER = 64
_TOGETHER_ROW = f"{TOGETHER} commits together"
# PostgreSQL as it is installed; the tests' own takes less memory.
_POSTGRES = {"shared_buffers": "128MB"}


@dataclass
class Turns:
    """Seconds of one thing that is done in both spaces, in turn."""

    large: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)

    async def take(self, times: list[float], work: Awaitable[object]) -> None:
        """Do *work* and note how long it took."""
        started = time.perf_counter()
        await work
        times.append(time.perf_counter() - started)


async def commit_in_turns(database: Database, large: Cameras, small: Cameras, count: int, together: int) -> Turns:
    """Commit so many times in each space, *together* commits at once, each time in the one and then in the other."""
    turns = Turns()

    async def commit(times: list[float], cameras: Cameras) -> None:
        commits = await cameras.assets(together)

        async def work() -> None:
            check(await database.commit(commits))

        await turns.take(times, work())

    for _ in range(count):
        await commit(turns.large, large)
        await commit(turns.small, small)
    return turns


async def read_in_turns(database: Database, large: Log, small: Log, after: int, pages: int) -> Turns:
    """Read so many times a page after a number of the large log, and the small log's first one."""
    turns = Turns()

    async def read(log: Log, after: int) -> None:
        rows = await database.entries(log.space_id, after, MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES)
        if len(rows) != MAX_FEED_ENTRIES or rows[0].number != after + 1:
            raise RuntimeError(f"a page of {len(rows)} entries, where {MAX_FEED_ENTRIES} were to come")

    for _ in range(pages):
        await turns.take(turns.large, read(large, after))
        await turns.take(turns.small, read(small, 0))
    return turns


async def measure(database: Database, large: Space, small: Space, options: argparse.Namespace) -> dict[str, Turns]:
    """Measure all that is compared, under the names that the table has."""
    last = large.log.number
    places = {"first": 0, "middle": (last - MAX_FEED_ENTRIES) // 2, "last": last - MAX_FEED_ENTRIES}
    rows = {
        f"feed page, the {name}": await read_in_turns(database, large.log, small.log, after, options.pages)
        for name, after in places.items()
    }
    rows["commit"] = await commit_in_turns(database, large.cameras, small.cameras, options.commits, 1)
    grouped = await commit_in_turns(database, large.cameras, small.cameras, options.groups, TOGETHER)
    rows[_TOGETHER_ROW] = grouped
    return rows


async def in_sqlite(folder: Path, options: argparse.Namespace) -> dict[str, Turns]:
    """Fill a database file in *folder* and measure."""
    path = folder / "safelight.db"
    database = await SqliteDatabase.open(path)
    small, large = await begun(database), await begun(database)
    await database.close()
    for space, assets in ((small, options.small), (large, options.assets)):
        fill_sqlite(path, space.log, assets)
    database = await SqliteDatabase.open(path)
    try:
        return await measure(database, large.at(database), small.at(database), options)
    finally:
        await database.close()


async def in_postgres(address: str, options: argparse.Namespace) -> dict[str, Turns]:
    """Fill the database at *address* and measure."""
    database = await PostgresDatabase.open(address)
    try:
        small, large = await begun(database), await begun(database)
        for space, assets in ((small, options.small), (large, options.assets)):
            await fill_postgres(address, space.log, assets)
        return await measure(database, large, small, options)
    finally:
        await database.close()


def report(engine: str, rows: dict[str, Turns]) -> bool:
    """Print what was measured; return whether every ceiling holds."""
    print(f"{engine:<28}{'large':>10}{'small':>10}{'ratio':>8}{'of the means':>14}", flush=True)
    holds = True
    for what, turns in rows.items():
        large, small = statistics.median(turns.large), statistics.median(turns.small)
        means = statistics.mean(turns.large) / statistics.mean(turns.small)
        print(
            f"  {what:<26}{large * 1e3:>7.2f} ms{small * 1e3:>7.2f} ms{large / small:>8.2f}{means:>14.2f}", flush=True
        )
        holds = holds and (what == _TOGETHER_ROW or large / small <= CEILING)
    return holds


def main() -> int:
    """Read the options, measure on both, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--commits", type=int, default=400)
    parser.add_argument("--groups", type=int, default=21, help="how often 64 commits that wait together")
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to measure (a RAM disk says nothing)")
    options = parser.parse_args()
    sizes = f"a space of {options.assets:,} assets and one of {options.small:,}"
    print(f"{sizes} in one database; medians, ceiling {CEILING}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as folder:
        holds = report("SQLite", uvloop.run(in_sqlite(Path(folder), options)))
    with postgres_server(**_POSTGRES) as postgres:
        postgres.run("CREATE DATABASE large")
        holds = report("PostgreSQL", uvloop.run(in_postgres(postgres.address("large"), options))) and holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
