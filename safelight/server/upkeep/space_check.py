"""A space's rows: its log verified from the first entry on, as its members do it, and its counts added up anew.

A log that does not verify cannot be put right here, only from a backup: its entries are signed by people. Counts can.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import EntryRow, SpaceRow
from safelight.server.upkeep.events import Event, Finding
from safelight.server.upkeep.store_check import range_of
from safelight.sync_protocol import ledger
from safelight.sync_protocol.approvals import AlbumRulesBody, ApproveAssetsBody
from safelight.sync_protocol.ledger_entries import is_ledger_kind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, ID_SIZE_BYTES
from safelight.sync_protocol.log import Frame, Head, LogState, check_heads, check_position, parse_entry, place, step
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import RemoveFromAlbumBody
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.trash import ABOUT_TRASH, after_change, trash_change

_PAGE = 200
_PAGE_BYTES = 8 * 1024 * 1024
_RANGES = 16
_MAX_TOLD = 100
_BACKUP = "put the database back from a backup; members' devices will say so, too"


class _Walk:
    """A log as a member reads it: chain, counters, heads, ledger and records."""

    def __init__(self, space_id: bytes) -> None:
        self.space_id = space_id
        self.log = LogState()
        self.ledger: LedgerState | None = None
        self.approval_albums: set[bytes] = set()
        self.approved: set[tuple[bytes, bytes]] = set()
        self.in_trash: set[bytes] = set()
        self.proposed: set[bytes] = set()
        self._chains = bytearray()
        self._ledger_ids: dict[int, bytes] = {}

    def take(self, rows: list[EntryRow]) -> None:
        """Verify the next entries; raises what a member's device would refuse them with."""
        for row in rows:
            self._take(row)

    def _take(self, row: EntryRow) -> None:
        log = step(self.log, Frame(row.number, row.time_ms, row.chain, row.entry_id, row.envelope, row.signature))
        entry = parse_entry(row.envelope)
        check_position(log, entry)
        check_heads(entry, row.number, self._chain_at, self._ledger_ids.get)
        if is_ledger_kind(entry.header.kind):
            self.ledger = ledger.apply(self.ledger, entry, row.number)
            self._ledger_ids[row.number] = entry.id
        elif self.ledger is not None:
            body = check_record(self.ledger, entry)
            self._note_approval(body)
            if isinstance(body, ABOUT_TRASH):
                change = trash_change(body, self.in_trash, self.proposed)
                self.in_trash, self.proposed = after_change(change, self.in_trash, self.proposed)
        self._chains += log.chain
        self.log = place(log, entry)

    def _note_approval(self, body: object) -> None:
        match body:
            case AlbumRulesBody():
                (self.approval_albums.add if body.requires_approval else self.approval_albums.discard)(body.album_id)
            case ApproveAssetsBody():
                items = {(body.album_id, item.asset_id) for item in body.items}
                self.approved = self.approved | items if body.approved else self.approved - items
            case RemoveFromAlbumBody():
                self.approved -= {(body.album_id, asset_id) for asset_id in body.asset_ids}

    def _chain_at(self, number: int) -> bytes | None:
        start = (number - 1) * HASH_SIZE_BYTES
        return bytes(self._chains[start : start + HASH_SIZE_BYTES]) or None if number else None


@dataclass(frozen=True, slots=True)
class SpaceCheck:
    """The check of one space."""

    database: Database
    space_id: bytes
    repair: bool

    async def events(self) -> AsyncIterator[Event]:
        """Verify the log up to where the space's row says that it stands, then the counts."""
        row = await self.database.space(self.space_id)
        if row is None:
            return
        members, in_trash = await self.database.members(self.space_id), await self._trash_at(row)
        walk = _Walk(self.space_id)
        broken = await self._follow(walk, row)
        for detail in [broken] if broken else await self._compare(walk, row, members):
            yield self._finding("log", detail, _BACKUP)
        if not broken:
            async for event in self._trash(walk, row, in_trash):
                yield event
        async for event in self._counts(add_up=not broken):
            yield event

    async def _follow(self, walk: _Walk, row: SpaceRow) -> str:
        while walk.log.number < row.number:
            page = await self.database.entries(self.space_id, walk.log.number, _PAGE, _PAGE_BYTES)
            page = [entry for entry in page if entry.number <= row.number]
            if not page:
                return f"its log ends at slot {walk.log.number}, and its row says {row.number}"
            try:
                await asyncio.to_thread(walk.take, page)
            except Refused as refusal:
                return f"its log does not verify at slot {walk.log.number + 1}: {refusal}"
        return ""

    async def _compare(self, walk: _Walk, row: SpaceRow, members: dict[bytes, str]) -> list[str]:
        """What the log says, and what the rows made of it."""
        state = walk.ledger
        if state is None or state.space_id != self.space_id:
            return ["its log is not its own"]
        wrong = []
        if walk.log.chain != row.chain:
            wrong.append(f"its row names another chain at slot {row.number}")
        if Head(row.ledger_number, row.ledger_hash) != state.head or row.epoch != state.epoch.number:
            wrong.append("its row names another ledger than its log holds")
        if row.kind != state.kind:
            wrong.append("its row names another kind than its log")
        now = await self.database.space(self.space_id)
        unmoved = now is not None and now.ledger_number == row.ledger_number
        if unmoved and members != {key: member.role.value for key, member in state.members.items()}:
            wrong.append("its members' rows are not those of its ledger")
        if not await self._approvals_fit(walk, row):
            wrong.append("the rows of what its links may show are not those of its log")
        for key, position in walk.log.devices.items():
            counter, entry_id = await self.database.device_position(self.space_id, key[ID_SIZE_BYTES:])
            if counter < position.counter or (counter == position.counter and entry_id != position.entry_id):
                wrong.append(f"the row of its device {key[ID_SIZE_BYTES:].hex()} is behind its log")
        return wrong

    async def _approvals_fit(self, walk: _Walk, row: SpaceRow) -> bool:
        """Whether what must be approved, and what is, are as the log says; a space that moves on is passed over."""
        approval_albums = await self.database.approval_albums(self.space_id)
        approved = await self.database.approved(self.space_id)
        now = await self.database.space(self.space_id)
        moved = now is None or now.number != row.number
        return moved or (approval_albums, approved) == (walk.approval_albums, walk.approved)

    async def _trash_at(self, row: SpaceRow) -> tuple[set[bytes], set[bytes]] | None:
        """What rows have in the trash and proposed for it, at the slot of *row*; None where the log went on."""
        found = await self.database.trashed_assets(self.space_id), await self.database.proposed_assets(self.space_id)
        now = await self.database.space(self.space_id)
        return found if now is not None and now.number == row.number else None

    async def _trash(
        self, walk: _Walk, row: SpaceRow, rows: tuple[set[bytes], set[bytes]] | None
    ) -> AsyncIterator[Event]:
        """Compare them with the log: *a picture that was taken back, and is given out since its rows were lost*."""
        wrong = set(await self.database.wrong_trash(self.space_id))
        if rows is not None:
            wrong |= (rows[0] ^ walk.in_trash) | (rows[1] ^ walk.proposed)
        if not wrong:
            return
        repaired = self.repair and await self.database.correct_trash(
            self.space_id, row.number, walk.in_trash, walk.proposed
        )
        remedy = "corrected" if repaired else "--repair corrects it, while nothing is committed"
        detail = f"the rows of {len(wrong)} assets in the trash, or proposed for it, are not what its log says"
        yield self._finding("row", detail, remedy, repaired)

    async def _counts(self, *, add_up: bool) -> AsyncIterator[Event]:
        unheld = await self.database.unheld_refs(self.space_id, _MAX_TOLD)
        for name, number in unheld:
            yield self._finding("row", f"slot {number} names the blob {name.hex()}, which has no row here", _BACKUP)
        for index in range(_RANGES):
            first, _ = range_of(index * 16)
            _, end = range_of(index * 16 + 15)
            for name, kept, counted in await self.database.wrong_refs(self.space_id, first, end):
                if self.repair:
                    await self.database.correct_refs(self.space_id, name)
                yield self._count(f"the blob {name.hex()} counts {kept} references, and records make {counted}")
        sums = await self.database.sums(self.space_id)
        if sums is None or unheld or not add_up:  # where rows are missing, what is left adds up to too little
            return
        if sums.used_bytes != sums.added_up_bytes:
            if self.repair:
                await self.database.correct_sums(self.space_id)
            yield self._count(
                f"its row says {sums.used_bytes} bytes are used, and they add up to {sums.added_up_bytes}"
            )
        if sums.by_device_bytes != sums.added_up_bytes:
            detail = f"its devices' rows say {sums.by_device_bytes} bytes together, and it holds {sums.added_up_bytes}"
            yield self._finding("count", detail, "it shows only where a camera has a quota")

    def _count(self, detail: str) -> Finding:
        return self._finding("count", detail, "corrected" if self.repair else "--repair corrects it", self.repair)

    def _finding(self, kind: str, detail: str, remedy: str, repaired: bool = False) -> Finding:  # noqa: FBT001, FBT002 - said by name nowhere else
        return Finding(kind, self.space_id.hex(), detail, remedy, repaired)
