"""Large bodies go past aiohttp's parser: nothing around them is lost, confused, or taken for something else."""

import asyncio
import errno
import io
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from safelight.server.connections import CountingRunner
from safelight.server.routes import receiving
from safelight.server.routes.connection import Connection
from safelight.server.routes.receiving import MEMORY_BYTES, Receiving
from safelight.server.stores.blob_part import Part, Piece
from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, StartServer
from tests.http.test_process import make_certificate
from tests.support.protocol import sha256
from tests.support.raw_http import RawConnection
from tests.support.uploads import CUT_OFF, create, creating, held, length, offset_of, patch

MIB = 1024 * 1024
HEALTH = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
SIZES = [64 * 1024, 300_000, MEMORY_BYTES - 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 4097, 9 * MIB]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Receiving]:
    """The bodies that went past the parser."""
    seen: list[Receiving] = []
    begin = Receiving.__init__

    def noted(self: Receiving, *arguments: Any) -> None:
        begin(self, *arguments)
        seen.append(self)

    monkeypatch.setattr(Receiving, "__init__", noted)
    return seen


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that begins to write when it is let."""
    go_on = threading.Event()
    write = Part.write

    def waiting(self: Part, pieces: Sequence[Piece]) -> None:
        go_on.wait()
        write(self, pieces)

    monkeypatch.setattr(Part, "write", waiting)
    yield go_on
    go_on.set()


async def until(happens: Callable[[], bool]) -> None:
    """Wait for something inside the server, which tells nobody."""
    while not happens():  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.01)


async def stored(connection: RawConnection, data: bytes) -> None:
    """See that the next response says that *data* is stored."""
    answer = await connection.final()
    assert answer.status == 200, answer
    assert sha256(data).hex().encode() in answer.body


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_a_body_and_the_request_behind_it(owner: Owner, begun: list[Receiving], size_bytes: int) -> None:
    """Requests that follow a body at once, in the same packet, are answered in their turn, and so is a second body."""
    first, second = os.urandom(size_bytes), os.urandom(size_bytes)
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    async with creating(owner, length(size_bytes)) as connection:
        sending = asyncio.create_task(connection.send(first + HEALTH + HEALTH))
        await stored(connection, first)
        assert [(await connection.final()).status for _ in range(2)] == [200, 200]
        await sending
        await connection.request("POST", path, {"Upload-Complete": "?1", **length(size_bytes)}, second)
        await stored(connection, second)
        await connection.send(HEALTH)
        assert (await connection.final()).status == 200
    assert begun or size_bytes < MIB  # a small one may have come whole before it is asked for
    assert await held(owner, first)
    assert await held(owner, second)


async def test_bodies_go_to_disk_past_the_cache(
    owner: Owner, begun: list[Receiving], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a body is written from is whole pages from its first byte on, whatever the parser had before."""
    kinds: list[tuple[type, int]] = []
    write = Part._write

    def noted(self: Part, pieces: Sequence[Piece]) -> None:
        kinds.extend((type(piece), len(piece)) for piece in pieces)
        write(self, pieces)

    monkeypatch.setattr(Part, "_write", noted)
    monkeypatch.setattr(receiving, "_LOOK_S", 60.0)  # a busy machine is no slow client
    data = os.urandom(4 * MIB)
    assert (await create(owner, data, Upload_Complete="?1")).status == 200
    assert begun
    assert kinds == [(memoryview, MEMORY_BYTES)] * 4


async def test_limits_hold_behind_a_body(owner: Owner, begun: list[Receiving]) -> None:
    """The parser that goes on is as strict as the one before."""
    data = os.urandom(2 * MIB)
    for wrong in (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"G\x00T / HTTP/1.1\r\n\r\n"):
        async with creating(owner, length(len(data)), data) as connection:
            await stored(connection, data)
            await connection.send(wrong)
            assert (await connection.final()).status == 400
            assert await connection.rest_size_bytes() == 0
    assert begun


async def test_what_nobody_reads_is_no_request(
    owner: Owner, begun: list[Receiving], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is refused half way holds requests: it is passed over, and only what follows the body is answered.

    *Requests smuggled in a body*: whoever can choose what another uploads must not speak in that one's name.
    """

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Part, "write", full)
    data = os.urandom(MIB) + HEALTH * (11 * MIB // len(HEALTH))
    async with creating(owner, length(len(data))) as connection:
        sending = asyncio.create_task(connection.send(data + HEALTH))
        assert (await connection.final()).status == 507
        await sending
        assert (await connection.final()).status == 200
        connection.writer.write_eof()
        assert await connection.rest_size_bytes() == 0
    assert begun


async def test_passing_over_is_what_keeps_them_apart(
    owner: Owner, begun: list[Receiving], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: a connection that forgets how much is left takes the body for requests."""
    take_back = Connection.take_body_back
    monkeypatch.setattr(Connection, "take_body_back", lambda self, _: take_back(self, 0))
    with pytest.raises(AssertionError):
        await test_what_nobody_reads_is_no_request(owner, begun, monkeypatch)


async def test_many_at_once_share_memory_and_mix_nothing(owner: Owner, begun: list[Receiving]) -> None:
    """Memory goes from one body to the next, and every body is stored as it was sent."""
    bodies = [os.urandom(2 * MIB + number) for number in range(24)]
    for answer in await asyncio.gather(*(create(owner, body, Upload_Complete="?1") for body in bodies)):
        assert answer.status == 200
    assert all(await asyncio.gather(*(held(owner, body) for body in bodies)))
    assert len(begun) > 12
    assert len(receiving._free) <= receiving._KEPT


@pytest.mark.parametrize("step_bytes", [10_000, 120_000, 230_000])
async def test_a_slow_body_is_kept_as_it_comes(owner: Owner, begun: list[Receiving], step_bytes: int) -> None:
    """What arrived of a body is told when it is durable, though it never fills a piece of memory."""
    data = os.urandom(3 * MIB)
    async with creating(owner, {**length(len(data)), "Upload-Draft-Interop-Version": "8"}, data[:70_000]) as connection:
        upload = (await connection.response()).headers["location"]
        await until(lambda: bool(begun))
        for start in range(70_000, 70_000 + 12 * step_bytes, step_bytes):
            await connection.send(data[start : start + step_bytes])
            await asyncio.sleep(0.7)
        told = int((await connection.response()).headers["upload-offset"])
    assert 70_000 < told < len(data)
    offset = await offset_of(owner, upload)
    assert offset is not None
    assert offset >= told
    assert (await patch(owner, upload, offset, data[offset:])).as_(BlobStored).name == sha256(data).hex()


@pytest.mark.parametrize(("crowd", "held_pieces"), [(16, 4), (0, 1)])
async def test_nothing_more_is_read_than_memory_takes(
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    begun: list[Receiving],
    held_up: threading.Event,
    crowd: int,
    held_pieces: int,
) -> None:
    """A sender that is faster than the disk waits: a few pieces of memory are full or being written, and one fills.

    Where many send at once, it is one piece of each.
    """
    monkeypatch.setattr(receiving, "_CROWD", crowd)
    monkeypatch.setattr(receiving, "_LOOK_S", 60.0)  # a busy machine is no slow client
    data = os.urandom(24 * MIB)
    async with creating(owner, length(len(data))) as connection:
        sending = asyncio.create_task(connection.send(data))
        await until(lambda: bool(begun) and begun[0]._paused)
        left_bytes = begun[0]._unread_bytes
        await asyncio.sleep(0.5)
        assert begun[0]._unread_bytes == left_bytes
        assert len(data) - left_bytes == held_pieces * MEMORY_BYTES
        held_up.set()
        await stored(connection, data)
        await sending


@pytest.mark.parametrize(("crowd", "crowd_then"), [(16, 16), (0, 0), (16, 0), (0, 16)])
async def test_waiting_for_the_disk_is_no_standing_still(
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    begun: list[Receiving],
    held_up: threading.Event,
    crowd: int,
    crowd_then: int,
) -> None:
    """A client is not cut off for sending nothing while nothing is read of it, however long the disk takes.

    It is read again afterwards, also where meanwhile many more began to send, or ended.
    """
    looked = list[bool]()
    arrives = Receiving._arrives

    async def noted(self: Receiving, timeout_s: float) -> bool:
        looked.append(await arrives(self, timeout_s))
        return looked[-1]

    monkeypatch.setattr(receiving, "_CROWD", crowd)
    monkeypatch.setattr(receiving, "_LOOK_S", 60.0)  # a busy machine is no slow client
    monkeypatch.setattr(Receiving, "_arrives", noted)
    data = os.urandom(12 * MIB)
    async with creating(owner, length(len(data))) as connection:
        sending = asyncio.create_task(connection.send(data))
        await until(lambda: bool(begun) and begun[0]._paused and not begun[0]._full and begun[0]._arrival is not None)
        begun[0]._arrived_s -= 3600
        looked.clear()
        monkeypatch.setattr(receiving, "_LOOK_S", 0.01)
        begun[0]._wake()
        await until(lambda: looked[1:3] == [False] * 2 or begun[0]._ended)
        monkeypatch.setattr(receiving, "_LOOK_S", 60.0)
        monkeypatch.setattr(receiving, "_CROWD", crowd_then)
        held_up.set()
        await stored(connection, data)
        await sending


async def test_stopping_does_not_wait_for_a_body(start_server: StartServer, begun: list[Receiving]) -> None:
    """A server that stops ends the bodies that are on their way."""
    server = await start_server()
    owner = await server.owner()
    async with creating(owner, length(4 * MIB), os.urandom(MIB)) as connection:
        await until(lambda: bool(begun))
        server.runner._shutdown_timeout = 0.1
        async with asyncio.timeout(30):  # and not the 60 s that a body may stand still
            await server.runner.cleanup()
        with suppress(*CUT_OFF):  # it may be told that it took too long, or the connection ends before that
            assert (await connection.final()).status == 408
        assert await connection.rest_size_bytes() == 0


async def test_through_tls(start_server: StartServer, tmp_path: Path, begun: list[Receiving]) -> None:
    """Through TLS bodies come the same way, one after another over one connection."""
    cert, key = make_certificate(tmp_path)
    served, trusted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=cert)
    served.load_cert_chain(cert, key)
    server = await start_server()
    owner = await server.owner()
    await web.TCPSite(server.runner, "127.0.0.1", 0, ssl_context=served).start()
    url = f"https://localhost:{server.runner.addresses[-1][1]}/v1/blobs?space={owner.writer.space_id.hex()}"
    headers = {"Authorization": f"Bearer {owner.api.token}", "Upload-Complete": "?1"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, ssl=trusted)) as http:
        for size_bytes in SIZES:
            data = os.urandom(size_bytes)
            async with http.post(url, data=io.BytesIO(data), headers=headers) as answer:
                assert (answer.status, (await answer.json())["name"]) == (200, sha256(data).hex())
    assert len(begun) >= 3


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_on_every_loop(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    """The loop of asyncio itself reads in another way than uvloop, and both give the body whole."""

    async def whole() -> None:
        async def take(request: web.Request) -> web.Response:
            chunks = []
            async for chunk in receiving.content(request, 10):
                chunks.append(bytes(chunk.data))
                if chunk.taken:
                    chunk.taken()
            return web.Response(text=sha256(b"".join(chunks)).hex())

        app = web.Application()
        app.router.add_post("/", take)
        runner = CountingRunner(app, 10, (), 10, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
            for size_bytes in SIZES:
                data = os.urandom(size_bytes)
                async with http.post(f"http://127.0.0.1:{runner.addresses[0][1]}/", data=io.BytesIO(data)) as answer:
                    assert await answer.text() == sha256(data).hex()
        await runner.cleanup()

    with asyncio.Runner(loop_factory=loop) as running:
        running.run(whole())
