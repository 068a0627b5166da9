"""A move whose target is where the installation is already, under another spelling, is refused and changes nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import obstore
import pytest

from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.upkeep.move import MOVING
from tests.journeys.test_move import refused
from tests.support.commands import new_account, new_camera
from tests.support.postgres import PostgresServer
from tests.support.seaweed import Seaweed
from tests.support.server_process import server_process

pytestmark = pytest.mark.timeout(300)


@dataclass
class Place:
    """An installation in PostgreSQL and a bucket, and what is in both."""

    data: Path
    database: str
    blobs: str
    seaweed: Seaweed

    @property
    def options(self) -> tuple[str, ...]:
        """How it is named to the server."""
        return ("--database", self.database, "--blobs", self.blobs, "--s3-endpoint", self.seaweed.endpoint)

    def everything(self) -> tuple[object, object]:
        """Its rows that are not of a single moment, and its objects."""
        return asyncio.run(self._meta()), self._objects()

    async def _meta(self) -> list[tuple[str, bytes]]:
        connection = await asyncpg.connect(self.database)
        try:
            rows = await connection.fetch("SELECT key, value FROM meta ORDER BY key")
        finally:
            await connection.close()
        return [(row["key"], row["value"]) for row in rows]

    def _objects(self) -> list[tuple[str, int]]:
        bucket, _, prefix = self.blobs.removeprefix("s3://").partition("/")
        store = self.seaweed.store(type(self.seaweed.address())(bucket, prefix, self.seaweed.endpoint))
        return sorted((meta["path"], meta["size"]) for page in obstore.list(store) for meta in page)


@pytest.fixture(params=["with blobs", "without"], scope="module")
def place(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    seaweed: Seaweed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """One that was used, or only started: its prefix then holds nothing that a listing of blobs would show."""
    folder = tmp_path_factory.mktemp("place")
    name, address = postgres.make_database("template0"), seaweed.address()
    made = Place(folder / "data", postgres.address(name), f"s3://{address.bucket}/{address.prefix}", seaweed)
    with server_process(made.data, *made.options) as server:
        if request.param == "with blobs":
            owner = new_account(server, folder / "owner", "owner")
            owner.ok("space", "create", "Family", "--kind", "family")
            (folder / "roll").mkdir()
            (folder / "roll" / "one.jpg").write_bytes(b"one")
            new_camera(owner, "Family", folder / "phone").ok("camera", "push", str(folder / "roll"))
    yield made
    postgres.drop_database(name)


@pytest.mark.parametrize("spelling", ["a slash at the end", "another host", "a slash in the endpoint"])
def test_the_same_bucket(place: Place, tmp_path: Path, spelling: str) -> None:
    """*Two installations over one prefix delete each other's blobs*: another spelling of it is the same bucket."""
    blobs, endpoint = place.blobs, place.seaweed.endpoint
    if spelling == "a slash at the end":
        blobs += "/"
    elif spelling == "another host":
        endpoint = endpoint.replace("127.0.0.1", "localhost")
    else:
        endpoint += "/"
    before = place.everything()
    said = refused(
        "move", "--data", place.data, *place.options, "--to-data", tmp_path / "new",
        "--to-blobs", blobs, "--to-s3-endpoint", endpoint,
    )  # fmt: skip
    assert "the blobs are in that bucket already" in said
    assert place.everything() == before


@pytest.mark.parametrize("spelling", ["a parameter more", "another scheme"])
def test_the_same_database(place: Place, seaweed: Seaweed, tmp_path: Path, spelling: str) -> None:
    """So is another spelling of the database the same database."""
    address = place.database
    if spelling == "a parameter more":
        address += ("&" if "?" in address else "?") + "sslmode=prefer"
    else:
        address = address.replace("postgresql://", "postgres://")
    assert address != place.database
    before, elsewhere = place.everything(), seaweed.address()
    said = refused(
        "move", "--data", place.data, *place.options, "--to-data", tmp_path / "new", "--to-database", address,
        "--to-blobs", f"s3://{elsewhere.bucket}/{elsewhere.prefix}",
    )  # fmt: skip
    assert "the database to move to is not empty" in said
    assert place.everything() == before


def test_from_a_place_that_is_not_all_there(tmp_path: Path) -> None:
    """What an earlier move has not brought all of cannot be moved on, nor onto itself: it would be called whole."""
    with server_process(tmp_path / "data"):
        pass

    async def mark() -> None:
        database = await SqliteDatabase.open(tmp_path / "data" / "safelight.db")
        await database.set_meta(MOVING, b"the key of a move")
        await database.close()

    asyncio.run(mark())
    assert "not all there yet" in refused("move", "--data", tmp_path / "data", "--to-data", tmp_path / "new")
