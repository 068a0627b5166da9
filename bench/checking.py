"""What hashing stored blobs again reaches, beside `sha256sum` over the same files: large ones, and small ones.

`python -m bench.checking [--size-mb 8] [--blobs 96] [--small 4000] [--repeats 5]` prints medians, both ways in turn,
over files that the page cache holds; exits 1 below 0.8 of sha256sum's speed over the large ones. It hashes as
`safelight-server check` does, with noting what was checked, and without what it does once: listing and rows.
"""

import argparse
import asyncio
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from safelight.server.domain.clock import wall_ms
from safelight.server.domain.ports.rows import AccountChange, AccountRow, UploadRow
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.upkeep.pace import Pace
from safelight.server.upkeep.rehash import Rehash

FLOOR = 0.8
SMALL_SIZE_BYTES = 15_000
_DAY_MS = 24 * 60 * 60 * 1000


async def fill(folder: Path, sizes_bytes: list[int]) -> tuple[SqliteDatabase, DirectoryBlobs, list[Path]]:
    """Make stores in *folder* that hold blobs of these sizes."""
    folder.mkdir()  # noqa: ASYNC240 - nothing else waits for a benchmark
    database = await SqliteDatabase.open(folder / "safelight.db")
    blobs = await DirectoryBlobs.open_in(folder / "blobs")
    account_id, space_id = os.urandom(16), os.urandom(32)
    invite = os.urandom(32)
    await database.add_invite(invite, wall_ms() + _DAY_MS)
    account = AccountRow(account_id, "bench", wall_ms(), 1, os.urandom(32))
    await database.create_account(account, invite, AccountChange(account_id, 0, [(1, os.urandom(32), b"")], 1), 1)
    files = []
    for size_bytes in sizes_bytes:
        data = os.urandom(size_bytes)
        name = hashlib.sha256(data).digest()
        path = folder / "blobs" / name.hex()[:2] / name.hex()
        path.write_bytes(data)
        upload = UploadRow(os.urandom(16), account_id, account_id, space_id, 1, wall_ms() + _DAY_MS)
        await database.add_upload(upload, sys.maxsize, sys.maxsize, sys.maxsize)
        await database.finish_upload(upload.upload_id, name, size_bytes, wall_ms())
        files.append(path)
    return database, blobs, files


async def checked(database: SqliteDatabase, blobs: DirectoryBlobs) -> int:
    """Hash everything again, as a check does; returns how many bytes that were."""
    pace = Pace(0)
    rehash = Rehash(database, blobs, wall_ms, pace, wall_ms() + 1, sys.maxsize, 0)
    # Rows last checked before now: what is noted from here on is later, and so due no more.
    await asyncio.sleep(0.002)
    async for _ in rehash.events():
        pass
    return pace.read_bytes


def summed(files: list[Path]) -> None:
    """The same by `sha256sum`, as few processes as the command line allows."""
    for start in range(0, len(files), 1000):
        subprocess.run(["sha256sum", *files[start : start + 1000]], check=True, stdout=subprocess.DEVNULL)


async def measure(folder: Path, sizes_bytes: list[int], repeats: int) -> tuple[float, float]:
    """Median MB/s of the check and of sha256sum."""
    database, blobs, files = await fill(folder, sizes_bytes)
    total_bytes = sum(sizes_bytes)
    ours, theirs = [], []
    try:
        summed(files)  # both find the files in the page cache
        for _ in range(repeats):
            started_s = time.perf_counter()
            if await checked(database, blobs) != total_bytes:
                raise RuntimeError("not everything was hashed")
            ours.append(time.perf_counter() - started_s)
            theirs.append(await asyncio.to_thread(_timed, lambda: summed(files)))
    finally:
        await blobs.close()
        await database.close()
    return total_bytes / statistics.median(ours) / 1e6, total_bytes / statistics.median(theirs) / 1e6


def _timed(work: Callable[[], None]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


async def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size-mb", type=int, default=8)
    parser.add_argument("--blobs", type=int, default=96)
    parser.add_argument("--small", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as name:
        large = await measure(Path(name) / "large", [options.size_mb * 1_000_000] * options.blobs, options.repeats)
        small = await measure(Path(name) / "small", [SMALL_SIZE_BYTES] * options.small, options.repeats)
    print("| files | check | sha256sum | ratio |")
    print("|---|---|---|---|")
    for text, (ours, theirs) in (
        (f"{options.blobs} of {options.size_mb} MB", large),
        (f"{options.small} of {SMALL_SIZE_BYTES // 1000} kB", small),
    ):
        print(f"| {text} | {ours:,.0f} MB/s | {theirs:,.0f} MB/s | {ours / theirs:.2f} |")
    return int(large[0] / large[1] < FLOOR)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
