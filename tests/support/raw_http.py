"""HTTP by hand: for interim responses, cut connections, and requests that no client library would send."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    """One response, interim or final."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class RawConnection:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self.reader = reader
        self.writer = writer
        self._token = token

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request's header, and the *body* or the first part of it."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Authorization: Bearer {self._token}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        """Send more of the body."""
        self.writer.write(data)
        await self.writer.drain()

    async def response(self) -> Response:
        """Read the next response, interim ones included."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
        length = int(headers.get("content-length", "0")) if status >= 200 and status != 204 else 0
        return Response(status, headers, await self.reader.readexactly(length) if length else b"")

    async def final(self) -> Response:
        """Read up to the final response."""
        while (response := await self.response()).status < 200:
            pass
        return response

    async def rest_size_bytes(self) -> int:
        """Read until the server ends or cuts the connection; returns how much came."""
        size_bytes = 0
        with suppress(ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(65536), 10):
                size_bytes += len(piece)
        return size_bytes

    def cut(self) -> None:
        """Cut the connection, as when a phone loses its network."""
        transport = self.writer.transport
        transport.abort()


@asynccontextmanager
async def raw(url: str, token: str = "", *, taken_ahead_bytes: int | None = None) -> AsyncIterator[RawConnection]:
    """Open a connection to *url*; the system takes as much ahead of the reader as it likes, or about so many bytes."""
    split = urlsplit(url)
    if taken_ahead_bytes is None:
        reader, writer = await asyncio.open_connection(split.hostname, split.port)
    else:
        connection = socket.socket()  # before it is connected: so much is offered to the server
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taken_ahead_bytes)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (split.hostname, split.port))
        reader, writer = await asyncio.open_connection(sock=connection)
    try:
        yield RawConnection(reader, writer, token)
    finally:
        writer.transport.abort()
