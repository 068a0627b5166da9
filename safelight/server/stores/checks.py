"""What checks read of all rows, note of blobs, and put right."""

from abc import abstractmethod
from collections.abc import Collection, Sequence

from safelight.server.domain.ports.checks import AccountHead, BlobHolder, CheckedBlob, DueBlob, HeldBlob, SpaceSums
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction

SQL = load("checks")
_BLOBS = load("blobs")
_COMMITS = load("commits")
_LOCK_SPACES = _COMMITS["lock_spaces"]


class CheckRows(Engine):
    """Rows compared with one another, and when each blob was last hashed."""

    @abstractmethod
    async def integrity(self) -> list[str]:
        """Return what the engine itself finds wrong."""

    async def held_between(self, first: bytes, end: bytes) -> list[HeldBlob]:
        """Return the blobs that rows hold, from *first* up to, not including, *end*, in order."""
        return [HeldBlob(*row) for row in await self._reading.rows(SQL["held_between"], first=first, last=end)]

    async def nobodys(self, names: Sequence[bytes]) -> list[bytes]:
        """Return those of *names* that nothing names, and that are not forgotten already."""
        named = {name for (name,) in await self._reading.rows_in(SQL["named"], names)}
        return [name for name in names if name not in named]

    async def orphans_seen_ms(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """When those of *names* that were noted as orphans were first seen."""
        return dict(await self._reading.rows_in(SQL["orphans_seen"], names))

    async def holders(self, name: bytes) -> list[BlobHolder]:
        """Return the spaces that hold a blob."""
        return [BlobHolder(*row) for row in await self._reading.rows(SQL["holders"], name=name)]

    async def bad_blobs(self, after: bytes, limit: int) -> list[DueBlob]:
        """Return held blobs that the last check found missing or damaged."""
        return [DueBlob(*row) for row in await self._reading.rows(SQL["bad"], after=after, page=limit)]

    async def unchecked_blobs(self, after: bytes, limit: int) -> list[DueBlob]:
        """Return held blobs that were never checked."""
        return [DueBlob(*row) for row in await self._reading.rows(SQL["unchecked"], after=after, page=limit)]

    async def long_unchecked_blobs(self, before_ms: int, limit: int) -> list[DueBlob]:
        """Return blobs that were last checked before *before_ms*, the longest ago first."""
        rows = await self._reading.rows(SQL["long_unchecked"], before_ms=before_ms, page=limit)
        return [DueBlob(*row) for row in rows]

    async def note_checks(self, blobs: Sequence[CheckedBlob], now_ms: int) -> None:
        """Note what was found now of each blob; of those that nothing holds any more nothing is kept."""

        async def work(tx: Transaction) -> None:
            held = {name for (name,) in await tx.rows_in(_BLOBS["known_blobs"], [blob.name for blob in blobs])}
            noted = sorted((blob.name, now_ms, blob.found) for blob in blobs if blob.name in held)
            await tx.run_many(SQL["note"], noted)
            await tx.run_many(SQL["drop_note"], sorted((blob.name,) for blob in blobs if blob.name not in held))

        if blobs:
            await self._write(work)

    async def space_ids(self, after: bytes, limit: int) -> list[bytes]:
        """Return the ids of spaces, in order."""
        return [space_id for (space_id,) in await self._reading.rows(SQL["space_ids"], after=after, page=limit)]

    async def account_heads(self, after: bytes, limit: int) -> list[AccountHead]:
        """Return where accounts stand, in order of their ids."""
        return [AccountHead(*row) for row in await self._reading.rows(SQL["account_heads"], after=after, page=limit)]

    async def trashed_assets(self, space_id: bytes) -> set[bytes]:
        """Return the assets of a space that rows have in the trash."""
        return {asset_id for (asset_id,) in await self._reading.rows(SQL["trashed"], space_id=space_id)}

    async def proposed_assets(self, space_id: bytes) -> set[bytes]:
        """Return the assets of a space that rows have as proposed for the trash."""
        return {asset_id for (asset_id,) in await self._reading.rows(SQL["proposed"], space_id=space_id)}

    async def wrong_trash(self, space_id: bytes) -> list[bytes]:
        """Return assets of which other blobs are in the trash than their record names."""
        return [asset_id for (asset_id,) in await self._reading.rows(SQL["wrong_trash"], space_id=space_id)]

    async def correct_trash(
        self, space_id: bytes, number: int, in_trash: Collection[bytes], proposed: Collection[bytes]
    ) -> bool:
        """Have exactly these assets in the trash, and these proposed for it; whether it is so.

        Not where the log went on beyond the slot *number*.
        """

        async def work(tx: Transaction) -> bool:
            rows = await tx.rows_in(_LOCK_SPACES, [space_id])
            if not rows or rows[0][1] != number:
                return False
            await tx.rows(SQL["clear_trash"], space_id=space_id)
            await tx.rows(SQL["clear_proposed"], space_id=space_id)
            await tx.run_many(_COMMITS["trash_asset"], [(space_id, asset_id) for asset_id in sorted(in_trash)])
            await tx.run_many(_COMMITS["propose_asset"], [(space_id, asset_id) for asset_id in sorted(proposed)])
            return True

        return await self._write(work)

    async def members(self, space_id: bytes) -> dict[bytes, str]:
        """Return a space's members and their roles."""
        return dict(await self._reading.rows(SQL["members"], space_id=space_id))

    async def sums(self, space_id: bytes) -> SpaceSums | None:
        """Return what a space's rows say is used and what they add up to."""
        rows = await self._reading.rows(SQL["sums"], space_id=space_id)
        return SpaceSums(*rows[0]) if rows else None

    async def wrong_refs(self, space_id: bytes, first: bytes, end: bytes) -> list[tuple[bytes, int, int]]:
        """Blobs whose number of references is not how many records name them."""
        rows = await self._reading.rows(SQL["wrong_refs"], space_id=space_id, first=first, last=end)
        return [(name, kept, counted) for name, kept, counted in rows]

    async def unheld_refs(self, space_id: bytes, limit: int) -> list[tuple[bytes, int]]:
        """Blobs that a record names and the space does not hold, each with a slot that names it."""
        rows = await self._reading.rows(SQL["unheld_refs"], space_id=space_id, page=limit)
        return [(name, number) for name, number in rows]

    async def correct_refs(self, space_id: bytes, name: bytes) -> None:
        """Count a blob's references anew, in a transaction that no commit comes into."""

        async def work(tx: Transaction) -> None:
            await tx.rows_in(_LOCK_SPACES, [space_id])
            await tx.rows(SQL["lock_blob"], space_id=space_id, name=name)
            await tx.rows(SQL["set_refs"], space_id=space_id, name=name)

        await self._write(work)

    async def correct_sums(self, space_id: bytes) -> None:
        """Add up anew what is used in a space, in a transaction that no commit comes into."""

        async def work(tx: Transaction) -> None:
            await tx.rows_in(_LOCK_SPACES, [space_id])
            rows = await tx.rows(SQL["sums"], space_id=space_id)
            if rows:
                await tx.rows(SQL["set_used"], space_id=space_id, used_bytes=rows[0][2])

        await self._write(work)

    async def correct_size(self, name: bytes, size_bytes: int) -> None:
        """Keep another size of a blob, whose bytes were hashed and are that long."""

        async def work(tx: Transaction) -> None:
            await tx.take_turns(b"blob " + name)
            await tx.rows(_BLOBS["lock_held"], name=name)
            await tx.rows(SQL["set_size"], name=name, size_bytes=size_bytes)

        await self._write(work)
