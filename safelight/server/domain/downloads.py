"""Downloads: who may fetch which blob, asked at every request and again during long ones."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from safelight.server.domain.access import Who, space_for, space_for_reader
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.blobs import BlobReader, Blobs
from safelight.server.domain.ports.database import Database
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier, reads

CHUNK_SIZE_BYTES = 256 * 1024
# With what the system holds ready to go (see `routes/sending.py`), less than 8 MiB leave after an end.
ASK_AGAIN_SIZE_BYTES = 2 * 1024 * 1024


class Stopped(Exception):
    """Whoever downloads may no longer: nothing more is sent, and the connection is cut."""


@dataclass(frozen=True, slots=True)
class Download:
    """A blob that may be read. `stands` says whether it still may, and is asked during long downloads."""

    name: bytes
    reader: BlobReader
    stands: Callable[[], Awaitable[bool]]


class Downloads:
    """Opens blobs for members, by tier. Cameras fetch nothing."""

    def __init__(self, database: Database, blobs: Blobs, ledgers: Ledgers, clock: ServerClock) -> None:
        self._database = database
        self._blobs = blobs
        self._ledgers = ledgers
        self._clock = clock

    async def open(
        self, who: Who, space_id: bytes, name: bytes, session_stands: Callable[[Who], Awaitable[bool]]
    ) -> Download:
        """Open a blob of a space for a member whose tier it is, there or in an album that shows it.

        What is in the trash is given to who reads the space, and to nobody else. Raises SPACE_UNKNOWN, FORBIDDEN,
        NOT_FOUND or WITHHELD.
        """
        state = await space_for(self._ledgers, who, space_id)
        # Of ten thousand albums none is looked at for who reads the space, which are most who ask.
        reads_here = may_read(state, who, Tier.VIEW)
        if not reads_here and not any(who.account_id in album.grants for album in state.albums.values()):
            await space_for_reader(self._ledgers, who, space_id, Tier.VIEW)
        held = await self._database.blob_in_space(space_id, name)
        if held is None or not await self._allows(state, who, held[1], name):
            raise Refused(Code.NOT_FOUND)

        if await self._withholds(state, who, held[1], name):
            raise Refused(Code.WITHHELD)

        async def stands() -> bool:
            if not await session_stands(who):
                return False
            now = await self._ledgers.state(space_id)
            allowed = await self._allows(now, who, held[1], name)
            return allowed and not await self._withholds(now, who, held[1], name)

        return Download(name, await open_blob(self._blobs, name, held[0]), stands)

    async def _withholds(self, state: LedgerState, who: Who, tier: str, name: bytes) -> bool:
        """Whether a blob is kept from one who may have it by a grant alone: its asset is in the trash."""
        return not may_read(state, who, tier) and await self._database.is_in_trash(state.space_id, name)

    async def _allows(self, state: LedgerState, who: Who, tier: str, name: bytes) -> bool:
        """Whether a member may have a blob of that tier now: by its role, or as an album shows it that was granted."""
        if may_read(state, who, tier):
            return True
        albums = await self._database.albums_showing(state.space_id, name)
        grants = [state.grant_of(who.account_id, album_id, self._clock.now_ms()) for album_id in albums]
        return any(grant is not None and reads(grant.tier, _wanted(tier)) for grant in grants)


async def open_blob(blobs: Blobs, name: bytes, size_bytes: int) -> BlobReader:
    """Open a blob that a row says is there; raises NOT_FOUND, and STORAGE_UNAVAILABLE where it has another size."""
    reader = await blobs.open(name)
    if reader is None:
        raise Refused(Code.NOT_FOUND, "its bytes are missing")
    if reader.size_bytes != size_bytes:
        await reader.close()
        raise Refused(Code.STORAGE_UNAVAILABLE, "what is stored has another size than what was sent")
    return reader


async def spans_while_allowed(download: Download, start: int, end: int) -> AsyncGenerator[tuple[int, int], None]:
    """Yield *start* to *end* in spans of 2 MiB, asking before each further one whether it may go; raises Stopped."""
    for begin in range(start, end, ASK_AGAIN_SIZE_BYTES):
        if begin > start and not await download.stands():
            raise Stopped
        yield begin, min(begin + ASK_AGAIN_SIZE_BYTES, end)


async def chunks_while_allowed(download: Download, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """Yield the bytes from *start* to *end*, asking again every 2 MiB whether they may go out; raises Stopped."""
    sent = 0
    asked_at = 0
    async for chunk in download.reader.chunks(start, end, CHUNK_SIZE_BYTES):
        if sent - asked_at >= ASK_AGAIN_SIZE_BYTES:
            asked_at = sent
            if not await download.stands():
                raise Stopped
        yield chunk
        sent += len(chunk)


def may_read(state: LedgerState, who: Who, tier: str) -> bool:
    """Whether a member may have a blob of that tier.

    What was made for a link, and a blob that no record names yet, is read like originals: by the full tier alone.
    """
    return reads(state.tier_of(who.account_id), _wanted(tier))


def _wanted(tier: str) -> Tier:
    return Tier.VIEW if tier == Tier.VIEW else Tier.FULL
