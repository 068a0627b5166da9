"""Spaces and their logs, read, and commits handed to the engine."""

from abc import abstractmethod
from collections.abc import Sequence

from safelight.server.domain.ports.commits import Commit, Committed, Joining, Rejected
from safelight.server.domain.ports.rows import EntryRow, SpaceRow
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load

SQL = load("spaces")


class SpaceRows(Engine):
    """Where spaces stand, who is in them, and what their logs say."""

    async def space(self, space_id: bytes) -> SpaceRow | None:
        """Return where a space stands."""
        rows = await self._reading.rows(SQL["by_id"], space_id=space_id)
        return SpaceRow(*rows[0]) if rows else None

    async def spaces_of(self, account_id: bytes) -> list[tuple[SpaceRow, str]]:
        """Return the spaces that an account is in, each with its role."""
        rows = await self._reading.rows(SQL["of_account"], account_id=account_id)
        return [(SpaceRow(*values), role) for *values, role in rows]

    async def role_in(self, space_id: bytes, account_id: bytes) -> str | None:
        """Return an account's role in a space."""
        rows = await self._reading.rows(SQL["role"], space_id=space_id, account_id=account_id)
        return rows[0][0] if rows else None

    async def entries(self, space_id: bytes, after: int, limit: int, max_bytes: int) -> list[EntryRow]:
        """Return entries after a number, in order, at least one if there is one."""
        rows = await self._reading.rows(SQL["entries"], space_id=space_id, after=after, page=limit, max_bytes=max_bytes)
        return [EntryRow(*row) for row in rows]

    async def entry_ids(self, space_id: bytes, after: int, limit: int) -> list[bytes]:
        """Return the ids of entries after a number, in order."""
        rows = await self._reading.rows(SQL["entry_ids"], space_id=space_id, after=after, page=limit)
        return [entry_id for (entry_id,) in rows]

    async def ledger_entries(self, space_id: bytes, after: int, limit: int) -> list[EntryRow]:
        """Return ledger entries after a number, in order."""
        rows = await self._reading.rows(SQL["ledger_entries"], space_id=space_id, after=after, page=limit)
        return [EntryRow(*row) for row in rows]

    async def entries_at(self, space_id: bytes, numbers: Sequence[int]) -> list[EntryRow]:
        """Return the entries at *numbers*, in order, without those that are not there."""
        found = [
            await self._reading.rows(SQL["entry"], space_id=space_id, number=number) for number in sorted(set(numbers))
        ]
        return [EntryRow(*row) for rows in found for row in rows]

    async def committed(self, space_id: bytes, device_id: bytes, counter: int, entry_id: bytes) -> Committed | None:
        """Return the first answer to a device's entry that stands in the space's log, or None."""
        rows = await self._reading.rows(
            SQL["slot"], space_id=space_id, device_id=device_id, counter=counter, entry_id=entry_id
        )
        if not rows:
            return None
        number, chain, time_ms = rows[0]
        blobs = await self._reading.rows(SQL["blobs_named"], space_id=space_id, number=number)
        return Committed(number, chain, time_ms, tuple(name for (name,) in blobs), repeated=True)

    async def device_position(self, space_id: bytes, device_id: bytes) -> tuple[int, bytes]:
        """Return counter and id of the device's last entry in the space; (0, empty) before its first."""
        rows = await self._reading.rows(SQL["position"], space_id=space_id, device_id=device_id)
        return (rows[0][0], rows[0][1]) if rows else (0, b"")

    async def box(self, space_id: bytes, epoch: int, account_id: bytes) -> bytes | None:
        """Return an account's box of an epoch."""
        rows = await self._reading.rows(SQL["box"], space_id=space_id, epoch=epoch, account_id=account_id)
        return rows[0][0] if rows else None

    async def fingerprints(self, space_id: bytes, fingerprints: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """Return those of *fingerprints* that are there, each with the slot of its first record."""
        asked = [fingerprint for fingerprint in dict.fromkeys(fingerprints) if fingerprint]
        if await self._reading.rows(SQL["any_bad_blob"]):
            return await self._whole_fingerprints(space_id, asked)
        rows = await self._reading.rows_in(SQL["fingerprints"], asked, space_id=space_id)
        return [(fingerprint, number) for fingerprint, number in rows]

    async def _whole_fingerprints(self, space_id: bytes, asked: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """The same without assets of which a check found a blob missing or damaged: who has them may add them again."""
        bad = {asset_id for (asset_id,) in await self._reading.rows(SQL["bad_assets"], space_id=space_id)}
        found: dict[bytes, int] = {}
        for fingerprint, number, asset_id in await self._reading.rows_in(
            SQL["fingerprinted"], asked, space_id=space_id
        ):
            if asset_id not in bad:
                found[fingerprint] = min(number, found.get(fingerprint, number))
        return list(found.items())

    @abstractmethod
    async def commit(self, batch: Sequence[Commit], joining: Joining | None = None) -> list[Committed | Rejected]:
        """Commit *batch* with what else waits, in one durable transaction; see the port."""
