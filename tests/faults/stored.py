"""An installation with a roll in it, made once by the real commands, and copies of it to damage."""

import os
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from safelight.server import data_folder
from safelight.server.domain.clock import wall_ms
from safelight.server.domain.leases import Leases
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.jobs.clearing import LEASE_S, Clearing
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.upkeep.check import Check
from safelight.server.upkeep.events import CheckRequest, Event, Finding, Summary
from tests.support.commands import new_account, new_camera
from tests.support.server_process import server_process

FILES = 6


def make(folder: Path, *options: str) -> Path:
    """Make an account, a space, a camera, a roll, an album and a link; returns the data folder.

    *options* say where the server keeps what it has.
    """
    chance = random.Random(1)
    (folder / "roll").mkdir()
    for number in range(FILES):
        (folder / "roll" / f"{number}.jpg").write_bytes(chance.randbytes(50_000 + number * 300_000))
    with server_process(folder / "data", *options) as server:
        owner = new_account(server, folder / "owner", "owner")
        owner.ok("space", "create", "Family", "--kind", "family")
        new_camera(owner, "Family", folder / "phone").ok("camera", "push", str(folder / "roll"))
        ids = [asset["id"] for asset in owner.json("asset", "list", "--space", "Family")]
        owner.ok("album", "create", "Best", "--space", "Family")
        owner.ok("album", "add", "Best", "--space", "Family", *ids[:3])
        owner.ok("link", "create", "--album", "Best", "--space", "Family")
        owner.ok("asset", "trash", *ids[1:4], "--space", "Family")
        owner.ok("asset", "restore", ids[2], "--space", "Family")
        owner.ok("asset", "propose-deletion", ids[0], ids[2], "--space", "Family")
    return folder / "data"


@dataclass
class Stored:
    """A data folder that no server runs in."""

    folder: Path

    def copy(self, folder: Path) -> "Stored":
        """The same again, to damage."""
        shutil.copytree(self.folder, folder)
        return Stored(folder)

    def blobs(self) -> list[Path]:
        """Every blob's file, the largest first."""
        files = self.folder.glob("blobs/[0-9a-f][0-9a-f]/*")
        return sorted(files, key=lambda file: (-file.stat().st_size, file.name))

    def everything(self) -> dict[str, bytes]:
        """Every blob's file and its bytes."""
        return {file.name: file.read_bytes() for file in self.blobs()}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Database, Blobs]]:
        """The stores."""
        database = await SqliteDatabase.open(data_folder.database_path(self.folder))
        blobs = await DirectoryBlobs.open_in(data_folder.blobs_path(self.folder))
        yield database, blobs
        await blobs.close()
        await database.close()

    async def check(self, request: CheckRequest | None = None, *, grace_s: int = 0) -> tuple[list[Finding], Summary]:
        """Check it."""
        async with self.opened() as (database, blobs):
            return await check(database, blobs, request, grace_s=grace_s)


def clears(database: Database, blobs: Blobs) -> Clearing:
    """Who deletes the bytes of these stores."""
    return Clearing(database, blobs, Leases(database, LEASE_S))


async def check(
    database: Database,
    blobs: Blobs,
    request: CheckRequest | None = None,
    *,
    grace_s: int = 0,
    clearing: Clearing | None = None,
) -> tuple[list[Finding], Summary]:
    """Check these stores."""
    events: list[Event] = []
    check = Check(
        database, blobs, wall_ms, grace_s, request or CheckRequest(), lambda: True, clearing or clears(database, blobs)
    )
    async with aclosing(check.events()) as found:
        events += [event async for event in found]
    summary = events[-1]
    assert isinstance(summary, Summary)
    return [event for event in events if isinstance(event, Finding)], summary


def flip(file: Path, offset: int = -1) -> None:
    """Flip one bit of a file, and leave its size and times."""
    stat = file.stat()
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)

    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
