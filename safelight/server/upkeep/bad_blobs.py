"""A blob that is missing or damaged: looked at once more, noted, and said with all that it means."""

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.checks import CheckedBlob
from safelight.server.domain.ports.database import Database
from safelight.server.upkeep.events import DAMAGED, MISSING, Finding

_REMEDY = (
    "put its bytes back from a copy or a backup, under their name, and check again; until then a device that offers the"
    " photograph is let add it again"
)


async def look_again(database: Database, blobs: Blobs, name: bytes, now_ms: Milliseconds) -> Finding | None:
    """Say what a blob is that did not verify, and note it; None where it came, or went with its rows, meanwhile."""
    if await blobs.verify(name):
        await database.note_checks([CheckedBlob(name, "")], now_ms())
        return None
    reader = await blobs.open(name)
    size_bytes = None if reader is None else reader.size_bytes
    if reader is not None:
        await reader.close()
    found = MISSING if size_bytes is None else DAMAGED
    await database.note_checks([CheckedBlob(name, found)], now_ms())
    holders = await database.holders(name)
    if not holders:
        return None
    what = "is not in the store" if size_bytes is None else f"({size_bytes} bytes) does not hash to its name"
    spaces = ", ".join(f"space {holder.space_id.hex()[:16]} ({_count(holder.owners)})" for holder in holders)
    return Finding(found, name.hex(), f"the blob {what}; it is held by {spaces}", _REMEDY)


def _count(owners: int) -> str:
    return "no record names it" if not owners else "1 asset or link" if owners == 1 else f"{owners} assets or links"
