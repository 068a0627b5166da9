"""Space ledgers as the server keeps them at hand: rebuilt from their entries by the protocol's own function."""

import asyncio
from collections import OrderedDict

from msgspec.structs import replace

from safelight.server.domain.ports.database import KeepsSpaces
from safelight.server.domain.ports.rows import EntryRow
from safelight.sync_protocol import ledger
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import Head, parse_entry
from safelight.sync_protocol.refusals import Code, Refused

_MAX_SPACES = 2000
_MAX_SLOTS = 20_000
_PAGE = 500


class Ledgers:
    """The ledger state of each space in use, and the hashes at slots that signers refer to."""

    def __init__(self, database: KeepsSpaces) -> None:
        self._database = database
        self._states: OrderedDict[bytes, LedgerState] = OrderedDict()
        self._slots: OrderedDict[tuple[bytes, int], tuple[bytes, bytes]] = OrderedDict()
        self._reading: dict[bytes, asyncio.Lock] = {}

    async def state(self, space_id: bytes) -> LedgerState:
        """Return the space's ledger state, as it stands from now on at least; raises SPACE_UNKNOWN.

        It is never behind what another process acknowledged: *a member who was removed through one, and asks another*.
        """
        known = self._states.get(space_id)
        if known is None:
            return await self.refresh(space_id)
        newest = await self._database.newest_ledger_number(space_id)
        if newest is not None and newest > known.head.number:
            return await self.refresh(space_id)
        if space_id in self._states:
            self._states.move_to_end(space_id)
        return known

    async def refresh(self, space_id: bytes) -> LedgerState:
        """Take in what the database has beyond what is at hand; raises SPACE_UNKNOWN."""
        async with self._reading.setdefault(space_id, asyncio.Lock()):
            state = self._states.get(space_id)
            while rows := await self._database.ledger_entries(space_id, state.head.number if state else 0, _PAGE):
                for row in rows:
                    state = ledger.apply(state, parse_entry(row.envelope), row.number)
            if state is None:
                self._reading.pop(space_id, None)
                raise Refused(Code.SPACE_UNKNOWN)
            self._keep(state)
            return self._states[space_id]

    def advance(self, state: LedgerState, number: int, entry_id: bytes) -> None:
        """Keep *state*, which the entry committed at *number* made."""
        self._keep(replace(state, head=Head(number, entry_id)))

    def remember_slot(self, space_id: bytes, number: int, chain: bytes, entry_id: bytes) -> None:
        """Remember what stands at a slot, so that the next signer's heads need no query."""
        self._slots[space_id, number] = (chain, entry_id)
        if len(self._slots) > _MAX_SLOTS:
            self._slots.popitem(last=False)

    async def slot(self, space_id: bytes, number: int) -> tuple[bytes, bytes] | None:
        """Return chain and entry id at a slot, or None where the log has not come that far."""
        if number == 0:
            return b"", b""
        known = self._slots.get((space_id, number))
        if known is not None:
            return known
        rows: list[EntryRow] = await self._database.entries_at(space_id, [number])
        if not rows:
            return None
        self.remember_slot(space_id, number, rows[0].chain, rows[0].entry_id)
        return rows[0].chain, rows[0].entry_id

    def _keep(self, state: LedgerState) -> None:
        """Keep the newer of *state* and what is at hand: answers to commits may arrive out of order."""
        known = self._states.get(state.space_id)
        if known is None or known.head.number < state.head.number:
            self._states[state.space_id] = state
        self._states.move_to_end(state.space_id)
        if len(self._states) > _MAX_SPACES:
            space_id, _ = self._states.popitem(last=False)
            self._reading.pop(space_id, None)
