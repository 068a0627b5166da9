"""A full disk: a tmpfs of a few MB under the real server, filled and emptied while it is used.

While nothing fits any more, everything that writes is refused as a full disk's, everything that reads goes on; when
there is room again, everything works without a restart, and what was promised at any time is there.
"""

import os
import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.faults.client import Client, Refusal, server_key_of
from tests.faults.machine import Traced, served, tmpfs
from tests.faults.power import CHECKPOINTS, started
from tests.faults.promises import Promises, Stored, check
from tests.support.api import Api
from tests.support.protocol import Blob, Writer, make_asset

# All that forty rounds can store has room besides: else there would be none again without the filler.
SIZE_BYTES = 12 * 1024 * 1024
_FULL = (507, "storage-full")
# What is left free in a round: nothing, a page, less than an upload, some uploads and not their rows.
_LEFT_BYTES = (0, 0, 4096, 20_000, 150_000, 400_000)


@dataclass
class Outcome:
    """How often the disk was full and what it refused, and what was wrong."""

    rounds: int = 0
    refused: int = 0
    stored: int = 0
    wrong: list[str] = field(default_factory=list)


class FullDisk:
    """One server on one small disk."""

    def __init__(self, folder: Path, seed: int, mutant: str = "") -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._mutant = mutant
        self._promises = Promises()
        self.outcome = Outcome()

    async def run(self, rounds: int) -> Outcome:
        """Fill the disk and make room again so many times; then start anew and look for all that was promised."""
        with tmpfs(self._folder / "disk", SIZE_BYTES) as disk:
            options = ("--ready-free-bytes", "300000")
            async with (
                served(disk / "data", *options, mutant=CHECKPOINTS + self._mutant, folder=self._folder) as server,
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            ):
                api = Api(server.url, http, await server_key_of(server.url, http))
                await self._use(server, Client(api, self._promises), rounds)
            (disk / "filler").unlink(missing_ok=True)
            async with started(disk / "data") as url:
                self.outcome.wrong += await check(url, disk / "data", self._promises.until(0))
        self.outcome.stored = sum(isinstance(promise, Stored) for _, promise in self._promises.given)
        return self.outcome

    async def _use(self, server: Traced, client: Client, rounds: int) -> None:
        person = await client.join(server.data)
        writer = Writer(person, person.signer)
        await client.create_space(writer)
        await client.commit(writer, writer.open_roll())
        await self._photograph(client, writer, 1000)
        filler = server.data.with_name("filler")
        for _ in range(rounds):
            _fill(filler, self._chance.choice(_LEFT_BYTES))
            await self._when_full(client, writer)
            filler.unlink()
            await self._when_there_is_room(client, writer)
            self.outcome.rounds += 1

    async def _when_full(self, client: Client, writer: Writer) -> None:
        """Send photographs and entries until the disk refused five times, in turn with reading."""
        client.refusals.clear()
        while len(client.refusals) < 5:
            with suppress(Refusal):
                await self._photograph(client, writer, self._chance.choice((3_000, 100_000, 700_000)))
            await self._read(client, writer)
            # However full the disk is, an entry either gets its slot and its receipt, or leaves no trace.
            with suppress(Refusal):
                await client.commit(writer, writer.open_roll())
        told = {(refusal.status, refusal.code) for refusal in client.refusals}
        self.outcome.refused += len(client.refusals)
        self.outcome.wrong += [f"{refusal} was told of a full disk" for refusal in sorted(told - {_FULL})]

    async def _when_there_is_room(self, client: Client, writer: Writer) -> None:
        """It works again at once; refusals now are the server's mistake."""
        try:
            await client.commit(writer, writer.open_roll())
            await self._photograph(client, writer, 3_000)
        except Refusal as refusal:
            self.outcome.wrong.append(f"with room again: {refusal}")

    async def _photograph(self, client: Client, writer: Writer, size_bytes: int) -> None:
        blob = Blob(self._chance.randbytes(size_bytes))
        await client.upload(writer.signer, writer.space_id, blob.data, self._chance.choice((1, 3)))
        await client.commit(writer, writer.add_assets(make_asset(blob)))

    async def _read(self, client: Client, writer: Writer) -> None:
        """The log and one of the photographs."""
        space = f"/v1/spaces/{writer.space_id.hex()}"
        stored = self._chance.choice([each for _, each in self._promises.given if isinstance(each, Stored)])
        for path in (f"{space}/log", f"{space}/blobs/{Blob(stored.data).name.hex()}", "/health"):
            answer = await client.api.get(path)
            if answer.status != 200:
                self.outcome.wrong.append(f"reading {path} on a full disk: {answer.status} {answer.body!r}")


def _fill(filler: Path, left_bytes: int) -> None:
    """Write until nothing fits, then give *left_bytes* back."""
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(65536))
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.ftruncate(file.fileno(), max(0, file.tell() - left_bytes))
