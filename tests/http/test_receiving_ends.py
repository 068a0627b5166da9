"""A body that ends before its length: the server stops, the client goes, nobody wants the rest of it."""

import asyncio
import errno
import mmap
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import web

from safelight.server.connections import CountingRunner
from safelight.server.domain.uploads import Interrupted, Uploads
from safelight.server.routes import receiving
from safelight.server.routes.connection import Connection
from safelight.server.routes.receiving import MEMORY_BYTES
from tests.http.conftest import StartServer
from tests.http.test_process import make_certificate
from tests.http.test_receiving import until
from tests.support.raw_http import raw
from tests.support.uploads import creating, length

MIB = 1024 * 1024
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
Loop = Callable[[], asyncio.AbstractEventLoop]


async def test_what_arrives_while_the_server_stops_leaves_no_hole(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What aiohttp throws away, because a connection is to close, is missed: no later byte is taken in its place."""
    asked, go_on, arrived = asyncio.Event(), asyncio.Event(), [0]
    open_part, data_received = Uploads._open, Connection.data_received

    async def waiting(self: Uploads, upload: Any, *, hold_back: bool) -> Any:
        asked.set()
        await go_on.wait()
        return await open_part(self, upload, hold_back=hold_back)

    def noted(self: Connection, data: bytes) -> None:
        arrived[0] += len(data)
        data_received(self, data)

    server = await start_server()
    owner = await server.owner()
    monkeypatch.setattr(Uploads, "_open", waiting)
    monkeypatch.setattr(Connection, "data_received", noted)
    data = os.urandom(4 * MIB)
    arrived[0] = 0
    async with creating(owner, length(len(data)), data[:50_000]) as connection:
        await asked.wait()
        serving = server.runner.server
        assert serving is not None
        serving.pre_shutdown()
        await connection.send(data[50_000:100_000])
        await until(lambda: arrived[0] > 100_000)
        go_on.set()
        sending = asyncio.create_task(connection.send(data[100_000:]))
        await asyncio.wait([sending])
        connection.cut()
        await until(lambda: not any(handler._request_in_progress for handler in serving.connections))
    parts = [path.read_bytes() for path in (server.settings.data / "blobs" / "uploads").iterdir()]
    assert all(data.startswith(part) for part in parts)


@asynccontextmanager
async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], served: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve one handler on whatever loop runs; yields the port."""
    app = web.Application()
    app.router.add_post("/", handle)
    runner = CountingRunner(app, 10, (), 10, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served).start()
    yield runner.addresses[0][1]
    runner._shutdown_timeout = 0.1
    await runner.cleanup()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_goes_is_no_mistake(
    loop: Loop, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had come is given, and then it is said that the body broke off; on every loop, and through TLS."""
    monkeypatch.setattr(receiving, "_coming", set())
    served = trusted = None
    if secure:
        cert, key = make_certificate(tmp_path)
        served, trusted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=cert)
        served.load_cert_chain(cert, key)
    data = os.urandom(2 * MEMORY_BYTES + 12345)

    async def goes() -> None:
        met: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        came: list[bytes] = []

        async def take(request: web.Request) -> web.Response:
            try:
                async with aclosing(receiving.content(request, 10)) as chunks:
                    async for chunk in chunks:
                        came.append(bytes(chunk.data))
                        if chunk.taken:
                            chunk.taken()
            except BaseException as error:
                met.set_result(error)
                raise
            met.set_result(None)
            return web.Response()

        async with serving(take, served) as port:
            _, writer = await asyncio.open_connection("localhost", port, ssl=trusted)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + data)
            await writer.drain()
            await until(lambda: sum(map(len, came)) >= MEMORY_BYTES)
            writer.close()
            assert isinstance(await met, Interrupted)
        assert b"".join(came) == data
        assert not receiving._coming  # else they would count as a crowd, for ever

    with asyncio.Runner(loop_factory=loop) as running:
        running.run(goes())


def test_a_body_for_which_there_is_no_memory_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not begin is not counted among those that come, and the connection still knows its body."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def refused() -> None:
        async def take(request: web.Request) -> web.Response:
            with pytest.raises(OSError, match="memory"):
                await anext(receiving.content(request, 10))
            assert not receiving._coming
            while await request.content.readany():
                pass
            return web.Response(text="all of it was passed over")

        async with serving(take) as port, raw(f"http://127.0.0.1:{port}", "") as connection:
            await connection.request("POST", "/", length(len(body)), body)
            assert (await connection.final()).body == b"all of it was passed over"

    body = bytes(MIB)
    monkeypatch.setattr(receiving, "_coming", set())
    monkeypatch.setattr(receiving, "_free", [])
    monkeypatch.setattr(mmap, "mmap", none)
    asyncio.run(refused())


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_watches_a_body_that_is_over(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a client goes while it is answered about half a body, aiohttp tells nobody: no task waits for ever."""
    monkeypatch.setattr(receiving, "_coming", set())

    async def goes() -> None:
        begun = asyncio.Event()

        async def take(request: web.Request) -> web.Response:
            async with aclosing(receiving.content(request, 10)) as chunks:
                async for chunk in chunks:
                    if chunk.taken:
                        break
            begun.set()
            return web.Response(body=bytes(64 * MIB))

        async with serving(take) as port:
            before = asyncio.all_tasks()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(bytes(2 * MIB))
            await begun.wait()
            writer.transport.abort()
            await until(lambda: not any("start" in str(task.get_coro()) for task in asyncio.all_tasks() - before))
            assert asyncio.all_tasks() <= before
            assert not receiving._coming

    with asyncio.Runner(loop_factory=loop) as running:
        running.run(goes())
