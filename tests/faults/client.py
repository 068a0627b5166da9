"""A client that notes what a server promises it, and goes on where the server refuses because of its disk."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from safelight.server import control, data_folder
from safelight.sync_protocol import log
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.spaces import Committed
from safelight.sync_protocol.receipts import Receipt, verify_receipt
from safelight.sync_protocol.wire import unpack
from tests.faults.promises import PATCH_TYPE, Invited, Joined, Opened, Promises, Receipted, Stands, Stored
from tests.support.api import Answer, Api, repr_digest
from tests.support.identities import Person, Signer
from tests.support.links import open_link
from tests.support.protocol import Link, Writer


class Refusal(Exception):
    """The server refused, by a code of its table."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body!r}")
        self.status = answer.status
        self.code = answer.code


def took(answer: Answer, *statuses: int) -> Answer:
    """Return *answer* if it is one of these successes; raises Refusal."""
    if answer.status not in statuses:
        raise Refusal(answer)
    return answer


class Client:
    """Someone with a device who notes what the server promises. Every method raises Refusal and goes on after it.

    A request that was refused because of the disk, or whose connection broke, is sent *tries* times.
    A camera may not read what it sent: *reader* is who may.
    """

    def __init__(self, api: Api, promises: Promises, tries: int = 1, reader: Signer | None = None) -> None:
        self.api = api
        self.promises = promises
        self.tries = tries
        self.reader = reader
        self.refusals: list[Refusal] = []

    async def again(self, ask: Callable[[], Awaitable[Answer]], *statuses: int) -> Answer:
        """Ask, and ask again where the answer may be another next time."""
        for left in reversed(range(self.tries)):
            try:
                return took(await ask(), *statuses)
            except aiohttp.ClientConnectionError:  # as after a refusal whose request was not read to its end
                if not left:
                    raise
            except Refusal as refusal:
                self.refusals.append(refusal)
                if not left or refusal.status not in {500, 503, 507}:
                    raise
        raise AssertionError("a client asks at least once")

    async def join(self, data: Path) -> Person:
        """Be invited, make an account, and sign in."""
        code = await invite(data, self.promises)
        person = Person()
        request = person.create_request(code.code)
        code.used.append(True)
        await self.again(lambda: self.api.post("/v1/accounts", request), 200)
        self.promises.note(Joined(person))
        self.api = await self.api.sign_in(person.signer)
        return person

    async def upload(self, signer: Signer, space_id: bytes, data: bytes, pieces: int = 1, *, whole: bool = True) -> str:
        """Upload in so many requests, or all but the last; goes on where the server stands."""
        ends = [len(data) * (piece + 1) // pieces for piece in range(pieces)]
        if pieces == 1 and whole:
            headers = {"Repr_Digest": repr_digest(data)}
            await self.again(lambda: self.api.try_upload(space_id, data, **headers), 200)
            self.promises.note(Stored(self.reader or signer, space_id, data))
            return ""
        first = data[: ends[0]]
        begun = await self.again(lambda: self.api.try_upload(space_id, first, Upload_Complete="?0"), 201)
        path, offset = begun.headers["Location"], int(begun.headers["Upload-Offset"])
        may_be_gone = list[int]()
        self.promises.note(Stands(signer, path, data, offset, may_be_gone))
        for end in ends[1:] if whole else ends[1:-1]:
            done = end == len(data)
            if done:
                may_be_gone.append(self.promises.moment())
            try:
                offset = await self._append(path, data, offset, end)
            except Refusal:
                may_be_gone.append(self.promises.moment())
                raise
            stands = Stands(signer, path, data, offset, may_be_gone)
            self.promises.note(Stored(self.reader or signer, space_id, data) if done else stands)
        return path

    async def _append(self, path: str, data: bytes, offset: int, end: int) -> int:
        stands = [offset]

        async def ask() -> Answer:
            headers = {"Content-Type": PATCH_TYPE, "Upload-Offset": str(stands[0])}
            headers["Upload-Complete"] = "?1" if end == len(data) else "?0"
            answer = await self.api.send("PATCH", path, data[stands[0] : end], headers)
            if answer.status >= 500:
                stated = await self.api.send("HEAD", path)
                stands[0] = int(stated.headers.get("Upload-Offset", stands[0]))
            return answer

        answer = await self.again(ask, 200, 201, 204)
        return int(answer.headers.get("Upload-Offset", end))

    async def commit(self, writer: Writer, entry: log.Entry, signer: Signer | None = None) -> None:
        """Commit, verify the receipt and note the slot."""
        answer = await self.again(lambda: self.api.try_commit(writer, entry), 200)
        self._receipted(writer, entry, answer, signer)

    async def create_space(self, writer: Writer) -> None:
        """Commit a genesis."""
        entry, request = writer.genesis()
        answer = await self.again(lambda: self.api.post("/v1/spaces", request), 200)
        self._receipted(writer, entry, answer, None)

    async def open(self, signer: Signer, space_id: bytes, link: Link, times: int = 1) -> None:
        """Open a link as so many guests."""
        for count in range(1, times + 1):
            await self.again(lambda: open_link(self.api, link), 200)
            self.promises.note(Opened(signer, space_id, link.link_id, count))

    def _receipted(self, writer: Writer, entry: log.Entry, answer: Answer, signer: Signer | None) -> None:
        committed = answer.as_(Committed)
        space_id = entry.header.space_id or unpack(committed.receipt, Receipt).space_id  # a genesis does not name it
        receipt = verify_receipt(
            committed.receipt,
            committed.signature,
            self.api.server_key,
            space_id=space_id,
            entry_id=entry.id,
            blobs=(),
        )
        who = signer or writer.signer
        self.promises.note(Receipted(who, space_id, entry, committed, self.api.server_key))
        writer.took(entry, receipt.number, receipt.chain, signer)


async def invite(data: Path, promises: Promises) -> Invited:
    """Ask the running server for an invite, as its operator does."""
    invited = Invited((await control.ask(data_folder.control_path(data), "invite"))["code"])
    promises.note(invited)
    return invited


async def server_key_of(url: str, http: aiohttp.ClientSession) -> bytes:
    """The key with which the server signs."""
    return (await Api(url, http, b"").get("/v1/server")).as_(ServerInfo).server_key
