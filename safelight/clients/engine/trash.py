"""The trash of a space: assets put into it and taken out again (docs/spec/records.md §9). Nothing is purged."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.link_listing import StandingLink, standing_links
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import (
    Added,
    PublishLinkBody,
    RecordKind,
    RestoreAssetsBody,
    TrashAssetsBody,
    added_by,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.wire import Signed, unpack

_MAX_ATTEMPTS = 3


@dataclass(slots=True)
class Changed:
    """What came of it: the assets for which it is so now, and those for which it was so already."""

    changed: list[bytes] = field(default_factory=list)
    already: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrashedAsset:
    """An asset in the trash: where it stands, who put it there, and when (the server's time)."""

    place: AssetPlace
    author_id: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class LinksShowing:
    """The standing links that show some assets.

    Of the *withheld* the server gives out no picture that is in the trash. Those with pictures *made* for them may go
    on showing them, in their own watermarked pictures, until they are revoked.
    """

    withheld: list[StandingLink]
    made: list[StandingLink]


async def trash_assets(space: SpaceView, asset_ids: Iterable[bytes]) -> Changed:
    """Put assets into the trash: out of lists, exports and albums, and given to no guest. Raises RIGHT_MISSING.

    NOT_FOUND for an asset that the space does not have. What is there already stays as it is.
    """
    return await _change(space, asset_ids, RecordKind.TRASH_ASSETS, TrashAssetsBody, to_trash=True)


async def restore_assets(space: SpaceView, asset_ids: Iterable[bytes]) -> Changed:
    """Take assets out of the trash: they are where they were, in albums and links, too. Raises what trashing raises."""
    return await _change(space, asset_ids, RecordKind.RESTORE_ASSETS, RestoreAssetsBody, to_trash=False)


def check_may_trash(space: SpaceView) -> None:
    """Say before anything is done what the server would say; raises RIGHT_MISSING."""
    if Right.TRASH not in space.state.rights_of(space.session.account_id):
        raise Refused(Code.RIGHT_MISSING, Right.TRASH.value)


async def _change(
    space: SpaceView,
    asset_ids: Iterable[bytes],
    kind: RecordKind,
    body: Callable[[list[bytes]], Signed],
    *,
    to_trash: bool,
) -> Changed:
    check_may_trash(space)
    wanted = list(dict.fromkeys(asset_ids))
    if unknown := set(wanted) - space.index.known_assets(wanted):
        raise Refused(Code.NOT_FOUND, f"no asset {min(unknown).hex()[:12]}")
    result = Changed()
    for start in range(0, len(wanted), MAX_ASSETS_PER_RECORD):
        some = wanted[start : start + MAX_ASSETS_PER_RECORD]
        changed = await _commit(space, some, kind, body, to_trash=to_trash)
        result.changed += changed
        result.already += [asset_id for asset_id in some if asset_id not in changed]
    return result


async def _commit(
    space: SpaceView, asset_ids: list[bytes], kind: RecordKind, body: Callable[[list[bytes]], Signed], *, to_trash: bool
) -> list[bytes]:
    """Commit what is not so yet, and return it; none where somebody else was faster with all of it."""
    for _ in range(_MAX_ATTEMPTS):
        left = _not_so(space, asset_ids, to_trash=to_trash)
        if not left:
            break
        try:
            await space.commit(kind, body(left))
        except Refused as refusal:
            if refusal.code is not Code.UNCHANGED:
                raise
            await space.sync()
        else:
            return left
    return []


def _not_so(space: SpaceView, asset_ids: Sequence[bytes], *, to_trash: bool) -> list[bytes]:
    in_trash = space.index.in_trash(asset_ids)
    return [asset_id for asset_id in asset_ids if (asset_id in in_trash) is not to_trash]


async def trashed_assets(space: SpaceView) -> list[TrashedAsset]:
    """List what is in the trash, the longest there first."""
    found = []
    for place, number in space.index.trash():
        envelope = space.index.envelope_at(number)
        author_id = parse_entry(envelope).header.author_id if envelope else b""
        found.append(TrashedAsset(place, author_id, space.index.time_at(number)))
    return found


async def links_showing(space: SpaceView, asset_ids: Sequence[bytes]) -> LinksShowing:
    """Find the standing links that show one of *asset_ids*, by their signed records; FORBIDDEN for the view tier.

    Which assets a watermarked link shows stands sealed in its pages. That it may show one is said of every such link of
    an album that had it.
    """
    blobs, numbers = blobs_of(space, asset_ids), {link_id: number for link_id, number, _ in space.index.links()}
    found = LinksShowing([], [])
    for link in await standing_links(space):
        number = numbers[link.link_id]
        record = parse_entry(space.index.envelope_at(number) or b"")
        body, known = unpack(record.body, PublishLinkBody), record.header.log.number
        if not blobs.isdisjoint(body.view_blobs) or not blobs.isdisjoint(body.full_blobs):
            found.withheld.append(link)
        elif body.made_blobs and space.index.was_in_album(body.album_id, number, known, asset_ids):
            found.made.append(link)
    return found


def blobs_of(space: SpaceView, asset_ids: Sequence[bytes]) -> set[bytes]:
    """Return the blobs of assets, as their own records name them."""
    records: dict[int, Added] = {}
    blobs: set[bytes] = set()
    for place in filter(None, map(space.index.asset, asset_ids)):
        if place.number not in records:
            entry = parse_entry(space.index.envelope_at(place.number) or b"")
            records[place.number] = added_by(entry.header.kind, entry.body)
        blobs.update(rendition.blob for rendition in records[place.number].assets[place.position].renditions)
    return blobs
