"""I/O faults: strace makes the Nth write, sync, rename or open of one of the real server's threads fail.

A client goes on as clients do. Then the server must have said so, must not have synced again what failed to sync, and
after a restart everything that it acknowledged before and after must be there.
"""

import asyncio
import copy
import json
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.faults import strace
from tests.faults.client import Client, Refusal, server_key_of
from tests.faults.machine import Traced, served
from tests.faults.power import started
from tests.faults.promises import Promises, check
from tests.support.api import Api
from tests.support.protocol import Blob, Writer, make_asset

# One thread for blobs, so that the Nth call is the same each time, and checkpoints among the calls that may fail.
_PRELUDE = """
from safelight.server.stores import blobs_directory, sqlite_writer
blobs_directory.THREADS = 1
sqlite_writer.CHECKPOINT_AFTER_ROWS = 12
"""
_FULL, _BROKEN = (507, "storage-full"), (503, "storage-read-only")


@dataclass(frozen=True)
class Fault:
    """Which thread's calls fail, and how."""

    thread: str
    calls: str
    error: str

    def __str__(self) -> str:
        return f"{self.thread} {self.calls} {self.error}"

    @property
    def part(self) -> str:
        """The part of the server that has the trouble, as `/ready` names it."""
        return "blobs" if self.thread.startswith("blobs") else "database"


_BLOBS, _DATABASE, _RENAMES = "blobs_0", "sqlite-writer", "rename,renameat,renameat2"
# (Not `write`: with that a thread wakes the event loop.)
FAULTS = [
    Fault(_BLOBS, strace.SYNCS, "EIO"),
    Fault(_BLOBS, "writev", "EIO"),
    Fault(_BLOBS, "writev", "ENOSPC"),
    Fault(_BLOBS, _RENAMES, "EIO"),
    Fault(_BLOBS, _RENAMES, "ENOSPC"),
    Fault(_BLOBS, "openat", "ENOSPC"),
    Fault(_DATABASE, strace.SYNCS, "EIO"),
    Fault(_DATABASE, "pwrite64", "EIO"),
    Fault(_DATABASE, "pwrite64", "ENOSPC"),
    Fault(_DATABASE, "openat", "ENOSPC"),
]


@dataclass
class Outcome:
    """Whether the fault came to pass, and what was wrong then."""

    injected: bool
    wrong: list[str]


class Rig:
    """A data folder with an account and a space, of which each run gets a copy."""

    def __init__(self, folder: Path, token: str, writer: Writer, promises: Promises) -> None:
        self.folder = folder
        self._token = token
        self._writer = writer
        self._promises = promises

    @classmethod
    async def make(cls, folder: Path, *, killed: bool = False) -> "Rig":
        """Make the folder with a server that nothing befalls; one that was *killed* leaves its database's log."""
        promises = Promises()
        async with served(folder / "template") as server, aiohttp.ClientSession() as http:
            client = Client(Api(server.url, http, await server_key_of(server.url, http)), promises)
            person = await client.join(server.data)
            writer = Writer(person, person.signer)
            await client.create_space(writer)
            await client.commit(writer, writer.open_roll())
            if killed:
                server.process.kill()
                await server.process.wait()
                (server.data / "control.sock").unlink()  # a socket cannot be copied
        return cls(folder, client.api.token, writer, promises)

    async def run(self, fault: Fault, when: int, mutant: str = "") -> Outcome:
        """Let the *when*th of the fault's calls fail, and see."""
        data, log = self.folder / "data", self.folder / "trace"
        shutil.copytree(self.folder / "template", data)
        promises = Promises()
        promises.given = list(self._promises.given)
        try:
            async with served(data, mutant=_PRELUDE + mutant) as server, injecting(server, fault, when, log):
                wrong = await self._work(server, fault, log, promises)
                await server.stop()
            found = strace.calls(log)
            wrong += synced_again(found)
            async with started(data) as url:
                wrong += await check(url, data, promises.until(0))
            return Outcome(any(call.injected for call in found), [f"{fault} {when}: {what}" for what in wrong])
        finally:
            shutil.rmtree(data)
            log.unlink(missing_ok=True)

    async def start(self, when: int, *, empty: bool) -> Outcome:
        """Let the *when*th sync of each thread fail while the server starts, on an *empty* folder or on one in use."""
        data, log, said = self.folder / "data", self.folder / "trace", self.folder / "server.log"
        said.unlink(missing_ok=True)
        if not empty:
            shutil.copytree(self.folder / "template", data)
        inject = f"inject={strace.SYNCS}:error=EIO:when={when}"
        command = (*strace.COMMAND, "-e", f"trace={strace.SYNCS}", "-e", inject, "-o", str(log))
        wrong = list[str]()
        try:
            try:
                async with served(data, strace=command):
                    listened = True
            except RuntimeError:
                listened = False
            failed = [call for call in strace.calls(log) if call.injected]
            # SQLite syncs a folder by fdatasync, and passes over a failure: we sync it ourselves.
            if listened and (lost := [call for call in failed if (call.name, call.path) != ("fdatasync", str(data))]):
                wrong.append(f"it began though {lost[0].name} of {lost[0].path} failed")
            if not listened and _lines(said) != 1:
                wrong.append(f"it did not say in one line why it does not begin: {said.read_text()[-500:]}")
            async with started(data) as url:
                wrong += await check(url, data, [] if empty else self._promises.until(0))
            return Outcome(bool(failed), [f"starting, {when}: {what}" for what in wrong])
        finally:
            shutil.rmtree(data)
            log.unlink(missing_ok=True)

    async def _work(self, server: Traced, fault: Fault, log: Path, promises: Promises) -> list[str]:
        """Upload and commit whatever happens; return what was wrong with the answers."""
        writer, chance = copy.deepcopy(self._writer), random.Random(1)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            api = Api(server.url, http, await server_key_of(server.url, http), self._token)
            client = Client(api, promises, tries=3)
            for size_bytes, pieces in ((3_000, 1), (300_000, 3), (2_500_000, 2), (10, 1)):
                with suppress(Refusal):
                    blob = Blob(chance.randbytes(size_bytes))
                    await client.upload(writer.signer, writer.space_id, blob.data, pieces)
                    await client.commit(writer, writer.add_assets(make_asset(blob)))
            reading = await client.api.get(f"/v1/spaces/{writer.space_id.hex()}/log")
            wrong = [] if reading.status == 200 else [f"reading is refused, too: {reading.body!r}"]
            return wrong + await self._said(client, fault, log)

    async def _said(self, client: Client, fault: Fault, log: Path) -> list[str]:
        """Whether the fault was told as what it is, to who asked and to the operator."""
        told = {(refusal.status, refusal.code) for refusal in client.refusals}
        # SQLite syncs the folder at its first write and passes over a failure; the server did so itself when it began.
        failed = any(call.injected and call.path != str(log.with_name("data")) for call in strace.calls(log))
        expected = _FULL if fault.error == "ENOSPC" else _BROKEN
        # An upload whose last request was refused so may be over; asked again, the server does not know it.
        allowed = {expected, (404, "not-found")} if expected in told else {expected}
        wrong = [f"{refusal} was told" for refusal in sorted(told - allowed)]
        ready = await client.api.get("/ready")
        parts = json.loads(ready.body)["parts"]
        if failed and expected == _BROKEN and parts[fault.part] != _BROKEN[1]:
            wrong.append(f"a failed disk is called {parts[fault.part]}")
        if (not failed or expected == _FULL) and parts[fault.part] != "ok":
            wrong.append(f"a disk that works is called {parts[fault.part]}")
        return wrong


def synced_again(found: list[strace.Call]) -> list[str]:
    """What was synced after a sync of it had failed: that would be believed, though the bytes may be gone."""
    failed, wrong = set[str](), list[str]()
    for call in found:
        if call.name in strace.SYNCS.split(","):
            if call.path in failed:
                wrong.append(f"{call.path} was synced again after that had failed")
            if call.injected:
                failed.add(call.path)
    return wrong


@asynccontextmanager
async def injecting(server: Traced, fault: Fault, when: int, log: Path) -> AsyncIterator[None]:
    """Make calls of one thread fail from now on, until the server ends."""
    with log.open("wb") as told:  # as strace's stderr, it is written line by line
        process = await asyncio.create_subprocess_exec(
            *(strace.COMMAND[0], "-yy", "-s", "0", "-e", "signal=none"),
            *("-p", str(server.threads[fault.thread]), "-e", f"trace={fault.calls}"),
            *("-e", f"inject={fault.calls}:error={fault.error}:when={when}"),
            stderr=told,
        )
    try:
        await asyncio.to_thread(_wait_for, "attached", log)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _wait_for(word: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while word not in log.read_text():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {word!r} from strace")
        time.sleep(0.01)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())
