"""Commits over HTTP: receipts, order, races, and everything that is refused, with nothing of it written."""

import asyncio
import os

import msgspec

from safelight.sync_protocol import ledger_entries, log
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL
from safelight.sync_protocol.log import Head, frames_from_bytes
from safelight.sync_protocol.messages.spaces import (
    CommitEntry,
    Committed,
    EpochBox,
    SpaceRow,
    Spaces,
)
from safelight.sync_protocol.wire import unpack
from tests.http.conftest import Owner, Server
from tests.support.api import Api
from tests.support.protocol import Blob, Pairing, Signer, Writer, make_asset


async def unchanged(owner: Owner, before: SpaceRow) -> None:
    """Check that nothing was written to the space."""
    assert (await owner.api.get(owner.space)).as_(SpaceRow) == before


async def where(owner: Owner) -> SpaceRow:
    """Where the space stands."""
    return (await owner.api.get(owner.space)).as_(SpaceRow)


async def ready(owner: Owner) -> tuple[Blob, SpaceRow]:
    """Upload a blob and open a roll."""
    blob = Blob(os.urandom(1000))
    await owner.api.upload(owner.writer.space_id, blob)
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    return blob, await where(owner)


async def test_a_repeated_commit_gets_the_first_receipt(owner: Owner) -> None:
    """The same bytes again are the same entry: same slot, same receipt, nothing new, also after others came."""
    blob, _ = await ready(owner)
    entry = owner.writer.add_assets(make_asset(blob))
    first = (await owner.api.try_commit(owner.writer, entry)).as_(Committed)
    assert (await owner.api.try_commit(owner.writer, entry)).as_(Committed) == first
    await owner.api.get(owner.space)
    row = await where(owner)
    owner.writer.took(entry, row.number, row.chain)
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    assert (await owner.api.try_commit(owner.writer, entry)).as_(Committed) == first


async def test_a_repeated_ledger_entry_gets_the_first_receipt(owner: Owner) -> None:
    """A ledger entry whose answer was lost is answered again, though the ledger would no longer take it."""
    entry = Pairing().certify(owner.writer)
    committed = (await owner.api.try_commit(owner.writer, entry)).as_(Committed)
    row = await where(owner)
    owner.writer.took(entry, row.number, row.chain)
    await owner.api.commit(owner.writer, Pairing().certify(owner.writer))
    assert (await owner.api.try_commit(owner.writer, entry)).as_(Committed) == committed


async def test_a_repeated_genesis(server: Server) -> None:
    """Creating the same space again gives the first receipt, and no second space."""
    person, api = await server.account()
    _, request = Writer(person, person.signer).genesis()
    answers = await asyncio.gather(*(api.post("/v1/spaces", request) for _ in range(4)))
    assert len({answer.as_(Committed).receipt for answer in answers}) == 1
    assert len((await api.get("/v1/spaces")).as_(Spaces).spaces) == 1


async def test_many_commits_at_once(server: Server) -> None:
    """Commits of many devices that wait together all stand, each in a slot of its own, without gaps."""
    owner = await server.owner()
    cameras = [await owner.api.pair_camera(owner.writer, Pairing()) for _ in range(4)]

    async def work(api: Api, signer: Signer) -> list[int]:
        mine = Writer(owner.person, signer, owner.writer.ledger, owner.writer.log)
        numbers = []
        for _ in range(5):
            blob = Blob(os.urandom(500))
            await api.upload(owner.writer.space_id, blob)
            numbers.append((await api.commit(mine, mine.open_roll())).number)
            numbers.append((await api.commit(mine, mine.add_assets(make_asset(blob)))).number)
        return numbers

    before = (await where(owner)).number
    worked = await asyncio.gather(*(work(*camera) for camera in cameras))
    numbers = sorted(number for numbers in worked for number in numbers)
    assert numbers == list(range(before + 1, before + 41))
    state = log.LogState()
    for frame in frames_from_bytes((await owner.api.get(f"{owner.space}/log")).body):
        state = log.step(state, frame)
    assert state.number == before + 40


async def test_a_ledger_entry_between_records(owner: Owner) -> None:
    """Records that were judged by an older ledger are judged anew; entries about who must be signed anew."""
    roll, certificate = owner.writer.open_roll(), Pairing().certify(owner.writer)
    await owner.api.commit(owner.writer, certificate)
    answer = await owner.api.try_commit(owner.writer, roll)
    assert (answer.status, answer.code) == (409, "counter-conflict")
    stale = owner.writer.entry(
        LedgerKind.CERTIFY_CAMERA,
        unpack(Pairing().certify(owner.writer).body, ledger_entries.CertifyCameraBody),
        ledger=Head(1, b"x" * 32),
    )
    assert (await owner.api.try_commit(owner.writer, stale)).code == "entry-stale"


async def test_a_missing_blob(owner: Owner) -> None:
    """A record may name only blobs that were uploaded."""
    _, before = await ready(owner)
    answer = await owner.api.try_commit(owner.writer, owner.writer.add_assets(make_asset(Blob(b"never sent"))))
    assert (answer.status, answer.code) == (422, "blob-missing")
    await unchanged(owner, before)


async def test_another_spaces_blob(server: Server, owner: Owner) -> None:
    """A blob that another space holds cannot be claimed by its name."""
    other = await server.owner()
    blob, before = await ready(owner)
    await other.api.commit(other.writer, other.writer.open_roll())
    answer = await other.api.try_commit(other.writer, other.writer.add_assets(make_asset(blob)))
    assert answer.code == "blob-missing"
    await unchanged(owner, before)


async def test_a_blob_of_another_size(owner: Owner) -> None:
    """The size that is signed must be the size that is stored."""
    blob, before = await ready(owner)
    asset = make_asset(blob)
    lying = msgspec.structs.replace(asset, renditions=[msgspec.structs.replace(asset.renditions[0], size_bytes=999)])
    assert (await owner.api.try_commit(owner.writer, owner.writer.add_assets(lying))).code == "blob-size-mismatch"
    await unchanged(owner, before)


async def test_a_half_present_record(owner: Owner) -> None:
    """Of a record with one blob there and one missing nothing is written."""
    blob, before = await ready(owner)
    entry = owner.writer.add_assets(make_asset(blob), make_asset(Blob(b"missing")))
    assert (await owner.api.try_commit(owner.writer, entry)).code == "blob-missing"
    await unchanged(owner, before)
    await owner.api.commit(owner.writer, owner.writer.add_assets(make_asset(blob)))


async def test_a_strangers_record(server: Server, owner: Owner) -> None:
    """Who is not in the space commits nothing: not through their own session, nor through a member's."""
    person, stranger = await server.account()
    blob, before = await ready(owner)
    entry = owner.writer.add_assets(make_asset(blob), signer=person.signer)
    answer = await stranger.try_commit(owner.writer, entry)
    assert (answer.status, answer.code) == (404, "space-unknown")
    assert (await owner.api.try_commit(owner.writer, entry)).code == "signer-unknown"
    await unchanged(owner, before)


async def test_a_forged_signature(owner: Owner) -> None:
    """An entry in a member's name with another key's signature is refused."""
    blob, before = await ready(owner)
    forger = Signer(
        owner.signer.author_id, owner.signer.device_id, os.urandom(32), owner.signer.counter, owner.signer.last_id
    )
    entry = owner.writer.add_assets(make_asset(blob), signer=forger)
    assert (await owner.api.try_commit(owner.writer, entry)).code == "signature-invalid"
    await unchanged(owner, before)


async def test_an_entry_through_another_devices_session(server: Server, owner: Owner) -> None:
    """A device commits what it signed itself."""
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    before = await where(owner)
    assert (await camera.try_commit(owner.writer, owner.writer.open_roll())).code == "forbidden"
    await unchanged(owner, before)


async def test_another_spaces_entry(server: Server, owner: Owner) -> None:
    """An entry signed for one space is refused by another of the same person."""
    other = Writer(owner.person, owner.person.signer)
    await owner.api.create_space(other)
    before = await where(owner)
    answer = await owner.api.post(f"{owner.space}/commits", CommitEntry(other.open_roll().envelope))
    assert (answer.status, answer.code) == (422, "entry-wrong-space")
    await unchanged(owner, before)


async def test_counters(owner: Owner) -> None:
    """A device's entries follow one another: none is skipped, repeated or reordered."""
    _, before = await ready(owner)
    for changes in ({"counter": 2}, {"counter": 4}, {"previous_id": os.urandom(32)}, {"previous_id": b""}):
        answer = await owner.api.try_commit(owner.writer, owner.writer.open_roll(**changes))
        assert (answer.status, answer.code) == (409, "counter-conflict")
    await unchanged(owner, before)


async def test_heads_that_contradict(owner: Owner) -> None:
    """Who was shown another history than this server's is told so, before members are."""
    _, before = await ready(owner)
    log_head, ledger_head = owner.writer.log, owner.writer.state.head
    for changes in (
        {"log": Head(log_head.number, os.urandom(32))},
        {"log": Head(log_head.number + 5, os.urandom(32))},
        {"ledger": Head(ledger_head.number, os.urandom(32))},
    ):
        answer = await owner.api.try_commit(owner.writer, owner.writer.open_roll(**changes))
        assert answer.code in {"history-forked", "entry-stale"}
    await unchanged(owner, before)


async def test_asset_ids_are_given_once(owner: Owner) -> None:
    """An asset's id stays with its first bytes."""
    blob, _ = await ready(owner)
    asset = make_asset(blob)
    await owner.api.commit(owner.writer, owner.writer.add_assets(asset))
    before = await where(owner)
    again = msgspec.structs.replace(make_asset(blob), asset_id=asset.asset_id)
    answer = await owner.api.try_commit(owner.writer, owner.writer.add_assets(again))
    assert (answer.status, answer.code) == (409, "asset-conflict")
    await unchanged(owner, before)


async def test_rolls(server: Server, owner: Owner) -> None:
    """Assets are added to a roll that is open, one's own, young, not full and of the epoch in force."""
    blob, _ = await ready(owner)
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    foreign = owner.writer.add_assets(make_asset(blob), signer=signer)
    assert (await camera.try_commit(owner.writer, foreign)).code == "roll-unknown"
    for _ in range(MAX_ASSETS_PER_ROLL // 100):
        assets = [make_asset(blob) for _ in range(100)]
        await owner.api.commit(owner.writer, owner.writer.add_assets(*assets))
    assert (await owner.api.try_commit(owner.writer, owner.writer.add_assets(make_asset(blob)))).code == "roll-full"
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    server.clock.offset_ms = 25 * 60 * 60 * 1000
    api = await owner.api.sign_in(owner.signer)
    assert (await api.try_commit(owner.writer, owner.writer.add_assets(make_asset(blob)))).code == "roll-full"
    await api.commit(owner.writer, owner.writer.open_roll())
    epoch, boxes = owner.writer.next_epoch()
    await api.commit(owner.writer, owner.writer.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(epoch)), boxes)
    assert (await api.try_commit(owner.writer, owner.writer.add_assets(make_asset(blob)))).code == "epoch-old"


async def test_epochs_and_boxes(server: Server, owner: Owner) -> None:
    """An epoch brings exactly the boxes that it names; each member reads its own and no other."""
    epoch, boxes = owner.writer.next_epoch()
    entry = owner.writer.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(epoch))
    before = await where(owner)
    _, other_boxes = owner.writer.next_epoch()
    for wrong in ([], other_boxes, boxes * 2):
        assert (await owner.api.try_commit(owner.writer, entry, wrong)).code == "ledger-rule"
    assert (await owner.api.try_commit(owner.writer, owner.writer.open_roll(), boxes)).code == "ledger-rule"
    await unchanged(owner, before)
    await owner.api.commit(owner.writer, entry, boxes)
    assert (await owner.api.get(f"{owner.space}/boxes/2")).as_(EpochBox) == EpochBox(2, boxes[0].box)
    assert (await owner.api.get(f"{owner.space}/boxes/3")).code == "not-found"
    _, stranger = await server.account()
    assert (await stranger.get(f"{owner.space}/boxes/2")).code == "space-unknown"
