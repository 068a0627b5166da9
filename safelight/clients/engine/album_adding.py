"""Adding assets to an album, whether it is shared or its members' alone (docs/spec/albums.md)."""

from collections.abc import Sequence

from safelight.clients.engine.albums import Album, reopen
from safelight.clients.engine.assets import OpenedAsset
from safelight.clients.engine.generations import Place
from safelight.clients.engine.sharing import show_all, unless_overtaken
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.records import AddToAlbumBody, AlbumItem, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box


async def add_to_album(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> int:
    """Add assets, in order, and return how many were not in the album before. FORBIDDEN for the view tier.

    Where a grant to it ended, or somebody left the space, new keys are begun first. Raises IN_TRASH before anything is
    added, and why some cannot be shown in a shared album, once others were added.
    """
    if album.key is None:
        raise Refused(Code.FORBIDDEN, "adding to an album needs the full tier")
    if trashed := space.index.in_trash([asset.asset_id for asset in assets]):
        raise Refused(Code.IN_TRASH, min(trashed).hex()[:12])
    new = _absent(space, album, assets)
    refused: dict[bytes, Refused] = {}

    async def add() -> None:
        current = await reopen(space, album)
        if current.is_shared:
            refused.update(await show_all(space, current, new))
        else:
            await _add(space, current, _absent(space, album, new))

    await unless_overtaken(space, add)
    if refused:
        asset_id, refusal = next(iter(refused.items()))
        first = f"{asset_id.hex()[:12]}: {refusal.detail}"
        raise Refused(refusal.code, f"{len(refused)} of {len(new)} assets could not be shown, the first {first}")
    return len(new)


def _absent(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> list[OpenedAsset]:
    present = {place.asset_id for place in space.index.album_assets(album.album_id)}
    if album.is_shared:  # what was in the trash when it was shared, say, its members alone see
        present -= {place.asset_id for place in space.index.unshown_assets(album.album_id)}
    unique = {asset.asset_id: asset for asset in assets}
    return [asset for asset_id, asset in unique.items() if asset_id not in present]


async def _add(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> None:
    for start in range(0, len(assets), MAX_ASSETS_PER_RECORD):
        items = [_wrap(space.space_id, album, asset) for asset in assets[start : start + MAX_ASSETS_PER_RECORD]]
        await space.commit(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(album.album_id, album.generation, items))


def _wrap(space_id: bytes, album: Album, asset: OpenedAsset) -> AlbumItem:
    if album.key is None or asset.keys.full is None:
        raise Refused(Code.FORBIDDEN, "adding to an album needs the full tier")
    place, number = Place(space_id, album.album_id), album.generation
    return AlbumItem(
        asset_id=asset.asset_id,
        wrap_full=seal_box(
            keytree.album_wrap_key(album.key),
            place.wrap(number, asset.asset_id, Tier.FULL),
            asset.keys.full,
            nonce=random_nonce(),
        ),
        wrap_view=seal_box(
            keytree.album_view_wrap_key(album.view_key),
            place.wrap(number, asset.asset_id, Tier.VIEW),
            asset.keys.view,
            nonce=random_nonce(),
        ),
    )
