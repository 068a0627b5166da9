"""What the rows' code sees of an engine: a transaction that runs portable statements.

The code is written once, as coroutines over `Transaction`. PostgreSQL awaits in them; SQLite's writer runs them
to their end in its own thread without ever waiting.

In SQLite transactions follow one another. In PostgreSQL they run beside one another, of several processes too, and each
statement sees what others committed before it began: what is checked before it is written is locked first, by
`FOR UPDATE` where there is a row, else by `take_turns`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from safelight.server.stores.statements import Statement, Value

T = TypeVar("T")

# A row as the driver gives it; the code that names a statement knows its columns.
Found = tuple[Any, ...]


class Overtaken(Exception):
    """Another transaction came in between, which no lock can keep out: all of this one is to be done anew."""


class Reading(Protocol):
    """Statements that only read."""

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what the statement finds, or what it says to return of what it wrote."""
        ...

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Rows for all of *each*, which the statement names as `IN (:each)`; in no order, and none for an empty one."""
        ...


class Transaction(Reading, Protocol):
    """Statements that also write. What they write stands, or not, all together."""

    async def run_many(self, statement: Statement, rows: Iterable[Sequence[Value]]) -> None:
        """Run for each of *rows*, whose values stand in the order of the statement's names."""
        ...

    async def take_turns(self, name: bytes) -> None:
        """Wait until no other transaction holds *name*, and hold it until this one ends."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo what is written within, and only that, if it raises."""
        ...


Work = Callable[[Transaction], Awaitable[T]]
