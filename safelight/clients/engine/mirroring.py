"""Mirroring: chosen assets of one space in another as well. Their keys are wrapped anew; no byte is sent again.

Id and key of an asset stay, so its files open as they are; what binds them is the asset and not the space. All else
(wraps, metadata, fingerprint) is sealed for the other space. Nobody there learns where it came from.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.assets import AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.rolls import Roll
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import MAX_HELD_AT_ONCE, MAX_RENDITIONS_PER_ASSET
from safelight.sync_protocol.messages.blobs import BlobsHeld, HoldBlobs
from safelight.sync_protocol.records import AssetBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint

_MAX_ATTEMPTS = 3
_ASSETS_AT_ONCE = MAX_HELD_AT_ONCE // MAX_RENDITIONS_PER_ASSET
_OLD_ROLL = frozenset({Code.EPOCH_OLD, Code.ROLL_UNKNOWN, Code.ROLL_FULL})
# What is wrong with one asset only; everything else would meet the others alike, and ends the mirroring.
_OF_ONE_HELD = frozenset({Code.NOT_FOUND, Code.UPLOAD_BUSY})
_OF_ONE_ADDED = _OLD_ROLL | {
    Code.ASSET_CONFLICT,
    Code.BLOB_MISSING,
    Code.BLOB_SIZE_MISMATCH,
    Code.ENTRY_MALFORMED,
    Code.TOO_LARGE,
}


@dataclass(slots=True)
class Mirrored:
    """What came of it: how many are there now, how many were before, and which failed and why."""

    mirrored: int = 0
    known: int = 0
    failed: dict[bytes, Refused] = field(default_factory=dict)


async def mirror_assets(
    source: SpaceView,
    target: SpaceView,
    places: Sequence[AssetPlace],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Mirrored:
    """Put the assets at *places* of *source* into *target* as well; what is there already is left as it is.

    Both are synced, and this account reads the full tier of both and may add to the target. The same call may be made
    again after an interruption. *on_progress* is told after each few how many are done, of how many. Raises FORBIDDEN,
    RIGHT_MISSING, QUOTA_EXCEEDED, and what ends the connection; a single asset that cannot be mirrored is told of in
    the result: with ASSET_CONFLICT one whose id stands in the target for something else, with IN_TRASH one that is in
    the trash of either.
    """
    wanted = list(dict.fromkeys(places))
    for space in (source, target):
        (await space.epoch_secrets()).require_full()
    if Right.ADD not in target.state.rights_of(target.session.account_id):
        raise Refused(Code.RIGHT_MISSING, Right.ADD.value)
    result = Mirrored()
    keeper = RollKeeper(target.committer, target.session.device.device_id, sealing_to(lambda: target.state))
    adder = AssetAdder(target.committer)
    dedupe_key = await target.dedupe_key()
    try:
        async for group in _groups(source, target, wanted, result):
            held = await _held(source, target, group, result)
            adding = [_add(target, keeper, adder, dedupe_key, asset) for asset in held]
            for asset, outcome in zip(held, await asyncio.gather(*adding, return_exceptions=True), strict=True):
                if outcome is None:
                    result.mirrored += 1
                elif not isinstance(outcome, Refused) or outcome.code not in _OF_ONE_ADDED:
                    raise outcome
                elif outcome.code is Code.ASSET_CONFLICT and await _came_meanwhile(target, asset):
                    result.known += 1
                else:
                    result.failed[asset.asset_id] = outcome
            if on_progress is not None:
                on_progress(result.mirrored + result.known + len(result.failed), len(wanted))
    finally:
        await adder.stop()
        keeper.close()
    await target.sync()
    return result


async def _groups(
    source: SpaceView, target: SpaceView, places: list[AssetPlace], result: Mirrored
) -> AsyncIterator[list[OpenedAsset]]:
    group: list[OpenedAsset] = []
    there = AssetReader(target)
    async for asset in AssetReader(source).each(places):
        if isinstance(asset, FailedAsset):
            result.failed[asset.asset_id] = asset.refusal
            continue
        if any(space.index.in_trash([asset.asset_id]) for space in (source, target)):
            result.failed[asset.asset_id] = Refused(Code.IN_TRASH)
            continue
        if place := target.index.asset(asset.asset_id):
            if await _is_same(there, place, asset):
                result.known += 1
            else:
                result.failed[asset.asset_id] = Refused(Code.ASSET_CONFLICT)
            continue
        group.append(asset)
        if len(group) == _ASSETS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


async def stand_in(target: SpaceView, source: SpaceView, places: Sequence[AssetPlace]) -> set[bytes]:
    """Of the assets at *places* of *source*, those that the target's verified log has, whole and out of its trash."""
    there, standing = AssetReader(target), set[bytes]()
    async for asset in AssetReader(source).each(list(places)):
        place = target.index.asset(asset.asset_id)
        if place is None or isinstance(asset, FailedAsset) or target.index.in_trash([asset.asset_id]):
            continue
        if await _is_same(there, place, asset):
            standing.add(asset.asset_id)
    return standing


async def _is_same(there: AssetReader, place: AssetPlace, asset: OpenedAsset) -> bool:
    """Whether what stands in the target under the asset's id opens, by the same key, as the same files and metadata.

    *Something else put there under its id, so that it counts as mirrored and is given up where it was.*
    """
    async for found in there.each([place]):
        if isinstance(found, OpenedAsset) and found.keys == asset.keys:
            return (found.body.renditions, found.view, found.full) == (asset.body.renditions, asset.view, asset.full)
    return False


async def _came_meanwhile(target: SpaceView, asset: OpenedAsset) -> bool:
    """Whether it is there after all: another device mirrored it at the same time."""
    await target.sync()
    place = target.index.asset(asset.asset_id)
    return place is not None and await _is_same(AssetReader(target), place, asset)


async def _held(
    source: SpaceView, target: SpaceView, group: Sequence[OpenedAsset], result: Mirrored
) -> list[OpenedAsset]:
    """Let the target hold the group's blobs, and return the assets whose blobs it holds.

    Where one is at fault each is asked for alone: *an asset whose blobs nobody gets, to stop all the others*.
    """
    try:
        await _hold(source, target, group)
    except Refused as refusal:
        if refusal.code not in _OF_ONE_HELD:
            raise
        if len(group) > 1:
            return [asset for one in group for asset in await _held(source, target, [one], result)]
        result.failed[group[0].asset_id] = refusal
        return []
    return list(group)


async def _hold(source: SpaceView, target: SpaceView, group: Sequence[OpenedAsset]) -> None:
    names = [rendition.blob for asset in group for rendition in asset.body.renditions]
    path = f"/v1/spaces/{target.space_id.hex()}/blobs"
    await target.session.connection.request("POST", path, HoldBlobs(source.space_id.hex(), names), BlobsHeld)


async def _add(target: SpaceView, keeper: RollKeeper, adder: AssetAdder, dedupe_key: bytes, asset: OpenedAsset) -> None:
    for attempt in range(_MAX_ATTEMPTS):
        try:
            roll = await keeper.roll()
            await adder.add(roll.ref, _sealed_anew(target, roll, dedupe_key, asset))
        except Refused as refusal:
            if refusal.code not in _OLD_ROLL or attempt == _MAX_ATTEMPTS - 1:
                raise
            keeper.drop()
            await target.sync()
        else:
            return


def _sealed_anew(target: SpaceView, roll: Roll, dedupe_key: bytes, asset: OpenedAsset) -> AssetBody:
    if asset.keys.full is None or asset.full is None:
        raise Refused(Code.FORBIDDEN, "mirroring needs the full tier")
    adopted = roll.adopt_asset(asset.asset_id, asset.keys.full)
    fingerprint = content_fingerprint(dedupe_key, target.space_id, asset.full.sha256)
    return adopted.finish(list(asset.body.renditions), asset.view, asset.full, fingerprint=fingerprint)
