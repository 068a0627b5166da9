"""A member's view of one space: its log followed and verified, its epochs opened, its entries committed."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from safelight.clients.engine import epochs
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.epochs import EpochSecrets, NewEpoch
from safelight.clients.engine.helpers import MANY, Helpers, useful_count
from safelight.clients.engine.index import Index, Problem
from safelight.clients.engine.judged_ledger import JudgedLedger
from safelight.clients.engine.keyring_document import KnownSpace, VaultWrap
from safelight.clients.engine.log_pages import take_log
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.rolls import RollKeys
from safelight.clients.engine.standing import account_news, check_member, pin_for_all_devices
from safelight.clients.engine.vaults import wrap_of
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ledger_entries import AdvanceAccountBody, Epoch, LedgerKind, RotateEpochBody
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.spaces import EpochBox, NewBox, SpaceRow
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing.boxes import open_box
from safelight.sync_protocol.wire import Signed


class _OtherBox(Refused):
    """The server shows another box than the ledger names: its word, which proves nothing of who made the epoch."""

    def __init__(self, number: int) -> None:
        super().__init__(Code.EPOCH_MISMATCH, f"the box of epoch {number} is not the one in the ledger")


class SpaceView:
    """One space, as this account verified it. Enter it, then `sync`; local data is kept in the profile."""

    def __init__(self, session: AccountSession, known: KnownSpace) -> None:
        self.session = session
        self.space_id = known.space_id
        self.memory = session.folder.memory(known.space_id)
        # What another device of this account saw counts here, too.
        self.memory.pin_ledger(Head(known.ledger_number, known.ledger_hash))
        self._index: Index | None = None
        self._reader: LogReader | None = None
        self.known = known
        self._epochs: dict[int, EpochSecrets] = {}
        self._epochs_of = 0  # the epoch in force when they were opened
        self.rolls: dict[bytes, RollKeys] = {}  # opened once, and kept as long as the epochs are
        self._advanced = False
        self._following = asyncio.Lock()
        self._helpers: Helpers | None = None
        self.committer = Committer(
            session.connection,
            author_id=session.account_id,
            device=session.device,
            space_id=known.space_id,
            memory=self.memory,
            view=self,
            refresh=self.sync,
            clock=session.clock,
        )

    def __enter__(self) -> Self:
        if self.is_vault:
            # What is in a vault is never on the disk, not even as sealed as it came.
            self._open_index(None)
        else:
            self._open_kept_index()
        self._end_listening = self.session.vaults.when_shut(self.space_id, self._forget_keys)
        return self

    def _open_kept_index(self) -> None:
        path = self.session.folder.space_folder(self.space_id) / "index.sqlite"
        try:
            self._open_index(path)
        except (sqlite3.DatabaseError, Refused):
            # Damaged or exchanged: it is a copy, and the pins are kept elsewhere.
            self._close_index()
            path.unlink(missing_ok=True)
            self._open_index(path)

    def _open_index(self, path: Path | None) -> None:
        self._index = Index(path)
        judged = JudgedLedger(self.session.keys.secret, self.space_id)
        self._reader = LogReader(self.space_id, self._index, self.memory, judged)

    def _close_index(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = self._reader = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.memory.save()
        self._close_index()
        if self._helpers is not None:
            self._helpers.close()
        self._end_listening()
        self._forget_keys()

    @property
    def is_vault(self) -> bool:
        """Whether it opens with a second secret, as this account's keyring says."""
        return bool(self.known.vaults)

    @property
    def vault_wrap(self) -> VaultWrap:
        """What opens this account's key in a vault; LEDGER_RULE where the keyring has none for the ledger's."""
        return wrap_of(self.known, self.state.members[self.session.account_id].vault_key)

    @property
    def index(self) -> Index:
        """The local index."""
        if self._index is None:
            raise Refused(Code.SPACE_UNKNOWN, "the space is not open")
        return self._index

    @property
    def reader(self) -> LogReader:
        """How far the log was verified."""
        if self._reader is None:
            raise Refused(Code.SPACE_UNKNOWN, "the space is not open")
        return self._reader

    @property
    def state(self) -> LedgerState:
        """The verified ledger; SPACE_UNKNOWN before the first `sync`."""
        if self.reader.state is None:
            raise Refused(Code.SPACE_UNKNOWN, "its log was not fetched yet")
        return self.reader.state

    @property
    def ledger_head(self) -> Head:
        """The newest ledger entry verified."""
        return self.state.head

    def helpers(self) -> Helpers:
        """Processes that help with much work in this space, until it is left; started when first asked for."""
        if self._helpers is None:
            self._helpers = Helpers(useful_count())
        return self._helpers

    @property
    def problems(self) -> list[Problem]:
        """Everything in the log that did not verify."""
        return self.index.problems()

    async def sync(self, *, opens: bool = True) -> LedgerState:
        """Fetch, verify and keep what is new, pin it, and bring this account's own ledger in the space up to date.

        Where that needs the keys of a vault that is shut, it waits for another time unless the vault is to be opened
        (*opens*): whoever only lists spaces is not asked for passphrases.

        Raises CHAIN_BROKEN, HISTORY_ROLLED_BACK, HISTORY_FORKED, UPDATE_REQUIRED and the ledger's refusals, after which
        the space stops. Bad records do not stop it: see `problems`.
        """
        async with self._following:  # else of two at once the second takes what the first took for another history
            await self._follow()
        self._check_member()
        if not self._advanced:
            self._advanced = True
            self._advanced = await self._advance_account(opens=opens)
        await self._pin()
        return self.state

    async def _follow(self) -> None:
        path = f"/v1/spaces/{self.space_id.hex()}"
        asked = self.memory.log
        row = await self.session.connection.request("GET", path, None, SpaceRow)
        ledger, log = Head(row.ledger_number, row.ledger_hash), Head(row.number, row.chain)
        self.memory.check_reached(ledger, log, log_asked=asked)
        if row.number < self.reader.log.number:
            raise Refused(
                Code.HISTORY_ROLLED_BACK, f"its log ends at slot {row.number}, {self.reader.log.number} was seen"
            )
        if row.number == self.reader.log.number and row.chain != self.reader.log.chain:
            raise Refused(Code.HISTORY_FORKED, f"slot {row.number} of the log is not what it was")
        if row.number - self.reader.log.number >= MANY:
            self.helpers()
        await take_log(
            lambda after: self.session.connection.fetch_frames(f"{path}/log?after={after}"),
            row.number,
            self.reader,
            self.index,
            self._helpers,
        )
        self.memory.check_reached(self.state.head, self.reader.log.head, log_asked=asked)
        with self.index.transaction():
            self.reader.keep_judged()

    async def finish_interrupted(self) -> str:
        """Settle what a stopped command had sent; the kind of its entry if that is now in the log, else empty.

        Whoever lost an answer may be about to do the same thing once more: say so first.
        """
        if not self.memory.pending:
            return ""
        entry = await self.committer.settle()
        await self.sync()
        return "" if entry is None else entry.header.kind

    def _check_member(self) -> None:
        check_member(self.session, self.state)
        if (self.state.kind == "vault") != self.is_vault:
            raise Refused(Code.LEDGER_RULE, "the keyring and the ledger do not agree whether it is a vault")

    async def _advance_account(self, *, opens: bool) -> bool:
        """A new device counts here once the account's own ledger, as far as it counts here, names it.

        False where a vault is shut that would have to be opened for it. *A ledger too long to be told*, since a thief
        made devices and revoked them: in as many entries as it takes.
        """
        while news := account_news(self.session, self.state):
            if not await self._advance_by(news, opens=opens):
                return False
            await self._follow()
        return True

    async def _advance_by(self, news: list[bytes], *, opens: bool) -> bool:
        try:
            body = AdvanceAccountBody(self.session.account_id, news, None)
            await self.committer.commit(LedgerKind.ADVANCE_ACCOUNT, body)
        except Refused as refusal:
            if refusal.code is not Code.EPOCH_REQUIRED:
                raise
            if self.is_vault and not opens and not self.session.vaults.is_open(self.space_id):
                return False
            new = await self.next_epoch()
            body = AdvanceAccountBody(self.session.account_id, news, new.epoch)
            await self.committer.commit(LedgerKind.ADVANCE_ACCOUNT, body, boxes=new.boxes)
        return True

    async def _pin(self) -> None:
        self.memory.pin_log(self.reader.log.head)
        self.memory.pin_ledger(self.state.head)
        self.memory.save()
        await pin_for_all_devices(self.session, self.state)

    async def commit(
        self,
        kind: RecordKind | LedgerKind,
        body: Signed,
        *,
        blobs: Collection[bytes] = (),
        boxes: Sequence[NewBox] = (),
    ) -> Receipt:
        """Commit an entry and take it into this view."""
        receipt = await self.committer.commit(kind, body, blobs=blobs, boxes=boxes)
        await self.sync()
        return receipt

    async def commit_epoch(self, kind: LedgerKind, body: Signed, new: NewEpoch) -> Receipt:
        """Commit an entry that carries a new epoch, with its boxes."""
        return await self.commit(kind, body, boxes=new.boxes)

    # Epochs

    async def epoch_secrets(self, number: int | None = None) -> EpochSecrets:
        """Return the secrets of an epoch (the one in force by default); EPOCH_MISMATCH if they are not the ledger's."""
        self.session.vaults.used(self.space_id)
        newest = self.state.epoch
        opened = self._epochs.get(newest.number)
        lacks_tier = opened is not None and opened.full is None and self._tier is Tier.FULL
        if self._epochs_of != newest.number or lacks_tier:
            self._epochs = await self._open_epochs()
            self._epochs_of = newest.number
            self.rolls.clear()  # opened at the tier that was read before
        if number is None and newest.number not in self._epochs:
            raise Refused(Code.EPOCH_MISMATCH, f"epoch {newest.number} does not open")
        wanted = newest.number if number is None else number
        if wanted not in self._epochs:
            raise Refused(Code.EPOCH_OLD, f"there is no epoch {wanted} that opens")
        return self._epochs[wanted]

    async def secrets_to_hand_down(self) -> EpochSecrets:
        """Return the secrets of the newest epoch that opens, which a new one hands down.

        *A member who begins an epoch that opens for nobody*, by revoking a camera of their own, say, could else not be
        removed. Raises EPOCH_MISMATCH where none opens.
        """
        try:
            return await self.epoch_secrets()
        except Refused as refusal:
            opened = self._epochs if self._epochs_of == self.state.epoch.number else {}
            if refusal.code is not Code.EPOCH_MISMATCH or not opened:
                raise
            return opened[max(opened)]

    @property
    def _tier(self) -> Tier:
        return self.state.tier_of(self.session.account_id)

    async def _open_epochs(self) -> dict[int, EpochSecrets]:
        """Open every epoch that opens: each by what a later one hands down, or else by this account's own box of it.

        Where the newest is as it should be, that takes one box.
        """
        held: dict[int, EpochSecrets] = {}
        for epoch in reversed(self.state.epochs):
            has_box = any(ref.account_id == self.session.account_id for ref in epoch.boxes)
            if epoch.number in held or not (has_box or epoch is self.state.epoch):
                continue
            try:
                opened = await self._open(epoch, await self._box(epoch))
                held |= epochs.open_epochs(self.state.epochs, self.state.nonce, opened, held)
            except Refused as refusal:
                if refusal.code is not Code.EPOCH_MISMATCH or isinstance(refusal, _OtherBox):
                    raise
        return held

    async def _box(self, epoch: Epoch) -> bytes:
        """Return this account's box of an epoch; raises where the server's is not the one in the ledger."""
        box = self.index.box(epoch.number)
        if box is None or not self._is_mine(epoch, box):
            path = f"/v1/spaces/{self.space_id.hex()}/boxes/{epoch.number}"
            box = (await self.session.connection.request("GET", path, None, EpochBox)).box
            if not self._is_mine(epoch, box):
                raise _OtherBox(epoch.number)
            self.index.add_box(epoch.number, box)
        return box

    def _is_mine(self, epoch: Epoch, box: bytes) -> bool:
        """Whether a box is still this account's: who reads more than before has another one of the same epoch."""
        mine = (ref.hash for ref in epoch.boxes if ref.account_id == self.session.account_id)
        return hashlib.sha256(box).digest() in mine

    async def _open(self, epoch: Epoch, box: bytes) -> EpochSecrets:
        vaults, nonce, account_id = self.session.vaults, self.state.nonce, self.session.account_id
        if self.is_vault:
            seeds = [await vaults.seed(self.space_id, self.vault_wrap)]
        else:
            seeds = list(self.session.sealing_seeds())
        for seed in seeds[:-1]:
            with suppress(Refused):  # it is sealed to a former identity, until the next epoch
                return epochs.open_epoch_box(epoch, nonce, account_id, seed, box)
        return epochs.open_epoch_box(epoch, nonce, account_id, seeds[-1], box)

    def _forget_keys(self) -> None:
        self._epochs = {}
        self._epochs_of = 0
        self.rolls.clear()

    async def next_epoch(self) -> NewEpoch:
        """Make the epoch that follows the one in force, for its members; this account must read the full tier.

        Its own box is sealed to the identity that it has by now, which the space may not have heard of yet.
        """
        held, me = await self.secrets_to_hand_down(), self.session.account_id
        member = replace(self.state.members[me], account=self.session.state)
        return epochs.make_epoch(
            self.state.epoch.number + 1, self.state.nonce, {**self.state.members, me: member}, held
        )

    async def rotate_epoch(self) -> Receipt:
        """Begin a new epoch without any other change."""
        new = await self.next_epoch()
        return await self.commit_epoch(LedgerKind.ROTATE_EPOCH, RotateEpochBody(new.epoch), new)

    # The space's own fields

    async def name(self) -> str:
        """Open the space's name."""
        held = await self.epoch_secrets(1)
        return open_box(held.view_metadata_key, field_place(self.state.nonce, "name", 1), self.state.name).decode()

    async def dedupe_key(self) -> bytes:
        """Open the dedupe key; FORBIDDEN for the view tier."""
        held = await self.epoch_secrets(1)
        return open_box(held.full_metadata_key, field_place(self.state.nonce, "dedupe", 1), self.state.dedupe)


def field_place(nonce: bytes, field: str, epoch: int) -> bytes:
    """Return what binds one of a space's own fields to its place."""
    return context(Label.SPACE_FIELD, nonce, field.encode("ascii"), uint(epoch))
