"""The local index' rows of what was done with albums: which renamings there are, and what was taken out of which."""

from collections.abc import Collection, Sequence

from safelight.clients.engine.index_tables import IndexTables

ORGANISING_TABLES = """
CREATE TABLE album_titles(album_id BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(album_id, number)) WITHOUT ROWID;
CREATE TABLE album_past(album_id BLOB NOT NULL, asset_id BLOB NOT NULL, until INTEGER NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY(album_id, asset_id, until)) WITHOUT ROWID;
"""
# Of an asset `a`: whether it was in the album once, and somebody took it out.
TAKEN_OUT = "EXISTS (SELECT 1 FROM album_past p WHERE p.album_id = :album_id AND p.asset_id = a.asset_id)"


class OrganisingRows(IndexTables):
    """What `Index` keeps of albums that were renamed, and of what is in them no more."""

    def rename_album(self, album_id: bytes, number: int) -> None:
        """Keep that the record at a slot renamed an album."""
        self._db.execute("INSERT INTO album_titles VALUES (?, ?)", (album_id, number))

    def album_titles(self, album_id: bytes) -> list[int]:
        """The slots of the records that renamed an album, the newest first."""
        sql = "SELECT number FROM album_titles WHERE album_id = ? ORDER BY number DESC"
        return [number for (number,) in self._db.execute(sql, (album_id,))]

    def remove_album_items(self, album_id: bytes, number: int, asset_ids: Sequence[bytes]) -> None:
        """Keep that the record at a slot took assets out of an album; added again, they are new in it."""
        rows = [{"album_id": album_id, "asset_id": asset_id, "number": number} for asset_id in asset_ids]
        self._db.executemany(
            "INSERT INTO album_past SELECT album_id, asset_id, :number, number FROM album_items"
            " WHERE album_id = :album_id AND asset_id = :asset_id",
            rows,
        )
        self._db.executemany("DELETE FROM album_items WHERE album_id = :album_id AND asset_id = :asset_id", rows)

    def taken_out(self, album_id: bytes, asset_ids: Collection[bytes]) -> set[bytes]:
        """Those of *asset_ids* that were taken out of an album, and are not in it again."""
        sql = (
            "SELECT DISTINCT p.asset_id FROM album_past p WHERE p.album_id = ? AND NOT EXISTS (SELECT 1"
            " FROM album_items i WHERE i.album_id = p.album_id AND i.asset_id = p.asset_id)"
        )
        return {asset_id for (asset_id,) in self._db.execute(sql, (album_id,))} & set(asset_ids)

    def was_in_album(self, album_id: bytes, number: int, known: int, asset_ids: Collection[bytes]) -> bool:
        """Whether one of *asset_ids* was in an album for who wrote the slot *number* and knew the log up to *known*.

        In the trash by now or not.
        """
        sql = (
            "SELECT asset_id FROM album_items WHERE album_id = :album_id AND number < :number"
            " UNION SELECT asset_id FROM album_past WHERE album_id = :album_id AND number < :number AND until > :known"
        )
        wanted, values = frozenset(asset_ids), {"album_id": album_id, "number": number, "known": known}
        return any(asset_id in wanted for (asset_id,) in self._db.execute(sql, values))
