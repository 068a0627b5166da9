"""Who adds, as pushing needs it: a camera, a guest of an upload link, or a member at a computer of their own."""

from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from typing import Protocol

from safelight.clients.camera.known import KnownFiles
from safelight.clients.camera.sent import SentFiles
from safelight.clients.engine.adding import NOT_INTO_ALBUM
from safelight.clients.engine.cameras import CameraSession
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.guests import GuestSession
from safelight.clients.engine.inboxes import FindsInboxes, sealing_to
from safelight.sync_protocol.refusals import Code


class Known(Protocol):
    """Which files are there already, by their fingerprints."""

    @property
    def mostly_new(self) -> bool:
        """Whether most of those asked about last were not there."""
        ...

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the file of this *fingerprint* is there."""
        ...

    def sends(self, asset_id: bytes, fingerprint: bytes) -> None:
        """Remember which file an asset is that is about to be committed."""
        ...

    async def stop(self) -> None:
        """Give up what is being asked."""
        ...


@dataclass(frozen=True, slots=True)
class WhoAdds:
    """One who adds to a space: what is sealed to, who commits, and how files are told apart.

    The *dedupe_key* makes the fingerprints; records carry them only where it is the space's (*tells_fingerprints*).
    *spool* names the folder of what was cut off.
    """

    connection: Connection
    committer: Committer
    space_id: bytes
    device_id: bytes
    inboxes: FindsInboxes
    refresh: Callable[[], Awaitable[object]]
    known: Known
    dedupe_key: bytes = field(repr=False)
    tells_fingerprints: bool
    not_into_album: Container[Code] = NOT_INTO_ALBUM
    spool: str = "spool"


def camera_adds(session: CameraSession) -> WhoAdds:
    """Return an open camera as one who adds."""
    view, profile = session.view, session.profile
    return WhoAdds(
        connection=session.connection,
        committer=session.committer,
        space_id=profile.space_id,
        device_id=profile.camera_id,
        inboxes=sealing_to(lambda: view.state, lambda: view.state.cameras[profile.camera_id].album_id),
        refresh=view.refresh,
        known=KnownFiles(session.connection, profile.space_id, lambda: view.state, session.log.holds),
        dedupe_key=profile.dedupe_key,
        tells_fingerprints=True,
    )


# A guest cannot tell whether an album's keys stand, nor begin others: what they do not let in is in the space alone.
_NOT_INTO_ALBUM_OF_GUEST = NOT_INTO_ALBUM | {Code.GENERATION_OLD}


def guest_adds(session: GuestSession, sent: SentFiles) -> WhoAdds:
    """Return the guest of an upload link as one who adds."""
    profile = session.profile
    return WhoAdds(
        connection=session.connection,
        committer=session.committer,
        space_id=profile.space_id,
        device_id=profile.guest_id,
        inboxes=session.inboxes,
        refresh=session.refresh,
        known=sent,
        dedupe_key=profile.local_key,
        tells_fingerprints=False,
        not_into_album=_NOT_INTO_ALBUM_OF_GUEST,
    )
