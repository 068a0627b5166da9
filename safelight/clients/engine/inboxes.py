"""What an adder seals to: the public inboxes of a space, and of a shared album that is filled as well.

Members and cameras take them from the ledger that they verified, a guest of an upload link from the head that its maker
signed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.upload_links import AlbumInboxes, album_inboxes


@dataclass(frozen=True, slots=True)
class Inboxes:
    """The inboxes of one epoch, and of one generation of an album if what is added is to be in that, too."""

    space_id: bytes
    epoch: int
    full: bytes
    view: bytes
    album: AlbumInboxes | None = None


# Given the time, which says whether an album's keys stand.
FindsInboxes = Callable[[int], Inboxes]


def inboxes_of(state: LedgerState, album: AlbumInboxes | None = None) -> Inboxes:
    """Return the inboxes of the epoch in force."""
    epoch = state.epoch
    return Inboxes(state.space_id, epoch.number, epoch.full_inbox, epoch.view_inbox, album)


def sealing_into(state: Callable[[], LedgerState], album_id: bytes) -> FindsInboxes:
    """The same for who may add to that shared album alone; ALBUM_WAITS is raised while its keys are due."""

    def find(now_ms: int) -> Inboxes:
        verified = state()
        if album_id not in verified.albums or not verified.generation_stands(album_id, now_ms):
            raise Refused(Code.ALBUM_WAITS)
        return inboxes_of(verified, album_inboxes(verified, album_id))

    return find


def sealing_to(state: Callable[[], LedgerState], album: Callable[[], bytes] = bytes) -> FindsInboxes:
    """Return what finds the inboxes of the ledger *state*, with those of the shared *album* while its keys stand."""

    def find(now_ms: int) -> Inboxes:
        verified, album_id = state(), album()
        stands = album_id in verified.albums and verified.generation_stands(album_id, now_ms)
        return inboxes_of(verified, album_inboxes(verified, album_id) if stands else None)

    return find
