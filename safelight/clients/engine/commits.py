"""Commits: entries signed in order by this device, and receipts that are verified before anything counts as stored.

An entry is remembered durably before it is sent. After a cut, a crash or a lost answer the same bytes go first, so a
commit that succeeded unseen is found again and never done twice.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from safelight.clients.engine.answers import is_settled
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import ENTRY_VERSION, DevicePosition, Entry, Head, Header, build_entry, parse_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, DevicePositionRow, NewBox
from safelight.sync_protocol.receipts import Receipt, verify_receipt
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Signed, pack

# Where others write to the ledger all the time, their entries come between reading and signing; the server gives them
# pauses. With the waits these are a few seconds.
_MAX_SIGNINGS = 12
_SIGNED_AT_ONCE = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0


class KnowsLedger(Protocol):
    """Whoever verified the ledger: `LedgerView`, or a member's view of the whole log."""

    @property
    def ledger_head(self) -> Head:
        """The newest ledger entry verified."""
        ...


class Journal(Protocol):
    """Whoever keeps, beside the pending entry, what it was made of, and is told once it is there."""

    async def sending(self, kind: str, body: Signed) -> None:
        """An entry of this body is about to be sent; the one before is settled."""
        ...

    async def stored(self, entry: Entry) -> None:
        """An entry has its receipt, also one that an earlier process sent; only after this it is pending no more."""
        ...


class Committer:
    """Signs and commits for one device in one space. One at a time; more wait their turn.

    *view* knows the newest ledger head; *refresh* brings it up to date when the server says that it moved on.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        author_id: bytes,
        device: DeviceKey,
        space_id: bytes,
        memory: SpaceMemory,
        view: KnowsLedger,
        refresh: Callable[[], Awaitable[object]],
        clock: Clock = now_ms,
    ) -> None:
        self._connection = connection
        self._author_id = author_id
        self._device = device
        self._memory = memory
        self._view = view
        self._refresh = refresh
        self._clock = clock
        self._lock = asyncio.Lock()
        self._started = False
        self.space_id = space_id
        self.journal: Journal | None = None

    @property
    def _path(self) -> str:
        return f"/v1/spaces/{self.space_id.hex()}"

    async def commit(
        self,
        kind: LedgerKind | RecordKind,
        body: Signed,
        *,
        blobs: Collection[bytes] = (),
        boxes: Sequence[NewBox] = (),
    ) -> Receipt:
        """Commit one entry and return its verified receipt, which names at least *blobs*.

        Signs again, over the newest heads, after ENTRY_STALE and COUNTER_CONFLICT: both say that nothing was written.
        Raises RECEIPT_INVALID for a promise that does not verify, and the server's refusals. After one that leaves open
        whether the entry was written (no answer, 429, 5xx) the same call may be made again and commits once.
        """
        async with self._lock:
            pending = await self._settle(same=(kind.value, pack(body)), blobs=blobs, boxes=boxes)
            if pending is not None:
                return pending
            if self.journal is not None:
                await self.journal.sending(kind.value, body)
            for signing in range(_MAX_SIGNINGS):
                envelope = self._sign(kind, body)
                self._memory.pending = envelope
                await asyncio.to_thread(self._memory.save)  # two fsyncs, which must not hold up other uploads
                try:
                    return await self._send(parse_entry(envelope), blobs, boxes)
                except Refused as refusal:
                    if is_settled(refusal):
                        self._memory.pending = b""
                    if signing == _MAX_SIGNINGS - 1:
                        raise
                    if signing >= _SIGNED_AT_ONCE:
                        await asyncio.sleep(min(_FIRST_WAIT_S * 2 ** (signing - _SIGNED_AT_ONCE), _LONGEST_WAIT_S))
                    await self._cure(refusal)
        raise Refused(Code.ENTRY_STALE)  # unreachable: the last signing raises

    async def settle(self) -> Entry | None:
        """Finish what a stopped process had sent: its entry if that was, or now is, committed; None otherwise."""
        async with self._lock:
            pending = self._memory.pending
            receipt = await self._settle(same=None, blobs=(), boxes=())
            return parse_entry(pending) if receipt is not None else None

    async def _settle(
        self, *, same: tuple[str, bytes] | None, blobs: Collection[bytes], boxes: Sequence[NewBox]
    ) -> Receipt | None:
        """Send a pending entry again; return its receipt if it is the *same* that is wanted (None: any)."""
        if not self._started:
            await self._compare_position()
            self._started = True
        if not self._memory.pending:
            return None
        entry = parse_entry(self._memory.pending)
        wanted = same is None or same == (entry.header.kind, entry.body)
        try:
            receipt = await self._send(entry, blobs if wanted else (), boxes if wanted else ())
        except Refused as refusal:
            if not is_settled(refusal):
                raise
            # It was refused, so nothing of it is written: its position is free for the next entry.
            self._memory.pending = b""
            self._memory.save()
            return None
        return receipt if wanted else None

    def _sign(self, kind: LedgerKind | RecordKind, body: Signed) -> bytes:
        position = self._memory.position
        header = Header(
            version=ENTRY_VERSION,
            critical=True,
            kind=kind.value,
            space_id=self.space_id,
            author_id=self._author_id,
            device_id=self._device.device_id,
            counter=position.counter + 1,
            previous_id=position.entry_id,
            ledger=self._view.ledger_head,
            log=self._memory.log,
            signed_ms=self._clock(),
        )
        return build_entry(header, body, self._device.signing_seed)

    async def _send(self, entry: Entry, blobs: Collection[bytes], boxes: Sequence[NewBox]) -> Receipt:
        request = CommitEntry(entry.envelope, list(boxes))
        answer = await self._connection.request("POST", f"{self._path}/commits", request, Committed)
        receipt = verify_receipt(
            answer.receipt,
            answer.signature,
            self._connection.server_key,
            space_id=self.space_id,
            entry_id=entry.id,
            blobs=blobs,
        )
        if self.journal is not None:
            await self.journal.stored(entry)
        self._memory.position = DevicePosition(entry.header.counter, entry.id)
        self._memory.pending = b""
        # A promise that contradicts the history seen before is a fork that the server has signed.
        self._memory.check_log_slot(Head(receipt.number, receipt.chain))
        self._memory.pin_log(Head(receipt.number, receipt.chain))
        return receipt

    async def _cure(self, refusal: Refused) -> None:
        """Make the next signing right; raise what another signing cannot cure."""
        if refusal.code is Code.ENTRY_STALE:
            await self._refresh()
        elif refusal.code is Code.COUNTER_CONFLICT:
            await self._compare_position()
        else:
            self._memory.save()
            raise refusal

    async def _compare_position(self) -> None:
        """Ask where this device stands; HISTORY_ROLLED_BACK if the server forgot what it gave receipts for."""
        row = await self._connection.request("GET", f"{self._path}/position", None, DevicePositionRow)
        mine = self._memory.position
        if row.counter < mine.counter:
            raise Refused(Code.HISTORY_ROLLED_BACK, f"it knows {row.counter} of this device's {mine.counter} entries")
        if row.counter == mine.counter and row.entry_id != mine.entry_id:
            raise Refused(Code.HISTORY_FORKED, "it knows another last entry of this device")
        pending = self._memory.pending
        if row.counter > mine.counter and not (pending and hashlib.sha256(pending).digest() == row.entry_id):
            # The profile was restored from a copy: the log knows better where this device stands.
            self._memory.position = DevicePosition(row.counter, row.entry_id)
