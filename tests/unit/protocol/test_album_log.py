"""Shared albums' records and their own log: what may stand there, and that nothing is dropped, moved or exchanged."""

import hashlib

import msgspec
import pytest

from safelight.sync_protocol import album_log, log, record_rules, records
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.records import (
    AddToAlbumBody,
    AlbumItem,
    RecordKind,
    ShowInAlbumBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.grants import ALBUM, share, show_body, shown
from tests.support.ledgers import NOW_MS, Person, Space, id_of, seed_of
from tests.support.members import member
from tests.support.refusing import refusal


@pytest.fixture
def space() -> Space:
    """A space with an album that Bert reads for a minute."""
    space = Space(Person("anna"), "work", "full").create()
    bert = Person("bert")
    member(space, bert, Role.GRANTEE)
    share(space, bert, expires_ms=NOW_MS + 60_000)
    return space


def judge(space: Space, body: ShowInAlbumBody, signed_ms: int = NOW_MS) -> Code | None:
    """Judge the record, signed by who made the space."""
    entry = space.entry(RecordKind.SHOW_IN_ALBUM, body, signed_ms=signed_ms)
    try:
        assert record_rules.check_record(space.state, entry) == body
    except Refused as refused:
        return refused.code
    return None


def test_what_may_be_shown(space: Space) -> None:
    """Whole assets, each once, under the generation in force, for as long as no grant expired."""
    good = show_body()
    replace = msgspec.structs.replace
    assert judge(space, good) is None
    assert judge(space, good, NOW_MS + 60_000) is Code.GENERATION_OLD
    assert judge(space, replace(good, generation=1)) is Code.GENERATION_OLD
    assert judge(space, replace(good, album_id=bytes(16))) is Code.GENERATION_OLD
    assert judge(space, replace(good, items=[shown(), shown()])) is Code.ASSET_CONFLICT
    assert judge(space, replace(good, items=[shown(fingerprint=bytes(32))])) is Code.ENTRY_MALFORMED
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
    assert judge(space, good) is Code.GENERATION_OLD


def test_what_only_members_open_is_no_longer_added(space: Space) -> None:
    """Grantees would miss it."""
    item = AlbumItem(id_of("asset one"), b"wrap", b"wrap")
    body = AddToAlbumBody(ALBUM, 1, [item])
    entry = space.entry(RecordKind.ADD_TO_ALBUM, body)
    assert refusal(record_rules.check_record, space.state, entry) is Code.GENERATION_OLD
    other = space.entry(RecordKind.ADD_TO_ALBUM, msgspec.structs.replace(body, album_id=bytes(16)))
    record_rules.check_record(space.state, other)


def frames(space_id: bytes, *slots: int) -> list[AlbumFrame]:
    """Build an album's log of entries at these slots."""
    head, made = NO_HEAD, []
    for slot in slots:
        envelope = b"entry %d" % slot
        entry_id = hashlib.sha256(envelope).digest()
        head = album_log.next_album_head(space_id, ALBUM, head, slot, entry_id)
        made.append(AlbumFrame(head.number, slot, NOW_MS, head.hash, entry_id, envelope))
    return made


def test_an_albums_log_is_whole_or_refused() -> None:
    """Dropped, reordered, exchanged, moved to another slot or album: each is found."""
    space_id = seed_of("space")
    first, second, third = frames(space_id, 4, 7, 9)
    one = album_log.check_album_frame(space_id, ALBUM, NO_HEAD, 0, first)
    assert one == Head(1, first.chain)
    two = album_log.check_album_frame(space_id, ALBUM, one, 4, second)
    replace = msgspec.structs.replace
    for head, slot, frame in (
        (one, 4, third),
        (one, 4, first),
        (two, 7, replace(third, slot=8)),
        (two, 7, replace(third, envelope=b"another")),
        (two, 7, replace(third, number=4)),
        (two, 9, third),
    ):
        assert refusal(album_log.check_album_frame, space_id, ALBUM, head, slot, frame) is Code.CHAIN_BROKEN
    assert refusal(album_log.check_album_frame, space_id, bytes(16), two, 7, third) is Code.CHAIN_BROKEN
    packed = log.frames_to_bytes([first, second])
    assert list(log.split_frames(packed, AlbumFrame)) == [first, second]


def test_what_an_album_shows_is_what_the_space_has() -> None:
    """The same files and metadata, under other wraps."""
    item, replace = shown(), msgspec.structs.replace
    own = replace(item.asset, fingerprint=bytes(32), wrap_full=b"another", wrap_view=b"another")
    assert records.is_the_same(item, item.roll_id, own)
    assert not records.is_the_same(item, bytes(16), own)
    wrong: tuple[dict[str, object], ...] = (
        {"view": b"other"},
        {"full": b"other"},
        {"asset_id": bytes(16)},
        {"renditions": []},
    )
    for changes in wrong:
        assert not records.is_the_same(item, item.roll_id, replace(own, **changes))
