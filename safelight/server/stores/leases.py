"""Leases in the database, for processes that share it. Their times are the database's: no other clock is asked."""

import secrets

from safelight.server.stores.engine import Engine
from safelight.server.stores.postgres_writer import notice
from safelight.server.stores.statements import load, statement
from safelight.server.stores.transaction import Transaction
from safelight.sync_protocol.refusals import Code, Refused

SQL = load("leases")
_NOW = statement("now", "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")


class LeaseRows(Engine):
    """What this process has to itself, under an id that is new whenever it starts."""

    _holder: bytes = b""

    def _me(self) -> bytes:
        """Under which id this process holds."""
        self._holder = self._holder or secrets.token_bytes(16)
        return self._holder

    async def take_lease(self, name: bytes, lasts_ms: int) -> int:
        """Have *name* for so long from now; returns 0, or for how many milliseconds another still has it."""

        async def work(tx: Transaction) -> int:
            now_ms: int = (await tx.rows(_NOW))[0][0]
            taken = await tx.rows(SQL["take"], name=name, holder=self._me(), until_ms=now_ms + lasts_ms, now_ms=now_ms)
            if taken:
                return 0
            until_ms, holder = (await tx.rows(SQL["until"], name=name))[0]
            await notice(tx, f"wanted {name.hex()} {holder.hex()}")
            return max(1, int(until_ms) - now_ms)

        return await self._write(work)

    async def renew_lease(self, name: bytes, lasts_ms: int) -> bool:
        """Have *name* for longer; False where another process took it since, whether or not that still has it."""

        async def work(tx: Transaction) -> bool:
            now_ms: int = (await tx.rows(_NOW))[0][0]
            return bool(await tx.rows(SQL["renew"], name=name, holder=self._me(), until_ms=now_ms + lasts_ms))

        return await self._write(work)

    async def release_lease(self, name: bytes) -> None:
        """Let others have *name*, if this process has it."""

        async def work(tx: Transaction) -> None:
            # Not 0: the row must stay as long as one whose time ran out, or it would fence nobody off.
            now_ms: int = (await tx.rows(_NOW))[0][0]
            await tx.rows(SQL["release"], name=name, holder=self._me(), now_ms=now_ms)

        await self._write(work)

    async def _check_lease(self, tx: Transaction, name: bytes) -> None:
        """Raise UPLOAD_BUSY where another process took *name* after this one, and not before *tx* ends."""
        if any(holder != self._me() for (holder,) in await tx.rows(SQL["last_holder"], name=name)):
            raise Refused(Code.UPLOAD_BUSY, "another server process goes on with it")
