"""The local index' rows of upload links: which slot has the newest head of each."""

from safelight.clients.engine.index_tables import IndexTables

UPLOAD_TABLES = """
CREATE TABLE upload_heads(link_id BLOB PRIMARY KEY, number INTEGER NOT NULL);
"""


class UploadRows(IndexTables):
    """What `Index` keeps of upload links' heads, of all that verified."""

    def set_upload_head(self, link_id: bytes, number: int) -> None:
        """Keep where a link's newest head stands."""
        self._db.execute("INSERT OR REPLACE INTO upload_heads VALUES (?, ?)", (link_id, number))

    def upload_head(self, link_id: bytes) -> int | None:
        """The slot of a link's newest head; None before the first."""
        row = self._db.execute("SELECT number FROM upload_heads WHERE link_id = ?", (link_id,)).fetchone()
        return None if row is None else int(row[0])
