"""The store's listing compared with the rows: blobs that are missing, of another size, or nobody's; parts of nothing.

Only what is there is ever deleted, never what is missing. A listing that fails ends the check; one that shows nothing
of what rows hold, as of a disk that is not mounted, is one finding, and nothing is noted, corrected or deleted.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import Blobs, StoredBlob
from safelight.server.domain.ports.checks import CheckedBlob, HeldBlob
from safelight.server.domain.ports.database import Database
from safelight.server.jobs.clearing import Clearing
from safelight.server.upkeep.bad_blobs import look_again
from safelight.server.upkeep.events import Event, Finding, Progress

_PREFIXES = 256
_PAGE = 200
_AFTER_ALL = b"\xff" * 33


def range_of(first_byte: int) -> tuple[bytes, bytes]:
    """Names that begin with *first_byte*: the first, and the one after the last."""
    return bytes([first_byte]), bytes([first_byte + 1]) if first_byte < _PREFIXES - 1 else _AFTER_ALL


@dataclass
class StoreCheck:
    """One comparison. After it, `held` is how many blobs rows hold, and `unusable` says not to go on."""

    database: Database
    blobs: Blobs
    now_ms: Milliseconds
    grace_s: int
    repair: bool
    may_delete: Callable[[], bool]
    clearing: Clearing
    held: int = 0
    unusable: bool = False
    _there: int = 0
    _strangers: int = 0
    _absent: list[bytes] = field(default_factory=list)
    _of_other_size: list[StoredBlob] = field(default_factory=list)
    _orphans: list[StoredBlob] = field(default_factory=list)

    async def events(self) -> AsyncIterator[Event]:
        """List everything first, and only then say and do something about it."""
        for first_byte in range(_PREFIXES):
            yield Progress("listing", first_byte, _PREFIXES)
            await self._compare(first_byte)
        unusable = self._unusable()
        if unusable is not None:
            self.unusable = True
            yield unusable
            return
        for name in self._absent:
            # Listed before the rows were read: what came in between is there now.
            finding = await look_again(self.database, self.blobs, name, self.now_ms)
            if finding is not None:
                yield finding
        for blob in self._of_other_size:
            async for event in self._size(blob):
                yield event
        for start in range(0, len(self._orphans), _PAGE):
            async for event in self._nobodys(self._orphans[start : start + _PAGE]):
                yield event
        async for event in self._parts():
            yield event

    async def _compare(self, first_byte: int) -> None:
        listed = {blob.name: blob async for blob in self.blobs.blobs(first_byte)}
        held: dict[bytes, HeldBlob] = {
            blob.name: blob for blob in await self.database.held_between(*range_of(first_byte))
        }
        self.held += len(held)
        self._absent += [name for name in held if name not in listed]
        both = [(blob, held[blob.name]) for blob in listed.values() if blob.name in held]
        self._there += len(both)
        self._of_other_size += [
            blob for blob, row in both if not row.min_size_bytes == row.max_size_bytes == blob.size_bytes
        ]
        self._strangers += len(listed) - len(both)
        before_ms = self.now_ms() - self.grace_s * 1000
        self._orphans += [blob for blob in listed.values() if blob.name not in held and blob.modified_ms < before_ms]

    def _unusable(self) -> Finding | None:
        if self.held and not self._there:
            return Finding(
                "store",
                "",
                f"none of the {self.held} blobs that rows hold is in the store",
                "is the disk mounted, or is it another bucket? Nothing was noted and nothing deleted",
            )
        if self._strangers and not self.held:
            return Finding(
                "store",
                "",
                f"the rows know none of the {self._strangers} blobs in the store",
                "is it another server's store, or an older database? Nothing was noted and nothing deleted",
            )
        return None

    async def _size(self, blob: StoredBlob) -> AsyncIterator[Event]:
        """A blob that verifies is right, and its row is wrong."""
        if not await self.blobs.verify(blob.name):
            finding = await look_again(self.database, self.blobs, blob.name, self.now_ms)
            if finding is not None:
                yield finding
            return
        if self.repair:
            await self.database.correct_size(blob.name, blob.size_bytes)
            await self.database.note_checks([CheckedBlob(blob.name, "")], self.now_ms())
        yield Finding(
            "row",
            blob.name.hex(),
            f"the blob has {blob.size_bytes} bytes and hashes to its name, and its row says another size",
            "corrected" if self.repair else "--repair corrects the row",
            self.repair,
        )

    async def _nobodys(self, candidates: list[StoredBlob]) -> AsyncIterator[Event]:
        """Note when they were first seen; with `repair`, delete those whose grace after that is over."""
        now_ms = self.now_ms()
        sizes = {blob.name: blob.size_bytes for blob in candidates}
        names = await self.database.nobodys(list(sizes))
        await self.database.note_orphans(names, now_ms)
        seen_ms = await self.database.orphans_seen_ms(names)
        for name in names:
            goes_ms = seen_ms.get(name, now_ms) + self.grace_s * 1000
            what = f"no row names the blob ({sizes[name]} bytes)"
            if not self.repair or goes_ms > now_ms or not self.may_delete():
                yield Finding(
                    "orphan", name.hex(), what, f"it may go from {_date(goes_ms)} on, and then does by itself"
                )
            elif await self.database.forget_orphan(name):  # asks once more; uploads of it wait until it is gone
                await self.clearing.finish()
                yield Finding("orphan", name.hex(), what, "deleted", repaired=True)

    async def _parts(self) -> AsyncIterator[Event]:
        """An upload's row is there before anything of it: an old part without one is nobody's, for good."""
        before_ms = self.now_ms() - self.grace_s * 1000
        old = {part.upload_id async for part in self.blobs.parts() if part.modified_ms < before_ms}
        for upload_id in sorted(old):
            if await self.database.upload(upload_id) is not None:
                continue
            delete = self.repair and self.may_delete()
            if delete:
                await self.blobs.discard(upload_id)
            remedy = "deleted" if delete else "--repair deletes it, and the server does in time"
            yield Finding("part", upload_id.hex(), "a part of an upload that nothing knows of", remedy, delete)


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
