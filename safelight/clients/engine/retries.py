"""Bounded retries: pauses that double, with chance in them so that many clients do not come back at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

MAX_WISHED_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often to try, and how long to pause: *first_pause_s*, doubled each time, at most *max_pause_s*."""

    attempts: int = 6
    first_pause_s: float = 0.25
    max_pause_s: float = 8.0

    def pause_s(self, failures: int, *, wished_s: float = 0.0) -> float:
        """Return the pause after so many *failures*: between half of it and all of it, or what the server wished."""
        full = min(self.first_pause_s * (1 << min(failures - 1, 30)), self.max_pause_s)
        # Chance spreads clients out and guards nothing.
        spread = full * (0.5 + random.random() / 2)  # noqa: S311
        return max(spread, min(wished_s, MAX_WISHED_PAUSE_S))

    async def pauses(self) -> AsyncIterator[int]:
        """Yield the attempt's number from 1, pausing before every one but the first, and end after the last."""
        for attempt in range(1, self.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(self.pause_s(attempt - 1))
            yield attempt
