"""The control socket: commands of the same machine's operator to the running server, as lines of JSON.

Most are answered by one line. Those that take long answer by many, as they go; whoever stops reading stops them.

Whoever may write in the data folder may use it; nobody else reaches it.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Command = Callable[[], Awaitable[dict[str, Any]]]
Stream = Callable[[Any], AsyncGenerator[bytes, None]]  # what was requested: lines, each one JSON document
_MAX_PATH_LENGTH = 100
_MAX_LINE_BYTES = 1024 * 1024
_TIMEOUT_S = 10


class NotRunning(Exception):
    """No server answers at the socket."""


@asynccontextmanager
async def serving(
    path: Path, commands: Mapping[str, Command], streams: Mapping[str, Stream] | None = None
) -> AsyncIterator[None]:
    """Answer *commands* and *streams* at the socket for as long as the block runs."""
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                question = json.loads(await reader.readline())
            if stream := (streams or {}).get(question.get("command")):
                await _tell(reader, writer, stream(question.get("request")), answering)
                return
            async with asyncio.timeout(_TIMEOUT_S):
                command = commands.get(question.get("command"))
                reply = await command() if command else {"error": "unknown command"}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError, AttributeError):
            pass  # whoever asks so is told nothing
        finally:
            writer.close()

    _remove(path)
    with _short_path(path) as short:
        server = await asyncio.start_unix_server(answer, short)
    try:
        yield
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await server.wait_closed()
        _remove(path)


async def ask(path: Path, command: str) -> dict[str, Any]:
    """Ask the running server; raises NotRunning."""
    reader, writer = await _connect(path)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            writer.write(json.dumps({"command": command}).encode() + b"\n")
            await writer.drain()
            reply: dict[str, Any] = json.loads(await reader.readline())
            return reply
    finally:
        writer.close()


async def _tell(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    lines: AsyncGenerator[bytes, None],
    answering: set[asyncio.Task[None]],
) -> None:
    """Write *lines* until they end, the reader goes away, or the server stops."""

    async def write() -> None:
        async with aclosing(lines):
            async for line in lines:
                writer.write(line + b"\n")
                await writer.drain()

    writing, gone = asyncio.create_task(write()), asyncio.create_task(reader.read())
    answering.add(writing)
    try:
        await asyncio.wait([writing, gone], return_when=asyncio.FIRST_COMPLETED)
    finally:
        answering.discard(writing)
        writing.cancel()
        gone.cancel()
        await asyncio.gather(writing, gone, return_exceptions=True)


async def follow(path: Path, command: str, request: Any) -> AsyncGenerator[bytes, None]:
    """Ask the running server for something that it tells as it goes, and yield its lines; raises NotRunning."""
    reader, writer = await _connect(path)
    try:
        writer.write(json.dumps({"command": command, "request": request}).encode() + b"\n")
        await writer.drain()
        while line := await reader.readline():
            yield line
    finally:
        writer.close()


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        with _short_path(path) as short:
            return await asyncio.open_unix_connection(short, limit=_MAX_LINE_BYTES)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning from None


def _remove(path: Path) -> None:
    """Remove the socket of a server that was killed, or our own. The folder it lies in is its owner's alone."""
    with suppress(FileNotFoundError):
        path.unlink()


class _short_path:  # noqa: N801 - used like a function
    """The socket's path, or a short name for it where it is longer than sockets take."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _MAX_PATH_LENGTH:
            return str(self._path)
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)
