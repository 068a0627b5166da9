"""`safelight-server check`: everything that is stored, looked at again.

In this order: what the database's engine says of itself; the store's listing against the rows; accounts and spaces;
and at last, because it takes longest, the bytes of the blobs that are due.
"""

import math
import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.jobs.clearing import Clearing
from safelight.server.upkeep.account_check import account_events
from safelight.server.upkeep.events import CheckRequest, Event, Finding, Progress, Summary
from safelight.server.upkeep.pace import Pace
from safelight.server.upkeep.rehash import Rehash
from safelight.server.upkeep.space_check import SpaceCheck
from safelight.server.upkeep.store_check import StoreCheck

_BEGUN = "check begun"
_PAGE = 200


@dataclass
class Check:
    """One run. Use `events` once, in `aclosing`: whoever stops early lets it note what it has checked."""

    database: Database
    blobs: Blobs
    now_ms: Milliseconds
    grace_s: int
    request: CheckRequest
    may_delete: Callable[[], bool]
    clearing: Clearing
    _spaces: int = 0
    _accounts: int = 0

    async def events(self) -> AsyncGenerator[Event, None]:
        """Check, and say what is found; the last event is the summary."""
        for detail in await self.database.integrity():
            yield Finding("database", "", detail, "put the database back from a backup")
        repair = self.request.repair
        store = StoreCheck(self.database, self.blobs, self.now_ms, self.grace_s, repair, self.may_delete, self.clearing)
        told: set[Event] = set()
        async for event in store.events():
            yield event
            if isinstance(event, Finding):
                told.add(event)
        async for event in self._rows(repair=self.request.repair and not store.unusable):
            yield event
        if store.unusable:
            yield Summary(store.held, 0, 0, self._spaces, self._accounts)
            return
        begun_ms = await self._begun_ms()
        rehash = Rehash(
            self.database,
            self.blobs,
            self.now_ms,
            Pace(self.request.rate_bytes),
            begun_ms - (self.request.older_than_s or 0) * 1000,
            *self._limit_of(store.held),
        )
        async with aclosing(rehash.events()) as events:
            async for event in events:
                if event not in told:  # what the listing found bad is looked at again among the bad
                    yield event
        if self._all:
            await self.database.set_meta(_BEGUN, b"")
        yield Summary(store.held, rehash.checked, rehash.pace.read_bytes, self._spaces, self._accounts)

    def _limit_of(self, held: int) -> tuple[int, int]:
        """How many blobs may be hashed, and how many are told of as the whole; more may come while it runs."""
        if self.request.share is None:
            return sys.maxsize, held
        share = math.ceil(held * self.request.share)
        return share, share

    @property
    def _all(self) -> bool:
        return self.request.share is None and self.request.older_than_s is None

    async def _begun_ms(self) -> int:
        """When this run began; of one over all blobs that was stopped before its end, when that one did."""
        now_ms = self.now_ms()
        if not self._all:
            return now_ms
        begun = await self.database.get_meta(_BEGUN)
        if begun:
            return int.from_bytes(begun)
        await self.database.set_meta(_BEGUN, now_ms.to_bytes(8))
        return now_ms

    async def _rows(self, *, repair: bool) -> AsyncIterator[Event]:
        after = b""
        while heads := await self.database.account_heads(after, _PAGE):
            for head in heads:
                async for event in _readable(account_events(self.database, head), "account", head.account_id):
                    yield event
            self._accounts += len(heads)
            after = heads[-1].account_id
            yield Progress("accounts", self._accounts, self._accounts)
        after = b""
        while spaces := await self.database.space_ids(after, _PAGE):
            for space_id in spaces:
                events = SpaceCheck(self.database, space_id, repair).events()
                async for event in _readable(events, "log", space_id):
                    yield event
                self._spaces += 1
                yield Progress("spaces", self._spaces, self._spaces)
            after = spaces[-1]


async def _readable(events: AsyncIterator[Event], kind: str, subject: bytes) -> AsyncIterator[Event]:
    """The same, where a row that SQLite cannot read is one more finding, and not the end of the check."""
    try:
        async for event in events:
            yield event
    except sqlite3.DatabaseError as error:
        yield Finding(kind, subject.hex(), f"its rows cannot be read: {error}", "put the database back from a backup")
