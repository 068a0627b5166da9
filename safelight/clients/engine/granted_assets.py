"""The assets of a granted album, opened with its keys and fetched (docs/spec/albums.md)."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_feed import AlbumFeed
from safelight.clients.engine.assets import AssetFetcher, FailedAsset, OpenedAsset
from safelight.clients.engine.generations import AlbumKeys, Place, keys_handed_down
from safelight.clients.engine.rolls import RollKeys, open_album_roll, open_asset_keys
from safelight.clients.engine.showing import open_added, open_item
from safelight.sync_protocol.records import AddAlbumAssetsBody, RemoveFromAlbumBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier


@dataclass(frozen=True, slots=True)
class GrantedAlbum:
    """An album that was granted to this account, opened. `given_ms` is when its giver says; 0 never expires.

    `unread_title` is the slot of its newest renaming where that does not open, and another title counts; else 0.
    """

    space_id: bytes
    album_id: bytes
    title: str
    tier: Tier
    expires_ms: int
    given_by: bytes
    given_ms: int
    asset_count: int
    unread_title: int = 0


class GrantedReader(AssetFetcher):
    """Opens the assets of one granted album, in the order in which they were added."""

    def __init__(
        self,
        session: AccountSession,
        album: GrantedAlbum,
        keys: Mapping[int, AlbumKeys],
        feed: AlbumFeed,
        items: Mapping[bytes, Sequence[tuple[int, int]]],
        withheld: Collection[bytes],
    ) -> None:
        super().__init__(session, album.space_id, withheld)
        self._place = Place(album.space_id, album.album_id)
        self._keys = keys
        self._feed = feed
        self._rolls: dict[bytes, RollKeys] = {}
        self._items = items

    def open(self, asset_id: bytes) -> OpenedAsset:
        """Open one asset; OPEN_FAILED if anything of it was moved, changed, or does not belong together.

        *Shown with keys that are none, so that it can be shown no more*: the first time that it was shown whole counts.
        EPOCH_MISMATCH where the keys of that time were not handed down.
        """
        failure: Refused | None = None
        for index, position in self._items[asset_id]:
            try:
                return self._open_shown(index, position)
            except Refused as refusal:
                failure = failure or refusal
        raise failure or Refused(Code.NOT_FOUND)

    def _open_shown(self, index: int, position: int) -> OpenedAsset:
        record = self._feed.records[index]
        body = record.body
        if isinstance(body, AddAlbumAssetsBody):
            asset = body.assets[position]
            keys = open_asset_keys(asset, self._roll(body.roll_id), self.space_id)
            return open_added(self.space_id, body.roll_id, asset, keys, record.number, record.time_ms)
        if isinstance(body, RemoveFromAlbumBody):
            raise Refused(Code.NOT_FOUND, "it was taken out of the album")
        return open_item(
            self._place, self._keys_of(body.generation), body.items[position], record.number, record.time_ms
        )

    def _roll(self, roll_id: bytes) -> RollKeys:
        if roll_id not in self._rolls:
            roll = self._feed.rolls[roll_id]
            keys = self._keys_of(roll.body.generation)
            self._rolls[roll_id] = open_album_roll(
                roll.body, self.space_id, roll.device_id, album_view_key=keys.view, album_key=keys.full
            )
        return self._rolls[roll_id]

    def _keys_of(self, generation: int) -> AlbumKeys:
        return keys_handed_down(self._keys, generation)

    async def each(self) -> AsyncIterator[OpenedAsset | FailedAsset]:
        """Open all assets; one that does not open comes as a `FailedAsset`."""
        for asset_id in self._items:
            try:
                yield self.open(asset_id)
            except Refused as refusal:
                yield FailedAsset(asset_id, refusal)

    async def find(self, prefix: str) -> OpenedAsset:
        """Open the asset whose id begins with *prefix*; NOT_FOUND for none, BAD_REQUEST for more than one."""
        return self.open(self.asset_id(prefix))

    def asset_id(self, prefix: str) -> bytes:
        """Return the whole id that begins with *prefix*, whether or not the asset opens; raises as `find` does."""
        wanted = prefix.strip().lower()
        found = [asset_id for asset_id in self._items if wanted and asset_id.hex().startswith(wanted)]
        if not found:
            raise Refused(Code.NOT_FOUND, f"no asset's id begins with {wanted[:32]!r}")
        if len(found) > 1:
            raise Refused(Code.BAD_REQUEST, f"more than one asset's id begins with {wanted!r}")
        return found[0]
