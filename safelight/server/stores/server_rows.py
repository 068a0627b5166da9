"""What the server remembers of itself."""

from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction

SQL = load("server")
_TIME = "time_ms"


class ServerRows(Engine):
    """Small values by name, and the time."""

    async def get_meta(self, key: str) -> bytes | None:
        """Return the value kept under *key*."""
        rows = await self._reading.rows(SQL["get_meta"], key=key)
        return rows[0][0] if rows else None

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep *value* under *key*."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["set_meta"], key=key, value=value)

        await self._write(work)

    async def claim_meta(self, key: str, value: bytes) -> bytes:
        """Keep *value* under *key* unless one is kept already; returns the one that is kept."""

        async def work(tx: Transaction) -> bytes:
            await tx.rows(SQL["claim_meta"], key=key, value=value)
            kept: bytes = (await tx.rows(SQL["get_meta"], key=key))[0][0]
            return kept

        return await self._write(work)

    async def highest_time_ms(self) -> int:
        """Return the highest time stored, below which server time never falls."""
        highest: int = (await self._reading.rows(SQL["highest_time_of_all"]))[0][0]
        return max(highest, int.from_bytes(await self.get_meta(_TIME) or b""))

    async def note_time(self, now_ms: int) -> None:
        """Keep the server's time, so that no later start is before it; a lower one than is kept changes nothing."""

        async def work(tx: Transaction) -> None:
            rows = await tx.rows(SQL["get_meta"], key=_TIME)
            if not rows or int.from_bytes(rows[0][0]) < now_ms:
                await tx.rows(SQL["set_meta"], key=_TIME, value=now_ms.to_bytes(8))

        await self._write(work)
