"""What a shared album shows: an asset whole, its keys wrapped for the album; sealed by who adds, opened by grantees."""

from safelight.clients.engine.assets import OpenedAsset
from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.clients.engine.rolls import AssetKeys, open_full_part, open_view_part
from safelight.sync_protocol.records import AssetBody, ShownItem
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box


def show_item(place: Place, keys: AlbumKeys, asset: OpenedAsset) -> ShownItem:
    """Wrap an asset's keys for the album; FORBIDDEN for who holds one of the two at the view tier only."""
    if asset.keys.full is None:
        raise Refused(Code.FORBIDDEN, "adding to an album needs the full tier")
    full_key = keytree.album_wrap_key(keys.require_full())
    view_key = keytree.album_view_wrap_key(keys.view)
    number, body = keys.number, asset.body
    shown = AssetBody(
        asset_id=asset.asset_id,
        fingerprint=b"",
        renditions=body.renditions,
        wrap_full=seal_box(
            full_key, place.wrap(number, asset.asset_id, Tier.FULL), asset.keys.full, nonce=random_nonce()
        ),
        wrap_view=seal_box(
            view_key, place.wrap(number, asset.asset_id, Tier.VIEW), asset.keys.view, nonce=random_nonce()
        ),
        view=body.view,
        full=body.full,
    )
    return ShownItem(asset.roll_id, shown)


def open_item(place: Place, keys: AlbumKeys, item: ShownItem, number: int, time_ms: int) -> OpenedAsset:
    """Open what an album shows, with the keys of its generation; OPEN_FAILED for what does not belong together."""
    body = item.asset
    view_key = open_box(
        keytree.album_view_wrap_key(keys.view), place.wrap(keys.number, body.asset_id, Tier.VIEW), body.wrap_view
    )
    full_key = None
    if keys.full is not None:
        full_key = open_box(
            keytree.album_wrap_key(keys.full), place.wrap(keys.number, body.asset_id, Tier.FULL), body.wrap_full
        )
        if keytree.asset_view_key(full_key) != view_key:
            raise Refused(Code.OPEN_FAILED, "the asset's view key does not come from its key")
    return open_added(place.space_id, item.roll_id, body, AssetKeys(view_key, full_key), number, time_ms)


def open_added(
    space_id: bytes, roll_id: bytes, body: AssetBody, keys: AssetKeys, number: int, time_ms: int
) -> OpenedAsset:
    """Open an asset's metadata, at the tier of its *keys*."""
    view = open_view_part(body, keys, space_id, roll_id)
    full = None if keys.full is None else open_full_part(body, keys, space_id, roll_id)
    return OpenedAsset(body.asset_id, roll_id, number, time_ms, body, keys, view, full)
