"""Leases by the clock of the one who holds them."""

import time

import pytest

from safelight.server.domain.leases import Lease, Leases


class _Lender:
    async def take_lease(self, _name: bytes, _lasts_ms: int) -> int:
        return 0

    async def release_lease(self, _name: bytes) -> None:
        pass


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has two clocks for this")
async def test_a_machine_that_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """*A server that wakes up and deletes what was uploaded again since*: what ran out in its sleep, it has no more."""
    slept_s = 0.0
    gettime = time.clock_gettime

    def after_sleep(clock: int) -> float:
        return gettime(clock) + (slept_s if clock == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime", after_sleep)
    async with Leases(_Lender(), 600).held(b"clearing away", wait_s=0) as lease:
        assert isinstance(lease, Lease)
        assert lease.has_left(200)
        slept_s = 3600.0
        assert not lease.has_left(200)
