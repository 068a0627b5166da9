"""Where a server in a storm keeps rows and blobs: its folder, or PostgreSQL and a bucket; looked at behind its back."""

import hashlib
from pathlib import Path
from typing import Protocol

import obstore

from tests.faults.promises import rows_without_blobs
from tests.support.postgres import PostgresServer
from tests.support.seaweed import Seaweed


class StormStores(Protocol):
    """What a storm needs to know of them."""

    @property
    def options(self) -> tuple[str, ...]:
        """Of `safelight-server`."""
        ...

    def after_kill(self) -> None:
        """Let pass what would only be waited for, now that the server is dead."""
        ...

    def wrong(self, data: Path) -> list[str]:
        """I2 and I3, looked up behind the server's back: every row has its blob, every log all of its slots."""
        ...


class InFolder:
    """SQLite and blobs in the data folder."""

    options: tuple[str, ...] = ()

    def after_kill(self) -> None:
        """Nothing is waited for: the file has one process."""

    def wrong(self, data: Path) -> list[str]:
        """Read the database, and hash every file."""
        return rows_without_blobs(data)


class InPostgresAndBucket:
    """A database of its own, and a prefix of its own."""

    def __init__(self, postgres: PostgresServer, seaweed: Seaweed) -> None:
        self.postgres = postgres
        self.seaweed = seaweed
        self._database = postgres.make_database()
        self._address = seaweed.address()
        self.options = (
            *("--database", postgres.address(self._database)),
            *("--blobs", f"s3://{self._address.bucket}/{self._address.prefix}"),
            *("--s3-endpoint", seaweed.endpoint),
        )

    def after_kill(self) -> None:
        """The uploads of a dead process go on at another after 15 seconds: here these are over at once."""
        now_ms = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
        self.postgres.run(f"UPDATE leases SET until_ms = LEAST(until_ms, {now_ms})", self._database)

    def lose_one(self) -> None:
        """Lose the largest blob."""
        rows = self.postgres.run("SELECT name FROM space_blobs ORDER BY size_bytes DESC LIMIT 1", self._database)
        digits = rows[0]["name"].hex()
        obstore.delete(self.seaweed.store(self._address), f"blobs/{digits[:2]}/{digits}")

    def wrong(self, data: Path) -> list[str]:
        """Ask PostgreSQL, and hash every object."""
        store = self.seaweed.store(self._address)
        wrong = []
        for name, size_bytes in self.postgres.run("SELECT name, size_bytes FROM space_blobs", self._database):
            digits = name.hex()
            try:
                content = obstore.get(store, f"blobs/{digits[:2]}/{digits}").bytes().to_bytes()
            except FileNotFoundError:
                content = None
            if content is None or len(content) != size_bytes or hashlib.sha256(content).digest() != name:
                wrong.append(f"a row without its blob: {digits[:8]}, {content and len(content)} of {size_bytes}")
        for space_id, number, count, last in self.postgres.run(
            "SELECT s.space_id, s.number, COUNT(e.number), MAX(e.number) FROM spaces s LEFT JOIN entries e"
            " ON e.space_id = s.space_id GROUP BY s.space_id, s.number",
            self._database,
        ):
            if not number == count == last:
                wrong.append(f"space {space_id.hex()[:8]} is at {number} with {count} entries up to {last}")
        return wrong
