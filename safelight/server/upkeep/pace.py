"""No faster than it may, and ended when it is told: what threads that read for hours ask after every piece."""

import threading
import time


class Stopped(Exception):
    """Whoever asked for it wants no more."""


class Pace:
    """Counts what several threads read together; `rate_bytes` a second, or as fast as it goes where that is 0."""

    def __init__(self, rate_bytes: int) -> None:
        self.read_bytes = 0
        self._rate_bytes = rate_bytes
        self._lock = threading.Lock()
        self._due_s = time.monotonic()
        self._stopped = False

    def after_read(self, size_bytes: int) -> float:
        """Count what was read; returns how long to wait before reading on. Raises Stopped after `stop`."""
        if self._stopped:
            raise Stopped
        with self._lock:
            self.read_bytes += size_bytes
            if not self._rate_bytes:
                return 0
            now_s = time.monotonic()
            # What was not used of the rate for more than a second is not made up for later.
            self._due_s = max(self._due_s, now_s - 1) + size_bytes / self._rate_bytes
            return max(0.0, self._due_s - now_s)

    def stop(self) -> None:
        """End everyone at their next piece."""
        self._stopped = True
