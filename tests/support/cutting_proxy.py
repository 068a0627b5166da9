"""A network that cuts: passes bytes both ways, and breaks connections where a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class CuttingProxy:
    """Where clients connect. Each of *cuts* breaks one connection once so many bytes came from the client over it."""

    url: str = ""
    cuts: list[int] = field(default_factory=list)
    done: int = 0
    sent_bytes: int = 0


@asynccontextmanager
async def cutting_proxy(upstream: str, cuts: list[int]) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of *upstream*."""
    target = urlsplit(upstream)
    proxy = CuttingProxy(cuts=cuts)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(target.hostname, target.port)

        async def downward() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
                await writer.drain()

        async def upward() -> None:
            passed = 0
            while data := await reader.read(65536):
                if proxy.cuts and passed + len(data) >= proxy.cuts[0]:
                    up_writer.write(data[: proxy.cuts.pop(0) - passed])
                    await up_writer.drain()
                    proxy.done += 1
                    return
                passed += len(data)
                proxy.sent_bytes += len(data)
                up_writer.write(data)
                await up_writer.drain()

        tasks = [asyncio.create_task(downward()), asyncio.create_task(upward())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (writer, up_writer):
                each.transport.abort()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
    finally:
        server.close()
        await asyncio.sleep(0.05)
