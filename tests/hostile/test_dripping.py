"""A server that answers a byte at a time holds nobody: each answer has its time, and what hardly moves is cut."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.downloads import StoredFile, download_bytes
from safelight.clients.engine.files import file_context
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.stalls import Patience
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.sessions import Challenge, Session
from safelight.sync_protocol.padding import padme
from safelight.sync_protocol.records import RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe

IMPATIENT = Patience(stall_s=0.4, min_rate_bytes_s=100_000)
ONCE = Retries(attempts=1)
_EVERY_S = 0.02
_INFO = ServerInfo("1", 1, "", bytes(32), 2**20, 2**20)


@dataclass
class Dripping:
    """A server whose greeting and sessions are quick, and whose other answers drip."""

    url: str = ""
    head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
    pieces: list[bytes] | None = None
    takes_bodies: bool = True
    asked: int = 0
    slow: Callable[[bytes], bool] = field(default=lambda path: True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1]
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if self.takes_bodies or not self.slow(path):
                    await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
                quick = _QUICK.get(path)
                if quick is not None and not self.slow(path):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(quick) + quick)
                    await writer.drain()
                    continue
                self.asked += 1
                writer.write(self.head)
                for piece in itertools.repeat(b"X") if self.pieces is None else self.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(_EVERY_S)
                await asyncio.sleep(60)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


_QUICK = {
    b"/v1/server": msgspec.json.encode(_INFO),
    b"/v1/sessions/challenge": msgspec.json.encode(Challenge(bytes(32))),
    b"/v1/sessions": msgspec.json.encode(Session("token", 2**50)),
}


@asynccontextmanager
async def dripping(server: Dripping) -> AsyncIterator[Connection]:
    """Run *server*, and connect to it with little patience."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.serve(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    device = DeviceKey(bytes(16), bytes(32))
    try:
        async with Connection(
            f"http://127.0.0.1:{port}", device=device, retries=ONCE, patience=IMPATIENT
        ) as connection:
            yield connection
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _not_the_greeting(path: bytes) -> bool:
    return path not in _QUICK


def _ref(size_bytes: int) -> RenditionRef:
    return RenditionRef(
        RenditionName.ORIGINAL,
        bytes(16),
        bytes(32),
        floe.sealed_size_bytes(padme(size_bytes)),
        floe.seal_bytes(bytes(32), file_context(bytes(16), RenditionName.ORIGINAL, bytes(16)), b"")[
            : floe.HEADER_SIZE_BYTES
        ],
    )


async def _greeting(connection: Connection) -> None:
    await connection.server_info()


async def _json(connection: Connection) -> None:
    await connection.request("GET", "/v1/spaces", None, dict)


async def _feed(connection: Connection) -> None:
    await connection.fetch_frames("/v1/spaces/ab/log?after=0")


async def _blob(connection: Connection) -> None:
    await download_bytes(connection, StoredFile(bytes(32), bytes(16), _ref(900_000), bytes(32), 900_000))


async def _upload(connection: Connection) -> None:
    await upload_blob(connection, bytes(32), bytes(2_000_000), digest=bytes(32), size_bytes=2_000_000)


ASKED: dict[str, Callable[[Connection], Coroutine[object, object, None]]] = {
    "the greeting": _greeting,
    "an answer": _json,
    "a feed": _feed,
    "a blob": _blob,
    "an upload's answer": _upload,
}
_REFUSED = b"HTTP/1.1 403 No\r\nContent-Type: application/problem+json\r\n"
HEADS = {
    "a body without end": Dripping.head,
    "headers without end": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "a refusal without end": _REFUSED + b"Content-Length: 90000\r\n\r\n",
    "a status without end": b"HTTP/1.1 200 O",
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("asked", ASKED)
async def test_an_answer_that_drips(asked: str, head: str) -> None:
    """Whatever is asked for and however it drips, the attempt ends, as one that a network cut."""
    slow = (lambda path: True) if asked == "the greeting" else _not_the_greeting
    async with dripping(Dripping(head=HEADS[head], slow=slow)) as connection:
        started = time.monotonic()
        with pytest.raises(Refused) as refused:
            await asyncio.wait_for(ASKED[asked](connection), 8)
        assert refused.value.code is Code.SERVER_UNREACHABLE
        assert time.monotonic() - started < 6


async def test_a_slow_answer_is_taken() -> None:
    """Slow is not dripping: what comes at the least rate, or faster, is waited for, however long it takes in all."""
    answer = msgspec.json.encode({"x": "y" * 150_000})
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer)
    server = Dripping(head=head, pieces=[answer[at : at + 4000] for at in range(0, len(answer), 4000)])
    server.slow = _not_the_greeting
    async with dripping(server) as connection:
        started = time.monotonic()
        assert len((await connection.request("GET", "/v1/spaces", None, dict))["x"]) == 150_000
        assert time.monotonic() - started > IMPATIENT.stall_s


async def test_an_upload_that_is_taken_by_drips() -> None:
    """A server that takes hardly anything of a body, and says nothing, is left."""
    async with dripping(Dripping(takes_bodies=False, head=b"", pieces=[], slow=_not_the_greeting)) as connection:
        data = bytes(40_000_000)
        uploading = upload_blob(connection, bytes(32), data, digest=bytes(32), size_bytes=len(data))
        with pytest.raises(Refused) as refused:
            await asyncio.wait_for(uploading, 8)
        assert refused.value.code is Code.SERVER_UNREACHABLE


async def test_a_bell_whose_handshake_drips() -> None:
    """The bell gives up a handshake that never ends, and rings at the next server that answers."""
    server = Dripping(head=b"HTTP/1.1 101 Switching Protocols\r\nX: ", slow=_not_the_greeting)
    async with dripping(server) as connection:
        connection.retries = Retries(attempts=1, first_pause_s=0.01, max_pause_s=0.01)
        rings = connection.open_bell(bytes(32))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await anext(rings)
        await rings.aclose()
    assert server.asked >= 2
