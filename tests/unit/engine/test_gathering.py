"""Asking together: whatever becomes of the question, whoever asked hears of it."""

import asyncio
from collections.abc import Sequence

import pytest

from safelight.clients.engine.gathering import Gathering, Waiting
from safelight.sync_protocol.refusals import Code, Refused


@pytest.mark.parametrize("failure", [Refused(Code.TIMED_OUT), IndexError("a mistake"), asyncio.CancelledError()])
async def test_failures_reach_who_asked(failure: BaseException) -> None:
    """A refusal and a mistake arrive as they are; after either, the next question is answered."""
    failing = [failure]

    async def work(batch: Sequence[Waiting[int, int]]) -> None:
        if failing:
            raise failing.pop()
        for waiting in batch:
            waiting.answer(waiting.asked + 1)

    gathering = Gathering(work, len)
    with pytest.raises(type(failure)):
        await gathering.ask(1)
    assert await gathering.ask(1) == 2


async def test_a_mistake_is_no_interruption() -> None:
    """*A file that is passed over without a word*: a task group takes an interrupted task for one that ended well."""

    async def work(_: Sequence[Waiting[int, int]]) -> None:
        raise ZeroDivisionError

    gathering = Gathering(work, len)

    async def ask_twice() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(gathering.ask(1))
            group.create_task(gathering.ask(2))

    with pytest.raises(ExceptionGroup) as raised:
        await ask_twice()
    assert {type(error) for error in raised.value.exceptions} == {ZeroDivisionError}
