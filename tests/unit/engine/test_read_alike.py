"""However a log is read, the same is kept of it: live, in pieces that are cut off, anew, and with helpers.

The logs are drawn by number, and are what a hostile server may make of records of every newer kind: among those that
stand are some that nobody signed, that come too late, or that name what is not there.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from safelight.clients.engine import log_reader
from safelight.clients.engine.helper_work import Request, VerifySignatures, verify_all
from safelight.clients.engine.helpers import Asked, Helpers
from safelight.clients.engine.index import Index
from safelight.clients.engine.judged_ledger import JudgedLedger
from safelight.clients.engine.log_pages import take_page
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.album_log import next_album_head
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import NO_HEAD, Entry, Frame, Head, next_chain, parse_entry
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    CreateAlbumBody,
    DecideDeletionBody,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    ProposeDeletionBody,
    PublishLinkBody,
    RecordKind,
    RestoreAssetsBody,
    RevokeLinkBody,
    ShowInAlbumBody,
    ShownItem,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.roles import Role
from tests.support.grants import ALBUM, open_body, share
from tests.support.ledgers import Person, Signer, Space, id_of, inbox_of, seed_of
from tests.support.members import member
from tests.support.upload_ledgers import bound, inbox_entry, upload_link
from tests.unit.engine.test_approval_rules import asset

T = TypeVar("T")

_ALBUMS = [ALBUM, id_of("proofs"), id_of("others")]
_LENGTH = 200


class _Inline(Helpers):
    """Helpers that verify in this process: the same answers, without starting one for each log."""

    def __init__(self) -> None:
        super().__init__(0)
        self._asked: dict[Asked, Request] = {}

    @property
    def count(self) -> int:
        """One, as far as anyone can tell."""
        return 1

    def ask(self, request: Request) -> Asked:
        """Remember it: within the block nothing is verified."""
        self._asked[asked := Asked()] = request
        return asked

    def answer(self, asked: Asked, shape: type[T]) -> T:
        """Verify it."""
        request = self._asked.pop(asked)
        assert isinstance(request, VerifySignatures)
        return msgspec.convert(verify_all(request), shape)


class _Drawn:
    """A space's log drawn by number."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self.space = Space(Person("anna"), "work", "full").create()
        share(self.space)
        upload_link(self.space)
        self._signers = [self.space.signer, self.space.camera(), bound(self.space)]
        self._signers += [
            member(self.space, Person(role.value), role) for role in (Role.EDITOR, Role.VIEWER, Role.MANAGER)
        ]
        self._head = NO_HEAD  # where the shared album's own log ends
        self._kinds: list[Callable[[], tuple[str, object]]] = [
            self._roll, self._add, self._add, self._add, self._trash, self._trash, self._trash, self._trash,
            self._create_album, self._into_album, self._show, self._rules, self._approve, self._approve,
            self._link, self._revoke,
        ]  # fmt: skip
        for album in _ALBUMS:
            self._take(*self._create_album(album), self.space.signer)
        for _ in range(_LENGTH):
            self._step()

    def _step(self) -> None:
        space, chance = self.space, self._random.random()
        if chance < 0.02:
            space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
            space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
            return
        if chance < 0.06:
            space.take(inbox_entry(space))
            return
        signer = space.signer if chance < 0.85 else self._random.choice(self._signers)
        self._take(*self._random.choice(self._kinds)(), signer)

    def _take(self, kind: str, body: object, signer: Signer) -> None:
        """Give the entry a slot, now and then as nobody signed it, or not where its device stands."""
        space, changes = self.space, dict[str, object]()
        bad = self._random.random()
        if bad < 0.03:
            changes["counter"] = max(1, signer.counter)
        elif bad < 0.06:
            changes["previous_id"] = seed_of("another")
        elif bad < 0.062:
            changes["log"] = Head(space.log.number, seed_of("another"))  # which ends the space
        entry: Entry = space.entry(kind, body, signer, **changes)  # type: ignore[arg-type]  # bodies of every kind
        if bad > 0.95:
            forged = entry.envelope.replace(entry.signature, entry.signature[:32] + bytes(32))
            number, entry = space.log.number + 1, parse_entry(forged)
            chain = next_chain(space.log.chain, number, entry.id)
            space.frames.append(Frame(number, space.frames[-1].time_ms, chain, entry.id, forged))
            space.log = type(space.log)(number, chain, space.log.devices)
            return
        counter, last_id = signer.counter, signer.last_id
        number = space.take(entry, signer).number
        if isinstance(body, ShowInAlbumBody) and signer is space.signer and not changes:
            self._head = next_album_head(space.state.space_id, ALBUM, self._head, number, entry.id)
        if changes:
            signer.counter, signer.last_id = counter, last_id
            if "counter" not in changes:  # it is its device's last all the same
                signer.counter, signer.last_id = entry.header.counter, entry.id

    def _assets(self) -> list[str]:
        count = self._random.choice([1, 1, 2, 3])
        return self._random.sample([f"picture {number}" for number in range(12)], count)

    def _ids(self) -> list[bytes]:
        return [id_of(name) for name in self._assets()]

    def _album(self) -> bytes:
        return self._random.choice(_ALBUMS)

    def _roll_name(self) -> str:
        """Mostly one of the epoch in force, which the owner opened."""
        return f"roll {self.space.state.epoch.number} {self._random.choice('aaab')}"

    def _roll(self) -> tuple[str, object]:
        name = self._roll_name()
        return RecordKind.OPEN_ROLL, OpenRollBody(id_of(name), self.space.state.epoch.number, b"f", b"v")

    def _add(self) -> tuple[str, object]:
        name = self._roll_name()
        return RecordKind.ADD_ASSETS, AddAssetsBody(id_of(name), [asset(one) for one in self._assets()])

    def _trash(self) -> tuple[str, object]:
        ids, epoch = self._ids(), self.space.state.epoch.number
        return self._random.choice(
            [
                (RecordKind.TRASH_ASSETS, TrashAssetsBody(ids)),
                (RecordKind.RESTORE_ASSETS, RestoreAssetsBody(ids)),
                (RecordKind.PROPOSE_DELETION, ProposeDeletionBody(epoch, ids, b"sealed")),
                (RecordKind.DECIDE_DELETION, DecideDeletionBody(ids, confirmed=True)),
                (RecordKind.DECIDE_DELETION, DecideDeletionBody(ids, confirmed=False)),
            ]
        )

    def _create_album(self, album: bytes = b"") -> tuple[str, object]:
        epoch = self.space.state.epoch.number
        body = CreateAlbumBody(album or self._album(), 1, epoch, inbox_of("a"), inbox_of("b"), b"", b"", b"")
        return RecordKind.CREATE_ALBUM, body

    def _into_album(self) -> tuple[str, object]:
        items = [AlbumItem(asset_id, b"w", b"w") for asset_id in self._ids()]
        return RecordKind.ADD_TO_ALBUM, AddToAlbumBody(self._album(), 1, items)

    def _show(self) -> tuple[str, object]:
        number = self.space.state.albums[ALBUM].generation.number
        items = [ShownItem(id_of(self._roll_name()), asset(one)) for one in self._assets()]
        return RecordKind.SHOW_IN_ALBUM, ShowInAlbumBody(ALBUM, number, self._head, items)

    def _rules(self) -> tuple[str, object]:
        return RecordKind.SET_ALBUM_RULES, AlbumRulesBody(self._album(), self._random.random() < 0.7)

    def _approve(self) -> tuple[str, object]:
        approved = self._random.random() < 0.8
        items = [
            ApprovalItem(id_of(name), content_of(id_of(name), files_of(asset(name).renditions)) if approved else b"")
            for name in self._assets()
        ]
        return RecordKind.APPROVE_ASSETS, ApproveAssetsBody(self._album(), approved=approved, items=items)

    def _link(self) -> tuple[str, object]:
        body = PublishLinkBody(
            link_id=id_of(f"link {self._random.randint(0, 9)}"),
            album_id=self._album(),
            tier="view",
            epoch=self.space.state.epoch.number,
            token_hash=seed_of("token"),
            proof_hash=b"",
            publishing_key=seed_of("publisher"),
            head=b"head",
            head_signature=bytes(64),
            pages=[PageRef(seed_of("page"), 100)],
            view_blobs=[seed_of(f"preview {name}") for name in self._assets()],
            full_blobs=[],
            made_blobs=[],
            policy=LinkPolicy(0, 0, 0, False),
            makers=b"sealed",
        )
        return RecordKind.PUBLISH_LINK, body

    def _revoke(self) -> tuple[str, object]:
        return RecordKind.REVOKE_LINK, RevokeLinkBody(id_of(f"link {self._random.randint(0, 9)}"))


def _kept(index: Index) -> dict[str, list[tuple[object, ...]]]:
    """All tables, each in one order; the judged ledger apart, which is sealed anew each time."""
    names = [name for (name,) in index._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(index._db.execute(f"SELECT * FROM {name}")) for name in names if name != "judged"}


def _standing(reader: LogReader) -> tuple[object, ...]:
    return reader.log, reader.state, reader.standing().garbage


_Read = tuple[dict[str, list[tuple[object, ...]]], tuple[object, ...], str]


def _anew(space: Space, helpers: Helpers | None) -> _Read:
    index, refused = Index(None), ""
    try:
        reader = LogReader(space.state.space_id, index, SpaceMemory())
        try:
            take_page(reader, index, space.frames, helpers)
        except Refused as refusal:
            refused = refusal.sentence
        return _kept(index), _standing(reader), refused
    finally:
        index.close()


def _in_pieces(space: Space, path: Path, drawn: random.Random, helpers: Helpers | None) -> _Read:
    """Page by page, each now and then cut off before it is kept, or by the end of the process."""
    memory, judged, refused = SpaceMemory(), JudgedLedger(b"s" * 32, space.state.space_id), ""
    index = Index(path)
    reader = LogReader(space.state.space_id, index, memory, judged)
    try:
        while reader.log.number < len(space.frames) and not refused:
            at = reader.log.number
            page = space.frames[at : at + drawn.randint(1, 20)]
            if drawn.random() < 0.3:
                standing = reader.standing()
                with pytest.raises((_Cut, Refused)), index.transaction():
                    _take_some(reader, page)
                reader.back_to(standing)
            try:
                take_page(reader, index, page, helpers)
            except Refused as refusal:
                refused = refusal.sentence
            memory.pin_log(reader.log.head)
            with index.transaction():
                reader.keep_judged()
            if drawn.random() < 0.3:
                index.close()
                index = Index(path)
                reader = LogReader(space.state.space_id, index, memory, judged)
        return _kept(index), _standing(reader), refused
    finally:
        index.close()


class _Cut(BaseException):
    """The process is told to end."""


def _take_some(reader: LogReader, page: list[Frame]) -> None:
    for frame in page:
        reader.take(frame)
    raise _Cut


@pytest.mark.parametrize("drawn", range(8))
def test_all_ways_of_reading_end_alike(drawn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table and the ledger are the same: of who followed live, was cut off, and began from nothing."""
    monkeypatch.setattr(log_reader, "KEPT_EVERY", 2)
    space = _Drawn(drawn).space
    anew = _anew(space, None)
    assert _anew(space, _Inline()) == anew
    for helpers in (None, _Inline()):
        for number in range(2):
            pieces = random.Random(100 * drawn + number)
            path = tmp_path / f"{number}-{helpers is None}.sqlite"
            assert _in_pieces(space, path, pieces, helpers) == anew
