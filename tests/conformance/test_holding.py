"""Holding a blob in one more space: rows alone, all of them or none, and nothing that is about to go."""

import asyncio
import sys

import pytest

from safelight.server.domain.ports.database import Database
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import BLOB_SIZE_BYTES, DAY_MS, NOW_MS, Library, some_hash

LATER_MS = NOW_MS + 30 * DAY_MS


async def _hold(
    library: Library,
    other: bytes,
    *names: bytes,
    max_bytes: int = sys.maxsize,
    max_blobs: int = sys.maxsize,
    now_ms: int = NOW_MS,
) -> None:
    await library.database.hold_blobs(library.device_id, other, library.space_id, names, max_bytes, max_blobs, now_ms)


async def test_a_blob_is_held_twice(library: Library, database: Database) -> None:
    """It counts for the other space as if it had been uploaded there, and asking again changes nothing."""
    names, other = [await library.hold(), await library.hold()], some_hash()
    for name in names:
        await library.do(await library.an_asset(name))
    for _ in range(2):
        await _hold(library, other, *names)
    for name in names:
        assert await database.blob_in_space(other, name) == (BLOB_SIZE_BYTES, "")
        assert await database.blob_in_space(library.space_id, name) == (BLOB_SIZE_BYTES, "full")
    assert await database.uncommitted_bytes(library.device_id) == 2 * BLOB_SIZE_BYTES


async def test_all_or_none(library: Library, database: Database) -> None:
    """Where the source lacks one of them, or there is no room for all, the space holds none."""
    name, other = await library.hold(), some_hash()
    await library.do(await library.an_asset(name))
    for names, max_bytes, code in (
        ([name, some_hash()], sys.maxsize, Code.NOT_FOUND),
        ([name], BLOB_SIZE_BYTES - 1, Code.QUOTA_EXCEEDED),
    ):
        with pytest.raises(Refused) as refusal:
            await _hold(library, other, *names, max_bytes=max_bytes)
        assert refusal.value.code is code
        assert await database.blob_in_space(other, name) is None
    await _hold(library, other, name, max_bytes=BLOB_SIZE_BYTES)


async def test_what_is_held_is_not_collected(library: Library, database: Database) -> None:
    """A blob that one more space holds is kept for its grace; one that is about to go is held nowhere."""
    name, other = await library.hold(), some_hash()
    await _hold(library, other, name, now_ms=LATER_MS)
    assert name not in await database.collectable_blobs(LATER_MS, 100)
    assert not await database.forget_blob(name, LATER_MS)
    assert await database.forget_blob(name, LATER_MS + 1)
    with pytest.raises(Refused) as refusal:
        await _hold(library, some_hash(), name)
    assert refusal.value.code is Code.UPLOAD_BUSY
    await database.blob_is_gone(name)
    with pytest.raises(Refused) as refusal:
        await _hold(library, some_hash(), name)
    assert refusal.value.code is Code.NOT_FOUND


async def test_held_while_it_is_being_forgotten(library: Library, database: Database) -> None:
    """Of a blob that is held and forgotten at once one of the two stands, and never both."""
    for _ in range(20):
        name, other = await library.hold(), some_hash()
        held, forgotten = await asyncio.gather(
            _hold(library, other, name, now_ms=LATER_MS),
            database.forget_blob(name, LATER_MS),
            return_exceptions=True,
        )
        assert forgotten is isinstance(held, Refused)
        assert (await database.blob_in_space(other, name) is None) == forgotten


async def test_how_many_no_record_names_is_limited(library: Library, database: Database) -> None:
    """*A few small blobs held in ever more spaces, until the database is full*: they count as uploaded ones do."""
    names = [await library.hold() for _ in range(3)]
    for name in names:
        await library.do(await library.an_asset(name))
    await _hold(library, some_hash(), *names, max_blobs=5)
    other = some_hash()
    with pytest.raises(Refused) as refusal:
        await _hold(library, other, *names, max_blobs=5)
    assert refusal.value.code is Code.QUOTA_EXCEEDED
    assert await database.blob_in_space(other, names[0]) is None
    await _hold(library, other, *names[:2], max_blobs=5)


async def test_what_is_held_already_takes_no_room(library: Library, database: Database) -> None:
    """Who asks again after an interruption needs no room for what the space holds since the first time."""
    names, other = [await library.hold(), await library.hold()], some_hash()
    for name in names:
        await library.do(await library.an_asset(name))
    for _ in range(3):
        await _hold(library, other, *names, max_bytes=2 * BLOB_SIZE_BYTES, max_blobs=2)
    assert await database.uncommitted_bytes(library.device_id) == 2 * BLOB_SIZE_BYTES
