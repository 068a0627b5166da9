"""Leases by the clock of the one who holds them, and how they are let go."""

import asyncio
import time

import pytest

from safelight.server.domain.leases import Lease, Leases


class _Lender:
    def __init__(self) -> None:
        self.taken, self.released = asyncio.Event(), asyncio.Event()

    async def take_lease(self, _name: bytes, _lasts_ms: int) -> int:
        self.taken.set()
        return 0

    async def renew_lease(self, _name: bytes, _lasts_ms: int) -> bool:
        return True

    async def release_lease(self, _name: bytes) -> None:
        self.released.set()


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


async def test_who_is_cancelled_while_it_lets_go() -> None:
    """*A server that never stops*: a job's cancellation was taken for the end of the renewing, and it began anew."""
    lender, go_on = _Lender(), asyncio.Event()

    async def holding() -> None:
        async with Leases(lender, 60).held(b"something", wait_s=0):
            await go_on.wait()

    task = asyncio.create_task(holding())
    await lender.taken.wait()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.sleep(0)  # it has left the block, and waits for the renewing to end
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lender.released.is_set()
