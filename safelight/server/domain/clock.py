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

    Time never falls, and never stands still: while the machine's clock is behind what was said before, time goes on at
    half the speed, so that whatever ends by time still ends, and the clock catches up.

    After a jump of more than 24 hours against the machine's running time, or since the last time stored, nothing may be
    purged until the clock has been steady for 24 hours, and for *grace_s* where that is longer: a wrong clock must not
    make old what is new, nor a day old what should be kept for seven.
    """

    def __init__(self, wall: Milliseconds, monotonic: Milliseconds, highest_stored_ms: int, grace_s: int = 0) -> None:
        self._wall = wall
        self._monotonic = monotonic
        now, running = wall(), monotonic()
        self._said_ms = highest_stored_ms
        self._said_when_ms = running
        self._grace_ms = max(_JUMP_MS, grace_s * 1000)
        self._offset_ms = now - running
        jumped = highest_stored_ms > 0 and abs(now - highest_stored_ms) > _JUMP_MS
        self._steady_since_ms = running if jumped else None

    def now_ms(self) -> int:
        """Server time: never lower than before, nor than what was stored."""
        now, running = self._wall(), self._monotonic()
        slow = self._said_ms + (running - self._said_when_ms) // 2
        if now >= slow:
            self._said_ms, self._said_when_ms = now, running
        return max(now, slow)

    def is_about_now(self, time_ms: int, difference_ms: int) -> bool:
        """Whether a time is so near to now, as server time or the machine's clock has it.

        A clock that was a year ahead once leaves server time ahead for long, and honest clocks are right meanwhile.
        """
        return any(abs(time_ms - now_ms) <= difference_ms for now_ms in (self.now_ms(), self._wall()))

    def may_purge(self) -> bool:
        """Whether the clock has been steady for long enough to delete by it."""
        running = self._monotonic()
        offset = self._wall() - running
        if abs(offset - self._offset_ms) > _JUMP_MS:
            self._steady_since_ms = running
        self._offset_ms = offset
        return self._steady_since_ms is None or running - self._steady_since_ms > self._grace_ms
