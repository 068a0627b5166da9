"""The trash over HTTP: what is in it goes to members alone, at the next request, until it is restored."""

import asyncio
import os

import pytest

from safelight.sync_protocol.messages.spaces import GrantedAlbums
from safelight.sync_protocol.records import RecordKind, RestoreAssetsBody, TrashAssetsBody
from safelight.sync_protocol.roles import Role, Tier
from tests.http.conftest import Owner, Server
from tests.http.test_grants import Gallery, gallery
from tests.http.test_removal import LARGE, MOST_AFTER_BYTES, TAKEN_AHEAD_BYTES
from tests.support.grants import open_body, showing_body
from tests.support.invitations import become_member
from tests.support.links import cookie_of, fetch, open_link
from tests.support.protocol import Blob, Link, Pairing, make_asset
from tests.support.raw_http import raw


async def trash(owner: Owner, *asset_ids: bytes) -> None:
    """Put assets into the trash."""
    entry = owner.writer.entry(RecordKind.TRASH_ASSETS, TrashAssetsBody(list(asset_ids)))
    await owner.api.commit(owner.writer, entry)


async def restore(owner: Owner, *asset_ids: bytes) -> None:
    """Take assets out of the trash."""
    entry = owner.writer.entry(RecordKind.RESTORE_ASSETS, RestoreAssetsBody(list(asset_ids)))
    await owner.api.commit(owner.writer, entry)


async def test_links_show_nothing_of_the_trash(server: Server, owner: Owner) -> None:
    """Neither preview nor original of it; the other pictures and the pages go on, and restored it is shown again."""
    blobs = [(Blob(os.urandom(900)), Blob(os.urandom(800))) for _ in range(2)]
    gone, left = [await owner.api.add_asset(owner.writer, *pair) for pair in blobs]
    view, full = [pair[1] for pair in blobs], [pair[0] for pair in blobs]
    link = Link(Blob(os.urandom(500)), view=view, full=full, tier="full", originals=True)
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))

    async def shown() -> list[int]:
        return [(await fetch(server.api, link, blob, cookie)).status for blob in (*view, *full, link.page)]

    assert await shown() == [200] * 5
    await trash(owner, gone.asset_id)
    assert await shown() == [410, 200, 410, 200, 200]
    assert (await fetch(server.api, link, view[0], cookie)).code == "withheld"
    assert (await owner.api.get(f"{owner.space}/blobs/{full[0].name.hex()}")).body == full[0].data
    await restore(owner, gone.asset_id)
    assert await shown() == [200] * 5
    await trash(owner, left.asset_id, gone.asset_id)
    again = cookie_of(await open_link(server.api, link))
    assert (await fetch(server.api, link, view[1], again)).code == "withheld"


async def test_grantees_get_nothing_of_the_trash(server: Server, owner: Owner) -> None:
    """They are told which pictures it is; members who read still fetch them, and may hold them elsewhere."""
    album = await gallery(server, owner)
    await album.give(Tier.FULL)
    assert album.asset is not None
    assert [await album.asks(blob) for blob in (album.original, album.preview)] == ["", ""]
    await trash(owner, album.asset.asset_id)
    assert [await album.asks(blob) for blob in (album.original, album.preview)] == ["withheld", "withheld"]
    [told] = (await album.api.get(f"{owner.space}/albums")).as_(GrantedAlbums).albums
    assert told.withheld == [album.asset.asset_id.hex()]
    assert await album.asks(album.original, owner.api) == ""
    assert await album.asks_for_log() == ""
    await restore(owner, album.asset.asset_id)
    assert [await album.asks(blob) for blob in (album.original, album.preview)] == ["", ""]
    [told] = (await album.api.get(f"{owner.space}/albums")).as_(GrantedAlbums).albums
    assert told.withheld == []


async def test_a_previewer_with_a_grant(server: Server, owner: Owner) -> None:
    """What they read as a member goes on; what a grant adds to it does not."""
    album = await gallery(server, owner, Role.PREVIEWER)
    await album.give(Tier.FULL)
    assert album.asset is not None
    assert [await album.asks(blob) for blob in (album.original, album.preview)] == ["", ""]
    await trash(owner, album.asset.asset_id)
    assert [await album.asks(blob) for blob in (album.original, album.preview)] == ["withheld", ""]


@pytest.mark.parametrize("who", ["guest", "grantee"])
async def test_a_download_ends_with_the_trash(server: Server, owner: Owner, who: str) -> None:
    """At most 8 MiB of a picture arrive after it went into the trash."""
    album = await gallery(server, owner)
    added = await owner.api.add_asset(owner.writer, Blob(os.urandom(100)), LARGE)
    if who == "guest":
        link = Link(Blob(os.urandom(500)), view=[LARGE])
        await owner.api.publish(owner.writer, link)
        cookie = cookie_of(await open_link(server.api, link))
        path, token, headers = f"/v1/links/{link.link_id.hex()}/blobs", "", {"Cookie": cookie}
    else:
        other = Gallery(owner, album.person, album.api, album.signer)
        await other.commit("grant.open", open_body(owner.writer, album=other.album))
        await other.commit("album.show", showing_body(owner.writer, added, album=other.album))
        await other.give(Tier.FULL)
        path, token, headers = f"{owner.space}/blobs", album.api.token, {}
    async with raw(server.api.url, token, taken_ahead_bytes=TAKEN_AHEAD_BYTES) as connection:
        await connection.request("GET", f"{path}/{LARGE.name.hex()}", {**headers, "Connection": "close"})
        assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
        await connection.reader.readexactly(1024)
        await asyncio.sleep(0.5)
        await trash(owner, added.asset_id)
        assert 0 < await connection.rest_size_bytes() <= MOST_AFTER_BYTES


async def test_what_was_made_for_a_link_is_the_links(server: Server, owner: Owner) -> None:
    """*A link that is cut off by who may not revoke it*, by an asset that names its page: it goes on."""
    person, api = await server.account()
    signer = await become_member(owner.api, owner.writer, person, api, Role.EDITOR)
    made = Blob(os.urandom(600))
    link = Link(Blob(os.urandom(500)), made=[made])
    await owner.api.upload(owner.writer.space_id, made)
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    asset = make_asset(link.page, made)
    await api.commit(owner.writer, owner.writer.open_roll(signer), signer=signer)
    await api.commit(owner.writer, owner.writer.add_assets(asset, signer=signer), signer=signer)
    entry = owner.writer.entry(RecordKind.TRASH_ASSETS, TrashAssetsBody([asset.asset_id]), signer)
    await api.commit(owner.writer, entry, signer=signer)
    assert [(await fetch(server.api, link, blob, cookie)).status for blob in (link.page, made)] == [200, 200]


async def test_a_picture_that_is_kept_by_another_name(server: Server, owner: Owner) -> None:
    """*A picture that is shown on, since another asset names its blobs*: it is withheld all the same."""
    preview = Blob(os.urandom(800))
    asset = await owner.api.add_asset(owner.writer, Blob(os.urandom(900)), preview)
    link = Link(Blob(os.urandom(500)), view=[preview])
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    await trash(owner, asset.asset_id)
    await owner.api.add_asset(owner.writer, Blob(os.urandom(900)), preview)
    assert (await fetch(server.api, link, preview, cookie)).code == "withheld"


async def test_who_may_not_trash(server: Server, owner: Owner) -> None:
    """A viewer and a camera are refused."""
    asset = await owner.api.add_asset(owner.writer, Blob(os.urandom(900)))
    person, api = await server.account()
    signer = await become_member(owner.api, owner.writer, person, api, Role.VIEWER)
    camera, by_camera = await owner.api.pair_camera(owner.writer, Pairing())
    for who, their in ((api, signer), (camera, by_camera)):
        for body in (TrashAssetsBody([asset.asset_id]), RestoreAssetsBody([asset.asset_id])):
            kind = RecordKind.TRASH_ASSETS if isinstance(body, TrashAssetsBody) else RecordKind.RESTORE_ASSETS
            assert (await who.try_commit(owner.writer, owner.writer.entry(kind, body, their))).code == "right-missing"
