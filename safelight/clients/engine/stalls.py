"""How long to wait for the network: what hardly moves counts as cut, however often another byte comes.

*An answer that drips* would else hold a client for ever: each byte would be a sign of life.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from safelight.clients.engine.answers import ConnectionCut

T = TypeVar("T")

Body = AsyncIterator[bytes | memoryview]

# An upload's answer may wait for a disk; a server that goes on saying "in a moment" is left after so many stalls.
_ANSWER_STALLS = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the network may take: *stall_s* at rest, and else at least *min_rate_bytes_s*."""

    stall_s: float = 60
    min_rate_bytes_s: float = 4096

    def seconds_for(self, size_bytes: int) -> float:
        """Return how long so many bytes may take in all."""
        return self.stall_s + size_bytes / self.min_rate_bytes_s


class Moving:
    """A body that knows when the network last took a piece of it."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._moved_s = asyncio.get_running_loop().time()
        self._ended = False

    async def pieces(self) -> Body:
        """Yield the body's pieces as they are asked for."""
        async for piece in self._body:
            self._moved_s = asyncio.get_running_loop().time()
            yield piece
        self._moved_s = asyncio.get_running_loop().time()
        self._ended = True

    def stands_still(self, max_stall_s: float) -> bool:
        """Whether nothing was taken for so long; after the end, whether there is no answer for far longer."""
        limit_s = max_stall_s * (_ANSWER_STALLS if self._ended else 1)
        return asyncio.get_running_loop().time() - self._moved_s > limit_s


async def unless_stalled(sending: Coroutine[Any, Any, T], body: Moving, max_stall_s: float) -> T:
    """Return what *sending* returns; ConnectionCut if its *body* stands still for *max_stall_s*."""
    task = asyncio.create_task(sending)
    try:
        while not (await asyncio.wait({task}, timeout=max_stall_s / 4))[0]:
            if body.stands_still(max_stall_s):
                raise ConnectionCut(f"nothing was taken for {max_stall_s:.0f} seconds")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


class SteadyReader:
    """A stream whose every stretch must come in its time."""

    def __init__(self, stream: aiohttp.StreamReader, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    async def readexactly(self, n: int, /) -> bytes:
        """Return exactly *n* bytes; ConnectionCut if they come too slowly, IncompleteReadError if they end before."""
        try:
            async with asyncio.timeout(self._patience.seconds_for(n)):
                return await self._stream.readexactly(n)
        except TimeoutError:
            raise ConnectionCut("it sends too slowly") from None
