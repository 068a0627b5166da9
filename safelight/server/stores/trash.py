"""The trash of a space, read: whose blobs are given to its members alone."""

from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load

SQL = load("trash")


class TrashRows(Engine):
    """What the commits of `commits.py` wrote of the trash."""

    async def is_in_trash(self, space_id: bytes, name: bytes) -> bool:
        """Whether a blob is one of an asset in the trash. What was made for a link never is."""
        return bool(await self._reading.rows(SQL["holds"], space_id=space_id, name=name))

    async def trash_shown(self, space_id: bytes, album_id: bytes, limit: int) -> list[bytes]:
        """Return the assets in the trash that a shared album shows, in the order of their ids."""
        rows = await self._reading.rows(SQL["shown"], space_id=space_id, album_id=album_id, page=limit)
        return [asset_id for (asset_id,) in rows]
