"""Asking together: what comes while one question is under way goes together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[Q, A]):
    """One question, and whoever waits for its answer; the first answer counts."""

    asked: Q
    done: "asyncio.Future[A]"

    def answer(self, answer: A) -> None:
        """Answer it."""
        if not self.done.done():
            self.done.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """Raise *error* to whoever waits; an interruption ends the waiting.

        A mistake is raised as it is: taken for an interruption, it would end a file's upload without a word.
        """
        if not self.done.done():
            self.done.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())


class Gathering(Generic[Q, A]):
    """Gathers questions. *count* says how many of those that wait, from the front, go together; *work* answers them.

    What *work* raises reaches all of them. It begins *pause_s* after the first question came.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Waiting[Q, A]]], Awaitable[None]],
        count: Callable[[Sequence[Q]], int],
        *,
        pause_s: float = 0,
    ) -> None:
        self._do = work
        self._count = count
        self._pause_s = pause_s
        self._waiting: list[Waiting[Q, A]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """Return the answer to *question*; raises what came in its place."""
        done: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(question, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await done

    async def stop(self) -> None:
        """Give up what is under way, as when the process is interrupted."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        while self._waiting:
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
            count = self._count([waiting.asked for waiting in self._waiting])
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
            try:
                await self._do(batch)
            except BaseException as error:
                for waiting in batch:
                    waiting.fail(error)
                if not isinstance(error, Exception):
                    raise
