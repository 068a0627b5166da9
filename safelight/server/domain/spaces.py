"""Spaces as their members read them: where they stand, the feed, the ledger, boxes and known fingerprints."""

from collections.abc import Iterable, Sequence

from safelight.server.domain.access import Who, space_for, space_for_reader
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.database import KeepsSpaces
from safelight.server.domain.ports.rows import EntryRow, SpaceRow
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_members import may_still_invite
from safelight.sync_protocol.limits import MAX_CHAIN_ENTRIES, MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES
from safelight.sync_protocol.log import Frame, frames_to_bytes
from safelight.sync_protocol.messages import spaces as messages
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.wire import pack

_SLOTS_AT_ONCE = 64
_MAX_ANSWER_SIZE_BYTES = 32 * 1024 * 1024


class Spaces:
    """Reads for members and cameras."""

    def __init__(self, database: KeepsSpaces, ledgers: Ledgers, clock: ServerClock) -> None:
        self._database = database
        self._ledgers = ledgers
        self._clock = clock

    async def mine(self, who: Who) -> messages.Spaces:
        """Return the spaces of an account, or the one of a camera; a guest of an upload link is told of none."""
        if who.is_camera:
            is_guest = bool((await self._ledgers.state(who.space_id)).guest_link(who.device_id))
            return messages.Spaces([] if is_guest else [await self.one(who, who.space_id)])
        rows = await self._database.spaces_of(who.account_id)
        return messages.Spaces([_row(space, role) for space, role in rows])

    async def one(self, who: Who, space_id: bytes) -> messages.SpaceRow:
        """Return where one space stands; raises SPACE_UNKNOWN."""
        state = await space_for(self._ledgers, who, space_id)
        space = await self._database.space(space_id)
        if space is None:
            raise Refused(Code.SPACE_UNKNOWN)
        return _row(space, "camera" if who.is_camera else state.members[who.account_id].role.value)

    async def check_standing(self, who: Who, space_id: bytes) -> None:
        """Refuse who does not stand in a space, or does not any more, as its ledger says now; raises SPACE_UNKNOWN."""
        await space_for(self._ledgers, who, space_id)

    async def feed(self, who: Who, space_id: bytes, after: int, limit: int, max_bytes: int) -> bytes:
        """Return entries after a number as frames, at least one if there is one; raises SPACE_UNKNOWN or FORBIDDEN."""
        await space_for_reader(self._ledgers, who, space_id, Tier.VIEW)
        rows = await self._database.entries(
            space_id, after, min(limit, MAX_FEED_ENTRIES), min(max_bytes, MAX_FEED_SIZE_BYTES)
        )
        # Again, here as below: *a page that was read when its reader was out, with what came after the removal*.
        await space_for_reader(self._ledgers, who, space_id, Tier.VIEW)
        return frames_to_bytes(map(_frame, rows))

    async def chain(self, who: Who, space_id: bytes, after: int) -> bytes:
        """Return the entry ids after a number, 32 bytes each, for members and cameras; raises SPACE_UNKNOWN."""
        await space_for(self._ledgers, who, space_id)
        entry_ids = await self._database.entry_ids(space_id, after, MAX_CHAIN_ENTRIES)
        await space_for(self._ledgers, who, space_id)
        return b"".join(entry_ids)

    async def ledger(self, who: Who, space_id: bytes, after: int) -> bytes:
        """Return the ledger's entries after a number as frames, for members and cameras; raises SPACE_UNKNOWN."""
        await space_for(self._ledgers, who, space_id)
        page = await self._ledger_page(space_id, after)
        await space_for(self._ledgers, who, space_id)
        return page

    async def ledger_for_pairing(self, space_id: bytes, camera_id: bytes, signature: bytes, after: int) -> bytes:
        """Return the same to who holds a camera's pairing key, until it is bound or its time is over.

        Raises SPACE_UNKNOWN, SIGNATURE_INVALID, CAMERA_ALREADY_BOUND or PAIRING_EXPIRED.
        """
        state = await self._ledgers.state(space_id)
        camera = state.cameras.get(camera_id)
        if camera is None:
            raise Refused(Code.SPACE_UNKNOWN)
        message = context(Label.SIGN_PAIRING_READ, space_id, camera_id)
        signatures.verify(camera.pairing_key, signature, message)
        if camera.device_key is not None:
            raise Refused(Code.CAMERA_ALREADY_BOUND)
        if camera.revoked or self._clock.now_ms() > camera.expires_ms:
            raise Refused(Code.PAIRING_EXPIRED)
        return await self._ledger_page(space_id, after)

    async def ledger_for_joining(self, space_id: bytes, invitation_id: bytes, signature: bytes, after: int) -> bytes:
        """Return the same to who holds an invitation's key, until it is over: who joined waits to be admitted.

        Nor does *whoever was removed read on* by an invitation that they gave themselves.

        Raises SPACE_UNKNOWN, SIGNATURE_INVALID or INVITATION_EXPIRED.
        """
        state = await self._ledgers.state(space_id)
        invitation = state.invitations.get(invitation_id)
        if invitation is None:
            raise Refused(Code.SPACE_UNKNOWN)
        message = context(Label.SIGN_INVITATION_READ, space_id, invitation_id)
        signatures.verify(invitation.key, signature, message)
        expired = invitation.joiner is None and self._clock.now_ms() > invitation.expires_ms
        if invitation.over or expired or not may_still_invite(state, invitation):
            raise Refused(Code.INVITATION_EXPIRED)
        return await self._ledger_page(space_id, after)

    async def position(self, who: Who, space_id: bytes) -> messages.DevicePositionRow:
        """Return the asking device's last entry in the space; raises SPACE_UNKNOWN."""
        await space_for(self._ledgers, who, space_id, guests=True)
        return messages.DevicePositionRow(*await self._database.device_position(space_id, who.device_id))

    async def box(self, who: Who, space_id: bytes, epoch: int) -> messages.EpochBox:
        """Return the asking account's box of an epoch; raises SPACE_UNKNOWN or NOT_FOUND."""
        await space_for_reader(self._ledgers, who, space_id, Tier.VIEW)
        box = await self._database.box(space_id, epoch, who.account_id)
        if box is None:
            raise Refused(Code.NOT_FOUND)
        return messages.EpochBox(epoch, box)

    async def known(self, who: Who, space_id: bytes, request: messages.AskFingerprints) -> messages.KnownFingerprints:
        """Return which fingerprints are there, with the signed records that say so.

        For cameras and full readers, who alone hold the dedupe key. Raises TOO_LARGE where the records would fill more
        than 32 MiB: ask about fewer at once.
        """
        if who.is_camera:
            await space_for(self._ledgers, who, space_id)
        else:
            await space_for_reader(self._ledgers, who, space_id, Tier.FULL)
        found = await self._database.fingerprints(space_id, request.fingerprints)
        records = await self._records(space_id, sorted({number for _, number in found}))
        known = [messages.KnownFingerprint(fingerprint, number) for fingerprint, number in found]
        return messages.KnownFingerprints(known, records)

    async def _records(self, space_id: bytes, numbers: Sequence[int]) -> list[bytes]:
        records: list[bytes] = []
        size_bytes = 0
        for at in range(0, len(numbers), _SLOTS_AT_ONCE):
            rows = await self._database.entries_at(space_id, numbers[at : at + _SLOTS_AT_ONCE])
            records += [pack(_frame(row)) for row in rows]
            size_bytes += sum(len(row.envelope) for row in rows)
            if size_bytes > _MAX_ANSWER_SIZE_BYTES:
                raise Refused(Code.TOO_LARGE, "ask about fewer fingerprints at once")
        return records

    async def _ledger_page(self, space_id: bytes, after: int) -> bytes:
        rows = await self._database.ledger_entries(space_id, after, MAX_FEED_ENTRIES)
        return frames_to_bytes(map(_frame, _within(rows, MAX_FEED_SIZE_BYTES)))


def _within(rows: Iterable[EntryRow], max_bytes: int) -> Iterable[EntryRow]:
    """As many rows as fit, and at least the first."""
    size_bytes = 0
    for index, row in enumerate(rows):
        size_bytes += len(row.envelope)
        if index and size_bytes > max_bytes:
            return
        yield row


def _frame(row: EntryRow) -> Frame:
    return Frame(
        number=row.number,
        time_ms=row.time_ms,
        chain=row.chain,
        entry_id=row.entry_id,
        envelope=row.envelope,
        signature=row.signature,
    )


def _row(space: SpaceRow, role: str) -> messages.SpaceRow:
    return messages.SpaceRow(
        space_id=space.space_id.hex(),
        kind=space.kind,
        role=role,
        number=space.number,
        chain=space.chain,
        ledger_number=space.ledger_number,
        ledger_hash=space.ledger_hash,
        epoch=space.epoch,
        used_bytes=space.used_bytes,
        quota_bytes=space.quota_bytes,
    )
