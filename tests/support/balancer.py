"""What stands before several servers: each connection goes to the next one that takes it; nothing sticks to any."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Balancer:
    """Where clients connect, and how many connections each server took."""

    servers: list[str]
    url: str = ""
    taken: dict[str, int] = field(default_factory=dict)
    next: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        with suppress(OSError):
            up_reader, up_writer = await self._connect()
            try:
                await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
            finally:
                up_writer.transport.abort()
        writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Try each server once, beginning with the next."""
        for _ in self.servers:
            server = self.servers[self.next % len(self.servers)]
            self.next += 1
            address = urlsplit(server)
            with suppress(OSError):
                connected = await asyncio.open_connection(address.hostname, address.port)
                self.taken[server] = self.taken.get(server, 0) + 1
                return connected
        raise OSError("no server takes connections")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(256 * 1024):
        writer.write(data)
        await writer.drain()
    raise ConnectionError("one side ended")


@contextmanager
def balancer(*servers: str) -> Iterator[Balancer]:
    """Run a balancer before *servers* in a thread of its own."""
    running = Balancer(list(servers))
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        listener = await asyncio.start_server(running.serve, "127.0.0.1", 0)
        running.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        listener.close()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield running
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
