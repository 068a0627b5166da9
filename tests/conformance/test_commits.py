"""Commits: what stands, what is refused, and that nothing of what is refused is written."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from safelight.server.domain.ports.commits import AssetUse, Commit, Committed, Rejected, SomeFailed
from safelight.sync_protocol.log import next_chain
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import (
    BLOB_SIZE_BYTES,
    DAY_MS,
    MAX_AGE_S,
    MAX_ASSETS,
    NOW_MS,
    Library,
    a_device,
    refused,
    some_hash,
    some_id,
)


async def test_numbers_and_chain(library: Library) -> None:
    """Entries get the next number each, and the chain over all before them."""
    chain = b""
    first = library.a_record()
    outcomes = await library.commit(first, second := library.a_record(after=first), library.a_record(after=second))
    rows = await library.database.entries(library.space_id, 0, 10, 10**6)
    for number, row in enumerate(rows, 1):
        chain = next_chain(chain, number, row.entry_id)
        assert (row.number, row.chain) == (number, chain)
    assert [row.entry_id for row in rows[1:3]] == [first.entry_id, second.entry_id]
    assert [row.envelope for row in rows[1:3]] == [first.envelope, second.envelope]
    assert isinstance(outcomes[-1], Committed)
    assert (outcomes[-1].number, outcomes[-1].chain) == (4, chain)
    space = await library.database.space(library.space_id)
    assert space is not None
    assert (space.number, space.chain, space.ledger_number) == (4, chain, 1)


async def test_repeated_commit_gets_the_first_answer(library: Library) -> None:
    """The same entry again, in the same group or later, gets the answer that it got first, whatever moved on since."""
    commit = await library.an_asset(await library.hold())
    first, second = await library.commit(commit, commit)
    assert isinstance(first, Committed)
    assert second == replace(first, repeated=True)
    await library.do(library.a_ledger_entry(epoch=2))
    [again] = await library.commit(replace(commit, now_ms=NOW_MS + DAY_MS))
    assert again == replace(first, repeated=True)
    asked = await library.database.committed(commit.space_id, commit.device_id, commit.counter, commit.entry_id)
    assert asked == again
    assert list(again.blobs) == [blob.name for blob in commit.blobs]


async def test_ledger_moved(library: Library) -> None:
    """What was judged by a ledger that is no longer the newest has to be judged anew."""
    stale = library.a_record()
    await library.do(library.a_ledger_entry(some_id()))
    assert await refused(library, stale) is Code.ENTRY_STALE
    await library.do(replace(stale, ledger_number=library.ledger_number))


async def test_ledger_moves_within_a_group(library: Library) -> None:
    """A ledger entry makes stale what comes after it in its own group, so a revoked device cannot slip in behind."""
    [stands, stale] = await library.commit(library.a_ledger_entry(some_id(), epoch=2), library.a_record())
    assert isinstance(stands, Committed)
    assert isinstance(stale, Rejected)
    assert stale.code is Code.ENTRY_STALE


@pytest.mark.parametrize(("step", "fork"), [(-1, False), (1, False), (0, True)])
async def test_a_devices_entries_follow(library: Library, step: int, fork: bool) -> None:
    """A device's counter grows by one, and names the entry before, so that none can be dropped unseen."""
    commit = library.a_record()
    assert commit.counter == 2
    previous_id = some_hash() if fork else commit.previous_id
    wrong = replace(commit, counter=commit.counter + step, previous_id=previous_id)
    assert await refused(library, wrong) is Code.COUNTER_CONFLICT
    await library.do(commit)


async def test_two_entries_of_one_counter(library: Library) -> None:
    """Of two entries of one device with one counter, in one group, one stands."""
    outcomes = await library.commit(library.a_record(), library.a_record())
    assert [type(outcome) for outcome in outcomes] == [Committed, Rejected]


async def test_blob_missing(library: Library) -> None:
    """A blob must be held in the space; that another space holds it is no help to who only knows its name."""
    assert await refused(library, await library.an_asset(some_hash())) is Code.BLOB_MISSING
    other = await Library.make(library.database)
    assert await refused(library, await library.an_asset(await other.hold())) is Code.BLOB_MISSING


async def test_blob_of_another_size(library: Library) -> None:
    """A blob has the size that the record says."""
    commit = await library.an_asset(await library.hold(size_bytes=BLOB_SIZE_BYTES + 1))
    assert await refused(library, commit) is Code.BLOB_SIZE_MISMATCH


async def test_asset_is_there_already(library: Library) -> None:
    """An asset's id is given once: not again later, not twice in a group, and not twice in a record."""
    commit = await library.an_asset(await library.hold())
    [asset] = commit.assets
    follower = replace(await library.an_asset(await library.hold()), assets=[AssetUse(asset.asset_id, some_hash())])
    follower = replace(follower, counter=commit.counter + 1, previous_id=commit.entry_id)
    [first, second] = await library.commit(commit, follower)
    assert isinstance(first, Committed)
    assert second == Rejected(Code.ASSET_CONFLICT, asset.asset_id.hex())
    assert await refused(library, follower) is Code.ASSET_CONFLICT
    twice = await library.an_asset(await library.hold())
    assert await refused(library, replace(twice, assets=[*twice.assets, *twice.assets])) is Code.ASSET_CONFLICT


async def test_album_names_known_assets(library: Library) -> None:
    """What an album record names must be an asset of the space."""
    commit = await library.an_asset(await library.hold())
    await library.do(commit)
    album = replace(library.a_record(), kind="album.add", known_assets=[commit.assets[0].asset_id])
    other = await Library.make(library.database)
    assert await refused(other, replace(other.a_record(), known_assets=album.known_assets)) is Code.NOT_FOUND
    await library.do(album)


async def test_roll_is_anothers(library: Library) -> None:
    """A device adds to its own roll only, and opens it under a new id."""
    camera = some_id()
    roll_id = await library.open_roll(camera)
    commit = await library.an_asset(await library.hold())
    assert await refused(library, replace(commit, roll=library.roll_use(roll_id))) is Code.ROLL_UNKNOWN
    assert await refused(library, replace(commit, roll=library.roll_use(some_id()))) is Code.ROLL_UNKNOWN
    opening = replace(library.a_record(), roll=library.roll_use(roll_id, opens=True))
    assert await refused(library, opening) is Code.ROLL_UNKNOWN


async def test_roll_of_an_old_epoch(library: Library) -> None:
    """After a new epoch nothing is added under the old one's keys, neither to an open roll nor in a new one."""
    await library.an_asset()
    await library.do(library.a_ledger_entry(some_id(), epoch=2))
    assert await refused(library, await library.an_asset(await library.hold())) is Code.EPOCH_OLD
    opening = replace(library.a_record(), roll=replace(library.roll_use(some_id(), opens=True), epoch=1))
    assert await refused(library, opening) is Code.EPOCH_OLD


async def test_roll_is_full(library: Library) -> None:
    """A roll takes a number of assets and not one more, also when they come in one group."""
    commit = await library.an_asset(await library.hold())
    assert commit.roll is not None
    most = replace(commit, roll=replace(commit.roll, assets=MAX_ASSETS - 1))
    await library.do(most)
    two = await library.an_asset(await library.hold())
    assert await refused(library, replace(two, roll=replace(commit.roll, assets=2))) is Code.ROLL_FULL
    last = await library.an_asset(await library.hold())
    beyond = await library.an_asset(await library.hold())
    beyond = replace(beyond, counter=last.counter + 1, previous_id=last.entry_id)
    [stands, full] = await library.commit(last, beyond)
    assert isinstance(stands, Committed)
    assert isinstance(full, Rejected)
    assert full.code is Code.ROLL_FULL


async def test_roll_is_too_old(library: Library) -> None:
    """A roll is added to for a day."""
    commit = await library.an_asset(await library.hold())
    late = replace(commit, now_ms=NOW_MS + MAX_AGE_S * 1000 + 1)
    assert await refused(library, late) is Code.ROLL_FULL
    await library.do(replace(commit, now_ms=NOW_MS + MAX_AGE_S * 1000))


async def test_a_clock_set_back_makes_no_roll_young(library: Library) -> None:
    """A roll's age counts from the latest time that the server knew, in whichever space."""
    commit = await library.an_asset(await library.hold())
    other = await Library.make(library.database)
    await other.do(replace(other.a_record(), now_ms=NOW_MS + MAX_AGE_S * 1000 + 1))
    assert await refused(library, replace(commit, now_ms=NOW_MS)) is Code.ROLL_FULL


async def test_quota(library: Library) -> None:
    """A space holds as many bytes as its quota allows; a blob counts once, and what is refused does not count."""
    small = await Library.make(library.database, quota_bytes=2 * BLOB_SIZE_BYTES)
    name = await small.hold()
    await small.do(await small.an_asset(name))
    await small.do(await small.an_asset(name))
    assert await refused(small, await small.an_asset(await small.hold(), await small.hold())) is Code.QUOTA_EXCEEDED
    await small.do(await small.an_asset(await small.hold()))
    space = await small.database.space(small.space_id)
    assert space is not None
    assert space.used_bytes == space.quota_bytes == 2 * BLOB_SIZE_BYTES
    await small.do(small.a_record())
    assert await refused(small, await small.an_asset(await small.hold())) is Code.QUOTA_EXCEEDED


async def test_entries_count_and_taking_away_needs_no_room(library: Library) -> None:
    """Entries count against the quota; a full space still takes its ledger and the end of a link."""
    small = await Library.make(library.database, quota_bytes=100_000)
    link_id = await small.publish(await small.a_link())
    assert await refused(small, replace(small.a_record(), entry_bytes=99_001)) is Code.QUOTA_EXCEEDED
    await small.do(replace(small.a_record(), entry_bytes=99_000))
    assert await refused(small, replace(small.a_record(), entry_bytes=1)) is Code.QUOTA_EXCEEDED
    revoking = replace(small.a_record(), entry_bytes=1, revoked_link=link_id)
    await small.do(revoking)
    # *A log filled beyond the quota*: a link ends once.
    again = replace(small.a_record(), entry_bytes=1, revoked_link=link_id)
    assert await refused(small, again) is Code.QUOTA_EXCEEDED
    await small.do(replace(small.a_ledger_entry(epoch=2), entry_bytes=1))


async def test_camera_quota(library: Library) -> None:
    """A camera adds as many bytes as its own quota allows; other devices do not count."""
    camera = some_id()
    await library.do(await library.an_asset(await library.hold()))
    first = await library.an_asset(await library.hold(), device_id=camera)
    await library.do(replace(first, camera_quota_bytes=BLOB_SIZE_BYTES))
    second = await library.an_asset(await library.hold(), device_id=camera)
    assert await refused(library, replace(second, camera_quota_bytes=BLOB_SIZE_BYTES)) is Code.QUOTA_EXCEEDED
    await library.do(second)


async def test_genesis_stands_once(library: Library) -> None:
    """A space begins with its genesis, and no other entry makes it or makes it anew."""
    other = Library(library.database, library.account_id, library.device_id, some_hash())
    assert await refused(other, other.a_record()) is Code.SPACE_UNKNOWN
    genesis = other.genesis()
    [first, second] = await other.commit(genesis, replace(genesis, entry_id=some_hash()))
    assert isinstance(first, Committed)
    assert (first.number, first.chain) == (1, next_chain(b"", 1, genesis.entry_id))
    assert isinstance(second, Rejected)
    space = await other.database.space(other.space_id)
    assert space is not None
    assert (space.kind, space.epoch, space.ledger_number, space.ledger_hash) == ("family", 1, 1, genesis.entry_id)


async def test_members_and_boxes_follow_the_ledger(library: Library) -> None:
    """A ledger entry replaces the members, and adds the epoch's boxes."""
    guest, number = some_id(), library.ledger_number
    entry = library.a_ledger_entry(epoch=2)
    await library.do(replace(entry, members=[(library.account_id, "owner"), (guest, "viewer")]))
    database = library.database
    assert await database.role_in(library.space_id, guest) == "viewer"
    assert [role for space, role in await database.spaces_of(guest)] == ["viewer"]
    assert await database.box(library.space_id, 2, library.account_id) == b"box of epoch 2"
    assert await database.box(library.space_id, 1, library.account_id) == b"box of epoch 1"
    assert await database.box(library.space_id, 2, guest) is None
    await library.do(library.a_ledger_entry(epoch=3))
    assert await database.role_in(library.space_id, guest) is None
    assert await database.spaces_of(guest) == []
    assert library.ledger_number == number + 2


async def test_cameras_are_bound_and_revoked(library: Library) -> None:
    """A camera bound by an entry can sign in; bound again it is refused; revoked it is out."""
    camera = a_device(some_id(), library.account_id, library.space_id)
    await library.do(replace(library.a_ledger_entry(camera.device_id), cameras=[camera]))
    assert await library.database.device(camera.device_id) == camera
    other = await Library.make(library.database)
    taken = replace(other.a_ledger_entry(), cameras=[replace(camera, space_id=other.space_id)])
    assert await refused(other, taken) is Code.CAMERA_ALREADY_BOUND
    await other.do(replace(other.a_ledger_entry(), revoked_devices=[camera.device_id]))
    assert await library.database.device(camera.device_id) == camera
    await library.do(replace(library.a_ledger_entry(epoch=2), revoked_devices=[camera.device_id]))
    assert await library.database.device(camera.device_id) == replace(camera, revoked=True)


async def test_time_never_falls(library: Library) -> None:
    """The time of an entry is never before one that is stored, in whichever space, whatever the clock says."""
    late = await library.do(replace(library.a_record(), now_ms=NOW_MS + DAY_MS))
    other = await Library.make(library.database)
    early = await other.do(replace(other.a_record(), now_ms=NOW_MS - DAY_MS))
    assert (late.time_ms, early.time_ms) == (NOW_MS + DAY_MS, NOW_MS + DAY_MS)
    assert await library.database.highest_time_ms() == NOW_MS + DAY_MS


async def test_one_refusal_leaves_the_others(library: Library) -> None:
    """In a group each commit stands or falls by itself."""
    other = await Library.make(library.database)
    good = [await library.an_asset(await library.hold()), other.a_record()]
    bad = replace(await library.an_asset(some_hash(), device_id=some_id()))
    outcomes = await library.database.commit([good[0], bad, good[1]])
    assert [type(outcome) for outcome in outcomes] == [Committed, Rejected, Committed]


async def test_what_no_check_foresaw_fails_alone(library: Library) -> None:
    """A commit that the database itself chokes on fails alone; what came with it stands."""
    other = await Library.make(library.database)
    impossible = replace(library.a_record(), envelope=None)  # type: ignore[arg-type] # what no caller may do
    tasks = [library.database.commit([impossible]), other.database.commit([record := other.a_record()])]
    failed, stands = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(failed, Exception)
    assert isinstance(stands, list)
    assert isinstance(stands[0], Committed)
    assert await other.database.device_position(other.space_id, other.device_id) == (record.counter, record.entry_id)
    await library.do(library.a_record())


async def test_what_no_check_foresaw_is_nobody_elses_answer(library: Library) -> None:
    """In one batch, too, only the commit that the database chokes on fails; each of the others has its own answer."""
    other = await Library.make(library.database)
    impossible = replace(library.a_record(some_id()), envelope=None)  # type: ignore[arg-type] # what no caller may do
    good = [library.a_record(), replace(library.a_record(), counter=9), other.a_record()]
    with pytest.raises(SomeFailed) as failed:
        await library.database.commit([good[0], impossible, *good[1:]])
    first, failure, rejected, last = failed.value.outcomes
    assert isinstance(failure, Exception)
    assert [getattr(each, "number", None) for each in (first, rejected, last)] == [2, None, 2]
    for commit, outcome in ((good[0], first), (good[2], last)):
        assert isinstance(outcome, Committed)
        assert await library.database.commit([commit]) == [replace(outcome, repeated=True)]


async def test_many_at_once(library: Library) -> None:
    """Commits of many devices at once stand without a gap, and each device's stay in its order."""
    devices = [some_id() for _ in range(16)]
    chains: dict[bytes, list[Commit]] = {device_id: [library.a_record(device_id)] for device_id in devices}
    for chain in chains.values():
        chain += [chain[0], library.a_record(after=chain[0])]

    async def send(commits: Sequence[Commit]) -> list[Committed | Rejected]:
        return [outcome for commit in commits for outcome in await library.database.commit([commit])]

    answers = await asyncio.gather(*(send(chain) for chain in chains.values()))
    assert all(isinstance(answer, Committed) for answers_of_one in answers for answer in answers_of_one)
    rows = await library.database.entries(library.space_id, 0, 1000, 10**9)
    assert [row.number for row in rows] == list(range(1, 34))
    order = {row.entry_id: row.number for row in rows}
    assert all(order[chain[0].entry_id] < order[chain[2].entry_id] for chain in chains.values())


async def test_references_are_made_in_the_commit(library: Library) -> None:
    """A blob is of the tier that the first record names it for; nobody makes it another by naming it again."""
    name = await library.hold()
    assert await library.database.blob_in_space(library.space_id, name) == (BLOB_SIZE_BYTES, "")
    await library.do(await library.an_asset(name))
    assert await library.database.blob_in_space(library.space_id, name) == (BLOB_SIZE_BYTES, "full")
    await library.do(await library.an_asset(name, tier="view"))
    assert await library.database.blob_in_space(library.space_id, name) == (BLOB_SIZE_BYTES, "full")
