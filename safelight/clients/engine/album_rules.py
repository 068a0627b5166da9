"""What members hold the records of albums to, by what came before in the space's log (docs/spec/albums.md)."""

from safelight.clients.engine.index import Index
from safelight.sync_protocol.album_log import next_album_head
from safelight.sync_protocol.log import Entry, parse_entry
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    Added,
    AddToAlbumBody,
    OpenAlbumRollBody,
    OpenRollBody,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    ShowInAlbumBody,
    added_by,
    is_the_same,
    opened_by,
)
from safelight.sync_protocol.refusals import Code, Refused


class AlbumRules:
    """Checks records of one space, and follows the own logs of its shared albums."""

    def __init__(self, space_id: bytes, index: Index) -> None:
        self._space_id = space_id
        self._index = index

    def advance(self, album_id: bytes, number: int, entry: Entry) -> None:
        """An entry that the server took stands in the album's own log, whatever readers make of it."""
        head = self._index.album_head(album_id)
        self._index.set_album_head(album_id, next_album_head(self._space_id, album_id, head, number, entry.id))

    def check(
        self,
        body: ShowInAlbumBody | RemoveFromAlbumBody | RenameAlbumBody,
        number: int,
        entry: Entry,
        *,
        is_shared: bool,
    ) -> None:
        """Check a record that names the place in the album's own log after which it was signed.

        An entry that stands in that log stands there for everyone, also where it is set aside here. Raises ALBUM_STALE,
        NOT_FOUND or ASSET_CONFLICT.
        """
        if is_shared:
            head = self._index.album_head(body.album_id)
            if body.log != head:
                raise Refused(Code.ALBUM_STALE, f"the album's log had {head.number} entries, and not {body.log.number}")
            self.advance(body.album_id, number, entry)
        match body:
            case ShowInAlbumBody():
                self._check_shown(body)
            case RemoveFromAlbumBody():
                for asset_id in body.asset_ids:
                    if not self._index.is_in_album(body.album_id, asset_id):
                        raise Refused(Code.NOT_FOUND, f"the album has no asset {asset_id.hex()}")

    def keep(self, body: AddToAlbumBody | ShowInAlbumBody | RemoveFromAlbumBody | RenameAlbumBody, number: int) -> None:
        """Keep what a record does to an album."""
        index, album_id = self._index, body.album_id
        match body:
            case AddToAlbumBody():
                index.add_album_items(album_id, number, [item.asset_id for item in body.items])
            case ShowInAlbumBody():
                index.show_album_items(album_id, number, [item.asset.asset_id for item in body.items])
            case RemoveFromAlbumBody():
                index.remove_album_items(album_id, number, body.asset_ids)
                index.withdraw_approval(album_id, body.asset_ids)
            case _:
                index.rename_album(album_id, number)

    def _check_shown(self, body: ShowInAlbumBody) -> None:
        """*Other pictures for grantees than for members*: an album shows what the space has."""
        index = self._index
        records: dict[int, Added] = {}
        for item in body.items:
            own = index.asset(item.asset.asset_id)
            envelope = index.envelope_at(own.number) if own else None
            if own is None or envelope is None:
                raise Refused(Code.NOT_FOUND, f"no asset {item.asset.asset_id.hex()}")
            if own.number not in records:
                record = parse_entry(envelope)
                records[own.number] = added_by(record.header.kind, record.body)
            if not is_the_same(item, own.roll_id, records[own.number].assets[own.position]):
                raise Refused(Code.ASSET_CONFLICT, f"the album shows another {item.asset.asset_id.hex()}")

    def check_roll(self, body: AddAlbumAssetsBody) -> None:
        """Grantees open what is added with the album's keys, so the roll was sealed to them; ROLL_UNKNOWN."""
        place = self._index.roll(body.roll_id)
        envelope = self._index.envelope_at(place.number) if place else None
        roll = _roll_of(envelope) if envelope else None
        wanted = (body.album_id, body.generation)
        if not isinstance(roll, OpenAlbumRollBody) or (roll.album_id, roll.generation) != wanted:
            raise Refused(Code.ROLL_UNKNOWN, "its roll was not opened for this album")


def _roll_of(envelope: bytes) -> OpenRollBody | OpenAlbumRollBody:
    entry = parse_entry(envelope)
    return opened_by(entry.header.kind, entry.body)
