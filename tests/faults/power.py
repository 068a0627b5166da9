"""Power loss: what a disk may hold after it, made from what it was sent, and whether a server keeps its word on that.

A disk keeps all that was written before its last flush. Of what it was sent since, any part may be there, in any order,
and a write may be torn between sectors of 4 KiB.
"""

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from safelight.server import data_folder
from safelight.server.app import build_app, runner_for
from safelight.server.settings import Settings
from tests.faults.client import Client, server_key_of
from tests.faults.machine import Traced, loop_mounted, recorded, run, served, tmpfs
from tests.faults.promises import Promise, Promises, check
from tests.faults.recorder import Flush, Write, read_log
from tests.support.api import Api
from tests.support.protocol import Blob, Link, Pairing, Writer, make_asset
from tools.ensure_program import find

# The database is checkpointed every few commits, so that its log is written over and over within one recording.
CHECKPOINTS = """
from safelight.server.stores import sqlite_writer
sqlite_writer.CHECKPOINT_AFTER_ROWS = 25
"""

IMAGE_SIZE_BYTES = 40 * 1024 * 1024
SECTOR_SIZE_BYTES = 4096


@dataclass(frozen=True)
class Recording:
    """A disk as it was at first, all that it was sent since, and what was promised meanwhile."""

    first: bytes
    sent: Sequence[tuple[int, Write | Flush]]
    promises: Promises


@dataclass(frozen=True)
class Crash:
    """What a disk may hold after the power went at *moment*; *kept* says how the *volatile* writes fared."""

    moment: int
    volatile: int
    kept: str
    image: bytes


async def record(folder: Path, *, seed: int, photos: int, mutant: str = "") -> Recording:
    """Let the real server work on a disk that is recorded, from its first start on."""
    image, log = folder / "disk", folder / "log"
    with tmpfs(folder / "memory", 4 * IMAGE_SIZE_BYTES) as memory:
        image, log = memory / "disk", folder / "log"
        with image.open("wb") as file:
            file.truncate(IMAGE_SIZE_BYTES)
        run(find("e2fsprogs") or "mke2fs", "-q", "-F", "-t", "ext4", "-b", str(SECTOR_SIZE_BYTES), image)
        first = image.read_bytes()
        promises = Promises(lambda: log.stat().st_size)
        with recorded(image, log), loop_mounted(image, folder / "mounted") as mounted:
            async with served(mounted / "data", mutant=CHECKPOINTS + mutant, folder=folder) as server:
                await work(server, promises, random.Random(seed), photos)
        return Recording(first, list(read_log(log)), promises)


async def work(server: Traced, promises: Promises, chance: random.Random, photos: int) -> None:
    """Two people's devices take photographs at once; links are opened, someone joins."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        client = Client(Api(server.url, http, await server_key_of(server.url, http)), promises)
        person = await client.join(server.data)
        writer = Writer(person, person.signer)
        await client.create_space(writer)
        api, signer = await client.api.pair_camera(writer, Pairing())
        camera = Client(api, promises, reader=writer.signer), Writer(person, signer, writer.ledger, writer.log)
        link = Link(Blob(chance.randbytes(500)))
        await client.api.publish(writer, link)
        someone = Client(Api(server.url, http, client.api.server_key), promises)
        await asyncio.gather(
            _photograph(client, writer, random.Random(chance.random()), photos),
            _photograph(*camera, random.Random(chance.random()), photos),
            client.open(writer.signer, writer.space_id, link, photos),
            someone.join(server.data),
        )


async def _photograph(client: Client, writer: Writer, chance: random.Random, photos: int) -> None:
    """Take photographs of all sizes in one request or several, some of them never finished."""
    signer, space_id = writer.signer, writer.space_id
    for number in range(photos):
        await client.commit(writer, writer.open_roll())
        blob = Blob(chance.randbytes(chance.choice((1, 3_000, 70_000, 400_000))))
        await client.upload(signer, space_id, blob.data, chance.choice((1, 1, 3)))
        await client.commit(writer, writer.add_assets(make_asset(blob)))
        if number % 3 == 0:
            await client.upload(signer, space_id, chance.randbytes(90_000), 3, whole=False)


def crashes(recording: Recording, states: int, seed: int) -> Iterator[Crash]:
    """Yield so many states, in the order of time: after a promise, before a flush, or anywhere."""
    chance = random.Random(seed)
    lengths = [length for length, _ in recording.sent]
    given = [bisect_right(lengths, moment) for moment, _ in recording.promises.given]
    flushes = [place for place, (_, sent) in enumerate(recording.sent) if isinstance(sent, Flush)]

    def anywhere() -> int:
        way = chance.choice(("promise", "promise", "flush", "flush", "anywhere"))
        if way == "anywhere":
            return chance.randrange(len(lengths) + 1)
        return chance.choice(flushes) if way == "flush" else chance.choice(given) + chance.choice((0, 0, 1, 2))

    places = sorted(anywhere() for _ in range(states))
    image, volatile, done = bytearray(recording.first), list[Write](), 0
    for place in places:
        for _, sent in recording.sent[done:place]:
            if isinstance(sent, Write):
                volatile.append(sent)
            else:
                _apply(image, volatile)
                volatile = []
        done = max(done, place)
        kept, writes = _some_of(volatile, chance)
        crashed = bytearray(image)
        _apply(crashed, writes)
        yield Crash(lengths[done - 1] if done else 0, len(volatile), kept, bytes(crashed))


def _apply(image: bytearray, writes: Sequence[Write]) -> None:
    for write in writes:
        image[write.offset_bytes : write.offset_bytes + len(write.data)] = write.data


def _some_of(volatile: Sequence[Write], chance: random.Random) -> tuple[str, list[Write]]:
    """What may be there of writes that were not flushed."""
    way = chance.choice(("nothing", "everything", "some", "some", "one", "all but one", "sectors", "sectors"))
    writes = list(volatile)
    if way in {"some", "sectors"}:
        pieces = [sector for write in writes for sector in _sectors(write)] if way == "sectors" else writes
        share = chance.random()
        writes = [piece for piece in pieces if chance.random() < share]
        chance.shuffle(writes)
    elif way == "nothing":
        writes = []
    elif writes and way in {"one", "all but one"}:
        place = chance.randrange(len(writes))
        writes = [writes[place]] if way == "one" else writes[:place] + writes[place + 1 :]
    return f"{way} of {len(volatile)}", writes


def _sectors(write: Write) -> Iterator[Write]:
    start, end = write.offset_bytes, write.offset_bytes + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR_SIZE_BYTES + 1) * SECTOR_SIZE_BYTES)
        yield Write(start, write.data[start - write.offset_bytes : stop - write.offset_bytes])
        start = stop


@dataclass
class Outcome:
    """How many states were tried, how many of them had lost writes to choose from, and what was wrong."""

    states: int = 0
    with_volatile: int = 0
    promises: int = 0
    wrong: list[str] = field(default_factory=list)


async def try_out(folder: Path, recording: Recording, states: int, seed: int, *, until_wrong: bool = False) -> Outcome:
    """Start the server on each state and ask for all that was promised by then."""
    outcome = Outcome()
    with tmpfs(folder / "memory", 2 * IMAGE_SIZE_BYTES) as memory:
        for crash in crashes(recording, states, seed):
            (memory / "disk").write_bytes(crash.image)
            promised = recording.promises.until(crash.moment)
            found = await _look(memory / "disk", folder / "mounted", promised)
            which = f"state {outcome.states} of seed {seed} at {crash.moment} ({crash.kept})"
            outcome.wrong += [f"{which}: {what}" for what in found]
            outcome.states += 1
            outcome.with_volatile += crash.volatile > 0
            outcome.promises += len(promised)
            if outcome.wrong and until_wrong:
                break
    return outcome


async def _look(image: Path, folder: Path, promised: Sequence[Promise]) -> list[str]:
    try:
        with loop_mounted(image, folder) as mounted:
            async with started(mounted / "data") as url:
                return await check(url, mounted / "data", promised)
    except Exception as error:  # noqa: BLE001 - a disk or a folder that cannot be used again is what we look for
        return [f"{type(error).__name__}: {error}"]


@asynccontextmanager
async def started(data: Path) -> AsyncIterator[str]:
    """The whole server in this process, over *data*: a process of its own would cost a second for each state."""
    settings = Settings(data=data, listen="127.0.0.1:0")
    with ExitStack() as held:
        secrets = held.enter_context(data_folder.opened(data, existing=False))
        runner = runner_for(build_app(settings, secrets, "http://127.0.0.1"), settings)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
