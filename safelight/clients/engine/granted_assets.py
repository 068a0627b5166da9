"""The assets of a granted album, opened with its keys and fetched (docs/spec/albums.md)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_feed import ShownRecord
from safelight.clients.engine.assets import AssetFetcher, FailedAsset, OpenedAsset
from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.clients.engine.showing import open_item
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier


@dataclass(frozen=True, slots=True)
class GrantedAlbum:
    """An album that was granted to this account, opened. `given_ms` is when its giver says; 0 never expires."""

    space_id: bytes
    album_id: bytes
    title: str
    tier: Tier
    expires_ms: int
    given_by: bytes
    given_ms: int
    asset_count: int


class GrantedReader(AssetFetcher):
    """Opens the assets of one granted album, in the order in which they were added."""

    def __init__(
        self,
        session: AccountSession,
        album: GrantedAlbum,
        keys: Mapping[int, AlbumKeys],
        records: Sequence[ShownRecord],
        items: Mapping[bytes, tuple[int, int]],
    ) -> None:
        super().__init__(session, album.space_id)
        self._place = Place(album.space_id, album.album_id)
        self._keys = keys
        self._records = records
        self._items = items

    def open(self, asset_id: bytes) -> OpenedAsset:
        """Open one asset; OPEN_FAILED if anything of it was moved, changed, or does not belong together."""
        index, position = self._items[asset_id]
        record = self._records[index]
        item = record.body.items[position]
        return open_item(self._place, self._keys[record.body.generation], item, record.number, record.time_ms)

    async def each(self) -> AsyncIterator[OpenedAsset | FailedAsset]:
        """Open all assets; one that does not open comes as a `FailedAsset`."""
        for asset_id in self._items:
            try:
                yield self.open(asset_id)
            except Refused as refusal:
                yield FailedAsset(asset_id, refusal)

    async def find(self, prefix: str) -> OpenedAsset:
        """Open the asset whose id begins with *prefix*; NOT_FOUND for none, BAD_REQUEST for more than one."""
        wanted = prefix.strip().lower()
        found = [asset_id for asset_id in self._items if wanted and asset_id.hex().startswith(wanted)]
        if not found:
            raise Refused(Code.NOT_FOUND, f"no asset's id begins with {wanted[:32]!r}")
        if len(found) > 1:
            raise Refused(Code.BAD_REQUEST, f"more than one asset's id begins with {wanted!r}")
        return self.open(found[0])
