"""Throttling: so many attempts at once for one name, link or address, and one more given back after a while."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from safelight.sync_protocol.refusals import Code, Refused

_MAX_KEYS = 100_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at_ms: int


class TooSoon(Refused):
    """RATE_LIMITED, and after how long to try again."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(Code.RATE_LIMITED, f"try again in {wait_s} seconds")
        self.wait_s = wait_s


class Throttle:
    """Buckets of attempts, one a key. An attempt is taken before it is judged and given back when it was right.

    Taking first keeps a hundred guesses sent at once from being judged before the first of them counts.
    """

    def __init__(self, burst: int, refill_s: int, now_ms: Callable[[], int]) -> None:
        self._burst = burst
        self._refill_ms = max(1, refill_s * 1000)
        self._now_ms = now_ms
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def take(self, key: bytes) -> None:
        """Take one attempt; raises TooSoon when none is left."""
        bucket = self._bucket(key)
        if bucket.left < 1:
            raise TooSoon(int((1 - bucket.left) * self._refill_ms / 1000) + 1)
        bucket.left -= 1

    def give_back(self, key: bytes) -> None:
        """Give back an attempt that was right."""
        bucket = self._bucket(key)
        bucket.left = min(self._burst, bucket.left + 1)

    def _bucket(self, key: bytes) -> _Bucket:
        now = self._now_ms()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at_ms) / self._refill_ms)
        bucket.at_ms = now
        self._buckets[key] = bucket
        if len(self._buckets) > _MAX_KEYS:
            # The one untouched for longest is the fullest: forgetting it forgives the least.
            self._buckets.popitem(last=False)
        return bucket
