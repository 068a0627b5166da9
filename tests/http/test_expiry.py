"""Clearing away: what is due goes, what a record or a running upload needs stays."""

import os

from safelight.server.app import EXPIRY
from tests.http.conftest import Owner, Server
from tests.support.protocol import Blob
from tests.support.uploads import create, held

DAY_MS = 24 * 60 * 60 * 1000


async def later(server: Server, owner: Owner, days: int) -> None:
    """Let days pass, one after the other, as a server that runs all the time sees them."""
    for _ in range(days):
        server.clock.offset_ms += DAY_MS - 1
        await server.app[EXPIRY].run_once()
    owner.api = await server.api.sign_in(owner.signer)


async def test_what_no_record_names(server: Server, owner: Owner) -> None:
    """A blob that no record names goes after its grace; one that a record names stays for good."""
    kept, stray = Blob(os.urandom(1000)), Blob(os.urandom(1000))
    await owner.api.add_photo(owner.writer, kept)
    await owner.api.upload(owner.writer.space_id, stray)
    await later(server, owner, 6)
    assert await held(owner, stray.data)
    await later(server, owner, 2)
    assert not await held(owner, stray.data)
    assert await held(owner, kept.data)
    assert len(list((server.settings.data / "blobs").rglob(stray.name.hex()))) == 0
    await owner.api.upload(owner.writer.space_id, stray)
    assert await held(owner, stray.data)


async def test_what_another_space_names(server: Server, owner: Owner) -> None:
    """Bytes that one space holds for good are not deleted because another never named them."""
    other, blob = await server.owner(), Blob(os.urandom(1000))
    await other.api.add_photo(other.writer, blob)
    await owner.api.upload(owner.writer.space_id, blob)
    await later(server, owner, 9)
    other.api = await server.api.sign_in(other.signer)
    assert await held(other, blob.data)


async def test_uploads_that_were_never_finished(server: Server, owner: Owner) -> None:
    """An upload goes with its bytes when its time is over."""
    path = (await create(owner, os.urandom(1000))).headers["Location"]
    parts = server.settings.data / "blobs" / "uploads"
    assert len(list(parts.iterdir())) == 1
    await later(server, owner, 8)
    assert (await owner.api.send("HEAD", path)).status == 404
    assert not list(parts.iterdir())


async def test_nothing_goes_after_a_jump(server: Server, owner: Owner) -> None:
    """A clock that jumps 400 days makes nothing old."""
    stray = Blob(os.urandom(1000))
    await owner.api.upload(owner.writer.space_id, stray)
    server.clock.offset_ms += 400 * DAY_MS
    await server.app[EXPIRY].run_once()
    owner.api = await server.api.sign_in(owner.signer)
    assert await held(owner, stray.data)
