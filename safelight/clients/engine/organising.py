"""Taking pictures out of an album, and renaming it (docs/spec/albums.md §7).

By members who organise, in albums of their space, and by grantees who were let, in an album that was granted to them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from safelight.clients.engine.albums import Album, check_title, reopen
from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.clients.engine.grant_view import GrantView
from safelight.clients.engine.sharing import FollowsLedger, standing_keys, unless_overtaken
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import check_name
from safelight.clients.engine.titles import rename_body
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.records import RecordKind, RemoveFromAlbumBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier
from safelight.sync_protocol.wire import Signed

_MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class OrganisedAlbum:
    """An album as somebody organises it, whether they read its space or the album alone.

    *log* says where its own log ends, *present* which assets are in it, *keys* are those in force.
    """

    place: Place
    account_id: bytes
    view: FollowsLedger
    log: Callable[[], Head]
    present: Callable[[Sequence[bytes]], list[bytes]]
    keys: Callable[[], Awaitable[AlbumKeys]]
    commit: Callable[[RecordKind, Signed], Awaitable[None]]
    may: Callable[[], bool]

    def check_may(self) -> None:
        """Say before anything is done what the server would say; raises RIGHT_MISSING."""
        if not self.may():
            raise Refused(Code.RIGHT_MISSING, "to organise this album")


def album_of_space(space: SpaceView, album: Album) -> OrganisedAlbum:
    """Return an album of a space as a member organises it."""
    album_id, me = album.album_id, space.session.account_id

    async def keys() -> AlbumKeys:
        state = space.state
        if album_id not in state.albums:
            return (await reopen(space, album)).keys
        begins = Right.ORGANISE in state.rights_of(me) and state.tier_of(me) is Tier.FULL
        if not begins and not state.generation_stands(album_id, space.session.clock()):
            raise Refused(Code.ALBUM_WAITS)  # a member who organises by a grant begins no keys
        return await standing_keys(space, album)

    async def commit(kind: RecordKind, body: Signed) -> None:
        await space.commit(kind, body)

    return OrganisedAlbum(
        Place(space.space_id, album_id),
        me,
        space,
        lambda: space.index.album_head(album_id),
        lambda asset_ids: [each for each in asset_ids if space.index.is_in_album(album_id, each)],
        keys,
        commit,
        lambda: space.state.may_organise(me, album_id, space.session.clock()),
    )


def album_of_grant(view: GrantView, album_id: bytes) -> OrganisedAlbum:
    """Return an album that was granted as its grantee organises it."""
    me = view.session.account_id

    async def keys() -> AlbumKeys:
        return view.standing_keys(album_id)

    async def commit(kind: RecordKind, body: Signed) -> None:
        await view.committer.commit(kind, body)
        await view.sync()

    return OrganisedAlbum(
        Place(view.space_id, album_id),
        me,
        view,
        lambda: view.log_end(album_id),
        lambda asset_ids: view.shows(album_id, asset_ids),
        keys,
        commit,
        lambda: view.state.may_organise(me, album_id, view.session.clock()),
    )


async def remove_from_album(album: OrganisedAlbum, asset_ids: Sequence[bytes]) -> list[bytes]:
    """Take assets out of an album, and return them; nothing is deleted, and they may be added again.

    NOT_FOUND for one that is not in it, RIGHT_MISSING. What somebody else takes out meanwhile is not among them.
    """
    album.check_may()
    wanted = list(dict.fromkeys(asset_ids))
    if absent := set(wanted) - set(album.present(wanted)):
        raise Refused(Code.NOT_FOUND, f"{min(absent).hex()[:12]} is not in this album")
    removed: list[bytes] = []
    for start in range(0, len(wanted), MAX_ASSETS_PER_RECORD):
        some = wanted[start : start + MAX_ASSETS_PER_RECORD]
        removed += await unless_overtaken(album.view, lambda some=some: _remove(album, some))  # type: ignore[misc]  # bound here
    return removed


async def _remove(album: OrganisedAlbum, asset_ids: Sequence[bytes]) -> list[bytes]:
    """Take out what is still in it, by one record; none where somebody else was faster with all of it."""
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        left = album.present(asset_ids)
        if not left:
            break
        body = RemoveFromAlbumBody(album.place.album_id, album.log(), left)
        try:
            await album.commit(RecordKind.REMOVE_FROM_ALBUM, body)
        except Refused as refusal:
            if refusal.code is not Code.NOT_FOUND or attempt == _MAX_ATTEMPTS:
                raise
            await album.view.sync()
        else:
            return left
    return []


async def rename_album(space: SpaceView, album: Album, title: str) -> str:
    """Give an album of a space another title, and return it.

    Where a grant to it ended, or somebody left the space, new keys are begun first, or waited for by who cannot begin
    them (ALBUM_WAITS). BAD_REQUEST for a title that is too long, or taken; RIGHT_MISSING.
    """
    return await _rename(album_of_space(space, album), await check_title(space, title))


async def rename_granted(view: GrantView, album_id: bytes, title: str) -> str:
    """The same for an album that was granted; ALBUM_WAITS while its keys are due."""
    return await _rename(album_of_grant(view, album_id), check_name(title, "an album's title"))


async def _rename(album: OrganisedAlbum, title: str) -> str:
    album.check_may()

    async def rename() -> None:
        body = rename_body(album.place, await album.keys(), title, album.account_id, album.log())
        await album.commit(RecordKind.RENAME_ALBUM, body)

    await unless_overtaken(album.view, rename)
    return title
