"""Albums granted to people who read nothing else of a space, by the engine against a real server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import open_pusher
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.cameras import add_camera
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.granted import find_granted, granted_albums
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import list_members, remove_member
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.pointing import catch_up, point_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.sharing import end_grant, give_grant, list_grants
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.pushing import Silent
from tests.support.server_process import ServerProcess


@dataclass
class Studio:
    """A studio with an album of one picture and another picture beside it, and a freelancer who reads nothing yet."""

    anna: Someone
    fred: Someone
    fred_id: bytes
    space_id: bytes
    folder: Path

    async def add(self, name: str, *, album: str = "Wedding") -> bytes:
        """Add a picture, also to an album; returns its bytes."""
        photo = self.folder / name
        photo.write_bytes(os.urandom(50_000))
        async with self.anna.space("Studio") as space:
            await add_file(space, photo, preview=b"preview of " + name.encode())
            await space.sync()
            if album:
                assets = [found async for found in AssetReader(space).each() if isinstance(found, OpenedAsset)]
                await add_to_album(space, await find_album(space, album), assets[-1:])
        return photo.read_bytes()

    async def grant(self, tier: Tier, *, album: str = "Wedding", expires_ms: int = 0) -> None:
        """Give the freelancer a grant."""
        async with self.anna.space("Studio") as space:
            await give_grant(space, await find_album(space, album), self.fred_id, tier, expires_ms=expires_ms)

    async def end(self, album: str = "Wedding") -> None:
        """End the freelancer's grant."""
        async with self.anna.space("Studio") as space:
            await end_grant(space, await find_album(space, album), self.fred_id)

    async def seen(self, rendition: RenditionName, album: str = "Wedding") -> list[bytes]:
        """What the freelancer sees of an album."""
        async with self.fred.session() as session:
            view, reader, _ = await find_granted(session, album)
            assert view.problems == []
            assets = [found async for found in reader.each()]
            assert all(isinstance(found, OpenedAsset) for found in assets)
            return [await reader.fetch_bytes(found, rendition) for found in assets if isinstance(found, OpenedAsset)]

    async def titles(self) -> list[tuple[str, Tier, int]]:
        """The freelancer's albums: title, tier, how many assets."""
        async with self.fred.session() as session:
            granted = await granted_albums(session)
            assert granted.refused == {}
            return [(album.title, album.tier, album.asset_count) for _, album in granted.albums]


@contextmanager
def refused_with(code: Code) -> Iterator[None]:
    """Check that what is done inside is refused."""
    with pytest.raises(Refused) as refused:
        yield
    assert refused.value.code is code, refused.value


@pytest.fixture
async def studio(server: ServerProcess, tmp_path: Path) -> Studio:
    """The studio, with Fred let in as a grantee."""
    names = [f"{name}-{os.urandom(4).hex()}" for name in ("anna", "fred")]
    anna, fred = [await new_someone(server, tmp_path / name, name) for name in names]
    space_id = await new_space(anna, "Studio", "work")
    async with anna.space("Studio") as space:
        await create_album(space, "Wedding")
        await create_album(space, "Private")
        code = await invite_member(space, "Fred", Role.GRANTEE)
    async with fred.session() as session:
        await join_space(session, code.uri)
    async with anna.space("Studio") as space:
        [admitted] = await admit_joined(space)
    return Studio(anna, fred, admitted.account_id, space_id, tmp_path)


async def test_one_gallery_and_nothing_else(studio: Studio) -> None:
    """What was in it before, what is added while the grant stands, at its tier; nothing of another album or the log."""
    first = await studio.add("first.jpg")
    hidden = await studio.add("hidden.jpg", album="Private")
    assert await studio.titles() == []
    await studio.grant(Tier.FULL)
    assert await studio.titles() == [("Wedding", Tier.FULL, 1)]
    second = await studio.add("second.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [first, second]
    assert await studio.seen(RenditionName.PREVIEW) == [b"preview of first.jpg", b"preview of second.jpg"]
    assert hidden not in await studio.seen(RenditionName.ORIGINAL)
    async with studio.fred.session() as session:
        listing = await list_spaces(session)
        assert (listing.spaces, listing.refused) == ([], {})
        assert [view.role for view in listing.granted] == [Role.GRANTEE]
        with refused_with(Code.FORBIDDEN), SpaceView(session, session.content.spaces[0]) as space:
            await space.sync()
        with refused_with(Code.NOT_FOUND):
            await find_granted(session, "Private")
    async with studio.anna.space("Studio") as space:
        assert [(one.title, one.tier, one.expires_ms) for one in await list_grants(space)] == [
            ("Wedding", Tier.FULL, 0)
        ]
        album = await find_album(space, "Wedding")
        assert (album.is_shared, album.asset_count, space.problems) == (True, 2, [])


async def test_previews_alone(studio: Studio) -> None:
    """A grandparent's grant: no original, no file name; widened, it gives them."""
    first = await studio.add("first.jpg")
    await studio.grant(Tier.VIEW)
    assert await studio.seen(RenditionName.PREVIEW) == [b"preview of first.jpg"]
    with refused_with(Code.FORBIDDEN):
        await studio.seen(RenditionName.ORIGINAL)
    async with studio.fred.session() as session:
        _, reader, _ = await find_granted(session, "Wedding")
        [asset] = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        assert (asset.full, asset.keys.full) == (None, None)
        path = f"/v1/spaces/{studio.space_id.hex()}/blobs"
        original, preview = asset.body.renditions[0].blob, asset.body.renditions[1].blob
        await session.connection.fetch_bytes(f"{path}/{preview.hex()}")
        with refused_with(Code.NOT_FOUND):
            await session.connection.fetch_bytes(f"{path}/{original.hex()}")
    await studio.grant(Tier.FULL)
    assert await studio.seen(RenditionName.ORIGINAL) == [first]


async def test_an_ended_grant_reads_nothing_more(studio: Studio) -> None:
    """Neither from the server, nor with the keys that it had: what is added later is under others."""
    await studio.add("first.jpg")
    await studio.grant(Tier.FULL)
    async with studio.fred.session() as session:
        view, _, album = await find_granted(session, "Wedding")
        held = view._keys(album.album_id)
    await studio.end()
    await studio.add("second.jpg")
    assert await studio.titles() == []
    async with studio.anna.space("Studio") as space:
        state = space.state.albums[album.album_id]
        assert set(held) == {2}
        assert state.generation.number == 3
        assert state.generation.boxes == []
        assert await list_grants(space) == []
    async with studio.fred.session() as session:
        with refused_with(Code.NOT_FOUND):
            await find_granted(session, "Wedding")
        with refused_with(Code.NOT_FOUND):
            path = f"/v1/spaces/{studio.space_id.hex()}/albums/{album.album_id.hex()}/log"
            await session.connection.fetch_bytes(f"{path}?after=0")
    await studio.grant(Tier.VIEW)
    assert await studio.seen(RenditionName.PREVIEW) == [b"preview of first.jpg", b"preview of second.jpg"]


async def test_a_grant_expires(studio: Studio) -> None:
    """By itself: the server answers no more, and the next who adds begins new keys."""
    await studio.add("first.jpg")
    expires_ms = now_ms() + 4000
    await studio.grant(Tier.FULL, expires_ms=expires_ms)
    assert await studio.titles() == [("Wedding", Tier.FULL, 1)]
    while now_ms() < expires_ms:
        os.sched_yield()
    assert await studio.titles() == []
    await studio.add("second.jpg")
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        assert (album.generation, album.asset_count) == (3, 2)
        assert space.state.albums[album.album_id].grants == {}


async def test_who_leaves_the_space_leaves_its_albums(studio: Studio) -> None:
    """A new epoch, and with the next picture a new generation, for who stays."""
    await studio.add("first.jpg")
    await studio.grant(Tier.FULL)
    assert await studio.titles() == [("Wedding", Tier.FULL, 1)]
    async with studio.anna.space("Studio") as space:
        await remove_member(space, studio.fred_id)
        assert [member.is_me for member in await list_members(space)] == [True]
    await studio.add("second.jpg")
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        assert (album.generation, album.asset_count) == (3, 2)
        assert space.state.albums[album.album_id].generation.epoch == 2
    async with studio.fred.session() as session:
        assert [refusal.code for refusal in (await granted_albums(session)).refused.values()] == [Code.SPACE_UNKNOWN]


async def test_grants_that_cannot_be(studio: Studio) -> None:
    """To who reads it all already, twice ended, to nobody."""
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        me = space.session.account_id
        with refused_with(Code.LEDGER_RULE):
            await give_grant(space, album, me, Tier.VIEW)
        with refused_with(Code.LEDGER_RULE):
            await give_grant(space, album, os.urandom(16), Tier.VIEW)
        with refused_with(Code.LEDGER_RULE):
            await end_grant(space, album, studio.fred_id)


async def _camera(studio: Studio, name: str) -> tuple[Someone, bytes]:
    """Pair a camera of the studio's; returns its profile and its id."""
    async with studio.anna.space("Studio") as space:
        code = await pair_camera(space, name)
    camera = Someone(studio.folder / name, name, [])
    with ProfileFolder(camera.path) as folder:
        await add_camera(folder, code.uri)
    return camera, code.camera_id


async def _push(studio: Studio, camera: Someone, name: str) -> bytes:
    """Push one picture by the camera's real uploader; returns its bytes."""
    pictures = studio.folder / f"{camera.name} {name}"
    pictures.mkdir()
    (pictures / name).write_bytes(os.urandom(30_000))
    with ProfileFolder(camera.path) as folder:
        async with open_pusher(folder, None, Silent()) as pusher:
            tally = await pusher.push(pictures)
    assert tally.counts[Outcome.UPLOADED] == 1
    return (pictures / name).read_bytes()


async def test_a_camera_fills_an_album_while_every_laptop_sleeps(studio: Studio) -> None:
    """Grantees see what it adds at once; pointed away, it adds to the space alone."""
    camera, camera_id = await _camera(studio, "booth")
    before = await _push(studio, camera, "before.jpg")
    await studio.grant(Tier.FULL)
    async with studio.anna.space("Studio") as space:
        await point_camera(space, camera_id, await find_album(space, "Wedding"))
    made = [await _push(studio, camera, f"{number}.jpg") for number in range(2)]
    assert await studio.seen(RenditionName.ORIGINAL) == made
    third = await studio.add("by-hand.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [*made, third]
    made.append(await _push(studio, camera, "after.jpg"))
    assert await studio.seen(RenditionName.ORIGINAL) == [*made[:2], third, made[2]]
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        assert (space.problems, album.asset_count) == ([], 4)
        assert before not in made
        await point_camera(space, camera_id, None)
        with refused_with(Code.LEDGER_RULE):
            await point_camera(space, camera_id, None)
    await _push(studio, camera, "elsewhere.jpg")
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 4


async def test_a_camera_waits_for_new_keys_and_loses_nothing(studio: Studio) -> None:
    """A grant ended: what it adds then is in the space, under keys that the freelancer never had, until a laptop runs.

    Then the album has new keys and shows it.
    """
    camera, camera_id = await _camera(studio, "booth")
    await studio.grant(Tier.FULL)
    async with studio.anna.space("Studio") as space:
        await point_camera(space, camera_id, await find_album(space, "Wedding"))
    first = await _push(studio, camera, "first.jpg")
    async with studio.anna.space("Studio") as space:
        await space.rotate_epoch()
    late = await _push(studio, camera, "late.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [first]
    async with studio.anna.space("Studio") as space:
        assert len(list(space.index.assets())) == 2
        assert await catch_up(space) == 1
        assert await catch_up(space) == 0
        assert space.problems == []
    assert await studio.seen(RenditionName.ORIGINAL) == [first, late]
    last = await _push(studio, camera, "last.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [first, late, last]
    await studio.end()
    await _push(studio, camera, "private.jpg")
    await studio.grant(Tier.VIEW)
    async with studio.anna.space("Studio") as space:
        assert (await find_album(space, "Wedding")).asset_count == 4
