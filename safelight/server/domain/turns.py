"""Turns at an upload, within one process: the newest request goes on, and those before it are cut off.

A client that comes again has given its last connection up, whether the server has noticed or not. So a request does
not wait until an older one has run into a timeout. It cuts it off, waits until what had arrived is durable, and then
has the upload to itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class CutOff(Exception):
    """A newer request came before this one had its turn; it must do nothing more."""


@dataclass(slots=True, eq=False)
class _Turn:
    cut: Callable[[], None] | None
    is_cut: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    """Who is at which upload, and who waits for it, in the order in which they came."""

    def __init__(self) -> None:
        self._lines: dict[bytes, list[_Turn]] = {}

    @asynccontextmanager
    async def taken(self, upload_id: bytes, cut: Callable[[], None] | None) -> AsyncIterator[None]:
        """Have the upload alone, after everyone who came before; those that can be cut off are.

        *cut* cuts this request's connection, at once or when it is older than another. None: it is quick, and is let
        finish. Raises CutOff where a newer request came while this one waited.
        """
        line = self._lines.setdefault(upload_id, [])
        before = list(line)
        mine = _Turn(cut)
        line.append(mine)
        try:
            for older in before:
                if older.cut is not None and not older.is_cut:
                    older.is_cut = True
                    older.cut()
            for older in before:
                await older.over.wait()
            if mine.is_cut:
                raise CutOff
            yield
        finally:
            line.remove(mine)
            mine.over.set()
            if not line:
                del self._lines[upload_id]

    def give_way(self, upload_id: bytes) -> None:
        """Cut off whoever is at the upload and can be, because the newest request is at another process."""
        for turn in self._lines.get(upload_id, ()):
            if turn.cut is not None and not turn.is_cut:
                turn.is_cut = True
                turn.cut()
