"""Sharing an album by grants, as those who manage a space do it (docs/spec/albums.md).

An album is shared from its first grant on. Nothing is added to it under keys that a grant which ended, or somebody who
left the space, still has: who adds next begins new ones first.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from safelight.clients.engine.albums import Album, list_albums, reopen
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.generations import (
    AlbumKeys,
    Place,
    grant_box,
    make_generation,
)
from safelight.clients.engine.showing import show_item
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.grant_entries import EndGrantBody, Generation, GiveGrantBody, OpenGenerationBody
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.ledger_state import Grant, LedgerState
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD, MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.records import RecordKind, ShowInAlbumBody, ShownItem
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.wire import pack

T = TypeVar("T")

_MAX_ATTEMPTS = 16  # of several who add at once one is first, each time
_MAX_BATCH_SIZE_BYTES = MAX_ENTRY_SIZE_BYTES * 3 // 4
# What is wrong with one of the assets that are shown. So many are found out, and what comes after waits until they are
# gone: *a camera that adds nothing else keeps every laptop busy*.
_OF_ONE_SHOWN = frozenset(
    {Code.POLICY_FORBIDS, Code.BLOB_MISSING, Code.BLOB_SIZE_MISMATCH, Code.NOT_FOUND, Code.IN_TRASH}
)
_MAX_REFUSED = 20
# What says that somebody else was faster: nothing was written, and what they wrote is taken in before the next attempt.
_OVERTAKEN = frozenset({Code.GENERATION_OLD, Code.ALBUM_STALE, Code.EPOCH_OLD})


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """Who reads an album, at which tier, until when (0: until it is ended), and who gave it when, as they said."""

    album_id: bytes
    title: str
    account_id: bytes
    tier: Tier
    expires_ms: int
    given_by: bytes
    given_ms: int
    can_add: bool = False
    can_organise: bool = False


class FollowsLedger(Protocol):
    """A space, or what is granted of one, as somebody follows it."""

    @property
    def state(self) -> LedgerState:
        """The verified ledger."""
        ...

    async def sync(self) -> LedgerState:
        """Fetch and verify what is new."""
        ...


async def unless_overtaken(space: FollowsLedger, work: Callable[[], Awaitable[T]]) -> T:
    """Do *work*, and again on top of what somebody else committed meanwhile.

    Keys that were made while another grant was given, or ended, are for other grantees than there are by now: the
    ledger refuses them by its rule.
    """
    for _ in range(_MAX_ATTEMPTS - 1):
        before = space.state.head
        try:
            return await work()
        except Refused as refusal:
            moved = refusal.code is Code.LEDGER_RULE and space.state.head != before
            if refusal.code not in _OVERTAKEN and not moved:
                raise
        await space.sync()
    return await work()


async def give_grant(
    space: SpaceView,
    album: Album,
    account_id: bytes,
    tier: Tier,
    *,
    expires_ms: int = 0,
    can_add: bool = False,
    can_organise: bool = False,
) -> None:
    """Let a member read *album* at *tier*, and perhaps add to it, or take out of it and rename it, until *expires_ms*.

    What is in it is shown first.

    A grant that stands is widened by one that gives more, or for longer. Raises RIGHT_MISSING, POLICY_FORBIDS for a
    vault, and LEDGER_RULE.
    """
    place = Place(space.space_id, album.album_id)

    async def give() -> None:
        keys = await standing_keys(space, album)
        await show_all(space, album, await _unshown(space, album))
        box = grant_box(place, keys, space.state.members[account_id], tier)
        body = GiveGrantBody(album.album_id, keys.number, expires_ms, can_add, can_organise, box)
        await space.commit(LedgerKind.GIVE_GRANT, body)

    if account_id not in space.state.members:
        raise Refused(Code.LEDGER_RULE, "there is no such member")
    await unless_overtaken(space, give)


async def end_grant(space: SpaceView, album: Album, account_id: bytes) -> None:
    """End a grant: what is added to the album from now on is sealed to keys that it never had.

    What could be read may have been kept. Raises RIGHT_MISSING and LEDGER_RULE.
    """

    async def end() -> None:
        shared = space.state.albums.get(album.album_id)
        if shared is None or account_id not in shared.grants:
            raise Refused(Code.LEDGER_RULE, "there is no such grant, or it is over")
        left = {key: grant for key, grant in shared.standing(space.session.clock()).items() if key != account_id}
        generation, _ = await _next_generation(space, album, left)
        await space.commit(LedgerKind.END_GRANT, EndGrantBody(album.album_id, account_id, generation))

    await unless_overtaken(space, end)


async def list_grants(space: SpaceView) -> list[ListedGrant]:
    """List the grants that stand, album by album."""
    now_ms = space.session.clock()
    titles = {album.album_id: album.title for album in await list_albums(space)}
    return [
        ListedGrant(
            album_id,
            titles.get(album_id, ""),
            account_id,
            grant.tier,
            grant.expires_ms,
            grant.given_by,
            grant.given_ms,
            grant.can_add,
            grant.can_organise,
        )
        for album_id, shared in space.state.albums.items()
        for account_id, grant in shared.standing(now_ms).items()
    ]


async def standing_keys(space: SpaceView, album: Album) -> AlbumKeys:
    """Return the keys that may be added under: those in force, or new ones, which are then begun."""
    shared = space.state.albums.get(album.album_id)
    now_ms = space.session.clock()
    if shared is None or not space.state.generation_stands(album.album_id, now_ms):
        generation, keys = await _next_generation(space, album, shared.standing(now_ms) if shared else {})
        await space.commit(LedgerKind.OPEN_GENERATION, OpenGenerationBody(album.album_id, generation))
        return keys
    return (await reopen(space, album)).keys


async def _next_generation(space: SpaceView, album: Album, grants: dict[bytes, Grant]) -> tuple[Generation, AlbumKeys]:
    """Make the generation that follows the album's own, for *grants*; the first that is shared hands nothing down."""
    current = await reopen(space, album)
    return make_generation(
        Place(space.space_id, album.album_id),
        current.generation + 1,
        current.title,
        await space.epoch_secrets(),
        grants,
        space.state.members,
        current.keys if current.is_shared else None,
    )


async def show_all(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> dict[bytes, Refused]:
    """Show assets in a shared album, in order; what it shows already is left out. Returns which were refused, and why.

    *One asset that no album can show, so that none after it is shown*: a blob that was named first as an original, and
    then as this one's preview, say. The server refuses the record; each is then tried alone, and the others are shown.
    """
    left, refused = list(assets), dict[bytes, Refused]()
    at_once = MAX_ASSETS_PER_RECORD

    async def show_some() -> None:
        nonlocal at_once
        hidden = {place.asset_id for place in space.index.album_assets(album.album_id)}
        hidden -= {place.asset_id for place in space.index.unshown_assets(album.album_id)}
        wanted = [asset for asset in left if asset.asset_id not in hidden]
        if not wanted:
            left.clear()
            return
        keys = await standing_keys(space, album)
        items = list(_fitting(Place(space.space_id, album.album_id), keys, wanted[:at_once]))
        head = space.index.album_head(album.album_id)
        try:
            await space.commit(RecordKind.SHOW_IN_ALBUM, ShowInAlbumBody(album.album_id, keys.number, head, items))
        except Refused as refusal:
            if refusal.code not in _OF_ONE_SHOWN:
                raise
            at_once = len(items) // 2
            if not at_once:
                refused[wanted[0].asset_id] = refusal
                left[:], at_once = wanted[1:], MAX_ASSETS_PER_RECORD
                if len(refused) == _MAX_REFUSED:
                    left.clear()
            return
        left[:], at_once = wanted[len(items) :], MAX_ASSETS_PER_RECORD

    while left:
        await unless_overtaken(space, show_some)
    return refused


def _fitting(place: Place, keys: AlbumKeys, assets: Sequence[OpenedAsset]) -> Iterator[ShownItem]:
    """As many assets from the front as one entry takes, wrapped for the album; at least one."""
    size_bytes = 0
    for count, asset in enumerate(assets):
        item = show_item(place, keys, asset)
        size_bytes += len(pack(item))
        if count and size_bytes > _MAX_BATCH_SIZE_BYTES:
            return
        yield item


async def _unshown(space: SpaceView, album: Album) -> list[OpenedAsset]:
    """What members alone see of an album: all that was in it before its first grant, or the rest of it."""
    places = space.index.unshown_assets(album.album_id)
    return [found async for found in AssetReader(space).each(places) if isinstance(found, OpenedAsset)]
