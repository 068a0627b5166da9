"""Leases, as every database has them: what one process asks for, and lets go of, it gets."""

from safelight.server.domain.ports.database import Database
from tests.conformance.library import NOW_MS, Library, some_hash, some_id


async def test_a_process_gets_what_nobody_has(database: Database) -> None:
    """A lease is taken, taken again and let go of; letting go of what one does not have is nothing."""
    name = some_id()
    await database.release_lease(name)
    for _ in range(2):
        assert await database.take_lease(name, 60_000) == 0
    assert await database.renew_lease(name, 60_000)
    await database.release_lease(name)
    assert await database.take_lease(name, 60_000) == 0
    assert await database.take_lease(b"clearing away", 60_000) == 0


async def test_an_upload_under_a_lease(library: Library) -> None:
    """An upload goes on under its process's lease, and after it was let go of."""
    await library.database.add_upload(upload := library.an_upload(), 10, 10**12, 10**6)
    assert await library.database.take_lease(upload.upload_id, 60_000) == 0
    await library.database.set_upload_offset(upload.upload_id, 100, None)
    await library.database.release_lease(upload.upload_id)
    await library.database.finish_upload(upload.upload_id, some_hash(), 200, NOW_MS)
