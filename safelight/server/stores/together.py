"""Lookups that wait together: one statement answers all that was asked for while the one before it ran.

Every answer is read after it was asked for, so nothing is remembered and what was revoked is never found again; but
sixty-four requests that come at once cost one way to the database and back instead of sixty-four.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class Together(Generic[V]):
    """Finds values by their keys with *read*, which is given distinct keys and returns those that are there."""

    def __init__(self, read: Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, V]]]) -> None:
        self._read = read
        self._waiting: dict[bytes, asyncio.Future[V | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key: bytes) -> V | None:
        """Return the value of *key* as it stands from now on, or None; raises what *read* raises."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._answer())
        return await asyncio.shield(answer)  # who goes away takes nobody else's answer along

    async def _answer(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                await self._answer_all(asked)
        finally:
            self._reading = None

    async def _answer_all(self, asked: Mapping[bytes, "asyncio.Future[V | None]"]) -> None:
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001 - whatever it is, someone waits for it, and others will ask again
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # seen, also where whoever asked has gone
            return
        for key, answer in asked.items():
            answer.set_result(found.get(key))
