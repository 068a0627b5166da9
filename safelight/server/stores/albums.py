"""Albums, read: the own logs of those that are shared by grants, which of them show a blob, and what is approved."""

from safelight.server.domain.ports.rows import AlbumEntryRow
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.sync_protocol.log import NO_HEAD, Head

SQL = load("albums")


class AlbumRows(Engine):
    """What the commits of `commits.py` wrote of albums."""

    async def album_head(self, space_id: bytes, album_id: bytes) -> Head:
        """Return where an album's own log ends."""
        rows = await self._reading.rows(SQL["head"], space_id=space_id, album_id=album_id)
        return Head(*rows[0]) if rows else NO_HEAD

    async def album_entries(
        self, space_id: bytes, album_id: bytes, after: int, limit: int, max_bytes: int
    ) -> list[AlbumEntryRow]:
        """Return entries of an album's own log after a number, in order, at least one if there is one."""
        rows = await self._reading.rows(
            SQL["entries"], space_id=space_id, album_id=album_id, after=after, page=limit, max_bytes=max_bytes
        )
        return [AlbumEntryRow(*row) for row in rows]

    async def albums_showing(self, space_id: bytes, name: bytes) -> list[bytes]:
        """Return the shared albums of a space that show a blob."""
        rows = await self._reading.rows(SQL["showing"], space_id=space_id, name=name)
        return [album_id for (album_id,) in rows]

    async def approval_albums(self, space_id: bytes) -> set[bytes]:
        """Return the albums of a space that require approval."""
        return {album_id for (album_id,) in await self._reading.rows(SQL["approval_albums"], space_id=space_id)}

    async def approved(self, space_id: bytes) -> set[tuple[bytes, bytes]]:
        """Return which assets of a space are approved in which album, as album id and asset id."""
        rows = await self._reading.rows(SQL["approved"], space_id=space_id)
        return {(album_id, asset_id) for album_id, asset_id in rows}
