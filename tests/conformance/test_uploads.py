"""Uploads and blobs as rows: limits, states, and what may be collected."""

import asyncio
from dataclasses import replace

import pytest

from safelight.server.stores import uncommitted
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import BLOB_SIZE_BYTES, DAY_MS, NOW_MS, Library, some_hash, some_id

LATER_MS = NOW_MS + 1


async def test_an_upload_from_beginning_to_end(library: Library) -> None:
    """An upload's offset grows, its length is kept once known, and at its end the blob is held, uncommitted."""
    database, upload = library.database, library.an_upload()
    assert await database.upload(upload.upload_id) is None
    await database.add_upload(upload, 10, 10**9, 10**6)
    assert await database.upload(upload.upload_id) == upload
    await database.set_upload_offset(upload.upload_id, 100, None)
    await database.set_upload_offset(upload.upload_id, 200, 300)
    await database.set_upload_offset(upload.upload_id, 250, None)
    assert await database.upload(upload.upload_id) == replace(upload, offset_bytes=250, length_bytes=300)
    await database.finish_upload(upload.upload_id, name := some_hash(), 300, NOW_MS)
    complete = replace(upload, offset_bytes=300, length_bytes=300, state="complete", blob=name)
    assert await database.upload(upload.upload_id) == complete
    assert await database.blob_in_space(library.space_id, name) == (300, "")
    assert await database.blob_in_space(some_hash(), name) is None
    await database.delete_upload(upload.upload_id)
    assert await database.upload(upload.upload_id) is None
    assert await database.blob_in_space(library.space_id, name) == (300, "")


async def test_offset_never_decreases(library: Library) -> None:
    """An offset that was stated once is never taken back."""
    await library.database.add_upload(upload := library.an_upload(), 10, 10**9, 10**6)
    for offset_bytes in (200, 100):
        await library.database.set_upload_offset(upload.upload_id, offset_bytes, None)
    kept = await library.database.upload(upload.upload_id)
    assert kept is not None
    assert kept.offset_bytes == 200


async def test_finishing_twice(library: Library) -> None:
    """Finishing again with the same blob changes nothing; with another it is refused, as is an unknown upload."""
    upload_id = await library.hold_named(name := some_hash())
    await library.database.finish_upload(upload_id, name, BLOB_SIZE_BYTES, NOW_MS)
    for unknown, blob, code in (
        (upload_id, some_hash(), Code.UPLOAD_COMPLETED),
        (some_id(), name, Code.NOT_FOUND),
    ):
        with pytest.raises(Refused) as refusal:
            await library.database.finish_upload(unknown, blob, 1, NOW_MS)
        assert refusal.value.code is code


async def test_failed_upload_does_not_finish(library: Library) -> None:
    """An upload that failed holds no blob; one that is complete does not fail any more."""
    await library.database.add_upload(upload := library.an_upload(), 10, 10**9, 10**6)
    await library.database.fail_upload(upload.upload_id)
    with pytest.raises(Refused):
        await library.database.finish_upload(upload.upload_id, name := some_hash(), 1, NOW_MS)
    assert await library.database.blob_in_space(library.space_id, name) is None
    # Nothing is left of it: else whoever sends bytes that are refused fills the tables.
    assert await library.database.upload(upload.upload_id) is None
    complete = await library.hold_named(some_hash())
    await library.database.fail_upload(complete)
    kept = await library.database.upload(complete)
    assert kept is not None
    assert kept.state == "complete"


async def test_open_uploads_are_limited(library: Library) -> None:
    """A device has so many uploads open at once, however fast it asks; those of others do not count."""
    results = await asyncio.gather(
        *(library.database.add_upload(library.an_upload(), 5, 10**9, 10**6) for _ in range(20)), return_exceptions=True
    )
    assert [result.code for result in results if isinstance(result, Refused)] == [Code.QUOTA_EXCEEDED] * 15
    await library.database.add_upload(library.an_upload(some_id()), 5, 10**9, 10**6)


async def test_uncommitted_bytes_are_limited(library: Library) -> None:
    """What a device has on the way and held without a record is limited; committing makes room."""
    database, most = library.database, 2 * BLOB_SIZE_BYTES
    name = await library.hold()
    await database.add_upload(library.an_upload(length_bytes=BLOB_SIZE_BYTES), 10, most, 10**6)
    with pytest.raises(Refused) as refusal:
        await database.add_upload(library.an_upload(length_bytes=1), 10, most, 10**6)
    assert refusal.value.code is Code.QUOTA_EXCEEDED
    assert await database.uncommitted_bytes(library.device_id) == most
    await library.do(await library.an_asset(name))
    assert await database.uncommitted_bytes(library.device_id) == BLOB_SIZE_BYTES
    assert await database.uncommitted_bytes(some_id()) == 0
    await database.add_upload(library.an_upload(length_bytes=1), 10, most, 10**6)


async def test_uncommitted_blobs_are_limited(library: Library) -> None:
    """So many blobs without a record a device may have, open ones counted: *millions of rows for a byte each*."""
    database = library.database
    held = [await library.hold() for _ in range(2)]
    await database.add_upload(upload := library.an_upload(length_bytes=0), 10, 10**9, 3)
    with pytest.raises(Refused) as refusal:
        await database.add_upload(library.an_upload(length_bytes=0), 10, 10**9, 3)
    assert (refusal.value.code, refusal.value.detail) == (
        Code.QUOTA_EXCEEDED,
        f"this device has 3 blobs of {2 * BLOB_SIZE_BYTES} bytes that no record names",
    )
    await database.finish_upload(upload.upload_id, some_hash(), 0, NOW_MS)
    with pytest.raises(Refused):
        await database.add_upload(library.an_upload(length_bytes=0), 10, 10**9, 3)
    await database.add_upload(library.an_upload(some_id()), 10, 10**9, 3)
    await library.do(await library.an_asset(held[0]))
    await database.add_upload(library.an_upload(length_bytes=0), 10, 10**9, 3)


async def test_many_uncommitted_blobs_are_seldom_counted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stays at the limit does not have all that it holds counted at each request, *which would stop everyone*."""
    monkeypatch.setattr(uncommitted, "FEW_BLOBS", 3)
    database = library.database
    held = [await library.hold() for _ in range(5)]
    late = replace(library.an_upload(length_bytes=0), created_ms=NOW_MS + 5)
    for again in (library.an_upload(length_bytes=0), library.an_upload(length_bytes=0)):
        with pytest.raises(Refused):
            await database.add_upload(again, 10, 10**9, 5)
    await library.do(await library.an_asset(*held))
    with pytest.raises(Refused):  # within the pause it is as it was counted
        await database.add_upload(library.an_upload(length_bytes=0), 10, 10**9, 5)
    await database.add_upload(late, 10, 10**9, 5)


async def test_one_blob_held_often_is_one(library: Library) -> None:
    """Each time that a blob is held it is noted, and where that seems too much, it is counted once."""
    name = some_hash()
    for _ in range(10):
        await library.hold_named(name)
    await library.database.add_upload(library.an_upload(length_bytes=0), 10, 10**9, 2)


async def test_the_newest_complete_uploads_stay(library: Library) -> None:
    """Who uploads one blob again and again leaves a few rows; of complete uploads those that ended last stay."""
    database, most = library.database, 5
    name = await library.hold()
    await library.do(await library.an_asset(name))
    slow = library.an_upload()
    await database.add_upload(slow, most, 10**9, 10**6)
    for number in range(3 * most):
        await database.add_upload(upload := library.an_upload(), most, 10**9, 10**6)
        await database.finish_upload(upload.upload_id, name, BLOB_SIZE_BYTES, NOW_MS + number)
    await database.finish_upload(slow.upload_id, name, BLOB_SIZE_BYTES, NOW_MS + 3 * most)  # the first to begin
    await database.add_upload(library.an_upload(), most, 10**9, 10**6)
    left = [row for row in await database.expired_uploads(2**60, 100) if row.state == "complete"]
    assert len(left) == most
    assert [row.expires_ms for row in left] == [
        slow.expires_ms + number for number in range(2 * most + 1, 3 * most + 1)
    ]
    assert left[-1].upload_id == slow.upload_id


async def test_expired_uploads(library: Library) -> None:
    """Uploads whose time is over are found, the oldest first."""
    uploads = [replace(library.an_upload(), expires_ms=NOW_MS + age) for age in (3, 1, 2, 4)]
    for upload in uploads:
        await library.database.add_upload(upload, 10, 10**9, 10**6)
    found = await library.database.expired_uploads(NOW_MS + 3, 10)
    assert [upload.expires_ms - NOW_MS for upload in found] == [1, 2, 3]
    assert len(await library.database.expired_uploads(NOW_MS + 3, 2)) == 2


async def test_what_may_be_collected(library: Library) -> None:
    """A blob that nothing refers to may go after its time; none that a record, link, young holder or upload names."""
    database = library.database
    loose, kept, linked, young, coming = [await library.hold() for _ in range(5)]
    await library.do(await library.an_asset(kept))
    await library.do(await library.an_asset(linked, tier="view"))
    await library.publish(await library.a_link(view=(linked,)))
    other = await Library.make(database)
    await other.hold_named(young, now_ms=NOW_MS + DAY_MS)
    await database.add_upload(replace(library.an_upload(), digest=coming), 10, 10**12, 10**6)
    assert await database.collectable_blobs(NOW_MS, 10) == []
    assert await database.collectable_blobs(LATER_MS, 10) == [loose]
    for name in (kept, linked, young, coming, some_hash()):
        assert not await database.forget_blob(name, LATER_MS)
        assert await database.forgotten_blobs(10) == []
    assert await database.forget_blob(loose, LATER_MS)
    assert await database.blob_in_space(library.space_id, loose) is None
    assert await database.collectable_blobs(LATER_MS, 10) == []


async def test_a_digest_that_is_stated_declares_the_blob(library: Library) -> None:
    """Stated at creation, a blob's name is declared, unless an older copy of its bytes is about to go."""
    database = library.database
    loose = await library.hold()
    assert not await database.add_upload(library.an_upload(), 10, 10**12, 10**6)
    assert await database.add_upload(replace(library.an_upload(), digest=some_hash()), 10, 10**12, 10**6)
    assert await database.forget_blob(loose, LATER_MS)
    upload = replace(library.an_upload(), digest=loose)
    assert not await database.add_upload(upload, 10, 10**12, 10**6)
    with pytest.raises(Refused) as refused:
        await database.begin_publishing(upload.upload_id, loose)
    assert refused.value.code is Code.UPLOAD_BUSY


async def test_committed_in_one_space_held_in_another(library: Library) -> None:
    """A blob that any space's record names stays, also for the space that only holds it."""
    other = await Library.make(library.database)
    name = await library.hold()
    await other.hold_named(name)
    assert await library.database.collectable_blobs(LATER_MS, 10) == [name]
    await library.do(await library.an_asset(name))
    assert await library.database.collectable_blobs(LATER_MS, 10) == []
    assert not await library.database.forget_blob(name, LATER_MS)


async def test_uploading_again_renews(library: Library) -> None:
    """A blob that is uploaded again has its whole time again."""
    await library.hold_named(name := some_hash())
    await library.hold_named(name, now_ms=NOW_MS + DAY_MS)
    assert await library.database.collectable_blobs(LATER_MS, 10) == []
    assert await library.database.collectable_blobs(NOW_MS + DAY_MS + 1, 10) == [name]


async def test_a_commit_and_a_collector(library: Library) -> None:
    """Of a commit and a collector that meet, one wins: no record names a forgotten blob."""
    for _ in range(20):
        name = await library.hold()
        commit = await library.an_asset(name)
        forgotten, [outcome] = await asyncio.gather(
            library.database.forget_blob(name, LATER_MS), library.commit(commit)
        )
        held = await library.database.blob_in_space(library.space_id, name)
        assert forgotten == (held is None) == hasattr(outcome, "code")


async def test_what_is_being_published_stays(library: Library) -> None:
    """From the moment on at which an upload says what it becomes, that blob is neither collectable nor an orphan."""
    database, upload = library.database, library.an_upload()
    name = await library.hold()
    await database.note_orphans([orphan := some_hash()], NOW_MS)
    await database.add_upload(upload, 10, 10**9, 10**6)
    await database.begin_publishing(upload.upload_id, name)
    await database.begin_publishing(upload.upload_id, name)
    assert not await database.forget_blob(name, LATER_MS)
    kept = await database.upload(upload.upload_id)
    assert kept is not None
    assert kept.digest == name
    other = library.an_upload()
    await database.add_upload(other, 10, 10**9, 10**6)
    await database.begin_publishing(other.upload_id, orphan)
    assert not await database.forget_orphan(orphan)
    for uploaded, blob in ((upload, name), (other, orphan)):
        await database.finish_upload(uploaded.upload_id, blob, BLOB_SIZE_BYTES, NOW_MS)
        assert await database.blob_in_space(library.space_id, blob) == (BLOB_SIZE_BYTES, "")


async def test_nothing_is_published_while_its_older_bytes_go(library: Library) -> None:
    """An upload does not become a forgotten blob before that one's bytes are gone."""
    database, upload = library.database, library.an_upload()
    await database.add_upload(upload, 10, 10**9, 10**6)
    name = await library.hold()
    assert await database.forget_blob(name, LATER_MS)
    with pytest.raises(Refused) as refusal:
        await database.begin_publishing(upload.upload_id, name)
    assert refusal.value.code is Code.UPLOAD_BUSY
    await database.blob_is_gone(name)
    await database.begin_publishing(upload.upload_id, name)


async def test_orphans(library: Library) -> None:
    """What a store holds and no space is noted; it may go if that is long ago and still nothing names it."""
    database = library.database
    held, linked, committed = [await library.hold() for _ in range(3)]
    await library.do(await library.an_asset(committed))
    await library.do(await library.an_asset(linked, tier="view"))
    await library.publish(await library.a_link(view=(linked,)))
    lost, later, found_again = (some_hash() for _ in range(3))
    assert await database.note_orphans([held, lost, linked, found_again, committed], NOW_MS) == 2
    assert await database.note_orphans([lost, later], NOW_MS + DAY_MS) == 2
    assert await database.note_orphans([], NOW_MS) == 0
    await library.hold_named(found_again)
    assert await database.old_orphans(NOW_MS, 10) == []
    assert set(await database.old_orphans(NOW_MS + DAY_MS, 10)) == {lost, found_again}
    assert len(await database.old_orphans(NOW_MS + 2 * DAY_MS, 2)) == 2
    assert not await database.forget_orphan(found_again)
    for known in (held, linked, committed):
        assert not await database.forget_orphan(known)
    assert await database.forgotten_blobs(10) == []
    assert await database.forget_orphan(lost)
    assert await database.forgotten_blobs(10) == [lost]
    assert await database.old_orphans(NOW_MS + 2 * DAY_MS, 10) == [later]


async def test_bytes_go_before_the_name_comes_again(library: Library) -> None:
    """While a forgotten blob's bytes may be about to go, no upload may end with it and then lose them."""
    database = library.database
    await library.hold_named(name := some_hash())
    assert await database.forget_blob(name, LATER_MS)
    assert await database.forgotten_blobs(10) == [name]
    with pytest.raises(Refused) as refusal:
        await library.hold_named(name)
    assert refusal.value.code is Code.UPLOAD_BUSY
    assert await database.blob_in_space(library.space_id, name) is None
    await database.blob_is_gone(name)
    assert await database.forgotten_blobs(10) == []
    await library.hold_named(name)
    assert await database.blob_in_space(library.space_id, name) == (BLOB_SIZE_BYTES, "")
