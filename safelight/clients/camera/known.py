"""Which files the space has already: fingerprints asked in batches, and answers that count only when they are proved.

A server that says "have it" must show the signed record of it, by a device that is in good standing now. Otherwise the
file is uploaded: *a poisoned fingerprint makes a phone skip a photograph* (docs/spec/records.md).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from safelight.clients.engine.connection import Connection
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import Frame, parse_entry
from safelight.sync_protocol.messages.spaces import AskFingerprints, KnownFingerprints
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import AddAssetsBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import unpack

_MAX_QUESTION = 64
_RECORDS_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class _Question:
    fingerprint: bytes
    answer: asyncio.Future[bool]


class KnownFiles:
    """Asks the server for fingerprints; questions that come while one is under way go together in the next.

    *state* returns the newest verified ledger.
    """

    def __init__(self, connection: Connection, space_id: bytes, state: Callable[[], LedgerState]) -> None:
        self._connection = connection
        self._path = f"/v1/spaces/{space_id.hex()}/fingerprints"
        self._state = state
        self._waiting: list[_Question] = []
        self._worker: asyncio.Task[None] | None = None
        self._verified: OrderedDict[bytes, frozenset[bytes]] = OrderedDict()
        self.mostly_new = False

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the space has the file of this *fingerprint*, proved by its record. Raises the server's refusals."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Question(fingerprint, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def stop(self) -> None:
        """Give up the question under way."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MAX_QUESTION], self._waiting[_MAX_QUESTION:]
            try:
                found = await self._ask([question.fingerprint for question in batch])
            except BaseException as error:
                for question in batch:
                    if not question.answer.done():
                        question.answer.set_exception(error if isinstance(error, Refused) else asyncio.CancelledError())
                if not isinstance(error, Refused):
                    raise
                continue
            self.mostly_new = 2 * len(found) < len(batch)
            for question in batch:
                if not question.answer.done():
                    question.answer.set_result(question.fingerprint in found)

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
        proved = frozenset[bytes]().union(*(self._prove(record) for record in answer.records))
        return proved & frozenset(known.fingerprint for known in answer.known) & frozenset(fingerprints)

    def _prove(self, packed: bytes) -> frozenset[bytes]:
        """The fingerprints that a shown record proves; none if it is not what it must be."""
        try:
            frame = unpack(packed, Frame)
            entry = parse_entry(frame.envelope)
            if entry.id != frame.entry_id:
                return frozenset()
            # A record judged before still counts only while its device is in good standing.
            standing = self._state().signing_key(entry.header.author_id, entry.header.device_id) is not None
            if standing and entry.id in self._verified:
                return self._verified[entry.id]
            body = check_record(self._state(), entry)
        except Refused:
            return frozenset()
        if not isinstance(body, AddAssetsBody):
            return frozenset()
        self._verified[entry.id] = frozenset(asset.fingerprint for asset in body.assets if asset.fingerprint)
        if len(self._verified) > _RECORDS_REMEMBERED:
            self._verified.popitem(last=False)
        return self._verified[entry.id]
