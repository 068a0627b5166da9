"""Adding assets: the roll in use, and commits that carry all assets that wait together.

One entry of a device follows another, so while a commit is under way the finished assets gather, and the next entry
takes all of them: many assets share one signature, one request and one fsync.
"""

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from safelight.clients.engine.answers import is_settled
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.gathering import Gathering, Waiting
from safelight.clients.engine.inboxes import FindsInboxes, Inboxes
from safelight.clients.engine.rolls import Roll, RollRef
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD, MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import AddAlbumAssetsBody, AddAssetsBody, Added, AssetBody, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.upload_links import AlbumInboxes
from safelight.sync_protocol.wire import pack

# Those who finish within a moment share one entry: a commit costs both ends more than one asset's place in it.
_GATHER_S = 0.025
_MAX_BATCH_SIZE_BYTES = MAX_ENTRY_SIZE_BYTES * 3 // 4
# What says something about the connection or the device, and so would meet every asset of a batch alike.
_OF_ALL = frozenset({Code.SERVER_UNREACHABLE, Code.RECEIPT_INVALID, Code.DEVICE_REVOKED, Code.SERVER_KEY_CHANGED})

# *A clock that is wrong stops a camera* that fills an album: the album waits for a laptop, and the pictures do not.
NOT_INTO_ALBUM = frozenset({Code.LEDGER_RULE, Code.RIGHT_MISSING})


class RollKeeper:
    """Keeps one open roll for a device in a space, and opens the next when it is spent.

    *inboxes* finds what is sealed to. While an album's keys do not stand, what is added is in the space alone: *a
    camera that waits for a laptop* loses pictures. A process that starts again has a new keeper, and so a new roll.
    """

    def __init__(
        self,
        committer: Committer,
        device_id: bytes,
        inboxes: FindsInboxes,
        *,
        not_into_album: Container[Code] = NOT_INTO_ALBUM,
        clock: Clock = now_ms,
    ) -> None:
        """*not_into_album*: refusals of an album's roll after which the space alone is added to."""
        self._committer = committer
        self._device_id = device_id
        self._inboxes = inboxes
        self._not_into_album = not_into_album
        self._clock = clock
        self._roll: Roll | None = None
        self._shut_out: AlbumInboxes | None = None  # what the server did not let this device add to
        self._lock = asyncio.Lock()

    async def roll(self) -> Roll:
        """Return a roll that takes at least one more asset; its opening is committed."""
        async with self._lock:
            now = self._clock()
            inboxes = self._inboxes(now)
            if inboxes.album == self._shut_out:
                inboxes = replace(inboxes, album=None)
            if self._roll is None or self._roll.is_spent(inboxes, now_ms=now):
                # Assets begun under the roll before may still finish: it is let go, not closed under them.
                self._roll = await self._open(inboxes, now)
            return self._roll

    async def _open(self, inboxes: Inboxes, now_ms: int) -> Roll:
        roll = await asyncio.to_thread(Roll, inboxes, self._device_id, opened_ms=now_ms)
        kind = RecordKind.OPEN_ROLL if inboxes.album is None else RecordKind.OPEN_ALBUM_ROLL
        try:
            await self._committer.commit(kind, roll.body)
        except Refused as refusal:
            if inboxes.album is None or refusal.code not in self._not_into_album:
                raise
            self._shut_out = inboxes.album
            return await self._open(replace(inboxes, album=None), now_ms)
        return roll

    def drop(self) -> None:
        """Use this roll no more, without closing it for assets begun: after EPOCH_OLD or ROLL_UNKNOWN."""
        self._roll = None

    def close(self) -> None:
        """Close the roll in use and forget its keys."""
        if self._roll is not None:
            self._roll.close()
        self._roll = None


@dataclass(frozen=True, slots=True)
class _Sealed:
    roll: RollRef
    asset: AssetBody
    size_bytes: int


_Waiting = Waiting[_Sealed, Receipt]


class AssetAdder:
    """Commits sealed assets whose blobs are uploaded; those that wait together share one entry."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._gathering = Gathering(self._commit, _count_together, pause_s=_GATHER_S)

    async def add(self, roll: RollRef, asset: AssetBody) -> Receipt:
        """Commit one asset and return the verified receipt of the entry that carries it.

        One refused asset takes no other with it. Raises the server's refusals: EPOCH_OLD, GENERATION_OLD, ROLL_UNKNOWN
        and ROLL_FULL ask for sealing anew under another roll.
        """
        return await self._gathering.ask(_Sealed(roll, asset, len(pack(asset))))

    async def stop(self) -> None:
        """Give up the commit under way, as when the process is interrupted; its pending entry is settled next time."""
        await self._gathering.stop()

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        kind, body = _record_of(batch[0].asked.roll, [waiting.asked.asset for waiting in batch])
        blobs = [rendition.blob for asset in body.assets for rendition in asset.renditions]
        try:
            receipt = await self._committer.commit(kind, body, blobs=blobs)
        except Refused as refusal:
            if len(batch) == 1 or refusal.code in _OF_ALL or not is_settled(refusal):
                raise
            # One of them is at fault: each goes alone, so that the others are added.
            for waiting in batch:
                await self._commit_alone(waiting)
            return
        for waiting in batch:
            waiting.answer(receipt)

    async def _commit_alone(self, waiting: _Waiting) -> None:
        try:
            await self._commit([waiting])
        except Refused as refusal:
            waiting.fail(refusal)


def _record_of(roll: RollRef, assets: list[AssetBody]) -> tuple[RecordKind, Added]:
    if roll.album_id:
        return RecordKind.ADD_ALBUM_ASSETS, AddAlbumAssetsBody(roll.roll_id, roll.album_id, roll.generation, assets)
    return RecordKind.ADD_ASSETS, AddAssetsBody(roll.roll_id, assets)


def _count_together(waiting: Sequence[_Sealed]) -> int:
    """The longest run from the front that shares one roll and fits one entry."""
    count = size_bytes = 0
    for sealed in waiting[:MAX_ASSETS_PER_RECORD]:
        size_bytes += sealed.size_bytes
        if sealed.roll != waiting[0].roll or (count and size_bytes > _MAX_BATCH_SIZE_BYTES):
            break
        count += 1
    return count
