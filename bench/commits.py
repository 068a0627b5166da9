"""What group commit is worth at the database port: single-asset commits that wait together against one after another.

`python -m bench.commits [--waiting 64] [--rounds 31] [--cameras 1] [--floor 10] [--folder .]` prints medians over the
rounds and exits 1 below the floor. Both ways take turns on one growing database, so that a busy machine slows both; the
blobs that the commits name are held before the clock starts.
"""

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from safelight.server.domain.ports.commits import AssetUse, BlobUse, Commit, Committed, RollUse
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import UploadRow
from safelight.server.stores.engine_sqlite import SqliteDatabase

NOW_MS = 1_700_000_000_000
ENVELOPE_SIZE_BYTES = 1500  # of a record with one asset, its wraps, its sealed metadata and one rendition
BLOB_SIZE_BYTES = 3_000_000
NO_LIMIT = 2**50


class Cameras:
    """A space and its cameras, whose commits follow one another."""

    def __init__(self, database: Database, count: int) -> None:
        self._database = database
        self._space_id = secrets.token_bytes(32)
        self._account_id = secrets.token_bytes(16)
        self._ids = [secrets.token_bytes(16) for _ in range(count)]
        self._rolls = {camera_id: secrets.token_bytes(16) for camera_id in self._ids}
        self._positions = dict.fromkeys(self._ids, (0, b""))

    async def begin(self) -> None:
        """Make the space and open a roll for each camera."""
        genesis = Commit(
            space_id=self._space_id,
            entry_id=secrets.token_bytes(32),
            envelope=secrets.token_bytes(4000),
            kind="space.create",
            author_id=self._account_id,
            device_id=secrets.token_bytes(16),
            counter=1,
            previous_id=b"",
            ledger_number=0,
            now_ms=NOW_MS,
            is_ledger=True,
            genesis_kind="family",
            epoch=1,
            members=[(self._account_id, "owner")],
        )
        rolls = [self._next(camera_id, "roll.open", self._roll(camera_id, opens=True)) for camera_id in self._ids]
        await self._database.commit([genesis])
        _check(await self._database.commit(rolls))

    async def assets(self, count: int) -> list[Commit]:
        """Hold *count* blobs, and make a commit for each of them, the cameras in turn."""
        owners = [self._ids[index % len(self._ids)] for index in range(count)]
        names = await asyncio.gather(*map(self._hold, owners))
        return [self._asset(camera_id, name) for camera_id, name in zip(owners, names, strict=True)]

    async def _hold(self, camera_id: bytes) -> bytes:
        upload_id, name = secrets.token_bytes(16), secrets.token_bytes(32)
        upload = UploadRow(upload_id, camera_id, self._account_id, self._space_id, NOW_MS, NOW_MS + 1)
        await self._database.add_upload(upload, NO_LIMIT, NO_LIMIT, NO_LIMIT)
        await self._database.finish_upload(upload_id, name, BLOB_SIZE_BYTES, NOW_MS)
        return name

    def _asset(self, camera_id: bytes, name: bytes) -> Commit:
        asset_id = secrets.token_bytes(16)
        return self._next(
            camera_id,
            "asset.add",
            self._roll(camera_id, opens=False),
            [AssetUse(asset_id, secrets.token_bytes(32))],
            [BlobUse(name, BLOB_SIZE_BYTES, "full", asset_id, "original")],
        )

    def _roll(self, camera_id: bytes, *, opens: bool) -> RollUse:
        return RollUse(self._rolls[camera_id], opens, 1, 0 if opens else 1, NO_LIMIT, NO_LIMIT)

    def _next(
        self,
        camera_id: bytes,
        kind: str,
        roll: RollUse,
        assets: Sequence[AssetUse] = (),
        blobs: Sequence[BlobUse] = (),
    ) -> Commit:
        counter, previous_id = self._positions[camera_id]
        commit = Commit(
            space_id=self._space_id,
            entry_id=secrets.token_bytes(32),
            envelope=secrets.token_bytes(ENVELOPE_SIZE_BYTES),
            kind=kind,
            author_id=self._account_id,
            device_id=camera_id,
            counter=counter + 1,
            previous_id=previous_id,
            ledger_number=1,
            now_ms=NOW_MS,
            roll=roll,
            assets=assets,
            blobs=blobs,
        )
        self._positions[camera_id] = (commit.counter, commit.entry_id)
        return commit


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
        _check(answers)
    return apart, together


def _check(answers: Sequence[object]) -> None:
    """A refused commit would be fast for nothing."""
    assert all(isinstance(answer, Committed) for answer in answers), answers


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
