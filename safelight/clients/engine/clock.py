"""The machine's clock, as an argument: whoever needs the time takes a `Clock`."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def now_ms() -> int:
    """Return the milliseconds since 1970-01-01 UTC by this machine's clock."""
    return time.time_ns() // 1_000_000
