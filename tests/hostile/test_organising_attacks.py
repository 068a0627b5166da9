"""A lying server, a removed grantee, and organisers who go further than they were let, against what albums show."""

import os

import msgspec
import pytest

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album, list_albums
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.generations import Place
from safelight.clients.engine.granted import find_granted, granted_albums
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.organising import album_of_grant, album_of_space, remove_from_album, rename_album
from safelight.clients.engine.sharing import end_grant, give_grant
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.titles import rename_body
from safelight.sync_protocol.log import NO_HEAD, parse_entry
from safelight.sync_protocol.records import (
    RecordKind,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RenditionName,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from safelight.sync_protocol.wire import Signed, unpack
from tests.hostile.proxy import Proxy
from tests.hostile.test_grant_attacks import _album_id, _codes, _come_in, _show_log
from tests.hostile.test_grant_attacks import studio as studio  # noqa: PLC0414 - a fixture
from tests.journeys.test_grants import Studio, refused_with
from tests.support.people import Someone, new_someone
from tests.support.server_process import ServerProcess


async def _first_of(space: SpaceView, album: str) -> bytes:
    found = await find_album(space, album)
    return space.index.album_assets(found.album_id)[0].asset_id


async def _organise(studio: Studio, album: str = "Wedding") -> tuple[bytes, bytes]:
    """Take the album's first picture out and rename it; returns that asset, and the album's id."""
    async with studio.anna.space("Studio") as space:
        found, asset_id = await find_album(space, album), await _first_of(space, album)
        await remove_from_album(album_of_space(space, found), [asset_id])
        await rename_album(space, found, f"New {album}")
        return asset_id, found.album_id


async def _let_organise(studio: Studio, album: str = "Wedding") -> None:
    async with studio.anna.space("Studio") as space:
        found = await find_album(space, album)
        await give_grant(space, found, studio.fred_id, Tier.FULL, can_organise=True)


async def _titles(someone: Someone) -> dict[str, int]:
    """A member's albums by title, and which have a title that does not open."""
    async with someone.space("Studio") as space:
        return {album.title: album.unread_title for album in await list_albums(space)}


async def _granted_titles(studio: Studio) -> dict[str, int]:
    async with studio.fred.session() as session:
        return {album.title: album.unread_title for _, album in (await granted_albums(session)).albums}


@pytest.mark.parametrize("dropped", ["removal", "title"])
async def test_dropped_from_the_middle(studio: Studio, proxy: Proxy, dropped: str) -> None:
    """*A picture that was taken out is shown on*, or an older name: nothing of that space is believed."""
    _, album_id = await _organise(studio)
    await studio.add("third.jpg", album="New Wedding")
    place = 2 if dropped == "removal" else 3
    _show_log(proxy, studio, album_id, lambda frames: [*frames[:place], *frames[place + 1 :]])
    assert await _codes(studio) == ([], {Code.CHAIN_BROKEN})
    proxy.be_honest()
    assert await _codes(studio) == (["New Wedding", "Private"], set())
    assert len(await studio.seen(RenditionName.ORIGINAL, "New Wedding")) == 2


async def test_taken_back_by_the_server(studio: Studio, proxy: Proxy) -> None:
    """What a grantee has seen of it, a shorter log takes back from nobody."""
    _, album_id = await _organise(studio)
    assert await _codes(studio) == (["New Wedding", "Private"], set())
    for end in (-1, -2):
        _show_log(proxy, studio, album_id, lambda frames, end=end: frames[:end])  # type: ignore[misc]  # bound here
        assert await _codes(studio) == ([], {Code.HISTORY_ROLLED_BACK})
        proxy.be_honest()


async def test_another_albums_removal(studio: Studio, proxy: Proxy) -> None:
    """*An entry about one album put into the log of another*: it is set aside, and takes nothing out there."""
    await _organise(studio, "Private")
    album_id, other_id = await _album_id(studio), await _album_id(studio, "New Private")
    async with studio.fred.session() as session:
        base = f"/v1/spaces/{studio.space_id.hex()}/albums"
        others = await session.connection.fetch_album_frames(f"{base}/{other_id.hex()}/log?after=0")
    _show_log(proxy, studio, album_id, lambda frames: [*frames, *others[-2:]])
    titles, codes = await _codes(studio)
    assert (titles, codes) == (["New Private", "Wedding"], {Code.ENTRY_MALFORMED})
    async with studio.fred.session() as session:
        _, _, album = await find_granted(session, "Wedding")
        assert album.asset_count == 2


async def test_who_organises_one_album_and_signs_for_another(studio: Studio) -> None:
    """By a grant of its own album it does nothing to another that is granted to it, nor to one of members alone."""
    await _let_organise(studio)
    async with studio.anna.space("Studio") as space:
        private = await _first_of(space, "Private")
    other_id = await _album_id(studio, "Private")
    async with studio.fred.session() as session:
        view, _, granted = await find_granted(session, "Private")
        log = view.log_end(other_id)
        bodies: list[tuple[RecordKind, Signed]] = [
            (RecordKind.REMOVE_FROM_ALBUM, RemoveFromAlbumBody(other_id, log, [private])),
            (
                RecordKind.RENAME_ALBUM,
                rename_body(
                    Place(view.space_id, granted.album_id), view.standing_keys(other_id), "Mine", studio.fred_id, log
                ),
            ),
        ]
        for kind, body in bodies:
            with refused_with(Code.RIGHT_MISSING):
                await view.committer.commit(kind, body)
        # Of an album that it may organise, what only another one has.
        mine = await _album_id(studio)
        with refused_with(Code.NOT_FOUND):
            body = RemoveFromAlbumBody(mine, view.log_end(mine), [private])
            await view.committer.commit(RecordKind.REMOVE_FROM_ALBUM, body)
    assert set(await _titles(studio.anna)) == {"Wedding", "Private"}


async def test_who_is_out_organises_nothing(studio: Studio) -> None:
    """With the keys and the log that it had: neither after its grant ended, nor after it was removed."""
    await _let_organise(studio)
    album_id = await _album_id(studio)
    async with studio.fred.session() as session:
        view, reader, _ = await find_granted(session, "Wedding")
        first, *_ = [found.asset_id async for found in reader.each()]
        keys, log = view.standing_keys(album_id), view.log_end(album_id)
        removal = RemoveFromAlbumBody(album_id, log, [first])
        renaming = rename_body(Place(view.space_id, album_id), keys, "Mine", studio.fred_id, log)
        async with studio.anna.space("Studio") as space:
            await end_grant(space, await find_album(space, "Wedding"), studio.fred_id)
        for kind, body in ((RecordKind.REMOVE_FROM_ALBUM, removal), (RecordKind.RENAME_ALBUM, renaming)):
            with refused_with(Code.RIGHT_MISSING):
                await view.committer.commit(kind, body)
        async with studio.anna.space("Studio") as space:
            await remove_member(space, studio.fred_id)
        for kind, body in ((RecordKind.REMOVE_FROM_ALBUM, removal), (RecordKind.RENAME_ALBUM, renaming)):
            with refused_with(Code.SPACE_UNKNOWN):
                await view.committer.commit(kind, body)
    assert set(await _titles(studio.anna)) == {"Wedding", "Private"}


async def _editor(server: ServerProcess, studio: Studio) -> Someone:
    eva = await new_someone(server, studio.folder / "eva", f"eva-{os.urandom(4).hex()}")
    await _come_in(studio, eva, "Eva", Role.EDITOR)
    return eva


async def test_an_older_title_in_a_record_anew(server: ServerProcess, studio: Studio) -> None:
    """*Boxes swapped by who does not open them*: the newest title that opens counts, for everyone, and it is told."""
    eva = await _editor(server, studio)
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        await rename_album(space, album, "Old")
        envelope = space.index.envelope_at(space.index.album_titles(album.album_id)[0])
        await rename_album(space, album, "New")
        creation = space.state.albums[album.album_id].generation.title
    old = unpack(parse_entry(envelope or b"").body, RenameAlbumBody)
    for box in (old.title, creation, os.urandom(64), b""):
        async with eva.space("Studio") as space:
            body = msgspec.structs.replace(old, log=space.index.album_head(album.album_id), title=box)
            receipt = await space.commit(RecordKind.RENAME_ALBUM, body)
            assert space.problems == []
        for titles in (await _titles(studio.anna), await _titles(eva), await _granted_titles(studio)):
            assert titles == {"New": receipt.number, "Private": 0}
    await studio.add("third.jpg", album="New")
    async with studio.anna.space("Studio") as space:
        await rename_album(space, await find_album(space, "New"), "Newest")
    assert await _titles(studio.anna) == await _granted_titles(studio) == {"Newest": 0, "Private": 0}


async def test_a_title_of_members_that_is_none(server: ServerProcess, studio: Studio) -> None:
    """Of an album that is not shared as well: the one of its creation counts, and it can be renamed again."""
    eva = await _editor(server, studio)
    async with eva.space("Studio") as space:
        album_id = await create_album(space, "Members")
        body = RenameAlbumBody(album_id, 1, NO_HEAD, os.urandom(64))
        receipt = await space.commit(RecordKind.RENAME_ALBUM, body)
    assert (await _titles(studio.anna))["Members"] == receipt.number
    async with studio.anna.space("Studio") as space:
        await rename_album(space, await find_album(space, "Members"), "Ours")
    assert (await _titles(eva))["Ours"] == 0


async def test_an_organiser_that_empties_an_album(studio: Studio) -> None:
    """*A grantee takes out what others added*: all of it is in the space, and is put back; the grant is ended."""
    await _let_organise(studio)
    async with studio.fred.session() as session:
        view, reader, granted = await find_granted(session, "Wedding")
        ids = [found.asset_id async for found in reader.each()]
        assert len(await remove_from_album(album_of_grant(view, granted.album_id), ids)) == 2
    async with studio.anna.space("Studio") as space:
        await end_grant(space, await find_album(space, "Wedding"), studio.fred_id)
        reader_of_space = AssetReader(space)
        assets = [await reader_of_space.find(asset_id.hex()) for asset_id in ids]
        assert await add_to_album(space, await find_album(space, "Wedding"), assets) == 2
        assert space.problems == []
    await studio.grant(Tier.FULL)
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 2
