"""A network that does what networks do: cuts, stalls, truncates what comes back, and sends a request twice or late."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_REPEATED_SIZE_BYTES = 1 << 20


_WAYS = ("cut", "stall", "truncate", "repeat", "reorder")


@dataclass
class BadNetwork:
    """Where clients connect. While it is *bad*, every connection ends badly after some bytes, as *chance* draws."""

    chance: random.Random
    bad: bool = True
    url: str = ""
    done: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    def draw(self) -> tuple[str, int]:
        """How the next connection ends, and after how many of its bytes."""
        self.connections += 1
        return self.chance.choice(_WAYS), self.chance.randrange(300, 400_000)


@asynccontextmanager
async def bad_network(upstream: str, seed: int) -> AsyncIterator[BadNetwork]:
    """Run it in front of *upstream*."""
    target, network = urlsplit(upstream), BadNetwork(random.Random(seed))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way, limit = network.draw()
        up_reader, up_writer = await asyncio.open_connection(target.hostname, target.port)
        sent, over = bytearray(), asyncio.Event()

        async def upward() -> None:
            passed = 0
            while data := await reader.read(65536):
                if network.bad and passed + len(data) > limit:
                    if way in {"cut", "stall"}:
                        up_writer.write(data[: limit - passed])
                        await up_writer.drain()
                        network.done[way] += 1
                        await asyncio.sleep(2 if way == "stall" else 0)
                        return
                    over.set()
                passed += len(data)
                sent.extend(data[: max(0, _REPEATED_SIZE_BYTES - len(sent))])
                up_writer.write(data)
                await up_writer.drain()

        async def downward() -> None:
            while data := await up_reader.read(65536):
                if over.is_set():  # the request arrived whole; of its answer half does, or nothing
                    network.done[way] += 1
                    writer.write(data[: len(data) // 2] if way == "truncate" else b"")
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()

        await _until_one_ends(upward, downward)
        for each in (writer, up_writer):
            each.transport.abort()
        if over.is_set() and way != "truncate":
            # All of it comes once more: at once, or behind what the client sends meanwhile.
            await asyncio.sleep(0.2 if way == "reorder" else 0)
            await _again(target.hostname or "", target.port or 0, bytes(sent))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        network.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield network
    finally:
        server.close()
        await asyncio.sleep(0.1)


async def _until_one_ends(*ways: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(way()) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again(host: str, port: int, sent: bytes) -> None:
    """Send once more what a connection carried, whole requests and half ones, and take no notice of the answers."""
    with suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.timeout(1):
                writer.write(sent)
                await writer.drain()
                await reader.read(1)
        finally:
            writer.transport.abort()
