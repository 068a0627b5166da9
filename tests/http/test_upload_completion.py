"""What held when an upload began may be over before its end: it is asked again while bytes come, and at completion."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from safelight.server.app import EXPIRY
from safelight.server.stores.blob_part import Part
from safelight.sync_protocol.ledger_entries import RevokeCameraBody
from tests.http.conftest import Owner, Server, StartServer
from tests.support.api import Api
from tests.support.protocol import Blob, Pairing, sha256
from tests.support.raw_http import raw
from tests.support.uploads import create, held, length, patch

MIB = 1024 * 1024
DATA = os.urandom(100_000)

Ending = Callable[[], Awaitable[None]]


async def finish_after(api: Api, space: str, ending: Ending) -> tuple[int, bytes]:
    """Send an upload in one request, but for its last byte; let *ending* happen; send the last byte."""
    async with raw(api.url, api.token) as connection:
        headers = {"Upload-Complete": "?1", **length(len(DATA))}
        await connection.request("POST", f"/v1/blobs?space={space}", headers, DATA[:-1])
        await asyncio.sleep(0.2)
        await ending()
        await connection.send(DATA[-1:])
        final = await asyncio.wait_for(connection.final(), 10)
    return final.status, final.body


def nothing_stored(server: Server) -> bool:
    """Whether no blob of these bytes lies anywhere."""
    return not list((server.settings.data / "blobs").rglob(sha256(DATA).hex()))


async def test_a_session_that_was_ended(server: Server, owner: Owner) -> None:
    """Whoever signed out, or was signed out, completes nothing."""
    space = owner.writer.space_id.hex()

    async def sign_out() -> None:
        assert (await owner.api.send("DELETE", "/v1/sessions/current")).status < 300

    status, body = await finish_after(owner.api, space, sign_out)
    assert status == 401
    assert b"session-required" in body
    assert nothing_stored(server)


async def test_a_session_whose_time_is_over(server: Server, owner: Owner) -> None:
    """A session that ran out while bytes came is as good as none."""

    async def wait() -> None:
        server.clock.offset_ms += (server.settings.session_lifetime_s + 1) * 1000

    status, _ = await finish_after(owner.api, owner.writer.space_id.hex(), wait)
    assert status == 401
    assert nothing_stored(server)


async def test_a_camera_that_was_revoked(server: Server, owner: Owner) -> None:
    """A camera that its owner revokes while it uploads completes nothing, and gets no further."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())

    async def revoke() -> None:
        epoch, boxes = owner.writer.next_epoch()
        revocation = owner.writer.entry("camera.revoke", RevokeCameraBody(signer.device_id, epoch))
        await owner.api.commit(owner.writer, revocation, boxes)

    status, _ = await finish_after(camera, owner.writer.space_id.hex(), revoke)
    assert status in {401, 404}
    assert nothing_stored(server)


async def test_a_revocation_in_the_middle_of_much(owner: Owner) -> None:
    """Of a long upload no more than 8 MiB are taken after its sender was revoked, though more is on its way."""
    path = (await create(owner)).headers["Location"]
    token = owner.api.token
    async with raw(owner.api.url, token) as connection:
        headers = {"Upload-Complete": "?1", "Upload-Offset": "0", "Content-Type": "application/partial-upload"}
        await connection.request("PATCH", path, {**headers, **length(200 * MIB)})
        await connection.send(os.urandom(MIB) * 10)
        await asyncio.sleep(0.2)
        assert (await owner.api.send("DELETE", "/v1/sessions/current")).status < 300
        sending = asyncio.create_task(connection.send(os.urandom(MIB) * 20))
        assert (await asyncio.wait_for(connection.final(), 10)).status == 401
        sending.cancel()
    owner.api = await owner.api.sign_in(owner.signer)
    assert int((await owner.api.send("HEAD", path)).headers["Upload-Offset"]) <= 16 * MIB


async def test_a_quota_that_was_filled_meanwhile(start_server: StartServer) -> None:
    """Room that another used up is not there any more; with more room the upload is completed by what is missing."""
    server = await start_server(space_quota_bytes=150_000)
    owner = await server.owner()

    async def fill() -> None:
        await owner.api.add_photo(owner.writer, Blob(os.urandom(90_000)))

    status, body = await finish_after(owner.api, owner.writer.space_id.hex(), fill)
    assert status == 507
    assert b"quota-exceeded" in body
    assert nothing_stored(server)


async def test_who_signed_out_learns_nothing_of_the_room(start_server: StartServer) -> None:
    """Both are asked at once, and the session is what the answer is about."""
    server = await start_server(space_quota_bytes=150_000)
    owner = await server.owner()

    async def fill_and_sign_out() -> None:
        await owner.api.add_photo(owner.writer, Blob(os.urandom(90_000)))
        assert (await owner.api.send("DELETE", "/v1/sessions/current")).status < 300

    status, body = await finish_after(owner.api, owner.writer.space_id.hex(), fill_and_sign_out)
    assert (status, b"session-required" in body) == (401, True)
    assert nothing_stored(server)


async def test_a_quota_that_was_filled_between_requests(start_server: StartServer) -> None:
    """The last append asks for the quota again; the upload stays where it was."""
    server = await start_server(space_quota_bytes=150_000)
    owner = await server.owner()
    path = (await create(owner, DATA[:50_000], Upload_Length=str(len(DATA)))).headers["Location"]
    await owner.api.add_photo(owner.writer, Blob(os.urandom(90_000)))
    refused = await patch(owner, path, 50_000, DATA[50_000:])
    assert (refused.code, refused.headers["Upload-Offset"]) == ("quota-exceeded", "50000")
    assert refused.headers["Upload-Complete"] == "?0"
    assert not await held(owner, DATA)


async def test_an_upload_whose_time_is_over(start_server: StartServer) -> None:
    """An upload that expires while its last bytes come is not completed."""
    server = await start_server(upload_lifetime_s=3600)
    owner = await server.owner()
    path = (await create(owner, DATA[:10])).headers["Location"]
    server.clock.offset_ms += (server.settings.upload_lifetime_s - 1) * 1000
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Upload-Offset": "10", "Content-Type": "application/partial-upload"}
        await connection.request("PATCH", path, {**headers, **length(len(DATA) - 10)}, DATA[10:-1])
        await asyncio.sleep(0.1)
        server.clock.offset_ms += 2000
        await connection.send(DATA[-1:])
        assert (await connection.final()).status == 404
    assert nothing_stored(server)


async def test_expiry_while_an_append_runs(start_server: StartServer) -> None:
    """An upload that is cleared away under a running append ends that append, and leaves no bytes."""
    server = await start_server(upload_lifetime_s=3600)
    owner = await server.owner()
    path = (await create(owner, DATA[:10])).headers["Location"]
    server.clock.offset_ms += (server.settings.upload_lifetime_s - 1) * 1000
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Upload-Offset": "10", "Content-Type": "application/partial-upload"}
        await connection.request("PATCH", path, {**headers, **length(len(DATA) - 10)}, DATA[10:-1])
        await asyncio.sleep(0.1)
        server.clock.offset_ms += 2000
        await server.app[EXPIRY].run_once()
        await connection.send(DATA[-1:])
        assert (await connection.final()).status == 404
    assert nothing_stored(server)
    await server.app[EXPIRY].run_once()
    assert not list((server.settings.data / "blobs" / "uploads").iterdir())


async def test_expiry_at_the_last_moment(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that is cleared away just before its file gets the blob's name is gone: no mistake, and no blob."""
    server = await start_server(upload_lifetime_s=3600)
    owner = await server.owner()
    path = (await create(owner, DATA[:10])).headers["Location"]
    server.clock.offset_ms += (server.settings.upload_lifetime_s - 5) * 1000
    sealed, goes_on = threading.Event(), threading.Event()
    seal = Part.seal

    def slow_seal(part: Part, pieces: Sequence[bytes | bytearray], digest: bytes | None) -> tuple[bytes, int]:
        found = seal(part, pieces, digest)
        sealed.set()
        goes_on.wait(10)
        return found

    monkeypatch.setattr(Part, "seal", slow_seal)
    completing = asyncio.create_task(patch(owner, path, 10, DATA[10:]))
    await asyncio.to_thread(sealed.wait, 10)
    server.clock.offset_ms += 10_000
    await server.app[EXPIRY].run_once()
    goes_on.set()
    assert (await completing).status == 404
    assert nothing_stored(server)


@pytest.mark.parametrize("complete", ["?0", "?1"])
async def test_cancelled_while_an_append_runs(server: Server, owner: Owner, complete: str) -> None:
    """DELETE under a running append ends both; a repeat finds nothing, and no byte stays."""
    path = (await create(owner)).headers["Location"]
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": complete, "Upload-Offset": "0", "Content-Type": "application/partial-upload"}
        await connection.request("PATCH", path, {**headers, **length(len(DATA))}, DATA[:-1])
        await asyncio.sleep(0.1)
        assert (await owner.api.send("DELETE", path)).status == 204
        assert await connection.rest_size_bytes() == 0
    assert (await owner.api.send("DELETE", path)).status == 404
    assert nothing_stored(server)
    assert not list((server.settings.data / "blobs" / "uploads").iterdir())
