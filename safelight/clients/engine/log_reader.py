"""Reading a space's log: every slot into the chain, every ledger entry judged, every record verified or set aside.

A bad ledger entry stops the space. A bad record is set aside, counted in the chain and reported; it blocks nothing.
"""

from collections.abc import Mapping

from safelight.clients.engine.index import AssetPlace, Index, Problem, RollPlace
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ledger
from safelight.sync_protocol.ledger import LedgerState, is_ledger_kind
from safelight.sync_protocol.log import (
    DevicePosition,
    Entry,
    Frame,
    Head,
    LogState,
    check_heads,
    check_position,
    parse_entry,
    step,
)
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AddToAlbumBody,
    CreateAlbumBody,
    OpenRollBody,
    PublishLinkBody,
    RevokeLinkBody,
    check_record,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Signed


class LogReader:
    """Takes frames in order. `log` and `state` say how far it verified; `state` is None before the genesis."""

    def __init__(self, space_id: bytes, index: Index, memory: SpaceMemory) -> None:
        self._space_id = space_id
        self._index = index
        self._memory = memory
        self.state: LedgerState | None = None
        number, chain = index.head()
        self.log = LogState(number, chain, index.positions())
        for slot, envelope in index.ledger_entries():
            self._judge(parse_entry(envelope), slot)
        # The index is a copy that may be exchanged behind the pins' back, like the server's.
        for head in (Head(number, chain),):
            memory.check_log_slot(head)

    def take(self, frame: Frame) -> None:
        """Take one frame, within the index's transaction.

        Raises CHAIN_BROKEN, HISTORY_FORKED, and the ledger's refusals; nothing of the frame is then kept.
        """
        log = step(self.log, frame)
        self._memory.check_log_slot(log.head)
        try:
            entry = parse_entry(frame.envelope)
        except Refused as refusal:
            if refusal.code is Code.ENTRY_UNKNOWN_CRITICAL:
                raise
            self._set_aside(frame, "unreadable", refusal)
            self.log = log
            return
        if is_ledger_kind(entry.header.kind):
            self._take_ledger_entry(frame, entry)
        else:
            self._take_record(frame, entry)
        self.log = _with_positions(log, self.log.devices)

    def _take_ledger_entry(self, frame: Frame, entry: Entry) -> None:
        check_heads(entry, frame.number, self._index.chain_at, self._index.ledger_at)
        known = self.state.head.number if self.state else 0
        self._judge(entry, frame.number)
        pinned = self._memory.ledger
        if known < pinned.number < frame.number:
            raise Refused(Code.HISTORY_FORKED, f"the ledger entry at slot {pinned.number} is gone")
        self._check_order(frame, entry)
        self._index.add_entry(frame, entry.header.kind, is_ledger=True)
        self._place(entry)

    def _judge(self, entry: Entry, number: int) -> None:
        state = ledger.apply(self.state, entry, number)
        if state.space_id != self._space_id:
            raise Refused(Code.ENTRY_WRONG_SPACE, "the server answered with another space")
        self._memory.check_ledger_slot(state.head)
        self.state = state

    def _take_record(self, frame: Frame, entry: Entry) -> None:
        if self.state is None:
            raise Refused(Code.LEDGER_RULE, "a space begins with its genesis")
        try:
            body = check_record(self.state, entry)
            if entry.header.counter <= self._counter(entry):
                # *An old record shown again, or moved*: what it says was said once already.
                raise Refused(Code.COUNTER_CONFLICT, "the device had signed later entries before this slot")
            check_heads(entry, frame.number, self._index.chain_at, self._index.ledger_at)
            self._check_content(body, entry)
        except Refused as refusal:
            if refusal.code is Code.ENTRY_UNKNOWN_CRITICAL:
                raise Refused(Code.UPDATE_REQUIRED, refusal.detail) from None
            self._set_aside(frame, entry.header.kind, refusal)
            return
        self._check_order(frame, entry)
        self._index.add_entry(frame, entry.header.kind, is_ledger=False)
        self._keep(body, frame.number, entry)
        self._place(entry)

    def _check_order(self, frame: Frame, entry: Entry) -> None:
        """A gap in a device's counter says that records of it were dropped: reported; what is there still counts."""
        try:
            check_position(self.log, entry)
        except Refused as refusal:
            self._index.add_problem(Problem(frame.number, refusal.code, refusal.detail, set_aside=False))

    def _counter(self, entry: Entry) -> int:
        last = self.log.position(entry.header.author_id, entry.header.device_id)
        return last.counter if last else 0

    def _check_content(self, body: Signed | None, entry: Entry) -> None:
        """What a record says of rolls and assets must fit what came before; else it is set aside whole."""
        state = self.state
        match body:
            case AddAssetsBody() if state is not None:
                roll = self._index.roll(body.roll_id)
                if roll is None or roll.device_id != entry.header.device_id:
                    raise Refused(Code.ROLL_UNKNOWN, "its roll was not opened by this device")
                if roll.epoch != state.epoch.number:
                    raise Refused(Code.EPOCH_OLD, "its roll is of an epoch that had ended")
                if any(self._index.has_asset(asset.asset_id) for asset in body.assets):
                    raise Refused(Code.ASSET_CONFLICT)
            case OpenRollBody() if self._index.roll(body.roll_id) is not None:
                raise Refused(Code.ROLL_UNKNOWN, "the roll's id is taken")
            case _:
                pass

    def _keep(self, body: Signed | None, number: int, entry: Entry) -> None:
        index = self._index
        match body:
            case OpenRollBody():
                index.add_roll(body.roll_id, RollPlace(number, body.epoch, entry.header.device_id))
            case AddAssetsBody():
                for position, asset in enumerate(body.assets):
                    index.add_asset(AssetPlace(asset.asset_id, number, position, body.roll_id))
            case CreateAlbumBody():
                index.add_album(body.album_id, number)
            case AddToAlbumBody():
                index.add_album_items(body.album_id, number, [item.asset_id for item in body.items])
            case PublishLinkBody():
                index.add_link(body.link_id, number)
            case RevokeLinkBody():
                index.revoke_link(body.link_id)

    def _set_aside(self, frame: Frame, kind: str, refusal: Refused) -> None:
        self._index.add_entry(frame, kind, is_ledger=False)
        self._index.add_problem(Problem(frame.number, refusal.code, refusal.detail, set_aside=True))

    def _place(self, entry: Entry) -> None:
        position = DevicePosition(entry.header.counter, entry.id)
        key = entry.header.author_id + entry.header.device_id
        self._index.set_position(key, position)
        self.log = _with_positions(self.log, {**self.log.devices, key: position})


def _with_positions(log: LogState, devices: Mapping[bytes, DevicePosition]) -> LogState:
    return LogState(log.number, log.chain, devices)
