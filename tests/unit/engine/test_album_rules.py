"""What members and grantees make of a shared album's records: what does not fit what came before is set aside."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.album_feed import AlbumFeed
from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.album_log import AlbumFrame, next_album_head
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody
from safelight.sync_protocol.log import NO_HEAD, Frame, Head, frames_to_bytes
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AssetBody,
    OpenAlbumRollBody,
    OpenRollBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    ShowInAlbumBody,
    ShownItem,
)
from safelight.sync_protocol.refusals import Code
from tests.support.grants import ALBUM, share
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.refusing import refuses


@pytest.fixture
def space() -> Space:
    """A space with a shared album."""
    space = Space(Person("anna"), "work", "full").create()
    share(space)
    return space


@pytest.fixture
def camera(space: Space) -> Signer:
    """A camera that fills the album."""
    signer = space.camera()
    space.take(space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(signer.device_id, ALBUM)))
    return signer


@pytest.fixture
def index() -> Iterator[Index]:
    """An index that is not kept."""
    opened = Index(None)
    yield opened
    opened.close()


def asset(name: str = "asset", **changes: object) -> AssetBody:
    """Build an asset."""
    original = RenditionRef(RenditionName.ORIGINAL, id_of(f"rendition {name}"), seed_of(name), 4096, bytes(74))
    return msgspec.structs.replace(AssetBody(id_of(name), b"", [original], b"w", b"w", b"v", b"f"), **changes)


def album_roll(space: Space, signer: Signer, name: str = "roll") -> Frame:
    """Open a roll of the album."""
    body = OpenAlbumRollBody(id_of(name), space.state.epoch.number, b"f", b"v", ALBUM, 2, b"f", b"v")
    return space.take(space.entry(RecordKind.OPEN_ALBUM_ROLL, body, signer), signer)


def adds(space: Space, signer: Signer, added: AssetBody, roll: str = "roll") -> Frame:
    """Add an asset to the album under a roll."""
    body = AddAlbumAssetsBody(id_of(roll), ALBUM, 2, [added])
    return space.take(space.entry(RecordKind.ADD_ALBUM_ASSETS, body, signer), signer)


def shows(space: Space, shown: AssetBody, log: Head, roll: str = "roll") -> Frame:
    """Show an asset in the album, whose own log ended at *log*."""
    body = ShowInAlbumBody(ALBUM, 2, log, [ShownItem(id_of(roll), shown)])
    return space.take(space.entry(RecordKind.SHOW_IN_ALBUM, body))


def album_head(space: Space, *frames: Frame) -> Head:
    """Where the album's own log ends after *frames*."""
    head = NO_HEAD
    for frame in frames:
        head = next_album_head(space.state.space_id, ALBUM, head, frame.number, frame.entry_id)
    return head


def read(space: Space, index: Index) -> list[Code]:
    """Read the space's log as a member; returns why entries were set aside."""
    reader = LogReader(space.state.space_id, index, SpaceMemory())
    for frame in space.frames:
        with index.transaction():
            reader.take(frame)
    return [problem.code for problem in index.problems()]


def follow(space: Space, path: Path, *frames: Frame) -> AlbumFeed:
    """Follow the album as a grantee does, of whom *frames* are all that the server shows."""
    head, kept = NO_HEAD, []
    for frame in frames:
        head = next_album_head(space.state.space_id, ALBUM, head, frame.number, frame.entry_id)
        kept.append(AlbumFrame(head.number, frame.number, NOW_MS, head.hash, frame.entry_id, frame.envelope))
    path.write_bytes(frames_to_bytes(kept))
    feed = AlbumFeed(space.state.space_id, ALBUM, SpaceMemory(), path)
    feed._recall()
    feed.judge(space.state, None, lambda _: None)
    return feed


def test_what_fits_is_shown_to_members_and_grantees(space: Space, camera: Signer, index: Index, tmp_path: Path) -> None:
    """A camera's picture, and then what somebody shows after it."""
    frames = [album_roll(space, camera), adds(space, camera, asset())]
    frames.append(shows(space, asset(), album_head(space, *frames)))
    assert read(space, index) == []
    assert index.album_head(ALBUM) == album_head(space, *frames)
    assert [place.asset_id for place in index.album_assets(ALBUM)] == [id_of("asset")]
    assert index.unshown_assets(ALBUM) == []
    feed = follow(space, tmp_path / "frames", *frames)
    assert [record.asset_ids for record in feed.records] == [[id_of("asset")], [id_of("asset")]]
    assert feed.problems == []


@pytest.mark.parametrize("wrong", ["plain", "another's", "none"])
def test_under_a_roll_that_is_not_the_albums(
    space: Space, camera: Signer, index: Index, tmp_path: Path, wrong: str
) -> None:
    """*Sealed so that grantees cannot open it*, or under another device's roll: nobody shows it; the logs go on."""
    frames = []
    if wrong == "plain":
        body = OpenRollBody(id_of("roll"), space.state.epoch.number, b"f", b"v")
        space.take(space.entry(RecordKind.OPEN_ROLL, body, camera), camera)
    if wrong == "another's":
        frames.append(album_roll(space, space.signer))
    frames += [adds(space, camera, asset()), album_roll(space, camera, "good"), adds(space, camera, asset("b"), "good")]
    assert read(space, index) == [Code.ROLL_UNKNOWN]
    assert [place.asset_id for place in index.album_assets(ALBUM)] == [id_of("b")]
    assert index.album_head(ALBUM) == album_head(space, *frames)
    feed = follow(space, tmp_path / "frames", *frames)
    assert [problem.code for problem in feed.problems] == [Code.ROLL_UNKNOWN]
    assert [record.asset_ids for record in feed.records] == [[id_of("b")]]


def test_a_rolls_id_is_given_once(space: Space, camera: Signer, index: Index, tmp_path: Path) -> None:
    """A second opening could put other keys in place of those that pictures were added under."""
    frames = [album_roll(space, camera), album_roll(space, camera)]
    assert read(space, index) == [Code.ROLL_UNKNOWN]
    assert [problem.code for problem in follow(space, tmp_path / "frames", *frames).problems] == [Code.ROLL_UNKNOWN]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"view": b"other"}, Code.ASSET_CONFLICT),
        ({"renditions": asset("other").renditions}, Code.ASSET_CONFLICT),
        ({"asset_id": id_of("nobody's")}, Code.NOT_FOUND),
    ],
)
def test_other_pictures_for_grantees_than_for_members(
    space: Space, camera: Signer, index: Index, changes: dict[str, object], code: Code
) -> None:
    """Set aside by every member, who is told of it; the album's log stands all the same."""
    frames = [album_roll(space, camera), adds(space, camera, asset())]
    frames.append(shows(space, msgspec.structs.replace(asset(), **changes), album_head(space, *frames)))
    assert read(space, index) == [code]
    assert index.album_head(ALBUM) == album_head(space, *frames)


def test_a_picture_dropped_from_the_middle(space: Space, camera: Signer, index: Index, tmp_path: Path) -> None:
    """Who shows names the place before: a grantee to whom an entry is not shown finds a broken chain."""
    frames = [album_roll(space, camera), adds(space, camera, asset())]
    frames.append(shows(space, asset(), album_head(space, *frames)))
    with refuses(Code.CHAIN_BROKEN):
        follow(space, tmp_path / "frames", frames[0], frames[2])
    stale = shows(space, asset(), album_head(space, frames[0]))
    assert read(space, index) == [Code.ALBUM_STALE]
    assert stale.number == index.problems()[0].number
    assert index.album_head(ALBUM) == album_head(space, *frames)
