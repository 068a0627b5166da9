"""The implementations that the suites try. A second one joins by one more line in each table."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.blobs_s3 import S3Blobs
from safelight.server.stores.engine_sqlite import SqliteDatabase
from tests.support.seaweed import Seaweed

TIMEOUT_S = 20

# Opens what is kept in a folder of the test's own; opened again after `close`, it must hold the same.
OpenDatabase = Callable[[Path], Awaitable[Database]]
OpenBlobs = Callable[[Path], Awaitable[Blobs]]


async def open_sqlite(folder: Path) -> Database:
    """SQLite in *folder*."""
    return await SqliteDatabase.open(folder / "safelight.db")


async def open_directory(folder: Path) -> Blobs:
    """A folder store in *folder*."""
    return await DirectoryBlobs.open_in(folder / "blobs")


def open_bucket(seaweed: Seaweed) -> OpenBlobs:
    """Return how to open a store in a bucket, under a prefix that belongs to the test's folder."""

    async def open_s3(folder: Path) -> Blobs:
        prefix = hashlib.sha256(bytes(folder)).hexdigest()[:16]
        return await S3Blobs.open_at(seaweed.address(prefix), TIMEOUT_S)

    return open_s3


DATABASES: dict[str, OpenDatabase] = {"sqlite": open_sqlite}
BLOBS: dict[str, OpenBlobs] = {"directory": open_directory}
