"""A lying server that says "have it": a camera leaves out only what stands in the log that everyone reads."""

import hashlib
import random
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import open_pusher
from safelight.clients.engine.cameras import add_camera, open_camera
from safelight.clients.engine.log_chain import MAX_LOG_ENTRIES
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.sync_protocol.limits import MAX_CHAIN_ENTRIES
from safelight.sync_protocol.log import Entry, Frame, build_entry, next_chain, parse_entry
from safelight.sync_protocol.messages.common import Problem, ServerInfo
from safelight.sync_protocol.messages.spaces import KnownFingerprint, KnownFingerprints, SpaceRow
from safelight.sync_protocol.records import AddAssetsBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint
from safelight.sync_protocol.wire import pack, unpack
from tests.hostile.proxy import Exchange, Proxy
from tests.support.lone_camera import camera_adds
from tests.support.people import Someone, new_space


class Silent:
    """Listens to a push, and says nothing."""

    def expect(self, files: int, size_bytes: int) -> None:
        """So much is to be pushed."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """One file is done."""

    def sent(self, size_bytes: int) -> None:
        """A large file is on its way."""


@dataclass
class Stage:
    """A space with two phones; the second one has a photograph that nobody uploaded."""

    proxy: Proxy
    space_id: bytes
    withheld: Entry
    frames: list[Frame]
    second: Path
    roll: Path
    fingerprint: bytes

    def claim(self, frame: Frame) -> None:
        """Say "have it", and show *frame* for it."""
        answer = KnownFingerprints([KnownFingerprint(self.fingerprint, frame.number)], [pack(frame)])
        self.proxy.lie("POST", ".*/fingerprints$", lambda e: e.with_json(answer))

    async def push(self) -> dict[Outcome, int]:
        """The second phone pushes its folder."""
        with ProfileFolder(self.second) as held:
            async with open_pusher(held, None, Silent()) as pusher:
                tally = await pusher.push(self.roll)
                return {outcome: count for outcome, count in tally.counts.items() if count}


@pytest.fixture
async def stage(victim: Someone, proxy: Proxy, tmp_path: Path) -> Stage:
    """The first phone has signed a record of the photograph, too, which the server kept to itself."""
    space_id = await new_space(victim, "Home")
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), public_url=proxy.url))
    roll = tmp_path / "roll"
    roll.mkdir()
    (roll / "wanted.jpg").write_bytes(b"the photograph")
    (tmp_path / "other.jpg").write_bytes(b"another one")
    async with victim.space("Home") as space:
        uris = [(await pair_camera(space, name)).uri for name in ("First", "Second")]
    with ProfileFolder(tmp_path / "first") as folder:
        first = await add_camera(folder, uris[0])
        async with open_camera(folder) as camera:
            await camera_adds(camera, tmp_path / "other.jpg")
    with ProfileFolder(tmp_path / "second") as folder:
        await add_camera(folder, uris[1])
    async with victim.session() as session:
        frames = await session.connection.fetch_frames(f"/v1/spaces/{space_id.hex()}/log?after=0")
    sha256 = hashlib.sha256(b"the photograph").digest()
    fingerprint = content_fingerprint(first.dedupe_key, space_id, sha256)
    last = next(
        parse_entry(frame.envelope)
        for frame in reversed(frames)
        if parse_entry(frame.envelope).header.kind == "asset.add"
    )
    body = unpack(last.body, AddAssetsBody)
    asset = msgspec.structs.replace(body.assets[0], asset_id=b"n" * 16, fingerprint=fingerprint)
    header = msgspec.structs.replace(last.header, counter=last.header.counter + 1, previous_id=last.id)
    body = msgspec.structs.replace(body, assets=[asset])
    withheld = parse_entry(build_entry(header, body, first.signing_seed))
    return Stage(proxy, space_id, withheld, frames, tmp_path / "second", roll, fingerprint)


def _frame(stage: Stage, number: int) -> Frame:
    return Frame(number, 1, bytes(32), stage.withheld.id, stage.withheld.envelope)


@pytest.mark.parametrize("slot", ["after the end", "far after the end", "where another stands", "nowhere"])
async def test_a_record_that_was_kept_out_of_the_log(stage: Stage, slot: str) -> None:
    """Signed by a phone in good standing and never committed: the photograph it speaks of is uploaded all the same."""
    end = len(stage.frames) + 1
    number = {"after the end": end, "far after the end": 2**40, "where another stands": 3, "nowhere": 0}[slot]
    stage.claim(_frame(stage, number))
    assert await stage.push() == {Outcome.UPLOADED: 1}
    stage.proxy.be_honest()
    assert await stage.push() == {Outcome.KNOWN: 1}


async def test_a_log_that_only_one_camera_is_shown(stage: Stage) -> None:
    """A server that puts the record into a log for this phone alone: its next entry, and the next look, say so."""
    base = f"/v1/spaces/{stage.space_id.hex()}"

    async def truth(exchange: Exchange) -> list[bytes]:
        ids = await stage.proxy.ask(f"{base}/chain?after=0", exchange.request_headers)
        return [ids[at : at + 32] for at in range(0, len(ids), 32)] + [stage.withheld.id]

    async def show_chain(exchange: Exchange) -> Exchange:
        ids = await truth(exchange)
        return replace(exchange, status=200, body=b"".join(ids[int(exchange.query["after"]) :]))

    async def show_row(exchange: Exchange) -> Exchange:
        chain, ids = b"", await truth(exchange)
        for number, entry_id in enumerate(ids, 1):
            chain = next_chain(chain, number, entry_id)
        stage.claim(_frame(stage, len(ids)))
        return exchange.changed(exchange.as_(SpaceRow), number=len(ids), chain=chain)

    stage.proxy.lie("GET", f"{base}/chain$", show_chain)
    stage.proxy.lie("GET", f"{base}$", show_row)
    stage.claim(_frame(stage, 1))
    assert await stage.push() == {Outcome.KNOWN: 1}
    (stage.roll / "more.jpg").write_bytes(b"one more")
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code is Code.HISTORY_FORKED
    stage.proxy.be_honest()
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code is Code.HISTORY_ROLLED_BACK


async def test_a_chain_that_was_tampered_with_on_the_disk(stage: Stage) -> None:
    """The kept ids are a copy: damaged, they are fetched again, and no lie is found where there is none."""
    assert await stage.push() == {Outcome.UPLOADED: 1}
    assert await stage.push() == {Outcome.KNOWN: 1}
    kept = stage.second / "spaces" / stage.space_id.hex() / "log.ids"
    whole = kept.read_bytes()
    for damaged in (whole[:-7], b"\0" + whole[1:], b"", whole + whole, whole[:64] + whole[32:]):
        kept.write_bytes(damaged)
        assert await stage.push() == {Outcome.KNOWN: 1}
        assert kept.read_bytes()[: len(whole)] == whole


@pytest.mark.parametrize("lie", ["shorter", "longer", "ragged", "other ids"])
async def test_a_chain_that_does_not_add_up(stage: Stage, lie: str) -> None:
    """A chain that ends too early, has half an id, or leads elsewhere than the server says, is broken."""
    assert await stage.push() == {Outcome.UPLOADED: 1}

    def change(exchange: Exchange) -> Exchange:
        ids = exchange.body
        changed = {"shorter": b"", "longer": ids + bytes(64), "ragged": ids[:-1], "other ids": bytes(len(ids))}[lie]
        return replace(exchange, body=changed)

    stage.proxy.lie("GET", ".*/chain$", change)
    if lie == "longer":  # what came after the end that was said is for the next time
        assert await stage.push() == {Outcome.KNOWN: 1}
        return
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code in (Code.CHAIN_BROKEN, Code.HISTORY_FORKED)


async def test_a_log_that_ends_before_its_ledger(stage: Stage, victim: Someone) -> None:
    """A log that is said to be shorter than the ledger within it is another log, and no mistake of the camera."""
    base = f"/v1/spaces/{stage.space_id.hex()}"
    async with victim.space("Home") as space:
        for name in ("Third", "Fourth"):
            await pair_camera(space, name)

    async def show_row(exchange: Exchange) -> Exchange:
        row = exchange.as_(SpaceRow)
        ids = await stage.proxy.ask(f"{base}/chain?after=0", exchange.request_headers)
        chain = b""
        for number in range(1, row.ledger_number):
            chain = next_chain(chain, number, ids[32 * number - 32 : 32 * number])
        return exchange.changed(row, number=row.ledger_number - 1, chain=chain)

    stage.proxy.lie("GET", f"{base}$", show_row)
    stage.claim(_frame(stage, 2**40))
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code is Code.HISTORY_FORKED


async def test_a_chain_that_breaks_off_has_proved_nothing(stage: Stage) -> None:
    """Ids that came before a refusal were never compared with the log's end: asked again, they still are not in it."""
    base = f"/v1/spaces/{stage.space_id.hex()}"

    async def truth(exchange: Exchange) -> bytes:
        return await stage.proxy.ask(f"{base}/chain?after=0", exchange.request_headers)

    async def show_chain(exchange: Exchange) -> Exchange:
        if exchange.query["after"] == "0":
            return replace(exchange, status=200, body=await truth(exchange) + stage.withheld.id + bytes(32_000))
        problem = Problem("urn:safelight:refusal:blob-missing", "", 409, Code.BLOB_MISSING.value)
        headers = {"Content-Type": "application/problem+json"}
        return replace(exchange.with_json(problem), status=409, headers=headers)

    async def show_row(exchange: Exchange) -> Exchange:
        end = len(await truth(exchange)) // 32
        stage.claim(_frame(stage, end + 1))
        return exchange.changed(exchange.as_(SpaceRow), number=end + 5000, chain=bytes(32))

    stage.proxy.lie("GET", f"{base}/chain$", show_chain)
    stage.proxy.lie("GET", f"{base}$", show_row)
    stage.claim(_frame(stage, 1))
    assert await stage.push() == {Outcome.FAILED: 1}
    stage.proxy.be_honest()
    assert await stage.push() == {Outcome.UPLOADED: 1}


@dataclass
class LongLog:
    """The real log, made longer with ids that nobody signed, as a server can make up; the withheld record is its last.

    `asked` counts the pages that were asked for, each of at most `page` ids.
    """

    stage: Stage
    end: int
    page: int = MAX_CHAIN_ENTRIES
    asked: int = 0

    async def show(self) -> None:
        """Show it from now on, `end` entries long."""
        base = f"/v1/spaces/{self.stage.space_id.hex()}"
        headers: dict[str, str] = {}
        ids = bytearray()
        chain, number = b"", 0

        async def show_chain(exchange: Exchange) -> Exchange:
            self.asked += 1
            at = int(exchange.query["after"]) * 32
            return replace(exchange, status=200, body=bytes(ids[at : at + 32 * self.page]))

        async def show_row(exchange: Exchange) -> Exchange:
            nonlocal chain, number
            row = exchange.as_(SpaceRow)
            if not ids:
                headers.update(exchange.request_headers)
                ids.extend(await self.stage.proxy.ask(f"{base}/chain?after=0", headers))
            if len(ids) < 32 * self.end <= 32 * MAX_LOG_ENTRIES:  # else nobody asks what it leads to
                ids.extend(random.Random(len(ids)).randbytes(32 * (self.end - 1) - len(ids)) + self.stage.withheld.id)
                while number < self.end:
                    number += 1
                    chain = next_chain(chain, number, bytes(ids[32 * number - 32 : 32 * number]))
            self.stage.claim(_frame(self.stage, self.end))
            return exchange.changed(row, number=self.end, chain=chain)

        self.stage.proxy.lie("GET", f"{base}/chain$", show_chain)
        self.stage.proxy.lie("GET", f"{base}$", show_row)
        self.stage.claim(_frame(self.stage, 2**40))


@pytest.mark.timeout(300)  # as long as that takes on a busy machine
async def test_a_large_library(stage: Stage) -> None:
    """A log of a million entries is followed to its end, and what comes after it costs no more than itself."""
    log = LongLog(stage, 1_000_000)
    await log.show()
    stage.claim(_frame(stage, log.end))
    assert await stage.push() == {Outcome.KNOWN: 1}
    assert log.asked == 20
    kept = stage.second / "spaces" / stage.space_id.hex() / "log.ids"
    before = kept.stat()
    assert before.st_size == 32 * log.end
    log.end += 1
    stage.claim(_frame(stage, log.end))
    assert await stage.push() == {Outcome.KNOWN: 1}
    assert log.asked == 21
    after = kept.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size + 32)  # added to, and not written anew
    assert await stage.push() == {Outcome.KNOWN: 1}  # what was added to is what it was
    assert log.asked == 21


@pytest.mark.parametrize(
    ("end", "page", "asked", "said"),
    [
        (MAX_LOG_ENTRIES + 1, MAX_CHAIN_ENTRIES, 0, "4,000,001 entries"),
        (2**53 - 1, MAX_CHAIN_ENTRIES, 0, "entries, and this Safelight follows 4,000,000"),
        (100_000, 1, 1, "in crumbs"),
    ],
)
async def test_a_log_without_end(stage: Stage, end: int, page: int, asked: int, said: str) -> None:
    """*A log that fills memory and disk, or takes for ever*: it is refused before it costs anything, and told why."""
    log = LongLog(stage, end, page)
    await log.show()
    stage.claim(_frame(stage, 1))
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code is Code.CHAIN_BROKEN
    assert said in refused.value.sentence
    assert log.asked == asked
    assert not (stage.second / "spaces" / stage.space_id.hex() / "log.ids").exists()
    stage.proxy.be_honest()
    assert await stage.push() == {Outcome.UPLOADED: 1}


async def test_more_records_than_were_asked_for(stage: Stage) -> None:
    """A server that answers one question with thousands of records has none of them looked at."""
    asked: list[str] = []

    def count(exchange: Exchange) -> Exchange:
        asked.append(exchange.path)
        return exchange

    assert await stage.push() == {Outcome.UPLOADED: 1}
    records = [pack(_frame(stage, 2**40 + number)) for number in range(2000)]
    answer = KnownFingerprints([KnownFingerprint(stage.fingerprint, 2**40)], records)
    stage.proxy.lie("POST", ".*/fingerprints$", lambda e: e.with_json(answer))
    stage.proxy.lie("GET", ".*/chain$", count)
    with pytest.raises(Refused) as refused:
        await stage.push()
    assert refused.value.code is Code.SERVER_FAULT
    assert asked == []
