"""Albums: selections with a key of their own, under which asset keys are wrapped again (docs/spec/records.md)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import check_name
from safelight.sync_protocol import ids
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import AddToAlbumBody, AlbumItem, CreateAlbumBody, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.wire import unpack

FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Album:
    """An album, opened. `key` is None for who reads the view tier."""

    album_id: bytes
    generation: int
    title: str
    asset_count: int
    view_key: bytes
    key: bytes | None

    def __repr__(self) -> str:
        return f"Album({self.album_id.hex()})"


def _key_place(space_id: bytes, album_id: bytes, generation: int, epoch: int, tier: Tier) -> bytes:
    return context(Label.ALBUM_KEY, space_id, album_id, uint(generation), uint(epoch), tier.value.encode("ascii"))


def _title_place(space_id: bytes, album_id: bytes, generation: int) -> bytes:
    return context(Label.ALBUM_FIELD, space_id, album_id, uint(generation), b"title")


def wrap_place(space_id: bytes, album_id: bytes, generation: int, asset_id: bytes, tier: Tier) -> bytes:
    """Return what binds an asset's key, wrapped for an album, to its place."""
    return context(Label.ALBUM_WRAP, space_id, album_id, uint(generation), asset_id, tier.value.encode("ascii"))


async def create_album(space: SpaceView, title: str) -> bytes:
    """Make an album and return its id; BAD_REQUEST if one of that title is there already."""
    title = check_name(title, "an album's title")
    if any(album.title == title for album in await list_albums(space)):
        raise Refused(Code.BAD_REQUEST, "an album of that title is there already")
    held = await space.epoch_secrets()
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    view_key = keytree.album_view_key(key)
    album_id = ids.new_id()
    place = (space.space_id, album_id, FIRST_GENERATION, held.number)
    body = CreateAlbumBody(
        album_id=album_id,
        generation=FIRST_GENERATION,
        epoch=held.number,
        full_inbox=hpke.public_key(keytree.album_full_inbox_seed(key)),
        view_inbox=hpke.public_key(keytree.album_view_inbox_seed(view_key)),
        key_full=seal_box(held.full_metadata_key, _key_place(*place, Tier.FULL), key, nonce=random_nonce()),
        key_view=seal_box(held.view_metadata_key, _key_place(*place, Tier.VIEW), view_key, nonce=random_nonce()),
        title=seal_box(
            keytree.album_metadata_key(view_key),
            _title_place(space.space_id, album_id, FIRST_GENERATION),
            title.encode(),
            nonce=random_nonce(),
        ),
    )
    await space.commit(RecordKind.CREATE_ALBUM, body)
    return album_id


async def list_albums(space: SpaceView) -> list[Album]:
    """Open every album that opens, oldest first; one that does not is passed over."""
    albums: list[Album] = []
    for album_id, number in space.index.albums():
        try:
            albums.append(await _open(space, album_id, number))
        except Refused as refusal:
            if refusal.code not in DOES_NOT_OPEN:
                raise
    return albums


async def _open(space: SpaceView, album_id: bytes, number: int) -> Album:
    envelope = space.index.envelope_at(number)
    if envelope is None:
        raise Refused(Code.OPEN_FAILED, "the album's record is not kept here")
    body = unpack(parse_entry(envelope).body, CreateAlbumBody)
    held = await space.epoch_secrets(body.epoch)
    place = (space.space_id, album_id, body.generation, body.epoch)
    view_key = open_box(held.view_metadata_key, _key_place(*place, Tier.VIEW), body.key_view)
    key: bytes | None = None
    if held.full is not None:
        key = open_box(held.full_metadata_key, _key_place(*place, Tier.FULL), body.key_full)
        if keytree.album_view_key(key) != view_key:
            raise Refused(Code.OPEN_FAILED, "the album's view key does not come from its key")
    title = open_box(
        keytree.album_metadata_key(view_key), _title_place(space.space_id, album_id, body.generation), body.title
    )
    count = len(space.index.album_assets(album_id))
    return Album(album_id, body.generation, title.decode("utf-8", "replace"), count, view_key, key)


async def find_album(space: SpaceView, title: str) -> Album:
    """Return the album of that title; NOT_FOUND where there is none, BAD_REQUEST for more than one."""
    found = [album for album in await list_albums(space) if album.title == title]
    if not found:
        raise Refused(Code.NOT_FOUND, f"there is no album {title!r} in this space")
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, "more than one album has that title")
    return found[0]


async def add_to_album(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> int:
    """Add assets, in order, and return how many were not in the album before. FORBIDDEN for the view tier."""
    if album.key is None:
        raise Refused(Code.FORBIDDEN, "adding to an album needs the full tier")
    present = {place.asset_id for place in space.index.album_assets(album.album_id)}
    new = [asset for key, asset in {asset.asset_id: asset for asset in assets}.items() if key not in present]
    for start in range(0, len(new), MAX_ASSETS_PER_RECORD):
        items = [_wrap(space.space_id, album, asset) for asset in new[start : start + MAX_ASSETS_PER_RECORD]]
        await space.commit(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(album.album_id, album.generation, items))
    return len(new)


def _wrap(space_id: bytes, album: Album, asset: OpenedAsset) -> AlbumItem:
    if album.key is None or asset.keys.full is None:
        raise Refused(Code.FORBIDDEN, "adding to an album needs the full tier")
    place = (space_id, album.album_id, album.generation, asset.asset_id)
    return AlbumItem(
        asset_id=asset.asset_id,
        wrap_full=seal_box(
            keytree.album_wrap_key(album.key), wrap_place(*place, Tier.FULL), asset.keys.full, nonce=random_nonce()
        ),
        wrap_view=seal_box(
            keytree.album_view_wrap_key(album.view_key),
            wrap_place(*place, Tier.VIEW),
            asset.keys.view,
            nonce=random_nonce(),
        ),
    )


async def album_assets(space: SpaceView, album: Album) -> list[OpenedAsset]:
    """Open an album's assets, in its order; one that does not open is left out."""
    reader = AssetReader(space)
    places = space.index.album_assets(album.album_id)
    return [found async for found in reader.each(places) if isinstance(found, OpenedAsset)]
