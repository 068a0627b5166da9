"""Stored blobs hashed again, those that need it most first, and what was found noted as it goes.

First those that were bad the last time, then those never checked, then those checked longest ago. Whenever it is
stopped, what was checked stays noted, so that the next run goes on where this one ended.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.checks import CheckedBlob, DueBlob
from safelight.server.domain.ports.database import Database
from safelight.server.upkeep.bad_blobs import look_again
from safelight.server.upkeep.events import Event, Progress
from safelight.server.upkeep.pace import Pace

WORKERS = 2  # the disk reads for one while the other is hashed; more would be felt by those who use the server
_PAGE = 512
_GROUP_BLOBS = 64
_GROUP_BYTES = 8 * 1024 * 1024
_TELL_S = 0.5
_NOTE_S = 2.0

_Group = list[DueBlob]


@dataclass
class Rehash:
    """One run over at most `limit` blobs last checked before `before_ms`, of `total`; `checked` counts up."""

    database: Database
    blobs: Blobs
    now_ms: Milliseconds
    pace: Pace
    before_ms: int
    limit: int
    total: int
    checked: int = 0
    _well: list[CheckedBlob] = field(default_factory=list)
    _noted_s: float = 0

    async def events(self) -> AsyncGenerator[Event, None]:
        """Hash what is due."""
        async for page in self._due():
            working: dict[asyncio.Task[list[bool]], _Group] = {}
            groups = _groups(page)
            try:
                while groups or working:
                    while groups and len(working) < WORKERS:
                        group = groups.pop(0)
                        names = [blob.name for blob in group]
                        working[asyncio.create_task(self.blobs.verify_each(names, self.pace.after_read))] = group
                    done, _ = await asyncio.wait(working, timeout=_TELL_S, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        for name in self._take(working.pop(task), task.result()):
                            finding = await look_again(self.database, self.blobs, name, self.now_ms)
                            if finding is not None:
                                yield finding
                    await self._note(_NOTE_S)
                    yield Progress("hashing", self.checked, self.total, self.pace.read_bytes)
            finally:
                if working:
                    self.pace.stop()
                    await asyncio.gather(*working, return_exceptions=True)
                await self._note()

    def _take(self, group: _Group, verified: Sequence[bool]) -> list[bytes]:
        """Count a group; returns the blobs that did not verify."""
        self.checked += len(group)
        found = list(zip(group, verified, strict=True))
        self._well += [CheckedBlob(blob.name, "") for blob, well in found if well]
        return [blob.name for blob, well in found if not well]

    async def _note(self, every_s: float = 0) -> None:
        now_s = time.monotonic()
        if self._well and now_s - self._noted_s >= every_s:
            well, self._well = self._well, []
            await self.database.note_checks(well, self.now_ms())
            self._noted_s = now_s

    async def _due(self) -> AsyncIterator[list[DueBlob]]:
        """Pages of what is due, each noted before the next is asked for: what is noted now is due no more."""
        for more in (self.database.bad_blobs, self.database.unchecked_blobs):
            after = b""
            while (left := self.limit - self.checked) > 0 and (page := await more(after, min(_PAGE, left))):
                after = page[-1].name
                yield page
        while (left := self.limit - self.checked) > 0:
            page = await self.database.long_unchecked_blobs(self.before_ms, min(_PAGE, left))
            if not page:
                return
            yield page


def _groups(page: Sequence[DueBlob]) -> list[_Group]:
    """What one thread hashes in one go: a large blob, or many small ones."""
    groups: list[_Group] = []
    size_bytes = _GROUP_BYTES
    for blob in page:
        if size_bytes + blob.size_bytes > _GROUP_BYTES or len(groups[-1]) == _GROUP_BLOBS:
            groups.append([])
            size_bytes = 0
        groups[-1].append(blob)
        size_bytes += blob.size_bytes
    return groups
