"""Logs read: pages, the ledger alone, single slots, positions, fingerprints; and all of it again after opening anew."""

from dataclasses import replace
from pathlib import Path

from safelight.server.domain.ports.commits import AssetUse
from tests.conformance.engines import OpenDatabase
from tests.conformance.library import NOW_MS, Library, a_session, an_opening, some_hash, some_id


async def test_pages_by_count(library: Library) -> None:
    """Reading on from the last number of each page gives every entry once, in order."""
    for _ in range(10):
        await library.do(library.a_record())
    numbers: list[int] = []
    while rows := await library.database.entries(library.space_id, numbers[-1] if numbers else 0, 3, 10**6):
        assert len(rows) <= 3
        numbers += [row.number for row in rows]
    assert numbers == list(range(1, 12))


async def test_pages_by_size(library: Library) -> None:
    """A page holds as many bytes as allowed, but always an entry if there is one."""
    for size_bytes in (1000, 1000, 5000, 10):
        await library.do(replace(library.a_record(), envelope=bytes(size_bytes)))

    async def page(after: int, max_bytes: int) -> list[int]:
        return [row.number for row in await library.database.entries(library.space_id, after, 100, max_bytes)]

    assert await page(1, 2000) == [2, 3]
    assert await page(1, 1999) == [2]
    assert await page(3, 100) == [4]
    assert await page(3, 5010) == [4, 5]
    assert await page(5, 10) == []
    assert await library.database.entries(some_hash(), 0, 100, 1000) == []


async def test_ledger_alone(library: Library) -> None:
    """The ledger's entries are read without the records between them."""
    await library.do(library.a_record())
    await library.do(library.a_ledger_entry(epoch=2))
    await library.do(library.a_record())
    await library.do(library.a_ledger_entry(epoch=3))
    assert [row.number for row in await library.database.ledger_entries(library.space_id, 0, 10)] == [1, 3, 5]
    assert [row.number for row in await library.database.ledger_entries(library.space_id, 1, 1)] == [3]


async def test_entry_ids(library: Library) -> None:
    """The ids alone, records' and the ledger's alike, in order and as many as were asked for; of one space only."""
    other = await Library.make(library.database)
    for _ in range(3):
        await library.do(library.a_record())
    rows = await library.database.entries(library.space_id, 0, 10, 10**6)
    ids = [row.entry_id for row in rows]
    assert len(ids) == 4
    assert await library.database.entry_ids(library.space_id, 0, 10) == ids
    assert await library.database.entry_ids(library.space_id, 1, 2) == ids[1:3]
    assert await library.database.entry_ids(library.space_id, 4, 2) == []
    assert len(await other.database.entry_ids(other.space_id, 0, 10)) == 1


async def test_single_slots(library: Library) -> None:
    """Slots are read in order, without those that are not there."""
    for _ in range(3):
        await library.do(library.a_record())
    rows = await library.database.entries_at(library.space_id, [4, 2, 9, 2])
    assert [row.number for row in rows] == [2, 4]
    assert rows == (await library.database.entries(library.space_id, 1, 10, 10**6))[::2]


async def test_positions(library: Library) -> None:
    """A device's position is that of its last entry in the space, and (0, empty) before its first."""
    device_id = some_id()
    assert await library.database.device_position(library.space_id, device_id) == (0, b"")
    first = library.a_record(device_id)
    second = library.a_record(after=first)
    await library.commit(first, second)
    assert await library.database.device_position(library.space_id, device_id) == (2, second.entry_id)


async def test_first_answer_of_an_unknown_entry(library: Library) -> None:
    """There is a first answer only to the very entry that stands: not to another of the same device and counter."""
    commit = library.a_record()
    await library.do(commit)
    ask = library.database.committed
    assert await ask(commit.space_id, commit.device_id, commit.counter, commit.entry_id) is not None
    assert await ask(commit.space_id, commit.device_id, commit.counter, some_hash()) is None
    assert await ask(commit.space_id, commit.device_id, commit.counter + 1, commit.entry_id) is None
    assert await ask(some_hash(), commit.device_id, commit.counter, commit.entry_id) is None


async def test_fingerprints(library: Library) -> None:
    """Of many fingerprints those that are there are found, each at its first slot; none is found in another space."""
    slots: dict[bytes, int] = {}
    for _ in range(5):
        commit = await library.an_asset(await library.hold())
        slots[commit.assets[0].fingerprint] = (await library.do(commit)).number
    again = await library.an_asset(await library.hold())
    await library.do(replace(again, assets=[AssetUse(some_id(), next(iter(slots)))]))
    without = await library.an_asset(await library.hold())
    await library.do(replace(without, assets=[AssetUse(some_id(), b"")]))
    asked = [some_hash() for _ in range(700)] + [*slots, b""]
    assert dict(await library.database.fingerprints(library.space_id, asked)) == slots
    assert await library.database.fingerprints(library.space_id, []) == []
    other = await Library.make(library.database)
    assert await other.database.fingerprints(other.space_id, asked) == []


async def test_opened_anew(open_database: OpenDatabase, tmp_path: Path) -> None:
    """What was acknowledged is there when the database is closed and opened again, and commits go on from it."""
    library = await Library.make(await open_database(tmp_path))
    name = await library.hold()
    asset = await library.an_asset(name)
    answer = await library.do(asset)
    link_id = await library.publish(await library.a_link(max_opens=1))
    opening = an_opening(link_id)
    assert await library.database.open_link(opening, 1)
    session = a_session(library.account_id, library.device_id)
    await library.database.add_session(session)
    space = await library.database.space(library.space_id)
    rows = await library.database.entries(library.space_id, 0, 100, 10**6)
    await library.database.close()

    library.database = await open_database(tmp_path)
    assert await library.database.space(library.space_id) == space
    assert await library.database.entries(library.space_id, 0, 100, 10**6) == rows
    assert await library.database.session(session.token_hash) == session
    assert await library.database.known_opening(link_id, opening.opening_id)
    assert not await library.database.open_link(an_opening(link_id), 1)
    assert await library.database.commit([asset]) == [replace(answer, repeated=True)]
    assert await library.database.highest_time_ms() == NOW_MS
    await library.do(library.a_record())
    await library.database.close()
