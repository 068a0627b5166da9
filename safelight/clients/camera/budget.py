"""Budgets: how many bytes may be in memory, or in the spool, at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Budget:
    """An amount that tasks share; who asks for more than is left waits.

    Whoever asks for more than all of it waits until it is alone: nothing is refused for its size, and nothing starves.
    """

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._used = 0
        self._changed = asyncio.Condition()
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def take(self, wanted: int) -> AsyncIterator[None]:
        """Hold *wanted* of the budget inside the block."""
        # Turns are kept in order, so that many small ones cannot hold up a large one for ever.
        async with self._turn, self._changed:
            await self._changed.wait_for(lambda: self._used == 0 or self._used + wanted <= self._amount)
            self._used += wanted
        try:
            yield
        finally:
            self._used -= wanted
            async with self._changed:
                self._changed.notify_all()
