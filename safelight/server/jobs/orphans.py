"""What a store holds and nobody knows of: blobs whose row a crash kept from being written, parts of forgotten uploads.

Only what is there is ever deleted, never what is missing: a listing that fails, or that shows less than there is, makes
nothing go. And a blob goes only when it was first *seen* as nobody's a grace time ago, by this database: one that was
put back from an older backup knows little, and whoever put it back has that long to notice.
"""

from dataclasses import dataclass

from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database

_META = "listed_ms"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Orphans:
    """Lists the store every *interval_s*, and finds what has been nobody's for *grace_s*."""

    database: Database
    blobs: Blobs
    interval_s: int
    grace_s: int

    async def look(self, now_ms: int) -> int:
        """List the store, if that is due, and note what is nobody's; returns how many blobs are. Deletes no blob."""
        listed_ms = int.from_bytes(await self.database.get_meta(_META) or b"")
        if now_ms - listed_ms < self.interval_s * 1000:
            return 0
        before_ms = now_ms - self.grace_s * 1000
        found, names = 0, []
        async for blob in self.blobs.blobs():
            if blob.modified_ms < before_ms:
                names.append(blob.name)
            if len(names) == _PAGE:
                found += await self.database.note_orphans(names, now_ms)
                names = []
        found += await self.database.note_orphans(names, now_ms)
        await self._clear_parts(before_ms)
        await self.database.set_meta(_META, now_ms.to_bytes(8))
        return found

    async def forget(self, now_ms: int) -> int:
        """Forget orphans whose grace is over and that nothing names even now; their bytes may go."""
        count = 0
        while names := await self.database.old_orphans(now_ms - self.grace_s * 1000, _PAGE):
            for name in names:
                count += await self.database.forget_orphan(name)
        return count

    async def _clear_parts(self, before_ms: int) -> None:
        """An upload's row is there before anything of it: a part without one is nobody's, for good."""
        old = {part.upload_id async for part in self.blobs.parts() if part.modified_ms < before_ms}
        for upload_id in old:
            if await self.database.upload(upload_id) is None:
                await self.blobs.discard(upload_id)
