"""How much a device has uploaded that no record names: counted now and then, and never taken for less than it is.

A device may have tens of thousands of such blobs, too many to be counted for each upload. So what was held since they
were last counted is added to that count: that is never too little, since all that happens otherwise, a record that
names them or their end, makes them fewer. They are counted again only where it seems too much.
"""

from dataclasses import dataclass

from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction

SQL = load("uncommitted")

# Counting costs about a microsecond a blob. Whoever stays at the limit, and asks again and again, has more than a few
# counted no more often than a thousandth of the time can do; who has a few is counted as often as they come.
FEW_BLOBS = 1000
PAUSE_MS_PER_BLOB = 1


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """At most so many blobs, and so many bytes."""

    blobs: int
    size_bytes: int

    def fits(self, max_blobs: int, max_bytes: int) -> bool:
        """Whether another blob has room, and these bytes."""
        return self.blobs < max_blobs and self.size_bytes <= max_bytes


async def uncommitted(tx: Transaction, device_id: bytes, max_blobs: int, max_bytes: int, now_ms: int) -> Uncommitted:
    """Return what a device has uncommitted, or more; where it does not fit into the maxima, it was counted lately."""
    for [blobs, size_bytes, counted, counted_ms] in await tx.rows(SQL["noted"], device_id=device_id):
        noted = Uncommitted(blobs, size_bytes)
        pause_ms = counted * PAUSE_MS_PER_BLOB if counted > FEW_BLOBS else 0
        if noted.fits(max_blobs, max_bytes) or counted_ms <= now_ms < counted_ms + pause_ms:
            return noted
    return await _count(tx, device_id, now_ms)


async def note_held(tx: Transaction, device_id: bytes, size_bytes: int, *, blobs: int = 1) -> None:
    """Note a blob more, or several. The last statement of its transaction: commits of a device wait for each other."""
    await tx.rows(SQL["note_held"], device_id=device_id, blobs=blobs, size_bytes=size_bytes)


async def _count(tx: Transaction, device_id: bytes, now_ms: int) -> Uncommitted:
    """The row is locked before they are counted: what is held meanwhile is either counted or added afterwards."""
    await tx.rows(SQL["begin"], device_id=device_id)
    await tx.rows(SQL["lock"], device_id=device_id)
    [(blobs, size_bytes)] = await tx.rows(SQL["count"], device_id=device_id)
    await tx.rows(SQL["note_counted"], device_id=device_id, blobs=blobs, size_bytes=int(size_bytes), counted_ms=now_ms)
    return Uncommitted(blobs, int(size_bytes))
