"""A space's log as far as a camera sees it: the ids of its entries, chained and compared with the pins.

A camera reads no records, so it cannot judge them; but it can tell whether an entry that it is shown stands in the log
that everyone else reads. What it signs afterwards names the place that it verified here, so a server that showed it
another log is found out by its next entry (docs/spec/log.md §4).

The ids themselves prove nothing: a server can make up as many as it likes, with the chain that they lead to. So there
is an end to how many are taken, and to how many answers that may take.
"""

from pathlib import Path

from safelight.clients.engine import durable
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.ledger_view import LedgerView
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.log import Head, next_chain
from safelight.sync_protocol.refusals import Code, Refused

# A log that one camera adds to at every minute of the day has as many after seven years; in memory they are 128 MB.
MAX_LOG_ENTRIES = 4_000_000
# An honest page is never shorter, but for the last one.
MIN_PAGE_ENTRIES = 1000


class LogChain:
    """Follows one space's chain. The ids are kept in *path*: a copy, verified again whenever it is read."""

    def __init__(self, connection: Connection, view: LedgerView, memory: SpaceMemory, path: Path) -> None:
        self._connection = connection
        self._view = view
        self._memory = memory
        self._path = path
        self._ids = bytearray()
        self._kept: int | None = None
        self._chain = b""
        self._recalled = 0
        self._verified = 0
        self._path_read = False

    @property
    def _head(self) -> Head:
        """How far ids were taken; they are verified only up to where the log's end was compared with them."""
        return Head(len(self._ids) // HASH_SIZE_BYTES, self._chain)

    def _id(self, number: int) -> bytes:
        return bytes(self._ids[(number - 1) * HASH_SIZE_BYTES : number * HASH_SIZE_BYTES])

    async def holds(self, number: int, entry_id: bytes) -> bool:
        """Whether the entry stands at that slot of the verified log, which is followed further where that is needed.

        Raises CHAIN_BROKEN, HISTORY_FORKED and HISTORY_ROLLED_BACK where the server shows another log than before, and
        CHAIN_BROKEN where it shows a log that has no end.
        """
        if number > self._verified:
            await self._view.refresh()
            await self._follow(self._view.log_head, self._view.ledger_head)
        return 0 < number <= self._verified and self._id(number) == entry_id

    async def _follow(self, shown: Head, ledger: Head) -> None:
        """Take ids up to *shown*, which the server says is the log's end, compare both heads, and pin that place."""
        if not self._path_read:
            self._recall()
        try:
            await self._extend(shown, ledger)
        except Refused as refusal:
            if not self._recalled or refusal.code not in (Code.CHAIN_BROKEN, Code.HISTORY_FORKED):
                raise
            self._forget()  # perhaps it is the copy that was exchanged, or damaged
            await self._extend(shown, ledger)
        self._recalled = 0
        self._verified = shown.number
        self._memory.pin_log(shown)
        self._memory.save()
        self._keep()

    async def _extend(self, shown: Head, ledger: Head) -> None:
        if shown.number < self._head.number:
            raise Refused(
                Code.HISTORY_ROLLED_BACK, f"its log ends at slot {shown.number}, {self._head.number} was seen"
            )
        if shown.number > MAX_LOG_ENTRIES:  # *a log without end*: before anything of it is fetched
            raise Refused(
                Code.CHAIN_BROKEN,
                f"it shows a log of {shown.number:,} entries, and this Safelight follows {MAX_LOG_ENTRIES:,}",
            )
        while (left := shown.number - self._head.number) > 0:
            after = self._head.number
            page = await self._connection.fetch_bytes(f"/v1/spaces/{self._view.space_id.hex()}/chain?after={after}")
            if not page or len(page) % HASH_SIZE_BYTES:
                raise Refused(Code.CHAIN_BROKEN, f"the chain ends at slot {after}, not {shown.number}")
            if len(page) < min(left, MIN_PAGE_ENTRIES) * HASH_SIZE_BYTES:  # *one id an answer, for days*
                raise Refused(Code.CHAIN_BROKEN, f"it shows the log in crumbs, from slot {after} on")
            self._take(page, shown.number)
        if self._head != shown:
            raise Refused(Code.CHAIN_BROKEN, f"the entries up to slot {shown.number} do not make the chain there")
        if self._id(ledger.number) != ledger.hash:  # it may lie beyond the end that is shown
            raise Refused(Code.HISTORY_FORKED, f"slot {ledger.number} of the log is not the ledger's newest entry")

    def _take(self, page: bytes, end: int) -> None:
        """Take ids in order, no further than *end*: what came later is for the next time."""
        number = self._head.number
        for at in range(0, min(len(page), (end - number) * HASH_SIZE_BYTES), HASH_SIZE_BYTES):
            number += 1
            entry_id = page[at : at + HASH_SIZE_BYTES]
            chain = next_chain(self._chain, number, entry_id)
            self._memory.check_log_slot(Head(number, chain))
            self._ids += entry_id
            self._chain = chain

    def _keep(self) -> None:
        """Write what is new: *all of a long log anew for each entry that is added to it* would wear a disk out.

        It need not be durable: whoever finds half of it, or another, begins anew.
        """
        if self._kept is None:
            durable.write_file(self._path, self._ids)
        elif self._kept < len(self._ids):
            with self._path.open("ab") as file:
                file.write(memoryview(self._ids)[self._kept :])
        self._kept = len(self._ids)

    def _recall(self) -> None:
        """Begin with the ids of an earlier run."""
        self._path_read = True
        kept = durable.read_file(self._path) or b""
        try:
            self._take(kept[: len(kept) - len(kept) % HASH_SIZE_BYTES], self._memory.log.number)
        except Refused:
            self._forget()
        self._recalled = len(self._ids)
        self._kept = len(kept) if len(kept) == len(self._ids) else None

    def _forget(self) -> None:
        """Begin anew: nothing that did not verify is kept."""
        self._ids.clear()
        self._chain = b""
        self._kept = None
        self._recalled = self._verified = 0
