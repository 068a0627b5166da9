"""The same installation in PostgreSQL and a bucket, made once by the real commands, and copies of it to damage."""

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore

from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.stores.blobs_s3 import S3Blobs
from safelight.server.stores.bucket_address import BucketAddress
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.upkeep.events import CheckRequest, Finding, Summary
from tests.faults.stored import check, make
from tests.support.postgres import PostgresServer
from tests.support.seaweed import Seaweed

TIMEOUT_S = 60


@dataclass
class StoredElsewhere:
    """A data folder, a database and a prefix of a bucket that no server uses."""

    folder: Path
    database: str
    address: BucketAddress
    postgres: PostgresServer
    seaweed: Seaweed

    @classmethod
    def make(cls, folder: Path, postgres: PostgresServer, seaweed: Seaweed) -> "StoredElsewhere":
        """Make an installation as `stored.make` does."""
        made = cls(folder / "data", postgres.make_database("template0"), seaweed.address(), postgres, seaweed)
        make(folder, *made.options)
        return made

    def copy(self, folder: Path) -> "StoredElsewhere":
        """The same again, to damage: its database, its objects under another prefix, its data folder."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
        name = f"test_{secrets.token_hex(6)}"
        self.postgres.run(f"CREATE DATABASE {name} TEMPLATE {self.database}")
        copied = StoredElsewhere(folder, name, self.seaweed.address(), self.postgres, self.seaweed)
        for key in self._keys():
            copied.put(key, self.get(key))
        return copied

    def drop(self) -> None:
        """Let go of the database."""
        self.postgres.drop_database(self.database)

    @property
    def options(self) -> tuple[str, ...]:
        """How it is named to the server and its commands."""
        blobs = f"s3://{self.address.bucket}/{self.address.prefix}"
        endpoint = self.seaweed.endpoint
        return ("--database", self.postgres.address(self.database), "--blobs", blobs, "--s3-endpoint", endpoint)

    def blobs(self) -> list[str]:
        """Every blob's object, the largest first."""
        listed = [meta for page in obstore.list(self._store(), "blobs") for meta in page]
        return [meta["path"] for meta in sorted(listed, key=lambda meta: (-meta["size"], meta["path"]))]

    def everything(self) -> dict[str, bytes]:
        """Every blob's object and its bytes."""
        return {key: self.get(key) for key in self.blobs()}

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(obstore.get(self._store(), key).bytes())

    def put(self, key: str, data: bytes) -> None:
        """Put an object in place of whatever is there."""
        obstore.put(self._store(), key, data, use_multipart=False)

    def delete(self, key: str) -> None:
        """Delete an object."""
        obstore.delete(self._store(), key)

    def flip(self, key: str) -> None:
        """Flip one bit of an object."""
        data = bytearray(self.get(key))
        data[-1] ^= 1
        self.put(key, bytes(data))

    def sql(self, statement: str) -> list[Any]:
        """Look at rows, or change them behind the server's back."""
        return self.postgres.run(statement, self.database)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Database, Blobs]]:
        """The stores."""
        database = await PostgresDatabase.open(self.postgres.address(self.database))
        blobs = await S3Blobs.open_at(self.address, TIMEOUT_S)
        yield database, blobs
        await blobs.close()
        await database.close()

    async def check(self, request: CheckRequest | None = None, *, grace_s: int = 3600) -> tuple[list[Finding], Summary]:
        """Check it."""
        async with self.opened() as (database, blobs):
            return await check(database, blobs, request, grace_s=grace_s)

    def _keys(self) -> list[str]:
        return [meta["path"] for page in obstore.list(self._store()) for meta in page]

    def _store(self) -> Any:
        return self.seaweed.store(self.address)
