"""What members make of records about the trash: what fits is kept, and what does not is set aside."""

from collections.abc import Iterator

import pytest

from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.records import (
    AddToAlbumBody,
    AlbumItem,
    CreateAlbumBody,
    DecideDeletionBody,
    ProposeDeletionBody,
    RecordKind,
    RestoreAssetsBody,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from tests.support.ledgers import Person, Signer, Space, id_of, inbox_of
from tests.support.members import member
from tests.unit.engine.test_log_rules import add_asset, open_roll

ALBUM, A, B, C = id_of("album"), id_of("a"), id_of("b"), id_of("c")


@pytest.fixture
def space() -> Space:
    """A space with three assets, all of them in one album."""
    space = Space(Person("anna")).create()
    space.take(open_roll(space, space.signer))
    for name in "abc":
        space.take(add_asset(space, space.signer, asset=name))
    album = CreateAlbumBody(ALBUM, 1, 1, inbox_of("a"), inbox_of("b"), b"", b"", b"")
    space.take(space.entry(RecordKind.CREATE_ALBUM, album))
    items = [AlbumItem(asset_id, b"", b"") for asset_id in (A, B, C)]
    space.take(space.entry(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(ALBUM, 1, items)))
    return space


@pytest.fixture
def index() -> Iterator[Index]:
    """An index that is not kept."""
    opened = Index(None)
    yield opened
    opened.close()


def trash(space: Space, *asset_ids: bytes, signer: Signer | None = None) -> None:
    """Put assets into the trash."""
    space.take(space.entry(RecordKind.TRASH_ASSETS, TrashAssetsBody(list(asset_ids)), signer), signer)


def restore(space: Space, *asset_ids: bytes) -> None:
    """Take assets out of the trash."""
    space.take(space.entry(RecordKind.RESTORE_ASSETS, RestoreAssetsBody(list(asset_ids))))


def propose(space: Space, *asset_ids: bytes) -> None:
    """Propose assets for the trash."""
    space.take(space.entry(RecordKind.PROPOSE_DELETION, ProposeDeletionBody(1, list(asset_ids), b"sealed")))


def decide(space: Space, *asset_ids: bytes, confirmed: bool) -> None:
    """Confirm or decline it."""
    space.take(space.entry(RecordKind.DECIDE_DELETION, DecideDeletionBody(list(asset_ids), confirmed)))


def read(space: Space, index: Index) -> list[Code]:
    """Read the space's log; why entries were set aside."""
    reader = LogReader(space.state.space_id, index, SpaceMemory())
    for frame in space.frames[reader.log.number :]:
        with index.transaction():
            reader.take(frame)
    return [problem.code for problem in index.problems()]


def listed(index: Index) -> list[bytes]:
    """The assets, as they are listed."""
    return [place.asset_id for place in index.assets()]


def test_the_trash_is_out_of_lists_and_albums(space: Space, index: Index) -> None:
    """What is there is listed by itself, with the record that put it there; what comes out is where it was."""
    trash(space, C, A)
    assert read(space, index) == []
    assert (listed(index), [place.asset_id for place in index.album_assets(ALBUM)]) == ([B], [B])
    assert [place.asset_id for place in index.unshown_assets(ALBUM)] == [B]
    assert [(place.asset_id, number) for place, number in index.trash()] == [(A, 8), (C, 8)]
    assert index.in_trash([A, B, C]) == {A, C}
    assert index.asset(A) is not None
    assert index.known_assets([A, B, bytes(16)]) == {A, B}
    assert index.was_in_album(ALBUM, 8, 7, [A])
    assert not index.was_in_album(ALBUM, 7, 6, [A])
    restore(space, A)
    assert read(space, index) == []
    assert listed(index) == [A, B]
    assert [place.asset_id for place in index.album_assets(ALBUM)] == [A, B]


def test_who_was_first_put_it_there(space: Space, index: Index) -> None:
    """Of two records that name the same asset the first counts, and the second for what it adds."""
    trash(space, A)
    trash(space, A, B)
    assert read(space, index) == []
    assert [(place.asset_id, number) for place, number in index.trash()] == [(A, 8), (B, 9)]


def test_what_does_not_fit_is_set_aside(space: Space, index: Index) -> None:
    """Unknown assets, what changes nothing, what its signer may not: it stands in the log, and counts for nothing."""
    bert = member(space, Person("bert"), Role.VIEWER)
    trash(space, A, bytes(16))
    trash(space, A)
    trash(space, A)
    restore(space, B)
    trash(space, B, signer=bert)
    assert read(space, index) == [Code.NOT_FOUND, Code.UNCHANGED, Code.UNCHANGED, Code.RIGHT_MISSING]
    assert listed(index) == [B, C]


def test_the_same_again_from_the_kept_log(space: Space, index: Index) -> None:
    """Whoever reads the log anew has the same in the trash."""
    trash(space, A, B)
    restore(space, A)
    trash(space, C)
    read(space, index)
    again = Index(None)
    read(space, again)
    assert again.trash() == index.trash()
    assert [place.asset_id for place, _ in again.trash()] == [B, C]
    again.close()


def proposed(index: Index) -> dict[int, list[bytes]]:
    """What is proposed, by the slot of the proposal."""
    return {number: [place.asset_id for place in places] for number, places in index.proposals().items()}


def test_what_is_proposed_stays_until_it_is_decided(space: Space, index: Index) -> None:
    """The first proposal of an asset counts; confirming trashes in the same record, and the others wait on."""
    propose(space, C, A)
    propose(space, A, B)
    assert read(space, index) == []
    assert (proposed(index), listed(index)) == ({8: [A, C], 9: [B]}, [A, B, C])
    assert index.entry_id_at(8) == space.frames[7].entry_id
    decide(space, A, B, confirmed=True)
    assert read(space, index) == []
    assert (proposed(index), listed(index)) == ({8: [C]}, [C])
    assert [(place.asset_id, number) for place, number in index.trash()] == [(A, 10), (B, 10)]
    decide(space, C, confirmed=False)
    restore(space, A)
    assert read(space, index) == []
    assert (proposed(index), listed(index)) == ({}, [A, C])


def test_proposals_that_do_not_fit_are_set_aside(space: Space, index: Index) -> None:
    """Unknown assets, what is proposed or in the trash already, and decisions about what nobody proposed."""
    trash(space, A)
    propose(space, A)
    propose(space, B, bytes(16))
    decide(space, A, B, confirmed=True)
    propose(space, B)
    propose(space, A, B)
    trash(space, B)
    decide(space, B, confirmed=False)
    unchanged = Code.UNCHANGED
    assert read(space, index) == [unchanged, Code.NOT_FOUND, unchanged, unchanged, unchanged]
    assert (proposed(index), listed(index)) == ({}, [C])
