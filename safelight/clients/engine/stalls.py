"""Uploads that stand still: a network that takes no more bytes, and says nothing, counts as cut after a while."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from safelight.clients.engine.answers import ConnectionCut

T = TypeVar("T")

Body = AsyncIterator[bytes | memoryview]


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
        self._ended = True

    def stands_still(self, max_stall_s: float) -> bool:
        """Whether nothing was taken for so long; waiting for the answer after the end does not count."""
        return not self._ended and asyncio.get_running_loop().time() - self._moved_s > max_stall_s


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
