"""Clients that are slow, silent or too many are closed, and others do not notice."""

import asyncio
import os

import pytest

from tests.http.conftest import StartServer
from tests.support.protocol import Blob
from tests.support.raw_http import raw


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nX: "])
async def test_no_header(start_server: StartServer, sent: bytes) -> None:
    """A connection that brings no request, or half a header, is closed."""
    server = await start_server(header_timeout_s=1)
    async with raw(server.api.url) as connection:
        connection.writer.write(sent)
        assert await asyncio.wait_for(connection.reader.read(), 5) == b""


async def test_a_dripped_header(start_server: StartServer) -> None:
    """A header that comes byte by byte has no more time than one that does not come."""
    server = await start_server(header_timeout_s=1)
    async with raw(server.api.url) as connection:

        async def drip() -> None:
            while True:
                connection.writer.write(b"a")
                await asyncio.sleep(0.05)

        connection.writer.write(b"GET /health HTTP/1.1\r\nX: ")
        dripping = asyncio.create_task(drip())
        try:
            assert await asyncio.wait_for(connection.reader.read(), 5) == b""
        finally:
            dripping.cancel()


async def test_an_idle_connection(start_server: StartServer) -> None:
    """A connection that was used once and then says nothing is closed."""
    server = await start_server(header_timeout_s=1)
    async with raw(server.api.url) as connection:
        await connection.request("GET", "/health", {})
        assert (await connection.final()).status == 200
        assert await asyncio.wait_for(connection.reader.read(), 5) == b""


async def test_a_body_that_does_not_come(start_server: StartServer) -> None:
    """A request whose body stays out is refused in time."""
    server = await start_server(request_timeout_s=1)
    async with raw(server.api.url) as connection:
        headers = {"Content-Type": "application/json", "Content-Length": "100"}
        await connection.request("POST", "/v1/unlock/start", headers, b"{")
        assert (await asyncio.wait_for(connection.final(), 5)).status == 408


async def test_a_reader_that_does_not_read(start_server: StartServer) -> None:
    """A download that nobody takes is cut, and holds nothing up."""
    server = await start_server(stall_timeout_s=1)
    owner = await server.owner()
    blob = Blob(os.urandom(1024 * 1024) * 24)
    await owner.api.upload(owner.writer.space_id, blob)
    async with raw(server.api.url, owner.api.token) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{blob.name.hex()}", {})
        await asyncio.sleep(2)
        assert (await server.api.get("/health")).status == 200
        assert await connection.rest_size_bytes() < len(blob.data)


async def test_too_many_connections(start_server: StartServer) -> None:
    """One address holds so many connections; when it lets go of one it may have another."""
    server = await start_server(connections_per_address=3, trusted_proxies="")
    async with raw(server.api.url) as first, raw(server.api.url) as second, raw(server.api.url):
        for connection in (first, second):
            await connection.request("GET", "/health", {})
            assert (await connection.final()).status == 200
        async with raw(server.api.url) as refused:
            assert await refused.rest_size_bytes() == 0
        second.cut()
        await asyncio.sleep(0.05)
        async with raw(server.api.url) as again:
            await again.request("GET", "/health", {})
            assert (await again.final()).status == 200


async def test_others_do_not_notice(start_server: StartServer) -> None:
    """While 300 connections bring half a header, a request is answered."""
    server = await start_server(header_timeout_s=30)
    opened = await asyncio.gather(*(asyncio.open_connection(*server.runner.addresses[0][:2]) for _ in range(300)))
    for _, writer in opened:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
    assert (await asyncio.wait_for(server.api.get("/health"), 2)).status == 200
    for _, writer in opened:
        writer.transport.abort()
