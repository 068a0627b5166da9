"""Helper processes: they change how long it takes, and nothing else."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.clients.engine import rolls
from safelight.clients.engine.helper_work import ListAssets, ListedAsset, SealedRecord, VerifySignatures, list_assets
from safelight.clients.engine.helpers import Helpers, HelpersGone
from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.index import Index
from safelight.clients.engine.log_pages import take_page
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.signatures_apart import judged_with
from safelight.sync_protocol import signatures
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.log import NO_HEAD, Frame, Header, build_entry, next_chain, parse_entry
from safelight.sync_protocol.records import (
    AddAssetsBody,
    FullPart,
    RecordKind,
    RenditionName,
    RenditionRef,
    RevokeLinkBody,
    ViewPart,
)
from safelight.sync_protocol.refusals import Code
from tests.support.ledgers import Person, Space, id_of, seed_of
from tests.support.readers import DEVICE, readable_space
from tests.support.refusing import refuses

SIGNER = signatures.Signer(seed_of("signer"))


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    """Two processes."""
    with Helpers(2) as started:
        yield started


def pids(helpers: Helpers) -> list[int]:
    """The processes' numbers."""
    return [helper.process.pid for helper in helpers._helpers]


def verifying(count: int, *, bad: int | None = None) -> Callable[[], None]:
    """Work that verifies so many signatures, of which the *bad* one is over something else."""
    messages = [number.to_bytes(4, "big") for number in range(count)]
    signed = [(SIGNER.public_key, SIGNER.sign(message), message) for message in messages]
    if bad is not None:
        signed[bad] = (*signed[bad][:2], b"what nobody signed")

    def verify() -> None:
        for each in signed:
            signatures.verify(*each)

    return verify


def sealed_assets(count: int = 7) -> ListAssets:
    """Records of so many assets: all whole but the third, unreadable, in another order, and of another roll."""
    state, held = readable_space()
    roll = rolls.Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    where = (state.space_id, DEVICE.device_id)
    keys = rolls.open_roll(roll.body, *where, view_secret=held.view, epoch_secret=held.full)
    bodies = []
    for number in range(count):
        ref = RenditionRef(RenditionName.ORIGINAL, id_of(f"file {number}"), seed_of("blob"), 100, bytes(74))
        view = ViewPart("photo", taken_local="2026-06-21T21:04:37", taken_offset_min=-90)
        full = FullPart(f"{number}.jpg", seed_of("original"), number, "image/jpeg", 0)
        bodies.append(roll.new_asset().finish([ref], view, full))
    bodies[2] = msgspec.structs.replace(bodies[2], full=bodies[3].full)
    ids = [body.asset_id for body in bodies]
    header = Header(
        1, True, RecordKind.ADD_ASSETS, state.space_id, b"a" * 16, DEVICE.device_id, 1, b"", NO_HEAD, NO_HEAD, 0
    )
    envelope = build_entry(header, AddAssetsBody(roll.roll_id, bodies), DEVICE.signing_seed)
    other = rolls.RollKeys(roll.roll_id, seed_of("another key"), None)
    view_only = rolls.RollKeys(roll.roll_id, keys.view, None)
    records = [
        SealedRecord(envelope, ids, keys),
        SealedRecord(b"no record", ids, keys),
        SealedRecord(envelope, ids[::-1], keys),
        SealedRecord(envelope, [*ids, id_of("one too many")], view_only),
        SealedRecord(envelope, ids, other),
    ]
    return ListAssets(state.space_id, records)


def test_a_listing_is_the_same_with_helpers(helpers: Helpers) -> None:
    """What helpers open is what this process opens; what does not open, or is not where the index says, is damaged."""
    request = sealed_assets()
    listed = helpers.answer(helpers.ask(request), list[ListedAsset])
    assert listed == list_assets(request)
    whole, unreadable, reversed_, view, other = (listed[at : at + 7] for at in (0, 7, 14, 21, 29))
    assert [asset.is_damaged for asset in whole] == [number == 2 for number in range(7)]
    assert (whole[1].name, whole[1].taken, whole[1].size_bytes) == ("1.jpg", "2026-06-21T21:04:37-01:30", 1)
    assert whole[1].renditions == ("original",)
    assert [asset.is_damaged for asset in reversed_] == [number != 3 for number in range(7)]
    assert not any(asset.is_damaged for asset in view)
    assert (view[1].name, view[1].size_bytes) == ("", 100)
    assert all(asset.is_damaged for asset in (*unreadable, listed[28], *other))


def test_many_answers_come_in_their_order(helpers: Helpers) -> None:
    """Each answer belongs to what was asked, however many are under way and however large they are."""
    request = sealed_assets()
    large = ListAssets(request.space_id, request.records * 60)
    asked = [helpers.ask(request if number % 3 else large) for number in range(24)]
    answers = [helpers.answer(one, list[ListedAsset]) for one in asked]
    one = list_assets(request)
    assert answers == [one if number % 3 else one * 60 for number in range(24)]


@pytest.mark.parametrize("bad", [None, 0, 150, 249])
def test_signatures_verified_by_helpers(helpers: Helpers, bad: int | None) -> None:
    """All hold, or not all; the one at fault may be anywhere, also among the last that this process verifies."""
    assert judged_with(helpers, verifying(250, bad=bad)) is (bad is None)


def test_nothing_else_is_set_apart(helpers: Helpers) -> None:
    """Within the block nothing is refused; before and after it, and when it ended in an error, everything is."""
    verify = verifying(1, bad=0)
    with signatures.set_apart(lambda *_: None):
        verify()
    with refuses(Code.SIGNATURE_INVALID):
        verify()
    with pytest.raises(KeyError), signatures.set_apart(lambda *_: None):
        raise KeyError
    with refuses(Code.SIGNATURE_INVALID):
        verify()


@pytest.mark.parametrize("bad", [None, 3])
def test_helpers_that_die_leave_the_work_to_us(helpers: Helpers, bad: int | None) -> None:
    """Killed while they have something to do, they are gone, and what they were asked is done here."""

    def judge() -> None:
        verifying(250, bad=bad)()
        for pid in pids(helpers):
            os.kill(pid, signal.SIGKILL)

    assert judged_with(helpers, judge) is (bad is None)
    assert judged_with(helpers, verifying(250, bad=bad)) is (bad is None)  # and so is what they would be asked later
    assert helpers.count == 0


def test_a_helper_that_hangs_is_not_waited_for_forever() -> None:
    """One that does not answer in time is ended, and whoever asked does the work itself."""
    with Helpers(1, answer_timeout_s=0.3) as helpers:
        (pid,) = pids(helpers)
        os.kill(pid, signal.SIGSTOP)
        asked = helpers.ask(VerifySignatures([]))
        with pytest.raises(HelpersGone):
            helpers.answer(asked, bool)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_answer_of_another_shape_is_none(helpers: Helpers) -> None:
    """A helper that answers what it may not is believed nothing more."""
    asked = helpers.ask(VerifySignatures([]))
    with pytest.raises(HelpersGone):
        helpers.answer(asked, list[ListedAsset])
    assert helpers.count == 0


def test_helpers_end_with_whoever_asked(helpers: Helpers) -> None:
    """When the other end is closed, as by a process that was killed, they end by themselves."""
    assert helpers.answer(helpers.ask(VerifySignatures([])), bool)
    for helper in helpers._helpers:
        helper.socket.close()
    assert [helper.process.wait(10) for helper in helpers._helpers] == [0, 0]


def test_a_helper_has_no_password_and_leaves_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process's environment it has nothing, and no crash writes its memory to a file."""
    monkeypatch.setenv("SAFELIGHT_PASSWORD", "a password")
    with Helpers(1) as helpers:
        assert helpers.answer(helpers.ask(VerifySignatures([])), bool)
        (pid,) = pids(helpers)
        assert b"SAFELIGHT" not in Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]


@pytest.fixture
def space() -> Space:
    """A space with two hundred records, and a policy set after them."""
    space = Space(Person("anna")).create()
    for number in range(200):
        space.take(space.entry(RecordKind.REVOKE_LINK, RevokeLinkBody(id_of(f"link {number}"))))
    space.take(space.entry(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "none"))))
    return space


def with_other_signature(frames: list[Frame], number: int) -> list[Frame]:
    """The same log, but for the signature of the entry at a slot, in an otherwise honest chain."""
    forged, chain = [], b""
    for frame in frames:
        envelope = frame.envelope
        if frame.number == number:
            signature = parse_entry(envelope).signature
            envelope = envelope.replace(signature, signature[:32] + bytes(32))
        entry = parse_entry(envelope)
        chain = next_chain(chain, frame.number, entry.id)
        forged.append(Frame(frame.number, frame.time_ms, chain, entry.id, envelope))
    return forged


def outcome(space: Space, frames: list[Frame], helpers: Helpers | None) -> tuple[object, ...]:
    """How a page of these frames ends: how far it was taken, all that is kept, and why it was refused, if it was."""
    index = Index(None)
    try:
        reader, refused = LogReader(space.state.space_id, index, SpaceMemory()), None
        try:
            take_page(reader, index, frames, helpers)
        except Exception as error:  # noqa: BLE001 - compared
            refused = str(error)
        kept = [index._db.execute(f"SELECT * FROM {table}").fetchall() for table in ("entries", "devices", "problems")]
        return reader.log, reader.state, kept, refused, reader.standing()
    finally:
        index.close()


def test_a_page_is_taken_alike_with_helpers(helpers: Helpers, space: Space) -> None:
    """An honest page ends in the same state and the same rows, with helpers and without."""
    log, state, kept, refused, _ = outcome(space, space.frames, helpers)
    assert (log, state, kept, refused) == outcome(space, space.frames, None)[:4]
    assert (state, refused) == (space.state, None)


@pytest.mark.parametrize("statement", ["INSERT INTO entries", "COMMIT"])
@pytest.mark.parametrize("helped", [True, False])
def test_a_disk_that_is_full_in_the_middle_of_a_page(
    helpers: Helpers, space: Space, monkeypatch: pytest.MonkeyPatch, statement: str, helped: bool
) -> None:
    """*A ledger that nobody signed, kept at hand since its page broke off*: the reader stands where its index does."""
    index = Index(None)
    full = _FullDisk(index._connection, statement, after=149 if statement != "COMMIT" else 0)
    monkeypatch.setattr(index, "_connection", full)
    reader = LogReader(space.state.space_id, index, SpaceMemory())
    before = reader.standing()
    frames = space.frames[:150]
    if helped and statement != "COMMIT":
        frames = with_other_signature(frames, 150)
    for _ in range(2):  # and it may be tried again
        with pytest.raises(sqlite3.OperationalError):
            take_page(reader, index, frames, helpers if helped else None)
        assert reader.standing() == before
        assert index.head() == (0, b"")
        assert (index._recent, index._positions) == ({}, {})
    index.close()


class _FullDisk:
    """A database whose transactions end by themselves at a statement, when it has been executed so often."""

    def __init__(self, database: sqlite3.Connection, statement: str, *, after: int) -> None:
        self._database, self._statement, self._after, self._count = database, statement, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, sql: str, *row: Any) -> sqlite3.Cursor:
        """Execute it, or fail as SQLite does, which has rolled back by then."""
        if sql.startswith("BEGIN"):
            self._count = 0
        self._fail_after(sql, 1)
        return self._database.execute(sql, *row)

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        """The same for rows that are written together."""
        rows = list(rows)
        self._fail_after(sql, len(rows))
        return self._database.executemany(sql, rows)

    def _fail_after(self, sql: str, rows: int) -> None:
        if sql.startswith(self._statement):
            self._count += rows
        if self._count > self._after and self._database.in_transaction:
            self._database.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")


def test_a_record_that_nobody_signed_is_the_one_set_aside(helpers: Helpers, space: Space) -> None:
    """*A forged record among honest ones*: with helpers as without, it alone is set aside, and is named."""
    forged = with_other_signature(space.frames[:150], 100)
    log, state, kept, refused, standing = outcome(space, forged, helpers)
    assert (log, state, kept, refused, standing) == outcome(space, forged, None)
    assert [row[:2] for row in kept[2]] == [(100, "signature-invalid")]  # type: ignore[index]  # rows
    assert helpers.count == 2


def test_a_ledger_entry_that_nobody_signed_stops_there(helpers: Helpers, space: Space) -> None:
    """*A forged policy*: with helpers as without, it is refused by its signature, and what came before it is kept."""
    forged = with_other_signature(space.frames, 202)
    log, state, kept, refused, standing = outcome(space, forged, helpers)
    assert (log, state, kept, refused, standing) == outcome(space, forged, None)
    assert "signature-invalid" in str(refused)
    assert (log.number, state.policy.links) == (201, "view")  # type: ignore[attr-defined]  # the reader's


def test_what_rests_on_a_forged_entry_is_not_kept(helpers: Helpers, space: Space) -> None:
    """*Helpers that die, and a forged entry with them*: it is found out here."""
    forged = with_other_signature(space.frames, 202)
    for pid in pids(helpers):
        os.kill(pid, signal.SIGKILL)
    assert outcome(space, forged, helpers) == outcome(space, forged, None)
