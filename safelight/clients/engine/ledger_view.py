"""A space's ledger as this client verified it: fetched, judged entry by entry from its genesis, and compared with pins.

For cameras, which read only this; members read the whole log (`space_view`).
"""

import asyncio
from collections.abc import Callable, Mapping

from safelight.clients.engine.connection import Connection
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ids
from safelight.sync_protocol.ledger import apply
from safelight.sync_protocol.ledger_entries import is_ledger_kind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import NO_HEAD, Frame, Head, parse_entry
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.refusals import Code, Refused


class LedgerView:
    """Follows one space's ledger. Each `refresh` takes what is new; nothing unverified is ever in `state`.

    `log_head` is where the server said at the last one that the whole log ends: a claim, see `log_chain`.
    """

    def __init__(
        self,
        connection: Connection,
        space_id: bytes,
        memory: SpaceMemory,
        *,
        before_entry: Callable[[LedgerState, int], None] | None = None,
    ) -> None:
        """*before_entry* hears of each state and of the slot at which it ends."""
        self._before_entry = before_entry
        self._connection = connection
        self._memory = memory
        self._state: LedgerState | None = None
        self._lock = asyncio.Lock()
        self.log_head = NO_HEAD
        self.told = NO_HEAD  # a place in it of which this client was told by other ways than the server
        self.space_id = space_id

    @property
    def state(self) -> LedgerState:
        """The verified ledger; SPACE_UNKNOWN before the first `refresh`."""
        if self._state is None:
            raise Refused(Code.SPACE_UNKNOWN, "its ledger was not fetched yet")
        return self._state

    @property
    def ledger_head(self) -> Head:
        """The newest ledger entry verified."""
        return self.state.head

    async def refresh(self) -> LedgerState:
        """Fetch and verify what is new, and pin it.

        Raises the ledger's refusals, after which the space stops; HISTORY_ROLLED_BACK and HISTORY_FORKED when the
        server shows less than, or something else than, what was seen before.
        """
        async with self._lock:  # two at once would both take the same entries
            await self.take_pages(f"/v1/spaces/{self.space_id.hex()}/ledger")
            asked = self._memory.log
            row = await self._connection.request("GET", f"/v1/spaces/{self.space_id.hex()}", None, SpaceRow)
            self._compare(row, asked)
            self.log_head = Head(row.number, row.chain)
            self._memory.pin_ledger(self.state.head)
            self._memory.save()
            return self.state

    async def take_pages(
        self, path: str, *, headers: Mapping[str, str] | None = None, anonymous: bool = False
    ) -> LedgerState:
        """Fetch page after page from *path* until none is left, and verify each entry."""
        while True:
            after = self._state.head.number if self._state else 0
            frames = await self._connection.fetch_frames(f"{path}?after={after}", headers=headers, anonymous=anonymous)
            if not frames:
                break
            for frame in frames:
                self._take(frame)
        self._memory.check_reached(self.state.head, None)
        return self.state

    def _take(self, frame: Frame) -> None:
        entry = parse_entry(frame.envelope)
        known = self._state.head.number if self._state else 0
        if frame.number <= known or not is_ledger_kind(entry.header.kind) or entry.id != frame.entry_id:
            raise Refused(Code.CHAIN_BROKEN, f"what stands at slot {frame.number} is not the next ledger entry")
        if self._state is None and ids.space_id(entry.envelope) != self.space_id:
            raise Refused(Code.ENTRY_WRONG_SPACE, "the server answered with another space")
        if self._state is not None and self._before_entry is not None:
            self._before_entry(self._state, frame.number)
        state = apply(self._state, entry, frame.number)
        self._memory.check_ledger_slot(state.head)
        if known < self.told.number <= frame.number and state.head != self.told:
            raise Refused(Code.HISTORY_FORKED, f"slot {self.told.number} of the ledger is not what it was said to be")
        if known < self._memory.ledger.number < frame.number:
            raise Refused(Code.HISTORY_FORKED, f"the ledger entry at slot {self._memory.ledger.number} is gone")
        self._state = state

    def _compare(self, row: SpaceRow, asked: Head) -> None:
        """The row says where the server's ledger and log end: a shorter one cannot hide behind `after`."""
        shown, mine = Head(row.ledger_number, row.ledger_hash), self.state.head
        if shown.number == mine.number and shown.hash != mine.hash:
            raise Refused(Code.HISTORY_FORKED, f"slot {mine.number} of the ledger is not what it was")
        if shown.number < mine.number:
            raise Refused(Code.HISTORY_ROLLED_BACK, f"its ledger ends at slot {shown.number}, {mine.number} was seen")
        log = Head(row.number, row.chain)
        self._memory.check_reached(None, log, log_asked=asked)
        self._memory.check_log_slot(log)
