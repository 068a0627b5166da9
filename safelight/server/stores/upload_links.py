"""Upload links, read: what `commits.py` wrote of them."""

from safelight.server.domain.ports.rows import UploadLinkRow
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load

SQL = load("upload_links")


class UploadLinkRows(Engine):
    """Upload links' heads, and what their guests took."""

    async def upload_link(self, link_id: bytes) -> UploadLinkRow | None:
        """Return an upload link, closed or not."""
        rows = await self._reading.rows(SQL["by_id"], link_id=link_id)
        return UploadLinkRow(*rows[0]) if rows else None

    async def guests_hold(self, link_id: bytes) -> int:
        """Return how many bytes a link's guests have sent, or are sending, that no record names."""
        sent = await self._reading.rows(SQL["sent"], link_id=link_id)
        sending = await self._reading.rows(SQL["sending"], link_id=link_id)
        return int(sent[0][0]) + int(sending[0][0])
