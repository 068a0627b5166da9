"""Leases: what one of several processes at a database has to itself for as long as it needs it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from safelight.server.domain.ports.database import KeepsLeases
from safelight.sync_protocol.refusals import Code, Refused

_ASK_AGAIN_S = 0.1
# The time that passes while the machine sleeps counts, too: meanwhile the database gives the lease to another.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class HeldElsewhere(Refused):
    """Another process has it and did not let go."""

    def __init__(self) -> None:
        super().__init__(Code.UPLOAD_BUSY, "another server process has it")


class Lease:
    """Something that this process has, and until when that is certain, by its own running time."""

    def __init__(self) -> None:
        self.until_s = 0.0

    def has_left(self, seconds: float) -> bool:
        """Whether it stays ours for so long, even if this process freezes or loses the database now."""
        return _running_s() + seconds < self.until_s


def _running_s() -> float:
    return time.clock_gettime(_CLOCK)


class Leases:
    """Takes leases of *lasts_s* seconds, and renews them in time for as long as they are held."""

    def __init__(self, database: KeepsLeases, lasts_s: float) -> None:
        self._database = database
        self._lasts_s = lasts_s
        self._lasts_ms = int(lasts_s * 1000)

    @asynccontextmanager
    async def held(self, name: bytes, *, wait_s: float) -> AsyncIterator[Lease]:
        """Have *name* to this process alone; waits for another to let go, or to be dead. Raises HeldElsewhere.

        Whether it is lost meanwhile the lease itself says; the database takes no word of one who lost it.
        """
        lease = Lease()
        deadline = _running_s() + wait_s
        while (left_ms := await self._take(name, lease)) > 0:
            if _running_s() > deadline:
                raise HeldElsewhere
            await asyncio.sleep(min(_ASK_AGAIN_S, left_ms / 1000))
        renewing = asyncio.create_task(self._renew(name, lease))
        try:
            yield lease
        finally:
            renewing.cancel()
            try:
                # Not awaited itself: whoever is cancelled just now would take that for its end, and go on.
                await asyncio.wait([renewing])
            finally:
                with suppress(Refused):  # the database is away: it ends by itself
                    await self._database.release_lease(name)

    async def _take(self, name: bytes, lease: Lease) -> int:
        asked_s = _running_s()
        left_ms = await self._database.take_lease(name, self._lasts_ms)
        if left_ms == 0:
            lease.until_s = asked_s + self._lasts_s
        return left_ms

    async def _renew(self, name: bytes, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lasts_s / 3)
            asked_s = _running_s()
            with suppress(Refused):  # the database is away: asked again, until it is over
                # Never taken anew: *a process that froze, and goes on with what another did and let go of since*.
                if not await self._database.renew_lease(name, self._lasts_ms):
                    lease.until_s = 0.0
                    return
                lease.until_s = asked_s + self._lasts_s
