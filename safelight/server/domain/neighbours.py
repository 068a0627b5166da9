"""Neighbours: other processes at the same database. What they commit rings the bells of this one as well.

And an upload that goes on at one of them is let go of here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from safelight.server.domain.bells import Bells
from safelight.server.domain.ports.database import KeepsSpaces
from safelight.server.domain.uploads import Uploads
from safelight.sync_protocol.refusals import Refused

_ASK_AGAIN_S = 1.0


class Neighbours:
    """Hears what the database tells, and asks it for what was missed. The port `Hears`."""

    def __init__(self, database: KeepsSpaces, bells: Bells, uploads: Uploads) -> None:
        self._database = database
        self._bells = bells
        self._uploads = uploads
        self._missed = asyncio.Event()

    def log_grew(self, space_id: bytes, number: int) -> None:
        """Ring for who listens here."""
        self._bells.ring(space_id, number)

    def wanted(self, name: bytes) -> None:
        """Let go of an upload that is wanted elsewhere."""
        self._uploads.give_way(name)

    def missed_something(self) -> None:
        """Ask soon how far the logs have come."""
        self._missed.set()

    @asynccontextmanager
    async def listened_to(self) -> AsyncIterator[None]:
        """Catch up with what was missed for as long as the block runs."""
        task = asyncio.create_task(self._catch_up())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _catch_up(self) -> None:
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                for space_id in self._bells.spaces():
                    space = await self._database.space(space_id)
                    self._bells.ring(space_id, space.number if space else 0)
            except Refused:  # the database is away, again
                self._missed.set()
                await asyncio.sleep(_ASK_AGAIN_S)
