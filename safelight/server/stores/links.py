"""Share links: their state, what they may fetch, and their openings."""

from safelight.server.domain.ports.rows import LinkState, Opening
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Found, Transaction

SQL = load("links")


class LinkRows(Engine):
    """Links, openings and hand-overs."""

    async def link(self, link_id: bytes) -> LinkState | None:
        """Return a link, revoked or not."""
        rows = await self._reading.rows(SQL["by_id"], link_id=link_id)
        return _link(rows[0]) if rows else None

    async def links_of(self, space_id: bytes) -> list[LinkState]:
        """Return a space's links, the newest first."""
        return [_link(row) for row in await self._reading.rows(SQL["of_space"], space_id=space_id)]

    async def link_blob(self, link_id: bytes, name: bytes) -> tuple[int, str] | None:
        """Return stored size and tier ("page", "made", "view", "full") of a blob that the link may fetch now."""
        rows = await self._reading.rows(SQL["blob"], link_id=link_id, name=name)
        return (rows[0][0], rows[0][1]) if rows else None

    async def open_link(self, opening: Opening, max_opens: int) -> bool:
        """Count one opening in one statement; False if all are used up or the link does not stand now."""

        async def work(tx: Transaction) -> bool:
            counted = await tx.rows(
                SQL["count_opening"], link_id=opening.link_id, now_ms=opening.now_ms, max_opens=max_opens
            )
            if counted:
                await tx.rows(
                    SQL["add_opening"],
                    link_id=opening.link_id,
                    opening_id=opening.opening_id,
                    handover_hash=opening.handover_hash,
                    handover_expires_ms=opening.handover_expires_ms,
                    opened_ms=opening.now_ms,
                )
            return bool(counted)

        return await self._write(work)

    async def known_opening(self, link_id: bytes, opening_id: bytes) -> bool:
        """Whether that browser has opened the link before."""
        return bool(await self._reading.rows(SQL["opening"], link_id=link_id, opening_id=opening_id))

    async def use_handover(self, link_id: bytes, handover_hash: bytes, now_ms: int) -> bytes | None:
        """Use a hand-over token once: the opening that it belongs to, or None."""

        async def work(tx: Transaction) -> bytes | None:
            rows = await tx.rows(SQL["use_handover"], link_id=link_id, handover_hash=handover_hash, now_ms=now_ms)
            return rows[0][0] if rows else None

        return await self._write(work)

    async def set_handover(self, opening: Opening) -> None:
        """Give a known opening a new hand-over token; the one before is worth nothing any more."""

        async def work(tx: Transaction) -> None:
            await tx.rows(
                SQL["set_handover"],
                link_id=opening.link_id,
                opening_id=opening.opening_id,
                handover_hash=opening.handover_hash,
                handover_expires_ms=opening.handover_expires_ms,
            )

        await self._write(work)

    async def count_download(self, link_id: bytes, now_ms: int) -> None:
        """Count one download."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["count_download"], link_id=link_id, now_ms=now_ms)

        await self._write(work)


def _link(row: Found) -> LinkState:
    originals, revoked, *counts = row[-5:]
    return LinkState(*(*row[:-5], bool(originals), bool(revoked), *counts))
