"""Bells: whoever listens to a space hears that its log has grown. A hint; the feed is the truth.

What other processes at the same database commit is heard from the database.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """One listener at one space. Rings that it has not taken yet become one, the newest."""

    def __init__(self) -> None:
        self._number = 0
        self._rung = asyncio.Event()

    def ring(self, number: int) -> None:
        """Say that the log has reached *number*; whoever has heard that, or more, is not rung for it."""
        if number > self._number:
            self._number = number
            self._rung.set()

    async def wait(self) -> int:
        """Wait for the next ring and return the newest number."""
        await self._rung.wait()
        self._rung.clear()
        return self._number


class Bells:
    """The listeners of this process, by space."""

    def __init__(self) -> None:
        self._listeners: dict[bytes, set[Listener]] = {}

    @contextmanager
    def listening(self, space_id: bytes) -> Iterator[Listener]:
        """Listen to a space for as long as the block runs."""
        listener = Listener()
        listeners = self._listeners.setdefault(space_id, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(space_id, None)

    def spaces(self) -> list[bytes]:
        """Return the spaces that anyone listens to."""
        return list(self._listeners)

    def ring(self, space_id: bytes, number: int) -> None:
        """Tell every listener of a space that its log has reached *number*."""
        for listener in self._listeners.get(space_id, ()):
            listener.ring(number)
