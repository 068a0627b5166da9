"""Approving what an album's links may show, and saying that they show nothing else (docs/spec/albums.md §6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from safelight.clients.engine.albums import Album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.approvals import (
    AlbumRulesBody,
    ApprovalItem,
    ApproveAssetsBody,
    content_of,
    files_of,
)
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import RecordKind, tier_of_rendition
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

T = TypeVar("T", OpenedAsset, AssetPlace)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved an asset of an album, and the server's time then."""

    approver_id: bytes
    time_ms: int


def requires_approval(space: SpaceView, album: Album) -> bool:
    """Whether the album's links show approved pictures only."""
    return album.album_id in space.index.approval_albums()


async def set_requires_approval(space: SpaceView, album: Album, *, on: bool) -> bool:
    """Say whether they do from now on; False if it is so already. RIGHT_MISSING."""
    if requires_approval(space, album) == on:
        return False
    await space.commit(RecordKind.SET_ALBUM_RULES, AlbumRulesBody(album.album_id, on))
    return True


def approvals_of(space: SpaceView, album: Album) -> dict[bytes, Approval]:
    """What is approved in an album, by asset, whether or not it requires that."""
    found: dict[int, Approval] = {}
    approvals = space.index.approvals(album.album_id)
    for number in set(approvals.values()):
        header = parse_entry(space.index.envelope_at(number) or b"").header
        found[number] = Approval(header.author_id, space.index.time_at(number))
    return {asset_id: found[number] for asset_id, number in approvals.items()}


async def approve(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> list[bytes]:
    """Approve assets of an album as they are; returns those that were not approved before.

    NOT_FOUND for one that is not in the album, FORBIDDEN for one that this account cannot see, RIGHT_MISSING.
    """
    for asset in assets:
        if not _can_be_seen(asset):
            raise Refused(Code.FORBIDDEN, f"{asset.asset_id.hex()[:12]} has no preview, and you see previews only")
    approved = space.index.approvals(album.album_id)
    new = [each for each in _in_album(space, album, assets) if each.asset_id not in approved]
    for start in range(0, len(new), MAX_ASSETS_PER_RECORD):
        items = [
            ApprovalItem(each.asset_id, content_of(each.asset_id, files_of(each.body.renditions)))
            for each in new[start : start + MAX_ASSETS_PER_RECORD]
        ]
        await space.commit(RecordKind.APPROVE_ASSETS, ApproveAssetsBody(album.album_id, approved=True, items=items))
    return [each.asset_id for each in new]


def _can_be_seen(asset: OpenedAsset) -> bool:
    """Whether who opened an asset can look at it: who reads the view tier, only at what has a preview."""
    return asset.full is not None or any(tier_of_rendition(ref.name) is Tier.VIEW for ref in asset.body.renditions)


async def withdraw_approval(space: SpaceView, album: Album, places: Sequence[AssetPlace]) -> list[bytes]:
    """Withdraw approvals; returns of which assets there were some. NOT_FOUND, RIGHT_MISSING.

    It takes no key: what cannot be opened by now is withdrawn all the same.
    """
    approved = space.index.approvals(album.album_id)
    old = [place.asset_id for place in _in_album(space, album, places) if place.asset_id in approved]
    for start in range(0, len(old), MAX_ASSETS_PER_RECORD):
        items = [ApprovalItem(asset_id, b"") for asset_id in old[start : start + MAX_ASSETS_PER_RECORD]]
        await space.commit(RecordKind.APPROVE_ASSETS, ApproveAssetsBody(album.album_id, approved=False, items=items))
    return old


def _in_album(space: SpaceView, album: Album, wanted: Sequence[T]) -> list[T]:
    """Each of *wanted* once; NOT_FOUND where the album has not all of them."""
    for each in wanted:
        if not space.index.is_in_album(album.album_id, each.asset_id):
            raise Refused(Code.NOT_FOUND, f"{each.asset_id.hex()[:12]} is not in this album")
    return list({each.asset_id: each for each in wanted}.values())


def to_show(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> list[OpenedAsset]:
    """Those of an album's assets that its links show now."""
    if not requires_approval(space, album):
        return list(assets)
    approved = space.index.approvals(album.album_id)
    return [asset for asset in assets if asset.asset_id in approved]


def wanted_places(space: SpaceView, album: Album, prefixes: Sequence[str]) -> list[AssetPlace]:
    """Where the assets of these ids stand, or where none is named all of the album's, also in the trash.

    *A picture whose approval is kept by the trash*, and that links show once it is restored. NOT_FOUND, BAD_REQUEST.
    """
    reader = AssetReader(space)
    return [reader.place(prefix) for prefix in prefixes] or space.index.all_album_assets(album.album_id)


async def wanted_assets(space: SpaceView, album: Album, prefixes: Sequence[str]) -> list[OpenedAsset]:
    """Open the assets of these ids; or all of the album's, where none is named, that open and can be looked at."""
    reader = AssetReader(space)
    if prefixes:
        return [await reader.find(prefix) for prefix in prefixes]
    places = space.index.album_assets(album.album_id)
    opened = [found async for found in reader.each(places) if isinstance(found, OpenedAsset)]
    return [found for found in opened if _can_be_seen(found)]
