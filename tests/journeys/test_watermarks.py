"""A watermarked link: what its guests see, and what even a guest who keeps every byte and key cannot have."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import aiohttp
import pytest
from PIL import Image, ImageChops

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.watermarks import watermark
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import Album, create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.link_listing import list_links
from safelight.clients.engine.link_making import LinkWish, MadeLink, create_link
from safelight.clients.engine.link_pictures import Picture, Redrawn, Watermark
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import PublishLinkBody, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.wire import unpack
from tests.support.curious_guest import LINK_PASSWORD, CuriousGuest, guesses, open_as_guest, opens, stored
from tests.support.guest import open_link
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess

TEXT = "Проба · Proof for Kolibri"
ORIGINAL = b"\xff\xd8 the original, with its place and its name " * 4000
FILE_NAME = "Anna at the lake.jpg"
VIEW = (RenditionName.PREVIEW, RenditionName.THUMBNAIL)


@dataclass
class Studio:
    """A maker, and an album with one picture that has a preview and a file that has none."""

    server: ServerProcess
    maker: Someone
    preview: bytes
    assets: list[OpenedAsset]
    space_id: bytes

    async def link(self, wish: LinkWish, *, text: str = TEXT) -> MadeLink:
        """Publish a link, watermarked where there is a text."""
        async with self.maker.space("Work") as space, developers(1) as pool:
            drawn = replace(wish, watermark=watermark(pool, text)) if text else wish
            return await create_link(space, await find_album(space, "Shown"), drawn)


@pytest.fixture
async def studio(server: ServerProcess, tmp_path: Path) -> Studio:
    """Make an account, two files, and their album."""
    return await open_studio(server, tmp_path)


async def open_studio(server: ServerProcess, folder: Path) -> Studio:
    """Make an account, two files, and their album."""
    maker = await new_someone(server, folder / "maker", f"maker-{folder.name}"[:32])
    await new_space(maker, "Work", "work")
    shown, plain = folder / FILE_NAME, folder / "a film.mp4"
    shown.write_bytes(ORIGINAL)
    plain.write_bytes(ORIGINAL[::-1])
    preview = encoded(picture(1, (800, 600)), "WEBP")
    async with maker.space("Work") as space:
        await add_file(space, shown, preview=preview)
        await add_file(space, plain)
        await space.sync()
        await create_album(space, "Shown")
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await find_album(space, "Shown"), assets)
    return Studio(server, maker, preview, assets, space.space_id)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A guest's browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def test_a_watermarked_link_shows_pictures_of_its_own(studio: Studio, http: aiohttp.ClientSession) -> None:
    """Both sizes, with the text all over; a file without preview has no picture; the maker sees which text."""
    made = await studio.link(LinkWish(label="for Kolibri"))
    assert (made.originals, made.asset_count, made.failed_count) == (False, 2, 0)
    guest = await open_link(http, made.url)
    shown, plain = guest.assets
    assert (guest.content.tier, guest.content.originals) == ("view", False)
    assert ([r.name for r in shown.renditions], plain.renditions) == (list(VIEW), [])
    with Image.open(io.BytesIO(studio.preview)) as clean:
        for rendition in shown.renditions:
            data = await guest.see(shown, rendition)
            with Image.open(io.BytesIO(data)) as image:
                assert (rendition.media_type, image.size) == ("image/webp", (rendition.width, rendition.height))
                same_size = clean.convert("RGB").resize(image.size)
                assert differs_everywhere(image.convert("RGB"), same_size)
    async with studio.maker.space("Work") as space:
        listed = (await list_links(space))[0]
    assert (listed.watermark, listed.label, listed.url) == (TEXT, "for Kolibri", made.url)


def differs_everywhere(one: Image.Image, other: Image.Image, cells: int = 4) -> bool:
    """Whether the two differ clearly in every cell of a grid."""
    difference = ImageChops.difference(one, other).convert("L")
    width, height = difference.width // cells, difference.height // cells
    boxes = [(x * width, y * height, (x + 1) * width, (y + 1) * height) for x in range(cells) for y in range(cells)]
    return all(difference.crop(box).getextrema()[1] > 40 for box in boxes)  # type: ignore[operator]  # one band


async def test_a_watermarked_link_yields_no_clean_picture(studio: Studio, http: aiohttp.ClientSession) -> None:
    """Neither a byte of preview, thumbnail or original, nor a key in the bundle, nor one derived from any of them."""
    made = await studio.link(LinkWish(password=LINK_PASSWORD))
    guest = await open_as_guest(http, studio.server, made.url)
    asset = studio.assets[0]
    # What the link shows, it shows: otherwise the rest would prove nothing.
    for rendition in guest.assets[0].renditions:
        status, sealed = await guest.fetch(rendition.blob)
        assert status == 200
        assert len(sealed) == rendition.size_bytes
    for ref in asset.body.renditions:
        held = stored(studio.server, ref.blob)
        for path in paths_to(studio, guest, ref.blob):
            status, body = await guest.fetch(ref.blob, path)
            assert status in (400, 401, 403, 404), path
            assert held[:64] not in body
        # Even with the stored bytes in hand, no key that the guest has or can derive opens them.
        assert not [key for key in guesses(guest, ref) if opens(key, ref, asset.asset_id, held)]
        # And their names and ids are not in anything that the guest can read.
        for plaintext, secret in product(guest.plaintexts, (ref.blob, ref.rendition_id, FILE_NAME.encode())):
            assert secret not in plaintext


def paths_to(studio: Studio, guest: CuriousGuest, blob: bytes) -> tuple[str, ...]:
    """Every address under which a guest might hope to find a blob."""
    name, server = blob.hex(), studio.server.url
    return (
        "",
        f"{server}/v1/spaces/{studio.space_id.hex()}/blobs/{name}",
        f"{guest.link}/blobs/{name.upper()}",
        f"{guest.link}/blobs/../blobs/{name}",
        f"{server}/v1/blobs/{name}",
    )


async def test_the_same_attack_succeeds_on_a_plain_link(studio: Studio, http: aiohttp.ClientSession) -> None:
    """The check can fail: on a link without watermark, the very same search finds keys, names and bytes."""
    made = await studio.link(LinkWish(password=LINK_PASSWORD, originals=False), text="")
    guest = await open_as_guest(http, studio.server, made.url)
    asset = studio.assets[0]
    for name in VIEW:
        ref = asset.ref(name)
        status, body = await guest.fetch(ref.blob)
        assert (status, body) == (200, stored(studio.server, ref.blob))
        assert [key for key in guesses(guest, ref) if opens(key, ref, asset.asset_id, body)]
        assert any(ref.blob in plaintext for plaintext in guest.plaintexts)


async def test_the_keys_are_fresh(studio: Studio, http: aiohttp.ClientSession) -> None:
    """Two links with the same text share no key, id or blob, and none comes from the asset's keys."""
    renditions = []
    for _ in range(2):
        guest = await open_link(http, (await studio.link(LinkWish())).url)
        renditions += guest.assets[0].renditions
    for values in ([r.key for r in renditions], [r.rendition_id for r in renditions], [r.blob for r in renditions]):
        assert len(set(values)) == 4
    keys = studio.assets[0].keys
    for rendition in renditions:
        derived = [
            keytree.rendition_key(key, rendition.name.value, rendition.rendition_id)
            for key in (keys.view, keys.full)
            if key
        ]
        assert rendition.key not in derived


async def test_what_the_record_names(studio: Studio) -> None:
    """Only what was made for the link, all of which counts as the link's own: no blob of an asset's."""
    made = await studio.link(LinkWish())
    async with studio.maker.space("Work") as space:
        number = next(number for link_id, number, _ in space.index.links() if link_id == made.link_id)
        envelope = space.index.envelope_at(number)
    assert envelope is not None
    body = unpack(parse_entry(envelope).body, PublishLinkBody)
    assert (body.tier, body.view_blobs, body.full_blobs, body.policy.originals) == ("view", [], [], False)
    assert len(body.made_blobs) == 2
    for ref in body.made_blobs:
        assert len(stored(studio.server, ref.blob)) == ref.size_bytes
    assert TEXT.encode() not in envelope


async def test_originals_and_a_watermark_exclude_each_other(studio: Studio) -> None:
    """In a space that allows originals a watermarked link has none; who asks for both is told why they cannot."""
    with pytest.raises(Refused, match="no originals") as caught:
        await studio.link(LinkWish(originals=True))
    assert caught.value.code is Code.BAD_REQUEST
    assert not (await studio.link(LinkWish(originals=None))).originals


async def _shown(space: SpaceView) -> Album:
    return await find_album(space, "Shown")


async def test_a_damaged_preview_is_shown_without_a_picture(studio: Studio, http: aiohttp.ClientSession) -> None:
    """A preview that is none stops nothing, and is never shown as it is; where no picture can be drawn, no link is."""
    path = studio.maker.path.parent / "damaged.jpg"
    path.write_bytes(b"damaged")
    async with studio.maker.space("Work") as space:
        await add_file(space, path, preview=b"RIFF no picture at all")
        await space.sync()
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await _shown(space), assets[-1:])
        await create_album(space, "Damaged")
        await add_to_album(space, await find_album(space, "Damaged"), assets[-1:])
    made = await studio.link(LinkWish())
    assert (made.asset_count, made.failed_count) == (3, 1)
    guest = await open_link(http, made.url)
    assert [len(asset.renditions) for asset in guest.assets] == [2, 0, 0]
    async with studio.maker.space("Work") as space, developers(1) as pool:
        with pytest.raises(Refused) as caught:
            await create_link(space, await find_album(space, "Damaged"), LinkWish(watermark=watermark(pool, TEXT)))
        assert caught.value.code is Code.OPEN_FAILED
        assert len(await list_links(space)) == 1


async def test_a_cancelled_link_leaves_nothing_that_anyone_refers_to(studio: Studio) -> None:
    """Ctrl-C in the middle: no link, and what was uploaded is held by no record, so that the server collects it."""
    sent = asyncio.Event()

    async def redraw(_: bytes) -> Redrawn:
        if sent.is_set():
            await asyncio.Event().wait()
        sent.set()
        drawn = Picture(b"drawn", "image/webp", 1, 1)
        return Redrawn(drawn, drawn)

    async with studio.maker.space("Work") as space:
        second = studio.maker.path.parent / "second.jpg"
        second.write_bytes(b"second")
        await add_file(space, second, preview=studio.preview)
        await space.sync()
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await _shown(space), assets[-1:])
        before = space.reader.log.number
        wish = LinkWish(watermark=Watermark(TEXT, lambda: redraw))
        progress: list[tuple[int, int]] = []
        one_is_done = asyncio.Event()

        def reached(done: int, total: int) -> None:
            progress.append((done, total))
            one_is_done.set()

        making = asyncio.create_task(create_link(space, await _shown(space), wish, on_progress=reached))
        await one_is_done.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert progress == [(1, 2)]
        await space.sync()
        assert space.reader.log.number == before
