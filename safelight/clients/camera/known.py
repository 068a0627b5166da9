"""Which files the space has already: fingerprints asked in batches, and answers that count only when they are proved.

A server that says "have it" must show the signed record of it, by a device that is in good standing now, at its slot of
the verified log. Otherwise the file is uploaded: *a poisoned fingerprint makes a phone skip a photograph*
(docs/spec/records.md §8).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from safelight.clients.engine.connection import Connection
from safelight.clients.engine.gathering import Gathering, Waiting
from safelight.sync_protocol.ledger_state import LedgerState, authorise
from safelight.sync_protocol.log import ENTRY_VERSION, Entry, Frame, parse_entry
from safelight.sync_protocol.messages.spaces import AskFingerprints, KnownFingerprints
from safelight.sync_protocol.record_rules import check_added
from safelight.sync_protocol.records import Added, RecordKind, added_by
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.wire import unpack

_MAX_QUESTION = 64
_RECORDS_REMEMBERED = 64
ADDING = frozenset({RecordKind.ADD_ASSETS, RecordKind.ADD_ALBUM_ASSETS})


class KnownFiles:
    """Asks the server for fingerprints; questions that come while one is under way go together in the next.

    *state* returns the newest verified ledger; *holds* says whether an entry stands at a slot of the verified log.
    """

    def __init__(
        self,
        connection: Connection,
        space_id: bytes,
        state: Callable[[], LedgerState],
        holds: Callable[[int, bytes], Awaitable[bool]],
    ) -> None:
        self._connection = connection
        self._path = f"/v1/spaces/{space_id.hex()}/fingerprints"
        self._state = state
        self._holds = holds
        self._gathering = Gathering(self._answer, lambda waiting: min(len(waiting), _MAX_QUESTION))
        self._verified: OrderedDict[bytes, frozenset[bytes]] = OrderedDict()
        self.mostly_new = False

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the space has the file of this *fingerprint*, proved by its record. Raises the server's refusals."""
        return await self._gathering.ask(fingerprint)

    def sends(self, asset_id: bytes, fingerprint: bytes) -> None:
        """Nothing is to be noted: the next question is answered by the log."""

    async def stop(self) -> None:
        """Give up the question under way."""
        await self._gathering.stop()

    async def _answer(self, batch: Sequence[Waiting[bytes, bool]]) -> None:
        found = await self._ask([question.asked for question in batch])
        self.mostly_new = 2 * len(found) < len(batch)
        for question in batch:
            question.answer(question.asked in found)

    async def _ask(self, fingerprints: list[bytes]) -> frozenset[bytes]:
        """The fingerprints among these that are proved to be there."""
        try:
            answer = await self._connection.request(
                "POST", self._path, AskFingerprints(fingerprints), KnownFingerprints
            )
        except Refused as refusal:
            if refusal.code is not Code.TOO_LARGE or len(fingerprints) == 1:
                raise
            # Each stood in a large record of its own; half as many are half as much to show.
            half = len(fingerprints) // 2
            return await self._ask(fingerprints[:half]) | await self._ask(fingerprints[half:])
        if len(answer.records) > len(fingerprints):  # each would have the log followed once more
            raise Refused(Code.SERVER_FAULT, "it shows more records than were asked for")
        proved = frozenset[bytes]().union(*[await self._prove(record) for record in answer.records])
        return proved & frozenset(known.fingerprint for known in answer.known) & frozenset(fingerprints)

    async def _prove(self, packed: bytes) -> frozenset[bytes]:
        """The fingerprints that a shown record proves; none if it is not what it must be, and where it must be.

        *A record that was signed and kept out of the log*: a server that holds it back from everyone can still show it.
        """
        try:
            frame = unpack(packed, Frame)
            entry = parse_entry(frame.envelope)
            # A record proved before still counts only while its device is in good standing.
            standing = self._state().signing_key(entry.header.author_id, entry.header.device_id) is not None
            if standing and entry.id in self._verified:
                return self._verified[entry.id]
            body = _added(self._state(), entry)
        except Refused:
            return frozenset()
        if body is None or not await self._holds(frame.number, entry.id):
            return frozenset()
        self._verified[entry.id] = frozenset(asset.fingerprint for asset in body.assets if asset.fingerprint)
        if len(self._verified) > _RECORDS_REMEMBERED:
            self._verified.popitem(last=False)
        return self._verified[entry.id]


def _added(state: LedgerState, entry: Entry) -> Added | None:
    """What a record adds whose signer stands and may add now; None for another record.

    Not judged is under which keys: *every picture uploaded again*, once its album's keys, or the camera's album, are
    others than when it was added.
    """
    if entry.header.kind not in ADDING or entry.header.version != ENTRY_VERSION:
        return None
    authorise(state, entry, Right.ADD)
    body = added_by(entry.header.kind, entry.body)
    check_added(state, entry, body)
    return body
