"""Shared albums as their grantees read them: each by its own log, and nothing else of the space.

docs/spec/albums.md.
"""

from safelight.server.domain.access import Who, account_of, space_for
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.database import KeepsAlbums
from safelight.server.domain.ports.rows import AlbumEntryRow
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES, MAX_WITHHELD_TOLD
from safelight.sync_protocol.log import frames_to_bytes
from safelight.sync_protocol.messages.spaces import AlbumHead, GrantedAlbums
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier, reads


class Albums:
    """Reads for grantees, and for members who read the space."""

    def __init__(self, database: KeepsAlbums, ledgers: Ledgers, clock: ServerClock) -> None:
        self._database = database
        self._ledgers = ledgers
        self._clock = clock

    async def granted(self, who: Who, space_id: bytes) -> GrantedAlbums:
        """Return the albums that are granted to who asks; raises SPACE_UNKNOWN, or FORBIDDEN for a camera."""
        state, account_id = await space_for(self._ledgers, who, space_id), account_of(who)
        now_ms = self._clock.now_ms()
        mine = [album_id for album_id in state.albums if state.grant_of(account_id, album_id, now_ms)]
        return GrantedAlbums([await self._head(space_id, album_id) for album_id in mine])

    async def _head(self, space_id: bytes, album_id: bytes) -> AlbumHead:
        head = await self._database.album_head(space_id, album_id)
        withheld = await self._database.trash_shown(space_id, album_id, MAX_WITHHELD_TOLD)
        return AlbumHead(album_id.hex(), head.number, head.hash, [asset_id.hex() for asset_id in withheld])

    async def log(self, who: Who, space_id: bytes, album_id: bytes, after: int) -> bytes:
        """Return an album's entries after a number as frames; raises SPACE_UNKNOWN, FORBIDDEN or NOT_FOUND.

        What is not shared, and what is shared with others, are told apart by nobody who reads neither.
        """
        state, account_id = await space_for(self._ledgers, who, space_id), account_of(who)
        if not may_read_album(state, account_id, album_id, self._clock.now_ms()):
            raise Refused(Code.NOT_FOUND)
        rows = await self._database.album_entries(space_id, album_id, after, MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES)
        return frames_to_bytes(map(_frame, rows))


def may_read_album(state: LedgerState, account_id: bytes, album_id: bytes, now_ms: int) -> bool:
    """Whether an account reads a shared album now: as a reader of its space, or by a grant."""
    if album_id not in state.albums:
        return False
    return reads(state.tier_of(account_id), Tier.VIEW) or state.grant_of(account_id, album_id, now_ms) is not None


def _frame(row: AlbumEntryRow) -> AlbumFrame:
    return AlbumFrame(
        number=row.number,
        slot=row.slot,
        time_ms=row.time_ms,
        chain=row.chain,
        entry_id=row.entry_id,
        envelope=row.envelope,
    )
