"""A view-only link, attacked by a guest who has everything it gives: its address, its password, its session."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import aiohttp
import pytest

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.sync_protocol.links import parse_address
from safelight.sync_protocol.records import RenditionName
from tests.support.curious_guest import LINK_PASSWORD, guesses, open_as_guest, opens, stored
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess

ORIGINAL = b"\xff\xd8 the original, with its place and its name " * 4000
PREVIEW = b"RIFF a preview " * 500
FILE_NAME = "Anna at the lake.jpg"


@dataclass
class Shared:
    """The link's address, and what the maker knows of the asset that it shows."""

    url: str
    space_id: bytes
    asset: OpenedAsset


async def share(server: ServerProcess, folder: Path, *, originals: bool) -> Shared:
    """Make an account with one photograph, an album and a link."""
    maker = await new_someone(server, folder / "maker", f"maker-{folder.name}")
    await new_space(maker, "Work", "work")
    picture = folder / FILE_NAME
    picture.write_bytes(ORIGINAL)
    async with maker.space("Work") as space:
        await add_file(space, picture, preview=PREVIEW)
        await space.sync()
        await create_album(space, "Shown")
        await space.sync()
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await find_album(space, "Shown"), assets)
        await space.sync()
        wish = LinkWish(password=LINK_PASSWORD, originals=originals)
        link = await create_link(space, await find_album(space, "Shown"), wish)
    return Shared(link.url, space.space_id, assets[0])


async def test_a_view_only_link_yields_no_original(server: ServerProcess, tmp_path: Path) -> None:
    """Neither a byte from the server, nor a key in the bundle, nor one derived from any of them."""
    shared = await share(server, tmp_path, originals=False)
    original, preview = shared.asset.ref(RenditionName.ORIGINAL), shared.asset.ref(RenditionName.PREVIEW)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        guest = await open_as_guest(http, server, shared.url)
        # What the link shows, it shows: otherwise the rest would prove nothing.
        status, sealed = await guest.fetch(preview.blob)
        shown = next(r for r in guest.assets[0].renditions if r.name is RenditionName.PREVIEW)
        assert status == 200
        assert opens(shown.key, preview, shared.asset.asset_id, sealed)
        # The server gives the guest's session no byte of the original, at any address.
        for path in (
            "",
            f"{server.url}/v1/spaces/{shared.space_id.hex()}/blobs/{original.blob.hex()}",
            f"{guest.link}/blobs/{original.blob.hex().upper()}",
            f"{guest.link}/blobs/../blobs/{original.blob.hex()}",
            f"{server.url}/v1/blobs/{original.blob.hex()}",
        ):
            status, body = await guest.fetch(original.blob, path)
            assert status in (400, 401, 403, 404), path
            assert ORIGINAL[:20] not in body
            assert stored(server, original.blob)[:64] not in body
    # Even with the stored bytes in hand, no key that the guest has or can derive opens them.
    held = stored(server, original.blob)
    assert not [key for key in guesses(guest, original) if opens(key, original, shared.asset.asset_id, held)]
    # And what is of the full tier is not in anything that the guest can read.
    for plaintext, secret in product(guest.plaintexts, (FILE_NAME.encode(), original.blob, original.rendition_id)):
        assert secret not in plaintext


async def test_the_same_attack_succeeds_on_a_full_link(server: ServerProcess, tmp_path: Path) -> None:
    """The check can fail: on a link with originals, the very same search finds the key and the bytes."""
    shared = await share(server, tmp_path, originals=True)
    original = shared.asset.ref(RenditionName.ORIGINAL)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        guest = await open_as_guest(http, server, shared.url)
        status, body = await guest.fetch(original.blob)
    assert status == 200
    assert body == stored(server, original.blob)
    assert [key for key in guesses(guest, original) if opens(key, original, shared.asset.asset_id, body)]
    assert any(FILE_NAME.encode() in plaintext for plaintext in guest.plaintexts)


@pytest.mark.parametrize("given", ["", "x" * 43])
async def test_a_guest_without_a_session_sees_nothing(server: ServerProcess, tmp_path: Path, given: str) -> None:
    """Without opening, or with a cookie that nobody signed, even a preview stays shut."""
    shared = await share(server, tmp_path, originals=False)
    address = parse_address(shared.url)
    name = shared.asset.ref(RenditionName.PREVIEW).blob.hex()
    cookies = {"safelight-link": given, "link": given} if given else None
    url = f"{server.url}/v1/links/{address.link_id.hex()}/blobs/{name}"
    async with aiohttp.ClientSession(cookies=cookies) as http, http.get(url) as answer:
        assert answer.status in (401, 403)
        assert PREVIEW[:10] not in await answer.read()
