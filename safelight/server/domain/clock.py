"""Server time: the later of the clock and the highest time stored, so that a clock set back revives nothing."""

import time
from collections.abc import Callable

_JUMP_MS = 24 * 60 * 60 * 1000
Milliseconds = Callable[[], int]


def wall_ms() -> int:
    """The machine's clock, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds that never go backwards, from an arbitrary start."""
    return time.monotonic_ns() // 1_000_000


class ServerClock:
    """Server time, and whether it may be trusted to delete by.

    After a jump of more than 24 hours against the machine's running time, or since the last time stored, nothing may be
    purged until the clock has been steady for 24 hours: a wrong clock must not make old what is new.
    """

    def __init__(self, wall: Milliseconds, monotonic: Milliseconds, highest_stored_ms: int) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._highest_ms = highest_stored_ms
        now = wall()
        self._offset_ms = now - monotonic()
        jumped = highest_stored_ms > 0 and abs(now - highest_stored_ms) > _JUMP_MS
        self._steady_since_ms = monotonic() if jumped else None

    def now_ms(self) -> int:
        """Server time: never lower than before, nor than what was stored."""
        self._highest_ms = max(self._highest_ms, self._wall())
        return self._highest_ms

    def may_purge(self) -> bool:
        """Whether the clock has been steady for long enough to delete by it."""
        running = self._monotonic()
        offset = self._wall() - running
        if abs(offset - self._offset_ms) > _JUMP_MS:
            self._steady_since_ms = running
        self._offset_ms = offset
        return self._steady_since_ms is None or running - self._steady_since_ms > _JUMP_MS
