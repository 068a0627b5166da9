"""Doing several things at once, where one failure ends all of them and is raised as itself."""

import asyncio
from collections.abc import Coroutine, Iterable


async def all_of(work: Iterable[Coroutine[object, object, object]]) -> None:
    """Run everything in *work* at once; the first failure cancels the rest and is raised, not a group of failures."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
