"""Commits: an entry is judged, waits with the others, is written with them in one transaction, and is receipted.

Order matters: the database's transaction is durable, then the ledger at hand moves on, then the bell rings, then the
receipt is signed. A repeated commit finds its entry by id and gets the same receipt.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from safelight.server.domain.access import Who, check_guest, space_for
from safelight.server.domain.bells import Bells
from safelight.server.domain.clock import ServerClock, monotonic_ms
from safelight.server.domain.judge import (
    Judged,
    judge_ledger_entry,
    judge_record,
)
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.commits import Commit, Committed, Rejected, SomeFailed
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.meter import Meter
from safelight.server.domain.throttle import Throttle
from safelight.server.domain.times import check_signed_now, check_times
from safelight.sync_protocol.account_ledger import AccountState
from safelight.sync_protocol.ids import space_id as space_id_of
from safelight.sync_protocol.ledger_entries import JoinSpaceBody, LedgerKind, is_ledger_kind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import Entry, check_heads, parse_entry
from safelight.sync_protocol.messages import spaces as messages
from safelight.sync_protocol.receipts import RECEIPT_VERSION, Receipt, sign_receipt
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.signatures import Signer
from safelight.sync_protocol.upload_entries import BindGuestBody
from safelight.sync_protocol.wire import unpack

# Every ledger entry makes stale what others were about to sign, so nobody but an owner writes them without pause.
# Whoever invites people, or pairs cameras, by the dozen has time.
LEDGER_ENTRIES_AT_ONCE = 100
LEDGER_REFILL_S = 10
_MAX_TRIES = 16
_MAX_BATCH = 256
_MAX_BATCH_SIZE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Waiting:
    judged: Judged
    answer: "asyncio.Future[Committed | Rejected]"


@dataclass(frozen=True, slots=True)
class _Joining:
    """What waits while *group* is being committed; what is taken belongs to that group from then on."""

    commits: "Commits"
    group: list[_Waiting]

    def space_ids(self) -> Collection[bytes]:
        """Return the spaces of what has come, as far as the group has room for it: no other is locked in vain."""
        return self.commits.waiting_space_ids(_MAX_BATCH - len(self.group))

    def take(self, space_ids: Collection[bytes]) -> Sequence[Commit]:
        """Hand over what has come for these spaces."""
        joined = self.commits.next_group(space_ids, self.group)
        self.group.extend(joined)
        return [waiting.judged.commit for waiting in joined]


class Commits:
    """Takes entries. One task writes what waits; meanwhile the next ones gather."""

    def __init__(
        self,
        database: Database,
        ledgers: Ledgers,
        bells: Bells,
        clock: ServerClock,
        *,
        signing_seed: bytes,
        space_quota_bytes: int,
        meter: Meter,
    ) -> None:
        self._database = database
        self._ledgers = ledgers
        self._bells = bells
        self._clock = clock
        self._signer = Signer(signing_seed)
        self._space_quota_bytes = space_quota_bytes
        self._meter = meter
        self._ledger_entries = Throttle(LEDGER_ENTRIES_AT_ONCE, LEDGER_REFILL_S, monotonic_ms)
        self._waiting: list[_Waiting] = []
        self._work = asyncio.Event()
        self._closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write commits for as long as the block runs; what waits at its end is still written."""
        writer = asyncio.create_task(self._write_until_closed())
        try:
            yield
        finally:
            self._closing = True
            self._work.set()
            await writer

    async def create_space(self, who: Who, request: messages.CommitEntry) -> messages.Committed:
        """Take a genesis. Repeated, it gives the first receipt. Raises what the ledger raises, and FORBIDDEN."""
        entry = parse_entry(request.entry)
        _check_signer(entry, who)
        if entry.header.kind != LedgerKind.CREATE_SPACE:
            raise Refused(Code.LEDGER_RULE, "a space begins with its genesis")
        space_id = space_id_of(entry.envelope)
        first = await self._first_answer(space_id, entry)
        if first is not None:
            return self._receipt(space_id, entry.id, first)
        judged = judge_ledger_entry(
            None, entry, request.boxes, now_ms=self._clock.now_ms(), quota_bytes=self._space_quota_bytes
        )
        await self._check_account(judged, entry)
        return self._answer(entry, judged, await self._submit(judged))

    async def commit(self, who: Who, space_id: bytes, request: messages.CommitEntry) -> messages.Committed:
        """Take any other entry, from a device that stands in the space and signed it itself.

        Raises RATE_LIMITED for ledger entries without pause of anyone but an owner.
        """
        entry = parse_entry(request.entry)
        state = await space_for(self._ledgers, who, space_id, guests=True)
        with self._paced(state, entry, who.author_id):
            return await self._take(entry, space_id, request.boxes, who)

    async def bind_camera(self, space_id: bytes, request: messages.CommitEntry) -> messages.Committed:
        """Take a camera's first entry, or a guest's, which authenticates itself. A second key is refused.

        Raises RATE_LIMITED as `commit` does for who certified it: they could have kept cameras for this by the hundred.
        An upload link's guests have a pace of their own: *guests who keep its maker from the ledger*.
        """
        entry = parse_entry(request.entry)
        state = await self._ledgers.state(space_id)
        match entry.header.kind:
            case LedgerKind.BIND_CAMERA:
                camera = state.cameras.get(entry.header.author_id)
                pace_id = camera.certified_by if camera else entry.header.author_id
            case LedgerKind.BIND_GUEST:
                pace_id = unpack(entry.body, BindGuestBody).link_id
            case _:
                raise Refused(Code.FORBIDDEN, "only a camera's binding needs no session")
        with self._paced(state, entry, pace_id):
            return await self._take(entry, space_id, request.boxes, None)

    async def join(self, who: Who, space_id: bytes, request: messages.CommitEntry) -> messages.Committed:
        """Take the join of an account that is no member yet; whose keys count, the account's own ledger here says."""
        entry = parse_entry(request.entry)
        if entry.header.kind != LedgerKind.JOIN_SPACE or who.is_camera:
            raise Refused(Code.FORBIDDEN, "who is no member yet only joins")
        return await self._take(entry, space_id, request.boxes, who)

    @contextmanager
    def _paced(self, state: LedgerState, entry: Entry, account_id: bytes) -> Iterator[None]:
        """Leave others room for their ledger entries: *a member who writes so many that nobody can remove them*.

        What is refused makes nothing stale, and does not count.
        """
        member = state.members.get(account_id)
        if not is_ledger_kind(entry.header.kind) or (member is not None and member.role is Role.OWNER):
            yield
            return
        key = state.space_id + account_id
        self._ledger_entries.take(key)
        try:
            yield
        except Refused:
            self._ledger_entries.give_back(key)
            raise

    async def _take(
        self, entry: Entry, space_id: bytes, boxes: Sequence[messages.NewBox], who: Who | None
    ) -> messages.Committed:
        """Judge and submit, and judge anew for as long as the ledger moves on in between."""
        for _ in range(_MAX_TRIES):
            state = await self._ledgers.state(space_id)
            try:
                judged = await self._judge(state, entry, boxes)
            except Refused:
                first = await self._first_answer(space_id, entry)
                if first is None:
                    raise
                return self._receipt(space_id, entry.id, first)
            if who is not None:
                _check_signer(entry, who)
            result = await self._submit(judged)
            if isinstance(result, Rejected) and result.code is Code.ENTRY_STALE:
                await self._ledgers.refresh(space_id)
                continue
            return self._answer(entry, judged, result)
        raise Refused(Code.ENTRY_STALE)

    async def _first_answer(self, space_id: bytes, entry: Entry) -> Committed | None:
        """What a repeated entry was answered, though by now the ledger would refuse it."""
        return await self._database.committed(space_id, entry.header.device_id, entry.header.counter, entry.id)

    async def _judge(self, state: LedgerState, entry: Entry, boxes: Sequence[messages.NewBox]) -> Judged:
        now_ms = self._clock.now_ms()
        if is_ledger_kind(entry.header.kind):
            judged = judge_ledger_entry(state, entry, boxes, now_ms=now_ms, quota_bytes=0)
            check_times(state, entry, self._clock)
            await self._check_account(judged, entry)
        else:
            judged = judge_record(state, entry, boxes, now_ms=now_ms)
            check_guest(state, entry.header.author_id, now_ms)
            if judged.commit.album is not None:
                check_signed_now(entry, self._clock)
        await self._check_signers_heads(state, entry)
        return judged

    async def _check_signers_heads(self, state: LedgerState, entry: Entry) -> None:
        """Refuse an entry whose signer was shown another history; members would take it for a fork."""
        header = entry.header
        log_slot = await self._ledgers.slot(state.space_id, header.log.number)
        ledger_id = await self._ledger_id(state, header.ledger.number)
        if log_slot is None or ledger_id is None:
            raise Refused(Code.HISTORY_FORKED, "the signer knew slots that this log does not have")
        chain = log_slot[0]
        beyond = max(header.log.number, header.ledger.number) + 1
        check_heads(entry, beyond, lambda _: chain, lambda _: ledger_id)

    async def _ledger_id(self, state: LedgerState, number: int) -> bytes | None:
        """The ledger entry's id at a slot; None where there is none.

        *A record named as the ledger's end* is another history to who reads by grants, and knows the ledger alone.
        """
        if number in {0, state.head.number}:
            return state.head.hash if number else b""
        rows = await self._database.ledger_entries(state.space_id, number - 1, 1)
        return rows[0].entry_id if rows and rows[0].number == number else None

    async def _check_account(self, judged: Judged, entry: Entry) -> None:
        """What a space counts of its signer's account must stand in the account's own ledger here."""
        if entry.header.kind == LedgerKind.JOIN_SPACE:
            invitation_id = unpack(entry.body, JoinSpaceBody).invitation_id
            joiner = judged.state_after.invitations[invitation_id].joiner if judged.state_after else None
            if joiner is not None:
                await self._check_account_head(joiner)
            return
        member = judged.state_after.members.get(judged.commit.author_id) if judged.state_after else None
        if member is None or judged.commit.kind not in {LedgerKind.CREATE_SPACE, LedgerKind.ADVANCE_ACCOUNT}:
            return
        await self._check_account_head(member.account)

    async def _check_account_head(self, account: AccountState) -> None:
        row = await self._database.account(account.account_id)
        entries = await self._database.account_entries(account.account_id, account.head.number - 1)
        if row is None or not entries or hashlib.sha256(entries[0]).digest() != account.head.hash:
            raise Refused(Code.ACCOUNT_LEDGER_CONFLICT, "the account's own ledger does not say that")

    async def _submit(self, judged: Judged) -> Committed | Rejected:
        """Wait with the others. A client that goes away meanwhile does not take its commit with it."""
        answer: asyncio.Future[Committed | Rejected] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(judged, answer))
        self._work.set()
        return await asyncio.shield(answer)

    async def _write_until_closed(self) -> None:
        while self._waiting or not self._closing:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                await self._write(self.next_group())

    async def _write(self, group: list[_Waiting]) -> None:
        started_s = time.perf_counter()
        results: Sequence[Committed | Rejected | Exception]
        try:
            results = await self._database.commit([waiting.judged.commit for waiting in group], _Joining(self, group))
        except SomeFailed as failed:
            results = failed.outcomes
        except Exception as error:  # noqa: BLE001 - whatever it is, someone waits for it, and the writer must go on
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        self._meter.committed(len(group), time.perf_counter() - started_s)
        for waiting, result in zip(group, results, strict=True):
            if isinstance(result, Committed) and not result.repeated:
                self._announce(waiting.judged, result)
            if waiting.answer.done():
                continue
            if isinstance(result, Exception):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)

    def waiting_space_ids(self, count: int) -> Collection[bytes]:
        """Return the spaces of the first *count* that wait to be written."""
        return {waiting.judged.commit.space_id for waiting in self._waiting[:count]}

    def next_group(self, space_ids: Collection[bytes] | None = None, before: Sequence[_Waiting] = ()) -> list[_Waiting]:
        """Take from what waits, in order, as much as a group may hold: of all spaces, or of these, after *before*."""
        group: list[_Waiting] = []
        left: list[_Waiting] = []
        size_bytes = sum(len(waiting.judged.commit.envelope) for waiting in before)
        full = False
        for waiting in self._waiting:
            commit = waiting.judged.commit
            if full or (space_ids is not None and commit.space_id not in space_ids):
                left.append(waiting)
                continue
            size_bytes += len(commit.envelope)
            count = len(before) + len(group)
            # Once it is full nothing more is taken, however small: a device's entries stay in their order.
            full = bool(count) and (count >= _MAX_BATCH or size_bytes > _MAX_BATCH_SIZE_BYTES)
            (left if full else group).append(waiting)
        self._waiting = left
        return group

    def _announce(self, judged: Judged, result: Committed) -> None:
        commit = judged.commit
        self._ledgers.remember_slot(commit.space_id, result.number, result.chain, commit.entry_id)
        if judged.state_after is not None:
            self._ledgers.advance(judged.state_after, result.number, commit.entry_id)
        self._bells.ring(commit.space_id, result.number)

    def _answer(self, entry: Entry, judged: Judged, result: Committed | Rejected) -> messages.Committed:
        if isinstance(result, Rejected):
            raise Refused(result.code, result.detail)
        return self._receipt(judged.commit.space_id, entry.id, result)

    def _receipt(self, space_id: bytes, entry_id: bytes, stands: Committed) -> messages.Committed:
        """Sign the receipt. The same slot always gives the same bytes, so that a repeat gets the first answer."""
        receipt = Receipt(
            version=RECEIPT_VERSION,
            space_id=space_id,
            entry_id=entry_id,
            number=stands.number,
            chain=stands.chain,
            time_ms=stands.time_ms,
            blobs=list(stands.blobs),
        )
        return messages.Committed(*sign_receipt(receipt, self._signer))


def _check_signer(entry: Entry, who: Who) -> None:
    """A session commits what its own device signed: a revoked device's key is of no use through another's session."""
    if entry.header.author_id != who.author_id or entry.header.device_id != who.device_id:
        raise Refused(Code.FORBIDDEN, "an entry is committed by the device that signed it")
