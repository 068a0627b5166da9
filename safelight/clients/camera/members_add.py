"""Members as those who add, at a computer of their own: readers of the space, contributors, and grantees."""

import secrets
from collections.abc import Callable
from pathlib import Path

from safelight.clients.camera.known import KnownFiles
from safelight.clients.camera.sent import SentFiles
from safelight.clients.camera.who_adds import WhoAdds
from safelight.clients.engine import durable
from safelight.clients.engine.grant_view import GrantView
from safelight.clients.engine.inboxes import FindsInboxes, sealing_into, sealing_to
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier


class SeenFiles:
    """Which files are there already, as *known* says; `seen` has the fingerprints of those that were found so."""

    def __init__(self, known: KnownFiles) -> None:
        self._known = known
        self.seen: set[bytes] = set()

    @property
    def mostly_new(self) -> bool:
        """Whether most of those asked about last were not there."""
        return self._known.mostly_new

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the file of this *fingerprint* is there."""
        found = await self._known.has(fingerprint)
        if found:
            self.seen.add(fingerprint)
        return found

    def sends(self, asset_id: bytes, fingerprint: bytes) -> None:
        """Nothing is to be noted: the next question is answered by the log."""

    async def stop(self) -> None:
        """Give up what is being asked."""
        await self._known.stop()


async def reader_adds(view: SpaceView, album_id: bytes = b"") -> WhoAdds:
    """Return a member that reads the space, synced, as one who adds to it, and to a shared album as well.

    Raises RIGHT_MISSING.
    """
    session = view.session
    inboxes = _inboxes(view.state, session.account_id, album_id, session.clock(), lambda: view.state)
    is_full = view.state.tier_of(session.account_id) is Tier.FULL

    async def holds(number: int, entry_id: bytes) -> bool:
        if number > view.reader.log.number:
            await view.sync()
        envelope = view.index.envelope_at(number)
        return envelope is not None and parse_entry(envelope).id == entry_id

    known = SeenFiles(KnownFiles(session.connection, view.space_id, lambda: view.state, holds)) if is_full else None
    folder = session.folder.space_folder(view.space_id)
    return WhoAdds(
        connection=session.connection,
        committer=view.committer,
        space_id=view.space_id,
        device_id=session.device.device_id,
        inboxes=inboxes,
        refresh=view.sync,
        known=known or SentFiles(folder / _of_album("sent", album_id), view.committer),
        dedupe_key=await view.dedupe_key() if is_full else _local_key(folder / "sent.key"),
        tells_fingerprints=is_full,
        not_into_album=frozenset(),
        spool=_of_album("spool", b"" if is_full else album_id),
    )


def adder_without_reading(view: GrantView, album_id: bytes = b"") -> WhoAdds:
    """Return a contributor, or a grantee who may add to an album, as one who adds. Raises RIGHT_MISSING."""
    session = view.session
    folder = session.folder.space_folder(view.space_id)
    return WhoAdds(
        connection=session.connection,
        committer=view.committer,
        space_id=view.space_id,
        device_id=session.device.device_id,
        inboxes=_inboxes(view.state, session.account_id, album_id, session.clock(), lambda: view.state),
        refresh=view.refresh,
        # What is in one album that was granted is not in another.
        known=SentFiles(folder / _of_album("sent", album_id), view.committer),
        dedupe_key=_local_key(folder / "sent.key"),
        tells_fingerprints=False,
        not_into_album=frozenset(),
        spool=_of_album("spool", album_id),
    )


def _of_album(name: str, album_id: bytes) -> str:
    """What is sent to one album, or in the spool for it, says nothing of another."""
    return f"{name}-{album_id.hex()}" if album_id else name


def _adds(state: LedgerState, account_id: bytes) -> bool:
    return Right.ADD in state.rights_of(account_id)


def _inboxes(
    now: LedgerState, account_id: bytes, album_id: bytes, now_ms: int, state: Callable[[], LedgerState]
) -> FindsInboxes:
    """What is sealed to; who names an album adds nowhere while its keys are due.

    *A picture that counts as sent, and is in the space alone*: a laptop shows what cameras added, not what members did.
    """
    if not album_id:
        if not _adds(now, account_id):
            raise Refused(Code.RIGHT_MISSING, Right.ADD.value)
        return sealing_to(state)
    if not now.may_add_to(account_id, album_id, now_ms):
        raise Refused(Code.RIGHT_MISSING, "adding to this album")
    return sealing_into(state, album_id)


def _local_key(path: Path) -> bytes:
    """The key by which this computer tells its own files apart, made at first."""
    kept = durable.read_file(path)
    if kept is None or len(kept) != KEY_SIZE_BYTES:
        kept = secrets.token_bytes(KEY_SIZE_BYTES)
        durable.write_file(path, kept)
    return kept
