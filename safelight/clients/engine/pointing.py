"""Cameras that fill a shared album by themselves, and what a laptop does for them when it runs (docs/spec/albums.md).

A camera adds to its album for as long as the album's keys stand; it cannot begin new ones, as they would be its own to
read. So what it adds while new keys are due is in the space alone, and whoever organises shows it in the album later.
"""

from collections import defaultdict
from collections.abc import Sequence

from safelight.clients.engine.albums import Album, list_albums
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.sharing import show_all, standing_keys, unless_overtaken
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier
from safelight.sync_protocol.wire import unpack

# What says that another device is at it, or that this is not the moment: the next command does it. It runs before every
# command, also before the one that mends what is wrong.
_ANOTHER_TIME = DOES_NOT_OPEN | {
    Code.GENERATION_OLD,
    Code.ALBUM_STALE,
    Code.LEDGER_RULE,
    Code.QUOTA_EXCEEDED,
    Code.RATE_LIMITED,
}


async def point_camera(space: SpaceView, camera_id: bytes, album: Album | None) -> None:
    """Let a camera fill *album*, which is then shared, though perhaps with nobody; None: no album any more.

    What the camera added before stays where it is. Raises RIGHT_MISSING, POLICY_FORBIDS in a vault, and LEDGER_RULE
    where it is pointed there already.
    """

    async def point() -> None:
        if album is not None:
            await standing_keys(space, album)
        body = PointCameraBody(camera_id, album.album_id if album else b"")
        await space.commit(LedgerKind.POINT_CAMERA, body)

    await unless_overtaken(space, point)


async def catch_up(space: SpaceView) -> int:
    """Begin the keys that are due of albums which cameras fill, and show what these added meanwhile; returns how much.

    Does nothing for who may not organise, or does not read all. What fails, the next command does.
    """
    me = space.session.account_id
    if Right.ORGANISE not in space.state.rights_of(me) or space.state.tier_of(me) is not Tier.FULL:
        return 0
    pointed = [(key, camera.album_id) for key, camera in space.state.cameras.items() if camera.album_id]
    now_ms = space.session.clock()
    standing = defaultdict[bytes, list[bytes]](list)
    for camera_id, album_id in pointed:
        if space.state.may_add_to(camera_id, album_id, now_ms):
            standing[album_id].append(camera_id)
    if not standing:
        return 0
    albums = {album.album_id: album for album in await list_albums(space)}
    shown = 0
    for album_id, camera_ids in standing.items():
        if album_id in albums:
            shown += await _catch_up(space, camera_ids, albums[album_id])
    return shown


async def _catch_up(space: SpaceView, camera_ids: Sequence[bytes], album: Album) -> int:
    """Show what cameras added beside their album, each for itself.

    *A guest whose pictures no album can show keeps everyone's out*: so many that are refused end a showing.
    """
    shown = 0
    try:
        await unless_overtaken(space, lambda: standing_keys(space, album))
        for camera_id in camera_ids:
            places = space.index.assets_beside_album(camera_id, album.album_id, _pointed_at(space, camera_id))
            missed = [found async for found in AssetReader(space).each(places) if isinstance(found, OpenedAsset)]
            refused = await show_all(space, album, missed)
            shown += sum(asset.asset_id not in refused for asset in missed)
    except Refused as refusal:
        if refusal.code not in _ANOTHER_TIME:
            raise
    return shown


def _pointed_at(space: SpaceView, camera_id: bytes) -> int:
    """The slot at which a camera was pointed last; a guest of an upload link is pointed from the first."""
    if space.state.cameras[camera_id].link_id:
        return 0
    slots = [
        number
        for number, envelope in space.index.ledger_entries_of(LedgerKind.POINT_CAMERA)
        if unpack(parse_entry(envelope).body, PointCameraBody).camera_id == camera_id
    ]
    return slots[-1] if slots else 0
