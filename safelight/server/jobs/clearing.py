"""Who clears away: one at a time, in this process and in all others at the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from safelight.server.domain.leases import HeldElsewhere, Lease, Leases
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database

LEASE_S = 600.0
_LEASE = b"clearing away"
_DELETE_TIMEOUT_S = 200.0
_PAGE = 200


class Clearing:
    """The turn to clear away, and the one place where the bytes of blobs are deleted."""

    def __init__(self, database: Database, blobs: Blobs, leases: Leases) -> None:
        self._database = database
        self._blobs = blobs
        self._leases = leases
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Lease]:
        """Wait for whoever is at it here; raises HeldElsewhere where another process is."""
        async with self._turn, self._leases.held(_LEASE, wait_s=0) as lease:
            yield lease

    async def delete_forgotten(self, lease: Lease) -> int:
        """Delete the bytes of forgotten blobs, those of before a crash included; returns how many.

        Only while nobody else can be at it: *a process that froze, and deletes what was uploaded again since*.
        """
        count = 0
        while names := await self._database.forgotten_blobs(_PAGE):
            for name in names:
                if not lease.has_left(_DELETE_TIMEOUT_S):
                    return count
                async with asyncio.timeout(_DELETE_TIMEOUT_S):
                    await self._blobs.delete(name)
                await self._database.blob_is_gone(name)
            count += len(names)
        return count

    async def finish(self) -> None:
        """Delete the bytes of what was forgotten; nothing where another process is at it, which does the same."""
        with suppress(HeldElsewhere):
            async with self.alone() as lease:
                await self.delete_forgotten(lease)
