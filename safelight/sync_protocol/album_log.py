"""An album's own log: what its grantees follow, entry by entry, and nothing else of the space. docs/spec/albums.md.

Its entries are those of the space's log that are about the album, numbered anew; `chain_n =
SHA-256(context("album/log", space id, album id, chain_{n-1}, n, slot, entry id))`. Every one of them names the place
after which it was signed.
"""

import hashlib

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ids import Hash
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Count, Signed, TimeMs


class AlbumFrame(Signed, frozen=True):
    """One entry as the album's log carries it: its number there, its slot in the space's log, and the chain here."""

    number: Count
    slot: Count
    time_ms: TimeMs
    chain: Hash
    entry_id: Hash
    envelope: bytes


def next_album_head(space_id: bytes, album_id: bytes, head: Head, slot: int, entry_id: bytes) -> Head:
    """Return the place after *head* of an album's log, where the space's entry at *slot* is its next."""
    number = head.number + 1
    parts = (space_id, album_id, head.hash, uint(number), uint(slot), entry_id)
    return Head(number, hashlib.sha256(context(Label.ALBUM_CHAIN, *parts)).digest())


def check_album_frame(space_id: bytes, album_id: bytes, head: Head, slot_before: int, frame: AlbumFrame) -> Head:
    """Take one frame after *head*, whose slot was *slot_before*, and return the place reached.

    Raises CHAIN_BROKEN if it was dropped, reordered or changed.
    """
    if hashlib.sha256(frame.envelope).digest() != frame.entry_id:
        raise Refused(Code.CHAIN_BROKEN, f"entry {frame.number} of the album is not the one it is named for")
    reached = next_album_head(space_id, album_id, head, frame.slot, frame.entry_id)
    if frame.slot <= slot_before or Head(frame.number, frame.chain) != reached:
        raise Refused(Code.CHAIN_BROKEN, f"entry {frame.number} of the album does not follow entry {head.number}")
    return reached
