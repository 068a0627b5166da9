"""The local index' rows of approvals: which albums require them, and what is approved in which, by which slot."""

from collections.abc import Sequence

from safelight.clients.engine.index_tables import IndexTables

APPROVAL_TABLES = """
CREATE TABLE album_rules(album_id BLOB PRIMARY KEY, requires_approval INTEGER NOT NULL);
CREATE TABLE approvals(album_id BLOB NOT NULL, asset_id BLOB NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY(album_id, asset_id)) WITHOUT ROWID;
"""


class ApprovalRows(IndexTables):
    """What `Index` keeps of approvals, of all that verified."""

    def set_album_rules(self, album_id: bytes, *, requires_approval: bool) -> None:
        """Keep whether an album requires approval from now on."""
        self._db.execute("INSERT OR REPLACE INTO album_rules VALUES (?, ?)", (album_id, requires_approval))

    def approval_albums(self) -> set[bytes]:
        """The albums that require approval."""
        return {
            album_id for (album_id,) in self._db.execute("SELECT album_id FROM album_rules WHERE requires_approval")
        }

    def approve(self, album_id: bytes, number: int, asset_ids: Sequence[bytes]) -> None:
        """Keep that assets are approved by the record at a slot; the newest counts."""
        rows = [(album_id, asset_id, number) for asset_id in asset_ids]
        self._db.executemany("INSERT OR REPLACE INTO approvals VALUES (?, ?, ?)", rows)

    def withdraw_approval(self, album_id: bytes, asset_ids: Sequence[bytes]) -> None:
        """Keep that assets are approved no more."""
        rows = [(album_id, asset_id) for asset_id in asset_ids]
        self._db.executemany("DELETE FROM approvals WHERE album_id = ? AND asset_id = ?", rows)

    def approvals(self, album_id: bytes) -> dict[bytes, int]:
        """What is approved in an album: by asset, the slot of the record that approved it."""
        return dict(self._db.execute("SELECT asset_id, number FROM approvals WHERE album_id = ?", (album_id,)))

    def is_in_album(self, album_id: bytes, asset_id: bytes) -> bool:
        """Whether an asset is in an album."""
        sql = "SELECT 1 FROM album_items WHERE album_id = ? AND asset_id = ?"
        return self._db.execute(sql, (album_id, asset_id)).fetchone() is not None
