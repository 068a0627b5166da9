"""What a check reads, notes and corrects: the same on every engine."""

from dataclasses import replace

from safelight.server.domain.ports.checks import AccountHead, BlobHolder, CheckedBlob, DueBlob, HeldBlob
from safelight.server.domain.ports.database import Database
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import statement
from safelight.server.stores.transaction import Transaction
from tests.conformance.library import BLOB_SIZE_BYTES, NOW_MS, Library, some_hash

FIRST, END = b"", b"\xff" * 33


async def change(database: Database, text: str) -> None:
    """Change rows behind the server's back."""
    assert isinstance(database, Engine)

    async def work(tx: Transaction) -> None:
        await tx.rows(statement("change", text))

    await database._write(work)


async def named_blobs(library: Library, count: int = 1) -> list[bytes]:
    """Blobs that one record names, in order of their names."""
    names = sorted([await library.hold() for _ in range(count)])
    await library.do(await library.an_asset(*names))
    return names


def due(*names: bytes) -> list[DueBlob]:
    """These blobs, to be hashed."""
    return [DueBlob(name, BLOB_SIZE_BYTES) for name in names]


async def test_a_sound_database(library: Library) -> None:
    """Nothing is found in what nobody damaged."""
    await named_blobs(library, 3)
    database = library.database
    assert await database.integrity() == []
    assert await database.wrong_refs(library.space_id, FIRST, END) == []
    assert await database.unheld_refs(library.space_id, 10) == []
    assert await database.sums(some_hash()) is None


async def test_held_blobs_by_name(library: Library) -> None:
    """Held blobs come in order, each once however many spaces hold it."""
    names = await named_blobs(library, 3)
    other = await Library.make(library.database)
    await other.hold_named(names[1], size_bytes=5)
    held = [HeldBlob(name, BLOB_SIZE_BYTES, BLOB_SIZE_BYTES) for name in names]
    held[1] = HeldBlob(names[1], 5, BLOB_SIZE_BYTES)
    assert await library.database.held_between(FIRST, END) == held
    assert await library.database.held_between(names[1], names[2]) == held[1:2]


async def test_holders(library: Library) -> None:
    """Who holds a blob: each space, with the number of its assets that have it."""
    [name] = await named_blobs(library)
    await library.do(await library.an_asset(name))
    other = await Library.make(library.database)
    await other.hold_named(name)
    expected = sorted([(library.space_id, 2), (other.space_id, 0)])
    assert await library.database.holders(name) == [BlobHolder(*each) for each in expected]


async def test_what_is_nobodys(library: Library) -> None:
    """A blob is somebody's while a space holds it, an open upload becomes it, or it is forgotten already."""
    database = library.database
    [held] = await named_blobs(library)
    upload, coming, stranger = library.an_upload(), some_hash(), some_hash()
    await database.add_upload(upload, 10, 10**12, 10**6)
    await database.begin_publishing(upload.upload_id, coming)
    assert await database.nobodys([held, coming, stranger]) == [stranger]
    await database.note_orphans([stranger], NOW_MS)
    assert await database.orphans_seen_ms([held, stranger]) == {stranger: NOW_MS}
    assert await database.forget_orphan(stranger)
    assert await database.nobodys([stranger]) == []


async def test_what_is_due(library: Library) -> None:
    """Never checked, checked longest ago, and found bad: each has its list, and what is noted leaves it."""
    database = library.database
    names = await named_blobs(library, 4)
    assert await database.unchecked_blobs(b"", 10) == due(*names)
    assert await database.unchecked_blobs(names[0], 2) == due(*names[1:3])
    await database.note_checks([CheckedBlob(names[2], ""), CheckedBlob(names[0], "damaged")], NOW_MS)
    await database.note_checks([CheckedBlob(names[1], "")], NOW_MS + 5)
    assert await database.unchecked_blobs(b"", 10) == due(names[3])
    assert await database.bad_blobs(b"", 10) == due(names[0])
    assert {blob.name for blob in await database.long_unchecked_blobs(NOW_MS + 1, 10)} == {names[0], names[2]}
    assert (await database.long_unchecked_blobs(NOW_MS + 6, 10))[-1:] == due(names[1])
    await database.note_checks([CheckedBlob(names[0], "")], NOW_MS + 6)
    assert await database.bad_blobs(b"", 10) == []


async def test_have_it_is_said_of_whole_assets_only(library: Library) -> None:
    """A fingerprint whose asset lost a blob is as good as unknown, until it is healed or the photograph added again."""
    database = library.database
    whole, broken = await library.an_asset(await library.hold()), await library.an_asset(name := await library.hold())
    [asked, lost] = [whole.assets[0].fingerprint, broken.assets[0].fingerprint]
    broken = replace(broken, counter=whole.counter + 1, previous_id=whole.entry_id)
    numbers = [(await library.do(commit)).number for commit in (whole, broken)]
    assert dict(await database.fingerprints(library.space_id, [asked, lost])) == dict(
        zip([asked, lost], numbers, strict=True)
    )
    await database.note_checks([CheckedBlob(name, "damaged")], NOW_MS)
    assert await database.fingerprints(library.space_id, [asked, lost]) == [(asked, numbers[0])]
    again = await library.an_asset(await library.hold())
    number = (await library.do(replace(again, assets=[replace(again.assets[0], fingerprint=lost)]))).number
    assert dict(await database.fingerprints(library.space_id, [asked, lost])) == {asked: numbers[0], lost: number}
    await database.note_checks([CheckedBlob(name, "")], NOW_MS)
    assert dict(await database.fingerprints(library.space_id, [asked, lost])) == dict(
        zip([asked, lost], numbers, strict=True)
    )


async def test_notes_of_forgotten_blobs(library: Library) -> None:
    """Of a blob that nothing holds any more, nothing is kept."""
    database = library.database
    name = await library.hold()
    await database.note_checks([CheckedBlob(name, ""), CheckedBlob(some_hash(), "")], NOW_MS)
    assert await database.forget_blob(name, NOW_MS + 1)
    assert await database.long_unchecked_blobs(NOW_MS + 1, 10) == [DueBlob(name, 0)]
    await database.note_checks([CheckedBlob(name, "missing")], NOW_MS + 1)
    assert await database.long_unchecked_blobs(NOW_MS + 9, 10) == []


async def test_wrong_references(library: Library) -> None:
    """A count that is off is found and counted anew; so is a record that names what its space does not hold."""
    database = library.database
    names = await named_blobs(library, 2)
    await change(database, "UPDATE space_blobs SET refs = 7")
    assert await database.wrong_refs(library.space_id, names[1], END) == [(names[1], 7, 1)]
    for name in names:
        await database.correct_refs(library.space_id, name)
    assert await database.wrong_refs(library.space_id, FIRST, END) == []
    await change(database, "DELETE FROM space_blobs")
    number = (await database.space(library.space_id)).number  # type: ignore[union-attr]  # it is there
    assert sorted(await database.unheld_refs(library.space_id, 10)) == [(name, number) for name in names]


async def test_wrong_sums(library: Library) -> None:
    """What is used is added up anew from entries, boxes and the blobs that records name."""
    database = library.database
    await named_blobs(library, 2)
    await library.hold()  # uploaded, and named by no record: it counts nowhere yet
    sums = await database.sums(library.space_id)
    assert sums is not None
    assert sums.used_bytes == sums.by_device_bytes == 2 * BLOB_SIZE_BYTES  # this library's entries cost nothing
    number = (await database.space(library.space_id)).number  # type: ignore[union-attr]  # it is there
    assert sums.added_up_bytes == sums.used_bytes + 200 * number + len(b"box of epoch 1")
    await database.correct_sums(library.space_id)
    corrected = await database.sums(library.space_id)
    assert corrected is not None
    assert corrected.used_bytes == sums.added_up_bytes


async def test_wrong_size(library: Library) -> None:
    """A size that a row has wrong is put right in every space."""
    [name] = await named_blobs(library)
    await library.database.correct_size(name, 99)
    assert await library.database.held_between(FIRST, END) == [HeldBlob(name, 99, 99)]


async def test_everyone_and_everything(library: Library) -> None:
    """Spaces, accounts and members are gone through page by page."""
    database = library.database
    other = await Library.make(database)
    spaces = sorted([library.space_id, other.space_id])
    assert await database.space_ids(b"", 10) == spaces
    assert await database.space_ids(spaces[0], 10) == spaces[1:]
    heads = await database.account_heads(b"", 10)
    assert [head.account_id for head in heads] == sorted([library.account_id, other.account_id])
    assert await database.account_heads(heads[0].account_id, 1) == [AccountHead(*_values(heads[1]))]
    assert await database.members(library.space_id) == {library.account_id: "owner"}


def _values(head: AccountHead) -> tuple[bytes, int, bytes]:
    return head.account_id, head.ledger_number, head.ledger_hash
