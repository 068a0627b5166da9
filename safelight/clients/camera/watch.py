"""Watching: a folder's new files go up as they come, for as long as nobody stops it.

The system tells of changes at once; a look at the whole folder now and then finds what it did not tell. A file that is
still being written is waited for. Lost networks, full disks and unmounted folders are waited out, and absence never
deletes anything anywhere.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from watchfiles import awatch

from safelight.clients.camera.outcomes import Listener, Outcome, Selection, Tally
from safelight.clients.camera.scan import FileStamp, Found
from safelight.sync_protocol.refusals import Code, Refused

SETTLE_S = 2.0
RESCAN_S = 300.0
# With nothing new for so long the roll is closed, and its keys forgotten.
REST_S = 60.0
_FIRST_PAUSE_S = 2.0
_MAX_PAUSE_S = 60.0

# What passes by itself, or by a hand at the server; everything else needs the person at this computer.
_WAITED_OUT = frozenset({
    Code.SERVER_UNREACHABLE, Code.SERVER_FAULT, Code.RATE_LIMITED, Code.TIMED_OUT, Code.STORAGE_FULL,
    Code.STORAGE_READ_ONLY, Code.STORAGE_UNAVAILABLE, Code.QUOTA_EXCEEDED, Code.UPLOAD_BUSY, Code.FILE_UNREADABLE,
})  # fmt: skip


class Pushes(Protocol):
    """What a watcher drives: `push.Pusher`."""

    async def push(self, folder: Path, selection: Selection | None = None) -> Tally:
        """Upload what is new and selected."""
        ...

    def close(self) -> None:
        """Close the roll."""


class WatchListener(Listener, Protocol):
    """Whoever shows how watching goes on."""

    def waiting(self, refusal: Refused, pause_s: float) -> None:
        """Something is in the way; the next try comes after a pause."""

    def rested(self) -> None:
        """All is up, and the folder is being watched."""


@dataclass(slots=True)
class _Seen:
    stamp: FileStamp
    since_s: float


class Settling:
    """Tells which files are still being written, and which are done with: uploaded or known, and unchanged since."""

    def __init__(self, *, settle_s: float = SETTLE_S, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock_s = clock_s
        self._changing: dict[str, _Seen] = {}
        self._done: set[bytes] = set()

    @property
    def waits(self) -> bool:
        """Whether some file was still changing when it was last looked at."""
        return bool(self._changing)

    def ready(self, found: Found) -> bool:
        """Whether *found* is to be pushed now: not done yet, and unchanged for a while."""
        if _trace(found) in self._done:
            return False
        key, now_s = str(found.path), self._clock_s()
        seen = self._changing.get(key)
        if seen is None or seen.stamp != found.stamp:
            age_s = time.time() - found.stamp.modified_ns / 1e9
            if age_s >= self._settle_s and seen is None:
                return True  # nobody has written to it for longer than that
            self._changing[key] = _Seen(found.stamp, now_s)
            return False
        return now_s - seen.since_s >= self._settle_s

    def done(self, found: Found) -> None:
        """Remember that *found*, as it is, needs no more work while this process runs."""
        self._changing.pop(str(found.path), None)
        self._done.add(_trace(found))

    def forget_vanished(self) -> None:
        """Wait no more for files that are gone."""
        self._changing = {path: seen for path, seen in self._changing.items() if Path(path).exists()}


def _trace(found: Found) -> bytes:
    return hashlib.blake2b(repr((str(found.path), found.stamp)).encode("utf-8", "replace"), digest_size=16).digest()


async def watch(
    folder: Path, opened: Callable[[], AbstractAsyncContextManager[Pushes]], listener: WatchListener
) -> None:
    """Push *folder* now and whenever something in it changes; returns never, ends by being cancelled.

    *opened* opens the camera; after whatever is waited out it is opened anew. Raises what no waiting cures, such as
    DEVICE_REVOKED.
    """
    settling = Settling()
    failures = 0
    while True:
        try:
            async with opened() as pusher:
                while True:
                    await _round(folder, pusher, listener, settling)
                    failures = 0
        except Refused as refusal:
            if refusal.code not in _WAITED_OUT:
                raise
            failures += 1
            pause_s = min(_FIRST_PAUSE_S * (1 << min(failures - 1, 10)), _MAX_PAUSE_S)
            listener.waiting(refusal, pause_s)
            await asyncio.sleep(pause_s)


async def _round(folder: Path, pusher: Pushes, listener: WatchListener, settling: Settling) -> None:
    """Push once, and wait for the next time."""
    tally = await pusher.push(folder, settling)
    settling.forget_vanished()
    if settling.waits:
        await asyncio.sleep(SETTLE_S)
        return
    if tally.counts[Outcome.UPLOADED] or tally.counts[Outcome.KNOWN]:
        listener.rested()
    if not await _changed_within(folder, REST_S):
        pusher.close()
        await _changed_within(folder, RESCAN_S)


async def _changed_within(folder: Path, seconds: float) -> bool:
    """Wait until something in the folder changes; False if nothing does for so long, or the folder is not there."""
    try:
        async with asyncio.timeout(seconds):
            changes = awatch(folder, watch_filter=None, debounce=400, step=100)
            async with contextlib.aclosing(changes):
                async for _ in changes:
                    return True
    except TimeoutError:
        return False
    except (OSError, RuntimeError):
        await asyncio.sleep(min(seconds, _MAX_PAUSE_S))
    return False
