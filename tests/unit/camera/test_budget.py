"""Budgets: never exceeded, never starving, never refusing for size."""

import asyncio
import random

from safelight.clients.camera.budget import Budget


async def test_it_is_never_exceeded() -> None:
    """Whatever is asked for in whatever order, no more than the budget is held at once, but by one alone."""
    budget, chance, held = Budget(100), random.Random(3), []
    together: list[int] = []

    async def one(wanted: int) -> None:
        async with budget.take(wanted):
            together.append(wanted)
            held.append((sum(together), len(together)))
            await asyncio.sleep(0)
            together.remove(wanted)

    await asyncio.gather(*(one(chance.randrange(0, 140)) for _ in range(200)))
    assert all(total <= 100 or count == 1 for total, count in held)
    assert max(total for total, _ in held) > 100


async def test_a_large_one_is_not_held_up_by_small_ones() -> None:
    """Turns are kept: those who come later do not pass one that waits for room."""
    budget, order = Budget(10), []

    async def one(name: str, wanted: int) -> None:
        async with budget.take(wanted):
            order.append(name)
            await asyncio.sleep(0.001)

    await asyncio.gather(one("a", 6), one("large", 10), *(one("small", 1) for _ in range(5)))
    assert order[:2] == ["a", "large"]


async def test_one_who_gives_up_waiting_holds_nothing() -> None:
    """A task that is cancelled while it waits leaves the budget as it was."""
    budget = Budget(10)
    async with budget.take(10):
        waiting = asyncio.create_task(budget.take(5).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with asyncio.timeout(1), budget.take(10):
        pass
