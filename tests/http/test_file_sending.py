"""Large blobs go from file to socket: every byte, in order, with ranges and pipelines, and never a byte too many."""

import asyncio
import os
import socket
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from safelight.server.domain.downloads import ASK_AGAIN_SIZE_BYTES, CHUNK_SIZE_BYTES
from safelight.server.routes import file_sending
from safelight.server.routes.file_sending import PIECE_SIZE_BYTES, FileSending
from tests.http.conftest import Owner, Server, StartServer
from tests.support.protocol import Blob
from tests.support.raw_http import raw

DATA = os.urandom(2 * ASK_AGAIN_SIZE_BYTES + PIECE_SIZE_BYTES + 4321)


@pytest.fixture
def sent_from_files(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call of `sendfile` took."""
    sizes: list[int] = []
    send_some = file_sending._send_some

    def counted(connection: int, file: int, start: int, size_bytes: int) -> int | None:
        sent = send_some(connection, file, start, size_bytes)
        sizes.append(sent or 0)
        return sent

    monkeypatch.setattr(file_sending, "_send_some", counted)
    return sizes


@pytest.fixture
async def path(owner: Owner) -> str:
    """A large blob's path."""
    await owner.api.upload(owner.writer.space_id, Blob(DATA))
    return f"{owner.space}/blobs/{Blob(DATA).name.hex()}"


def open_files() -> int:
    """How many files this process, and so the server, has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def open_copies(path: Path) -> int:
    """How often this process, and so the server, has the file open."""
    return sum(
        1 for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and os.path.realpath(link) == str(path)
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, len(DATA)),
        (0, CHUNK_SIZE_BYTES + 1),
        (1, PIECE_SIZE_BYTES + 2),
        (ASK_AGAIN_SIZE_BYTES - 1, 2 * ASK_AGAIN_SIZE_BYTES + 1),
        (len(DATA) - CHUNK_SIZE_BYTES - 1, len(DATA)),
    ],
)
async def test_ranges(owner: Owner, path: str, sent_from_files: list[int], start: int, end: int) -> None:
    """What is asked for arrives, all of it from the file."""
    answer = await owner.api.get(path, Range=f"bytes={start}-{end - 1}")
    assert answer.body == DATA[start:end]
    for _ in range(100):  # the last piece is counted after it has gone
        if sum(sent_from_files) >= end - start:
            break
        await asyncio.sleep(0.02)
    assert sum(sent_from_files) == end - start


async def test_small_parts_are_written(owner: Owner, path: str, sent_from_files: list[int]) -> None:
    """For a small part one write is cheaper."""
    answer = await owner.api.get(path, Range=f"bytes=5-{4 + CHUNK_SIZE_BYTES}")
    assert answer.body == DATA[5 : 5 + CHUNK_SIZE_BYTES]
    assert not sent_from_files


async def test_one_connection_goes_on(server: Server, owner: Owner, path: str) -> None:
    """Answers before and after a large one stand in their order, also when all are asked for at once."""
    small = f"{path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {owner.api.token}\r\n"
    async with raw(server.api.url, owner.api.token) as connection:
        await connection.send(
            f"GET {small}Range: bytes=0-9\r\n\r\nGET {small}\r\nGET {small}Range: bytes=3-7\r\n\r\n".encode()
        )
        bodies = [(await asyncio.wait_for(connection.final(), 30)).body for _ in range(3)]
    assert bodies == [DATA[:10], DATA, DATA[3:8]]


async def test_a_reader_that_pauses(server: Server, owner: Owner, sent_from_files: list[int]) -> None:
    """A reader that takes nothing for a while gets all the rest afterwards."""
    data = os.urandom(1024 * 1024) * 24
    await owner.api.upload(owner.writer.space_id, Blob(data))
    async with raw(server.api.url, owner.api.token) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{Blob(data).name.hex()}", {})
        await asyncio.sleep(0.5)
        assert sum(sent_from_files) < len(data)
        assert (await asyncio.wait_for(connection.final(), 30)).body == data


async def test_many_read_at_once(owner: Owner, path: str) -> None:
    """More readers than threads all get theirs."""
    answers = await asyncio.gather(*(owner.api.get(path) for _ in range(12)))
    assert all(answer.body == DATA for answer in answers)


async def test_a_file_that_became_shorter(server: Server, owner: Owner) -> None:
    """What is no longer there is not made up: the answer is cut off, and the server goes on."""
    data = os.urandom(1024 * 1024) * 24
    await owner.api.upload(owner.writer.space_id, Blob(data))
    name = Blob(data).name.hex()
    async with raw(server.api.url, owner.api.token) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{name}", {})
        assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
        os.truncate(server.settings.data / "blobs" / name[:2] / name, len(data) - 1)
        assert await connection.rest_size_bytes() < len(data)
    assert (await server.api.get("/health")).status == 200


async def test_readers_that_go_away(server: Server, owner: Owner, path: str) -> None:
    """Nothing stays open of connections that were cut in the middle."""
    async with raw(server.api.url, owner.api.token) as connection:
        await connection.request("GET", path, {"Range": "bytes=0-9"})
        await connection.final()
    before = open_files()
    for _ in range(8):
        async with raw(server.api.url, owner.api.token) as connection:
            await connection.request("GET", path, {})
            await connection.reader.readexactly(1000)
            connection.cut()
    for _ in range(100):
        if open_files() <= before:
            break
        await asyncio.sleep(0.05)
    assert open_files() <= before


async def test_readers_that_close_their_half(start_server: StartServer) -> None:
    """*Readers beyond the limit of connections*: who says that no request will follow holds nothing for long."""
    server = await start_server(connections_per_address=3, trusted_proxies="")
    owner = await server.owner()
    data = os.urandom(1024 * 1024) * 24
    await owner.api.upload(owner.writer.space_id, Blob(data))
    name = Blob(data).name.hex()
    stored = server.settings.data / "blobs" / name[:2] / name
    async with AsyncExitStack() as readers:
        for _ in range(8):
            connection = await readers.enter_async_context(raw(server.api.url, owner.api.token))
            await connection.request("GET", f"{owner.space}/blobs/{name}", {})
            assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
            connection.writer.write_eof()
            await asyncio.sleep(0.05)
        for _ in range(100):
            if not open_copies(stored):
                break
            await asyncio.sleep(0.05)
        assert not open_copies(stored)


async def test_a_thread_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Another's file under the same number*: cancelled again and again, it ends after the thread."""
    goes_on, ended = threading.Event(), threading.Event()

    def slow(*_: int) -> int:
        goes_on.wait(10)
        ended.set()
        return 1

    monkeypatch.setattr(file_sending, "_send_some", slow)
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "file").open("w+b") as file:
        sending = FileSending(cast("web.Request", SimpleNamespace(transport=object())), os.dup(ours.fileno()))
        task = asyncio.create_task(sending.send(file.fileno(), 0, 1, 1))
        await asyncio.sleep(0.05)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.05)
        assert not task.done()
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
        sending.close()
