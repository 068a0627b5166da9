"""What group commit is worth at the database port: single-asset commits that wait together against one after another.

`python -m bench.commits [--waiting 64] [--rounds 31] [--cameras 1] [--floor 10] [--folder .]` prints medians over the
rounds and exits 1 below the floor. Both ways take turns on one growing database, so that a busy machine slows both; the
blobs that the commits name are held before the clock starts.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.cameras import Cameras, check
from safelight.server.domain.ports.database import Database
from safelight.server.stores.engine_sqlite import SqliteDatabase


async def measure(database: Database, cameras: int, waiting: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return for each round the seconds that a commit took: one after another, and waiting together."""
    made = Cameras(database, cameras)
    await made.begin()
    apart: list[float] = []
    together: list[float] = []
    for _ in range(rounds):
        commits = await made.assets(2 * waiting)
        started = time.perf_counter()
        answers = [(await database.commit([commit]))[0] for commit in commits[:waiting]]
        apart.append((time.perf_counter() - started) / waiting)
        started = time.perf_counter()
        answers += await database.commit(commits[waiting:])
        together.append((time.perf_counter() - started) / waiting)
        check(answers)
    return apart, together


async def run(folder: Path, options: argparse.Namespace) -> float:
    """Measure in *folder*, print the table, and return how many times faster waiting together is."""
    database = await SqliteDatabase.open(folder / "bench.db")
    try:
        apart, together = await measure(database, options.cameras, options.waiting, options.rounds)
    finally:
        await database.close()
    ratio = statistics.median(apart) / statistics.median(together)
    print(
        f"single-asset commits, {options.cameras} camera(s), medians of {options.rounds} rounds of {options.waiting}\n"
    )
    print(f"{'':<24}{'per commit':>14}{'commits/s':>14}")
    for name, times in (("one after another", apart), ("waiting together", together)):
        median = statistics.median(times)
        print(f"{name:<24}{median * 1e6:>11.0f} us{1 / median:>14.0f}")
    print(f"\nwaiting together is {ratio:.1f} times as fast; the floor is {options.floor:g}")
    return ratio


def main() -> int:
    """Parse the options, run, and return the exit status."""
    parser = argparse.ArgumentParser(description="Group commit at the database port.")
    parser.add_argument("--waiting", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--floor", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to measure (a RAM disk says nothing)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as folder:
        ratio = uvloop.run(run(Path(folder), options))
    return 0 if ratio >= options.floor else 1


if __name__ == "__main__":
    sys.exit(main())
