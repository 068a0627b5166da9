"""Clearing away: sessions and invites whose time is over, uploads never finished, blobs that nothing names."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import structlog

from safelight.server.domain.clock import ServerClock
from safelight.server.domain.leases import HeldElsewhere, Lease
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.meter import Meter
from safelight.server.jobs.clearing import Clearing
from safelight.server.jobs.orphans import Orphans

_PAGE = 200
_log = structlog.get_logger("jobs")


@dataclass(frozen=True, slots=True)
class Expiry:
    """Clears away every *interval_s*. Blobs go only after *grace_s* unnamed, and while the clock can be trusted."""

    database: Database
    blobs: Blobs
    clock: ServerClock
    interval_s: int
    grace_s: int
    orphans: Orphans
    meter: Meter
    clearing: Clearing

    async def run_forever(self) -> None:
        """Clear away now and then; a failure is logged and tried again at the next turn."""
        while True:
            await asyncio.sleep(self.interval_s)
            started_s = time.monotonic()
            well = False
            try:
                await self.run_once()
                well = True
            except Exception:  # noqa: BLE001 - whatever failed, the next turn must come
                _log.exception("clearing away failed; it is tried again later")
            self.meter.job_ended("expiry", time.monotonic() - started_s, well=well)

    async def run_once(self) -> None:
        """Clear away what is due by now; nothing where another process is at it."""
        with suppress(HeldElsewhere):
            async with self.clearing.alone() as lease:
                await self._clear_away(lease)

    async def _clear_away(self, lease: Lease) -> None:
        now_ms = self.clock.now_ms()
        await self.database.delete_expired(now_ms)
        if not self.clock.may_purge():
            _log.warning("the clock jumped by more than a day: nothing is purged until it has been steady for one")
            return
        # *A clock set back before a start, for the time that links were over in*: only a steady one is remembered.
        await self.database.note_time(now_ms)
        uploads = await self._expire_uploads(now_ms)
        await self.orphans.forget(now_ms)
        blobs = await self._collect_blobs(now_ms - self.grace_s * 1000, lease)
        if uploads or blobs:
            _log.info("cleared away", uploads=uploads, blobs=blobs)
        if noted := await self.orphans.look(now_ms):
            _log.warning("the store holds blobs that are nobody's; they go after their grace", blobs=noted)

    async def _expire_uploads(self, now_ms: int) -> int:
        count = 0
        while uploads := await self.database.expired_uploads(now_ms, _PAGE):
            for upload in uploads:
                await self.blobs.discard(upload.upload_id)
                await self.database.delete_upload(upload.upload_id)
            count += len(uploads)
        return count

    async def _collect_blobs(self, before_ms: int, lease: Lease) -> int:
        """The row goes first: a crash in between leaves bytes without a row, never a row without its bytes."""
        while True:
            gone = 0
            for name in await self.database.collectable_blobs(before_ms, _PAGE):
                gone += await self.database.forget_blob(name, before_ms)
            if not gone:
                return await self.clearing.delete_forgotten(lease)
