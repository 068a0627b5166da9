"""Clearing away: what is due goes, what a record or a running upload needs stays."""

import os
import time
from pathlib import Path

import pytest

from safelight.server.app import EXPIRY
from safelight.server.stores.blobs_directory import DirectoryAppender
from tests.http.conftest import Owner, Server, StartServer
from tests.support.protocol import Blob, sha256
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


async def test_a_blob_that_is_uploaded_again_while_its_old_bytes_go(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the publishing of a blob and its row, the collector does not take what it had found of the same blob."""
    server = await start_server(unreferenced_grace_s=1)
    owner, data = await server.owner(), os.urandom(1000)
    assert (await create(owner, data, Upload_Complete="?1")).status == 200
    server.clock.offset_ms += 2000
    finish = DirectoryAppender.finish

    async def slow(appender: DirectoryAppender, digest: bytes | None = None) -> tuple[bytes, int]:
        finished = await finish(appender, digest)
        await server.app[EXPIRY].run_once()
        return finished

    monkeypatch.setattr(DirectoryAppender, "finish", slow)
    assert (await create(owner, data, Upload_Complete="?1")).status == 200
    assert await held(owner, data)


def lay(server: Server, data: bytes, age_days: int) -> Path:
    """Lay a blob into the store's folder, of which no row knows, as a crash leaves it."""
    name = sha256(data).hex()
    path = server.settings.data / "blobs" / name[:2] / name
    path.write_bytes(data)
    laid_s = time.time() - age_days * DAY_MS / 1000
    os.utime(path, (laid_s, laid_s))
    return path


async def test_blobs_that_nobody_knows(server: Server, owner: Owner) -> None:
    """What a crash left goes after its grace, counted from when it was seen; what someone uploads again stays."""
    lost = lay(server, b"lost", 100)
    lay(server, b"wanted", 100)
    await later(server, owner, 6)
    assert lost.exists()
    await owner.api.upload(owner.writer.space_id, wanted_blob := Blob(b"wanted"))
    await owner.api.add_photo(owner.writer, wanted_blob)
    await later(server, owner, 3)
    assert not lost.exists()
    assert await held(owner, b"wanted")


async def test_parts_that_nobody_knows(server: Server, owner: Owner) -> None:
    """Parts of uploads that no row knows go; of an upload that is open they stay."""
    path = (await create(owner, os.urandom(1000))).headers["Location"]
    uploads = server.settings.data / "blobs" / "uploads"
    stray, old_s = uploads / os.urandom(16).hex(), time.time() - 100 * DAY_MS / 1000
    stray.write_bytes(b"stray")
    for part in uploads.iterdir():
        os.utime(part, (old_s, old_s))
    await later(server, owner, 2)
    assert not stray.exists()
    assert (await owner.api.send("HEAD", path)).headers["Upload-Offset"] == "1000"


async def test_a_listing_that_fails(server: Server, owner: Owner) -> None:
    """Absence is never deletion: where the store cannot be listed nothing goes, and nothing is noted as looked at."""
    lost, folder = lay(server, b"lost", 100), server.settings.data / "blobs"
    hidden = folder / ("ff" if lost.parent.name != "ff" else "fe")
    hidden.rename(folder.parent / "elsewhere")
    server.clock.offset_ms += DAY_MS - 1
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            await server.app[EXPIRY].run_once()
    (folder.parent / "elsewhere").rename(hidden)
    await later(server, owner, 6)
    assert lost.exists()


async def test_a_database_that_knows_less_than_it_did(server: Server, owner: Owner) -> None:
    """Whoever puts an old database back has the whole grace to notice: old blobs do not go at the first look."""
    lost = lay(server, b"lost", 1000)
    await later(server, owner, 7)
    assert lost.exists()
