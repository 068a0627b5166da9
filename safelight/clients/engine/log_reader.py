"""Reading a space's log: every slot into the chain, every ledger entry judged, every record verified or set aside.

A bad ledger entry stops the space. A bad record is set aside, counted in the chain and reported; it blocks nothing, but
for a log that is mostly garbage.
"""

from dataclasses import dataclass

import msgspec

from safelight.clients.engine.album_rules import AlbumRules
from safelight.clients.engine.answers import printable
from safelight.clients.engine.approval_rules import check_approvals, check_approved
from safelight.clients.engine.index import Index, Problem, RollPlace
from safelight.clients.engine.judged_ledger import KEPT_EVERY, JudgedLedger
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ids, ledger
from safelight.sync_protocol.approvals import AlbumRulesBody, ApproveAssetsBody
from safelight.sync_protocol.ledger_entries import is_ledger_kind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import (
    DevicePosition,
    Entry,
    Frame,
    Head,
    LogState,
    check_heads,
    check_position,
    parse_entry,
    place,
    step,
)
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddAssetsBody,
    AddToAlbumBody,
    CreateAlbumBody,
    OpenAlbumRollBody,
    OpenRollBody,
    PublishInboxBody,
    PublishLinkBody,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RevokeLinkBody,
    ShowInAlbumBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.trash import ABOUT_TRASH, AboutTrash, TrashChange, trash_change
from safelight.sync_protocol.wire import Signed

# Refusals that say that nobody entitled signed the entry: it must not move the position of whom it names.
_NOT_AUTHENTIC = frozenset({Code.SIGNER_UNKNOWN, Code.SIGNATURE_INVALID, Code.ENTRY_WRONG_SPACE})
_GARBAGE = _NOT_AUTHENTIC | {Code.ENTRY_MALFORMED, Code.TOO_LARGE}
MAX_GARBAGE = 1000


@dataclass(frozen=True, slots=True)
class ReaderPlace:
    """Where a reader stands between two frames."""

    log: LogState
    state: LedgerState | None
    garbage: int
    entries_since: int


class LogReader:
    """Takes frames in order. `log` and `state` say how far it verified; `state` is None before the genesis.

    Of a ledger that was judged before, only what is newer is judged again, where *judged* keeps it.
    """

    def __init__(self, space_id: bytes, index: Index, memory: SpaceMemory, judged: JudgedLedger | None = None) -> None:
        self._space_id = space_id
        self._index = index
        self._memory = memory
        self._albums = AlbumRules(space_id, index)
        self._judged = judged
        self.state = self._kept_state()
        self._entries_since = 0
        number, chain = index.head()
        self.log = LogState(number, chain, index.positions())
        self._garbage = index.count_problems(_GARBAGE)
        for slot, envelope in index.ledger_entries(self.state.head.number if self.state else 0):
            self._judge(parse_entry(envelope), slot)
        # The index is a copy that may be exchanged behind the pins' back, like the server's, also for a longer one.
        pinned = min(number, memory.log.number)
        memory.check_log_slot(Head(pinned, index.chain_at(pinned) or b""))

    def _kept_state(self) -> LedgerState | None:
        """The ledger as it was judged before, if what it ends with stands in this log."""
        sealed = self._index.judged() if self._judged else None
        state = self._judged.open(sealed) if self._judged and sealed else None
        if state is None or self._index.ledger_at(state.head.number) != state.head.hash:
            return None
        self._memory.check_ledger_slot(state.head)
        return state

    def keep_judged(self) -> None:
        """Keep what was judged, within the index's transaction, once judging it again would be noticed."""
        if self._judged and self.state and self._entries_since >= KEPT_EVERY:
            self._index.keep_judged(self._judged.seal(self.state))
            self._entries_since = 0

    def standing(self) -> ReaderPlace:
        """Where it stands, to go `back_to`."""
        return ReaderPlace(self.log, self.state, self._garbage, self._entries_since)

    def back_to(self, place: ReaderPlace) -> None:
        """Go back to where it stood: the transaction with what it took since then was given up."""
        self.log, self.state = place.log, place.state
        self._garbage, self._entries_since = place.garbage, place.entries_since

    def take(self, frame: Frame) -> None:
        """Take one frame, within the index's transaction.

        Raises CHAIN_BROKEN, HISTORY_FORKED, and the ledger's refusals; nothing of the frame is then kept.
        """
        log = step(self.log, frame)
        self._memory.check_log_slot(log.head)
        entry = self._parse(frame)
        if entry is not None and is_ledger_kind(entry.header.kind):
            self._take_ledger_entry(frame, entry)
        elif entry is not None:
            self._take_record(frame, entry)
        self.log = LogState(log.number, log.chain, self.log.devices)

    def _parse(self, frame: Frame) -> Entry | None:
        try:
            return parse_entry(frame.envelope)
        except Refused as refusal:
            self._set_aside(frame, "unreadable", refusal)
            return None

    def _take_ledger_entry(self, frame: Frame, entry: Entry) -> None:
        check_heads(entry, frame.number, self._index.chain_at, self._ledger_at)
        check_position(self.log, entry)
        known = self.state.head.number if self.state else 0
        self._judge(entry, frame.number)
        pinned = self._memory.ledger
        if known < pinned.number < frame.number:
            raise Refused(Code.HISTORY_FORKED, f"the ledger entry at slot {pinned.number} is gone")
        self._index.add_entry(frame, entry.header.kind, is_ledger=True)
        self._place(entry)

    def _ledger_at(self, number: int) -> bytes | None:
        """The ledger's hash at a slot: most who sign know its newest entry."""
        if self.state is not None and number == self.state.head.number:
            return self.state.head.hash
        return self._index.ledger_at(number)

    def _judge(self, entry: Entry, number: int) -> None:
        if self.state is None and ids.space_id(entry.envelope) != self._space_id:
            raise Refused(Code.ENTRY_WRONG_SPACE, "the server answered with another space")
        state = ledger.apply(self.state, entry, number)
        self._memory.check_ledger_slot(state.head)
        self.state = state
        self._entries_since += 1

    def _take_record(self, frame: Frame, entry: Entry) -> None:
        if self.state is None:
            raise Refused(Code.LEDGER_RULE, "a space begins with its genesis")
        try:
            body = check_record(self.state, entry)
        except Refused as refusal:
            if refusal.code is Code.ENTRY_UNKNOWN_CRITICAL:
                raise Refused(Code.UPDATE_REQUIRED, refusal.detail) from None
            self._set_aside(frame, entry.header.kind, refusal)
            if refusal.code not in _NOT_AUTHENTIC:
                self._place(entry)
            return
        # Its signer stands and signed it: heads that contradict this chain are no bad record but another history.
        check_heads(entry, frame.number, self._index.chain_at, self._ledger_at)
        try:
            check_position(self.log, entry)
            self._check_content(body, entry, frame.number)
        except Refused as refusal:
            self._set_aside(frame, entry.header.kind, refusal)
        else:
            self._index.add_entry(frame, entry.header.kind, is_ledger=False)
            self._keep(body, frame.number, entry)
        self._place(entry)

    def _check_content(self, body: Signed | None, entry: Entry, number: int) -> None:
        """What a record says of rolls and assets must fit what came before; else it is set aside whole."""
        state = self.state
        match body:
            case AddAssetsBody() | AddAlbumAssetsBody() if state is not None:
                if isinstance(body, AddAlbumAssetsBody):
                    self._albums.advance(body.album_id, number, entry)
                    self._albums.check_roll(body)
                roll = self._index.roll(body.roll_id)
                if roll is None or roll.device_id != entry.header.device_id:
                    raise Refused(Code.ROLL_UNKNOWN, "its roll was not opened by this device")
                if roll.epoch != state.epoch.number:
                    raise Refused(Code.EPOCH_OLD, "its roll is of an epoch that had ended")
                if self._index.has_any_asset([asset.asset_id for asset in body.assets]):
                    raise Refused(Code.ASSET_CONFLICT)
            case ShowInAlbumBody() | RemoveFromAlbumBody() | RenameAlbumBody() if state is not None:
                self._albums.check(body, number, entry, is_shared=body.album_id in state.albums)
            case ApproveAssetsBody():
                check_approvals(self._index, body)
            case OpenAlbumRollBody() if self._index.roll(body.roll_id) is None:
                self._albums.advance(body.album_id, number, entry)
            case OpenRollBody() | OpenAlbumRollBody() if self._index.roll(body.roll_id) is not None:
                raise Refused(Code.ROLL_UNKNOWN, "the roll's id is taken")
            case _ if isinstance(body, ABOUT_TRASH):
                unknown = set(body.asset_ids) - self._index.known_assets(body.asset_ids)
                if unknown:
                    raise Refused(Code.NOT_FOUND, f"no asset {min(unknown).hex()}")
                self._trash_change(body)
            case _:
                pass

    def _trash_change(self, body: AboutTrash) -> TrashChange:
        return trash_change(body, self._index.in_trash(body.asset_ids), self._index.proposed(body.asset_ids))

    def _keep(self, body: Signed | None, number: int, entry: Entry) -> None:
        index = self._index
        match body:
            case OpenRollBody() | OpenAlbumRollBody():
                index.add_roll(body.roll_id, RollPlace(number, body.epoch, entry.header.device_id))
            case AddAssetsBody():
                index.add_assets(number, body.roll_id, [asset.asset_id for asset in body.assets])
            case AddAlbumAssetsBody():
                added = [asset.asset_id for asset in body.assets]
                index.add_assets(number, body.roll_id, added)
                index.show_album_items(body.album_id, number, added)
            case CreateAlbumBody():
                index.add_album(body.album_id, number)
            case AddToAlbumBody() | ShowInAlbumBody() | RemoveFromAlbumBody() | RenameAlbumBody():
                self._albums.keep(body, number)
            case PublishLinkBody() | RevokeLinkBody() | PublishInboxBody():
                self._keep_about_link(body, number)
            case AlbumRulesBody():
                index.set_album_rules(body.album_id, requires_approval=body.requires_approval)
            case ApproveAssetsBody():
                self._keep_approvals(body, number)
            case _ if isinstance(body, ABOUT_TRASH):
                index.change_trash(number, self._trash_change(body))

    def _keep_about_link(self, body: PublishLinkBody | RevokeLinkBody | PublishInboxBody, number: int) -> None:
        match body:
            case PublishLinkBody():
                self._index.add_link(body.link_id, number)
                self._report_unapproved(body, number)
            case RevokeLinkBody():
                self._index.revoke_link(body.link_id)
            case _:
                self._index.set_upload_head(body.link_id, number)

    def _keep_approvals(self, body: ApproveAssetsBody, number: int) -> None:
        asset_ids = [item.asset_id for item in body.items]
        if body.approved:
            self._index.approve(body.album_id, number, asset_ids)
        else:
            self._index.withdraw_approval(body.album_id, asset_ids)

    def _report_unapproved(self, body: PublishLinkBody, number: int) -> None:
        """Report a link past the approver, and keep it: *a link that nobody sees* could be revoked by nobody."""
        try:
            check_approved(self._index, body)
        except Refused as refusal:
            self._index.add_problem(Problem(number, refusal.code, refusal.detail, set_aside=False))

    def _set_aside(self, frame: Frame, kind: str, refusal: Refused) -> None:
        """Keep the slot, for the chain, and why; not the entry itself, which nobody needs to have sent.

        *A disk filled with garbage*: an honest server commits nothing that nobody entitled signed, so there is an end
        to how much of it is counted.
        """
        if refusal.code in _GARBAGE:
            self._garbage += 1
            if self._garbage > MAX_GARBAGE:
                raise Refused(Code.CHAIN_BROKEN, f"more than {MAX_GARBAGE} of its entries nobody in the space signed")
        self._index.add_entry(msgspec.structs.replace(frame, envelope=b""), kind, is_ledger=False)
        detail = printable(refusal.detail)
        self._index.add_problem(Problem(frame.number, refusal.code, detail, set_aside=True))

    def _place(self, entry: Entry) -> None:
        """Remember an authentic entry as its device's last, also one that was set aside; never an earlier one."""
        last = self.log.position(entry.header.author_id, entry.header.device_id)
        if last is None or entry.header.counter > last.counter:
            self._index.set_position(
                entry.header.author_id + entry.header.device_id, DevicePosition(entry.header.counter, entry.id)
            )
            self.log = place(self.log, entry)
