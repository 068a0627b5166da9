"""What members and grantees make of pictures taken out of albums, and of new titles, whatever a server let through."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.clients.engine.index import Index
from safelight.clients.engine.titles import MAX_TITLES_TRIED, Renaming, open_renaming, rename_body, title_of
from safelight.sync_protocol.approvals import ApprovalItem, ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.log import NO_HEAD, Frame, Head
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    OpenRollBody,
    RecordKind,
    RemoveFromAlbumBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from tests.support.grants import ALBUM, renaming_body, share
from tests.support.ledgers import Person, Space, id_of, seed_of
from tests.support.refusing import refusal, refuses
from tests.unit.engine.test_album_rules import album_head, asset, follow, read, shows

PRIVATE = id_of("private")
NAMES = ("one", "two")


@pytest.fixture
def space() -> Space:
    """A space with a shared album, and two pictures."""
    space = Space(Person("anna"), "work", "full").create()
    share(space)
    space.take(space.entry(RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"f", b"v")))
    space.take(space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset(name) for name in NAMES])))
    return space


@pytest.fixture
def index() -> Iterator[Index]:
    """An index that is not kept."""
    opened = Index(None)
    yield opened
    opened.close()


def adds(space: Space, *names: str) -> Frame:
    """Add pictures to the album of members alone."""
    items = [AlbumItem(id_of(name), b"w", b"w") for name in names]
    return space.take(space.entry(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(PRIVATE, 1, items)))


def removes(space: Space, *names: str, album: bytes = PRIVATE, log: Head = NO_HEAD) -> Frame:
    """Take pictures out of an album."""
    body = RemoveFromAlbumBody(album, log, [id_of(name) for name in names])
    return space.take(space.entry(RecordKind.REMOVE_FROM_ALBUM, body))


def renames(space: Space, *, log: Head, album: bytes = ALBUM, generation: int = 2) -> Frame:
    """Rename an album."""
    body = renaming_body(log=log, album=album, generation=generation)
    return space.take(space.entry(RecordKind.RENAME_ALBUM, body))


def in_album(index: Index, album: bytes) -> list[bytes]:
    """The assets of an album, in its order."""
    return [place.asset_id for place in index.album_assets(album)]


def test_out_of_an_album_and_in_again(space: Space, index: Index) -> None:
    """It comes back at the end, without its approval there; what was in it when is remembered."""
    adds(space, "one", "two")
    content = content_of(id_of("one"), files_of(asset("one").renditions))
    approval = ApproveAssetsBody(PRIVATE, approved=True, items=[ApprovalItem(id_of("one"), content)])
    space.take(space.entry(RecordKind.APPROVE_ASSETS, approval))
    out = removes(space, "one")
    back = adds(space, "one")
    assert read(space, index) == []
    assert in_album(index, PRIVATE) == [id_of("two"), id_of("one")]
    assert index.approvals(PRIVATE) == {}
    assert index.taken_out(PRIVATE, [id_of("one"), id_of("two")]) == set()
    for number, known, was in (
        (back.number + 1, back.number, True),  # in it again
        (back.number, back.number - 1, False),  # made by who knew that it is out
        (back.number, out.number - 1, True),  # by who did not
        (out.number, out.number - 1, True),
        (out.number - 2, 0, False),
    ):
        assert index.was_in_album(PRIVATE, number, known, [id_of("one")]) is was, number


def test_what_is_not_in_the_album(space: Space, index: Index) -> None:
    """Set aside whole, whatever an organiser and a server agree on; and nothing is taken out twice."""
    adds(space, "one")
    removes(space, "one", "two")
    removes(space, "two")
    removes(space, "one")
    removes(space, "one")
    assert read(space, index) == [Code.NOT_FOUND] * 3
    assert in_album(index, PRIVATE) == []
    assert index.taken_out(PRIVATE, [id_of("one"), id_of("two")]) == {id_of("one")}


def test_a_shared_albums_log_has_it(space: Space, index: Index, tmp_path: Path) -> None:
    """Members and grantees see it go, and come back; a title is in the same log."""
    frames = [shows(space, asset(name), NO_HEAD) for name in NAMES[:1]]
    frames.append(shows(space, asset("two"), album_head(space, *frames)))
    frames.append(removes(space, "one", album=ALBUM, log=album_head(space, *frames)))
    frames.append(renames(space, log=album_head(space, *frames)))
    frames.append(shows(space, asset("one"), album_head(space, *frames)))
    assert read(space, index) == []
    assert in_album(index, ALBUM) == [id_of("two"), id_of("one")]
    assert index.album_head(ALBUM) == album_head(space, *frames)
    assert index.album_titles(ALBUM) == [frames[3].number]
    feed = follow(space, tmp_path / "frames", *frames)
    assert feed.problems == []
    assert feed.head == album_head(space, *frames)
    assert [record.asset_ids for record in feed.records] == [[id_of(name)] for name in ("one", "two", "one", "one")]
    assert [renaming.number for renaming in feed.renamings] == [frames[3].number]
    assert index.unshown_assets(ALBUM) == []


@pytest.mark.parametrize("which", ["removal", "renaming"])
def test_dropped_from_the_middle(space: Space, index: Index, tmp_path: Path, which: str) -> None:
    """*A server that shows a picture on*, or an older title: whoever signs next knew the place after it."""
    frames = [shows(space, asset("one"), NO_HEAD)]
    place = album_head(space, *frames)
    frames.append(removes(space, "one", album=ALBUM, log=place) if which == "removal" else renames(space, log=place))
    frames.append(renames(space, log=album_head(space, *frames)))
    with refuses(Code.CHAIN_BROKEN):
        follow(space, tmp_path / "frames", frames[0], frames[2])
    stale = removes(space, "one", album=ALBUM, log=place)
    renames(space, log=place)
    assert read(space, index) == [Code.ALBUM_STALE] * 2
    assert index.problems()[0].number == stale.number
    assert index.album_head(ALBUM) == album_head(space, *frames)


def test_an_entry_before_a_removal_dropped(space: Space, tmp_path: Path) -> None:
    """A removal and a title name the place before them, as what is shown does."""
    first = shows(space, asset("one"), NO_HEAD)
    second = shows(space, asset("two"), album_head(space, first))
    removal = removes(space, "one", album=ALBUM, log=album_head(space, first, second))
    renaming = renames(space, log=album_head(space, first, second, removal))
    for frames in ((first, removal), (first, second, renaming)):
        with refuses(Code.CHAIN_BROKEN):
            follow(space, tmp_path / "frames", *frames)


def test_what_members_set_aside_stands_in_the_albums_log(space: Space, index: Index, tmp_path: Path) -> None:
    """A removal of what the album has not: nobody's log parts for it, and a grantee, who cannot tell, goes on."""
    frames = [shows(space, asset("one"), NO_HEAD)]
    frames.append(removes(space, "two", album=ALBUM, log=album_head(space, *frames)))
    frames.append(shows(space, asset("two"), album_head(space, *frames)))
    assert read(space, index) == [Code.NOT_FOUND]
    assert index.album_head(ALBUM) == album_head(space, *frames)
    assert follow(space, tmp_path / "frames", *frames).problems == []


KEYS = AlbumKeys(3, keytree.album_view_key(seed_of("album")), seed_of("album"))
PLACE = Place(seed_of("space"), ALBUM)
ANNA, BERT = id_of("anna"), id_of("bert")
LOG = Head(4, seed_of("log"))


def renaming(title: str, author_id: bytes = ANNA, log: Head = LOG, number: int = 9) -> Renaming:
    """A record that renames."""
    return Renaming(number, author_id, rename_body(PLACE, KEYS, title, author_id, log))


def test_a_title_is_of_its_author_and_place() -> None:
    """*An older title boxed in a record anew*, by who does not hold the key, or as somebody else: it does not open."""
    good = renaming("Summer")
    assert open_renaming(PLACE, KEYS, good) == "Summer"
    elsewhere = Place(PLACE.space_id, PRIVATE)
    later = replace(good.body, log=Head(5, seed_of("later")))
    for place, keys, changed in (
        (elsewhere, KEYS, good),
        (PLACE, AlbumKeys(4, KEYS.view, KEYS.full), good),
        (PLACE, AlbumKeys(3, seed_of("other"), None), good),
        (PLACE, KEYS, good._replace(author_id=BERT)),
        (PLACE, KEYS, good._replace(body=later)),
    ):
        assert refusal(open_renaming, place, keys, changed) is Code.OPEN_FAILED


def test_the_first_title_is_no_new_one() -> None:
    """The box of a creation, or of a generation, is none of a renaming, nor the other way round."""
    key = keytree.album_metadata_key(KEYS.view)
    first = seal_box(key, PLACE.title(KEYS.number), b"Summer", nonce=random_nonce())
    moved = renaming("x")
    moved = moved._replace(body=replace(moved.body, title=first))
    assert refusal(open_renaming, PLACE, KEYS, moved) is Code.OPEN_FAILED


@pytest.mark.parametrize("content", [b"", b" ", b" Summer", b"\xff\xfe", b"x" * 65, "é".encode() * 64 + b"!"])
def test_a_title_that_is_none(content: bytes) -> None:
    """Empty, of anything but text, or longer than an album may be called."""
    key, bound = keytree.album_metadata_key(KEYS.view), PLACE.new_title(KEYS.number, ANNA, LOG)
    made = renaming("x")
    made = made._replace(body=replace(made.body, title=seal_box(key, bound, content, nonce=random_nonce())))
    assert refusal(open_renaming, PLACE, KEYS, made) is Code.OPEN_FAILED


def test_the_newest_title_that_opens_counts() -> None:
    """*A title that is none, so that nobody finds the album*: the one before it, and its slot is told."""
    junk = renaming("x")._replace(number=12)
    junk = junk._replace(body=replace(junk.body, title=os.urandom(60)))
    new, old = renaming("New", number=11), renaming("Old", number=10)

    def keys_of(number: int) -> AlbumKeys:
        if number != KEYS.number:
            raise Refused(Code.EPOCH_MISMATCH)
        return KEYS

    def first() -> str:
        return "First"

    lost = old._replace(body=replace(old.body, generation=2))
    for renamings, expected in (
        ([], ("First", 0)),
        ([new, old], ("New", 0)),
        ([junk, new, old], ("New", 12)),
        ([junk, junk._replace(number=11), old], ("Old", 12)),
        ([lost], ("First", 10)),
        ([junk], ("First", 12)),
    ):
        assert title_of(PLACE, renamings, keys_of, first) == expected

    many = [junk] * (MAX_TITLES_TRIED - 1)
    assert title_of(PLACE, [*many, new], keys_of, first) == ("New", 12)
    assert title_of(PLACE, [*many, junk, new], keys_of, first) == ("First", 12)

    def away(_: int) -> AlbumKeys:
        raise Refused(Code.SERVER_UNREACHABLE)

    assert refusal(title_of, PLACE, [new], away, first) is Code.SERVER_UNREACHABLE
