"""The control socket: commands of the same machine's operator to the running server, as lines of JSON.

Whoever may write in the data folder may use it; nobody else reaches it.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Command = Callable[[], Awaitable[dict[str, Any]]]
_MAX_PATH_LENGTH = 100
_TIMEOUT_S = 10


class NotRunning(Exception):
    """No server answers at the socket."""


@asynccontextmanager
async def serving(path: Path, commands: dict[str, Command]) -> AsyncIterator[None]:
    """Answer *commands* at the socket for as long as the block runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                question = json.loads(await reader.readline())
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
        await server.wait_closed()
        _remove(path)


async def ask(path: Path, command: str) -> dict[str, Any]:
    """Ask the running server; raises NotRunning."""
    try:
        with _short_path(path) as short:
            reader, writer = await asyncio.open_unix_connection(short)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning from None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            writer.write(json.dumps({"command": command}).encode() + b"\n")
            await writer.drain()
            reply: dict[str, Any] = json.loads(await reader.readline())
            return reply
    finally:
        writer.close()


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
