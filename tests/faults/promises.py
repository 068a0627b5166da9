"""What a server promised to its clients, and whether it keeps it after whatever happened to it.

A promise is noted when its answer has arrived, and never before. `check` asks a server that was started again: I1 (all
that was acknowledged is there and whole), I2 (no row without its blob) and I3 (logs without gaps) of the battery.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from safelight.server import data_folder
from safelight.sync_protocol import log
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.links import Links
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed
from safelight.sync_protocol.receipts import verify_receipt
from tests.support.api import Api
from tests.support.identities import Person, Signer, sha256

PATCH_TYPE = "application/partial-upload"


@dataclass
class Again:
    """A server that was started again, and who signs in there: once each."""

    url: str
    data: Path
    http: aiohttp.ClientSession
    server_key: bytes = b""
    signed_in: dict[bytes, Api] = field(default_factory=dict)
    logs: dict[bytes, list[log.Frame]] = field(default_factory=dict)

    async def as_(self, signer: Signer) -> Api:
        """Sign in as a device."""
        if signer.device_id not in self.signed_in:
            anyone = Api(self.url, self.http, self.server_key)
            self.signed_in[signer.device_id] = await anyone.sign_in(signer)
        return self.signed_in[signer.device_id]

    async def log_of(self, signer: Signer, space_id: bytes) -> list[log.Frame]:
        """Read a space's log from its beginning; raises CHAIN_BROKEN where it has a gap."""
        if space_id not in self.logs:
            api, frames, state = await self.as_(signer), list[log.Frame](), log.LogState()
            while True:
                path = f"/v1/spaces/{space_id.hex()}/log?after={state.number}"
                page = list(log.frames_from_bytes((await api.get(path)).body))
                if not page:
                    break
                for frame in page:
                    state = log.step(state, frame)
                    frames.append(frame)
            self.logs[space_id] = frames
        return self.logs[space_id]


@dataclass(frozen=True)
class Stored:
    """An upload was completed."""

    signer: Signer
    space_id: bytes
    data: bytes

    async def broken(self, again: Again) -> str:
        """Fetch it, and read the file."""
        name = hashlib.sha256(self.data).hexdigest()
        answer = await (await again.as_(self.signer)).get(f"/v1/spaces/{self.space_id.hex()}/blobs/{name}")
        return "" if answer.status == 200 and answer.body == self.data else f"blob {name[:8]}: {answer.status}"


@dataclass(frozen=True)
class Stands:
    """An offset of an upload was stated."""

    signer: Signer
    path: str
    data: bytes
    offset: int
    may_be_gone: list[int]

    def over_at(self, moment: int) -> bool:
        """Whether the upload may be over."""
        return bool(self.may_be_gone) and self.may_be_gone[0] <= moment

    async def broken(self, again: Again) -> str:
        """Ask for the offset, and send what is missing: the whole must have the right hash.

        From the moment in *may_be_gone* on, when the request that would complete it was sent or the disk had failed,
        the upload may be over; its client sends it anew.
        """
        api = await again.as_(self.signer)
        stated = await api.send("HEAD", self.path)
        if stated.status == 404 and self.may_be_gone:
            return ""
        offset = int(stated.headers.get("Upload-Offset", -1))
        if stated.status != 204 or offset < self.offset:
            return f"upload {self.path[-8:]}: offset {offset} after {self.offset} was stated ({stated.status})"
        if stated.headers["Upload-Complete"] == "?1":
            return "" if offset == len(self.data) else f"upload {self.path[-8:]}: complete at {offset}"
        headers = {"Content-Type": PATCH_TYPE, "Upload-Offset": str(offset), "Upload-Complete": "?1"}
        done = await api.send("PATCH", self.path, self.data[offset:], headers)
        if done.status != 200 or done.as_(BlobStored).name != sha256(self.data).hex():
            return f"upload {self.path[-8:]}: cannot be completed from {offset}: {done.status} {done.body!r}"
        return ""


@dataclass(frozen=True)
class Receipted:
    """A commit got its receipt."""

    signer: Signer
    space_id: bytes
    entry: log.Entry
    committed: Committed
    server_key: bytes

    async def broken(self, again: Again) -> str:
        """Find the entry in its slot; the server's key verifies the receipt, and the same entry again gets it again."""
        receipt = verify_receipt(
            self.committed.receipt,
            self.committed.signature,
            again.server_key,
            space_id=self.space_id,
            entry_id=self.entry.id,
            blobs=(),
        )
        what = f"entry {receipt.number} of {self.space_id.hex()[:8]}"
        frames = await again.log_of(self.signer, self.space_id)
        if receipt.number > len(frames):
            return f"{what}: the log ends at {len(frames)}"
        frame = frames[receipt.number - 1]
        if (frame.entry_id, frame.chain) != (receipt.entry_id, receipt.chain):
            return f"{what}: another stands there"
        if receipt.number == 1:
            return ""
        path = f"/v1/spaces/{self.space_id.hex()}/commits"
        repeated = await (await again.as_(self.signer)).post(path, CommitEntry(self.entry.envelope))
        if repeated.status != 200 or repeated.as_(Committed).receipt != self.committed.receipt:
            return f"{what}: its repetition is answered with {repeated.status} {repeated.body!r}"
        return ""


@dataclass(frozen=True)
class Invited:
    """An invite code was printed; *used* is set once an account was asked for with it."""

    code: str
    used: list[bool] = field(default_factory=list)

    async def broken(self, again: Again) -> str:
        """Join with it."""
        if self.used:
            return ""
        request = Person().create_request(self.code)
        answer = await Api(again.url, again.http, again.server_key).post("/v1/accounts", request)
        return "" if answer.status == 200 else f"an invite is refused: {answer.body!r}"


@dataclass(frozen=True)
class Joined:
    """An account was made."""

    person: Person

    async def broken(self, again: Again) -> str:
        """Sign in."""
        try:
            await again.as_(self.person.signer)
        except AssertionError as error:
            return f"the account {self.person.name} cannot sign in: {error}"
        return ""


@dataclass(frozen=True)
class Opened:
    """A link was opened for the *count*th time."""

    signer: Signer
    space_id: bytes
    link_id: bytes
    count: int

    async def broken(self, again: Again) -> str:
        """Look up how often it counts as opened."""
        api = await again.as_(self.signer)
        rows = (await api.get(f"/v1/spaces/{self.space_id.hex()}/links")).as_(Links).links
        opens = {row.link_id: row.opens for row in rows}.get(self.link_id.hex(), -1)
        return "" if opens >= self.count else f"link {self.link_id.hex()[:8]}: {opens} of {self.count} openings"


Promise = Stored | Stands | Receipted | Invited | Joined | Opened


class Promises:
    """All promises, each with the moment at which it was known to be given, as *moment* says it."""

    def __init__(self, moment: Callable[[], int] = lambda: 0) -> None:
        self.moment = moment
        self.given: list[tuple[int, Promise]] = []

    def note(self, promise: Promise) -> None:
        """Note a promise that has just been given."""
        self.given.append((self.moment(), promise))

    def until(self, moment: int) -> list[Promise]:
        """All that were given by *moment* and still counted then."""
        given = [promise for noted, promise in self.given if noted <= moment]
        return [promise for promise in given if not (isinstance(promise, Stands) and promise.over_at(moment))]


async def check(url: str, data: Path, promises: Iterable[Promise]) -> list[str]:
    """Ask the server at *url*, which was started again on *data*, for all that was promised; return what is wrong."""
    wrong = list[str]()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        info = (await Api(url, http, b"").get("/v1/server")).as_(ServerInfo)
        again = Again(url, data, http, info.server_key)
        for promise in promises:
            try:
                wrong.append(await promise.broken(again))
            except Exception as error:  # noqa: BLE001 - whatever a server answers that lost something
                wrong.append(f"{type(promise).__name__}: {type(error).__name__}: {error}")
    wrong += rows_without_blobs(data)
    return [sentence for sentence in wrong if sentence]


def rows_without_blobs(data: Path) -> list[str]:
    """I2 and I3, looked up behind the server's back: every row has its blob, every log all of its slots."""
    wrong = []
    database = sqlite3.connect(f"file:{data_folder.database_path(data)}?mode=ro", uri=True)
    try:
        for problem, *_ in database.execute("PRAGMA integrity_check"):
            if problem != "ok":
                wrong.append(f"the database: {problem}")
        for name, size_bytes in database.execute("SELECT name, size_bytes FROM space_blobs"):
            path = data_folder.blobs_path(data) / name.hex()[:2] / name.hex()
            content = path.read_bytes() if path.exists() else None
            if content is None or len(content) != size_bytes or hashlib.sha256(content).digest() != name:
                wrong.append(f"a row without its blob: {name.hex()[:8]}, {content and len(content)} of {size_bytes}")
        for space_id, number, count, last in database.execute(
            "SELECT s.space_id, s.number, COUNT(e.number), MAX(e.number) FROM spaces s LEFT JOIN entries e"
            " ON e.space_id = s.space_id GROUP BY s.space_id"
        ):
            if not number == count == last:
                wrong.append(f"space {space_id.hex()[:8]} is at {number} with {count} entries up to {last}")
    finally:
        database.close()
    return wrong
