"""Moving: chosen assets of one space into another, and into the trash of the first once they stand in the second.

docs/decisions/0017-trash.md. An asset is at no time in neither space: it is mirrored, found in the verified log of the
target, whole and out of its trash, and only then trashed where it was. Made again after an interruption, the same call
goes on, and first puts back what an earlier one left in the trash of both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.mirroring import mirror_assets, stand_in
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import check_may_trash, restore_assets, trash_assets
from safelight.clients.engine.unfinished_moves import UnfinishedMove
from safelight.sync_protocol.refusals import Code, Refused

# Restoring counts against the quota, and needs the right that trashing took.
_NOT_PUT_BACK = frozenset({Code.QUOTA_EXCEEDED, Code.RIGHT_MISSING})


@dataclass(slots=True)
class Moved:
    """What came of it: which are moved now, which were before, and which are not moved and why.

    Of those, *in_both* are in the trash of both spaces: out of every list, until somebody restores them.
    """

    moved: list[bytes] = field(default_factory=list)
    already: list[bytes] = field(default_factory=list)
    failed: dict[bytes, Refused] = field(default_factory=dict)
    in_both: list[bytes] = field(default_factory=list)


async def move_assets(
    source: SpaceView,
    target: SpaceView,
    places: Sequence[AssetPlace],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Moved:
    """Put the assets at *places* of *source* into *target*, and then into the trash of *source*.

    Both are synced. What is in the trash of the source and stands in the target was moved before. Raises RIGHT_MISSING
    before anything is done where this account may not trash in the source, and what `mirror_assets` raises.
    """
    check_may_trash(source)
    unfinished = UnfinishedMove(source, target)
    lost_before = await _look_again(source, target, unfinished)
    wanted = {place.asset_id: place for place in places}
    before = source.index.in_trash(list(wanted))
    left = [place for place in wanted.values() if place.asset_id not in before]
    mirrored = await mirror_assets(source, target, left, on_progress=on_progress)
    standing = await stand_in(target, source, list(wanted.values()))
    result = Moved(already=[asset_id for asset_id in wanted if asset_id in before & standing], failed=lost_before)
    for asset_id in wanted.keys() - standing:
        result.failed[asset_id] = mirrored.failed.get(asset_id) or _why(source, target, asset_id)
    ready = [asset_id for asset_id in wanted if asset_id in standing - before]
    unfinished.keep([*unfinished.asset_ids, *ready])
    trashed = await trash_assets(source, ready)
    lost = await _look_again(source, target, unfinished)
    result.failed.update(lost)
    result.moved = [asset_id for asset_id in trashed.changed if asset_id not in lost]
    result.already += [asset_id for asset_id in trashed.already if asset_id not in lost]
    asked = list(dict.fromkeys([*wanted, *lost_before]))
    both = _in_both(source, target, asked)
    result.in_both = [asset_id for asset_id in asked if asset_id in both]
    return result


async def _look_again(source: SpaceView, target: SpaceView, unfinished: UnfinishedMove) -> dict[bytes, Refused]:
    """Put back what a move of now or before left in the trash of both; what cannot be is looked for next time, too."""
    lost = await _put_back_lost(source, target, list(source.index.in_trash(unfinished.asset_ids)))
    unfinished.keep(_in_both(source, target, list(lost)))
    return lost


def _in_both(source: SpaceView, target: SpaceView, asset_ids: list[bytes]) -> set[bytes]:
    return source.index.in_trash(asset_ids) & target.index.in_trash(asset_ids)


async def _put_back_lost(source: SpaceView, target: SpaceView, asset_ids: Sequence[bytes]) -> dict[bytes, Refused]:
    """Restore what is in the trash of both by now, and return it: *two who move the same picture to and fro*.

    With why it could not be restored, where it could not: *a picture left in two trashes, of which nobody is told*.
    """
    await target.sync()
    lost = target.index.in_trash(asset_ids)
    why = Refused(Code.IN_TRASH)
    try:
        await restore_assets(source, lost)
    except Refused as refusal:
        if refusal.code not in _NOT_PUT_BACK:
            raise
        why = refusal
    return dict.fromkeys(lost, why)


def _why(source: SpaceView, target: SpaceView, asset_id: bytes) -> Refused:
    """Why an asset that was not mirrored now does not stand in the target."""
    if any(space.index.in_trash([asset_id]) for space in (source, target)):
        return Refused(Code.IN_TRASH)
    return Refused(Code.ASSET_CONFLICT, "the other space does not have it")
