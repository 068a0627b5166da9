"""Fixtures of the suites: each implementation, in a folder of the test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.stores.blobs_directory import DirectoryBlobs
from tests.conformance.engines import BLOBS, DATABASES, OpenBlobs, OpenDatabase, open_bucket
from tests.conformance.library import Library
from tests.conformance.postgres import databases_of
from tests.support.in_memory import folder_in_memory


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, in memory where there is enough."""
    with folder_in_memory(request, tmp_path) as folder:
        yield folder


@pytest.fixture(params=[*sorted(DATABASES), "postgresql"])
def open_database(request: pytest.FixtureRequest) -> Iterator[OpenDatabase]:
    """How to open the database under test."""
    if request.param in DATABASES:
        yield DATABASES[request.param]
        return
    with databases_of(request.getfixturevalue("postgres")) as open_postgres:
        yield open_postgres


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    opened = await open_database(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def library(database: Database) -> Library:
    """A database with one account, its device, and one space of theirs."""
    return await Library.make(database)


@pytest.fixture(params=[*sorted(BLOBS), "s3"])
def open_blobs(request: pytest.FixtureRequest) -> OpenBlobs:
    """How to open the blob store under test."""
    if request.param == "s3":
        return open_bucket(request.getfixturevalue("seaweed"))
    return BLOBS[request.param]


@pytest.fixture
async def blobs(open_blobs: OpenBlobs, tmp_path: Path) -> AsyncIterator[Blobs]:
    """An empty blob store."""
    opened = await open_blobs(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[DirectoryBlobs]:
    """A folder store."""
    blobs = await DirectoryBlobs.open_in(tmp_path / "blobs")
    yield blobs
    await blobs.close()
