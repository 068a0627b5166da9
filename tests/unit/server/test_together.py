"""Lookups that wait together: one read for all, and never an answer from before the question."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from safelight.server.stores.together import Together


class Table:
    """Rows that are read slowly, so that others ask meanwhile."""

    def __init__(self, **rows: str) -> None:
        self.rows = {key.encode(): value for key, value in rows.items()}
        self.reads: list[list[bytes]] = []
        self.reading = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def read(self, keys: Sequence[bytes]) -> Mapping[bytes, str]:
        """Read *keys* as they stand, then wait for the gate."""
        self.reads.append(list(keys))
        found = {key: self.rows[key] for key in keys if key in self.rows}
        self.reading.set()
        await self.gate.wait()
        if self.broken:
            raise OSError("the disk is gone")
        return found


async def test_what_is_asked_at_once_is_read_at_once() -> None:
    """One read, each key once; a key that is not there is None."""
    table = Table(a="1", b="2")
    together = Together(table.read)
    answers = await asyncio.gather(*(together.find(key) for key in (b"a", b"b", b"a", b"c")))
    assert answers == ["1", "2", "1", None]
    assert table.reads == [[b"a", b"b", b"c"]]


async def test_an_answer_is_never_from_before_its_question() -> None:
    """A session that is revoked while another's lookup runs must not be found by who asks afterwards."""
    table = Table(a="stands")
    together = Together(table.read)
    table.gate.clear()
    early = asyncio.create_task(together.find(b"a"))
    await table.reading.wait()
    del table.rows[b"a"]
    late = asyncio.create_task(together.find(b"a"))
    await asyncio.sleep(0)
    table.gate.set()
    assert await early == "stands"
    assert await late is None
    assert len(table.reads) == 2


async def test_a_failure_reaches_all_whom_it_met_and_nobody_after() -> None:
    """A read that fails fails for all that waited for it; the next one is tried anew."""
    table = Table(a="1")
    together = Together(table.read)
    table.broken = True
    met = await asyncio.gather(together.find(b"a"), together.find(b"b"), return_exceptions=True)
    assert [type(outcome) for outcome in met] == [OSError, OSError]
    table.broken = False
    assert await together.find(b"a") == "1"


async def test_who_goes_away_takes_no_other_answer_along() -> None:
    """Two wait for the same key, one is cancelled: the other is answered."""
    table = Table(a="1")
    together = Together(table.read)
    table.gate.clear()
    gone, stays = asyncio.create_task(together.find(b"a")), asyncio.create_task(together.find(b"a"))
    await table.reading.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    table.gate.set()
    assert await stays == "1"
