"""Uploads that break off, come twice, or never end; and the interim responses that tell of them."""

import asyncio
import os

import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, StartServer
from tests.http.test_uploads import create, held, patch
from tests.support.protocol import sha256
from tests.support.raw_http import raw

MIB = 1024 * 1024
DATA = os.urandom(3 * MIB)
INTEROP = {"Upload-Draft-Interop-Version": "8"}


async def offset_of(owner: Owner, path: str) -> int:
    """Ask how far an upload has come."""
    answer = await owner.api.send("HEAD", path)
    assert answer.status == 204
    return int(answer.headers["Upload-Offset"])


@pytest.mark.parametrize("cut_at", [0, 1, 65_535, MIB - 1, MIB, MIB + 1, 2 * MIB + 12_345, 3 * MIB - 1])
async def test_an_upload_cut_at_any_byte_resumes(owner: Owner, cut_at: int) -> None:
    """What arrived before the connection broke is kept, and the rest completes it."""
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Content-Length": str(len(DATA)), **INTEROP}
        await connection.request("POST", path, headers, DATA[:cut_at])
        interim = await connection.response()
        assert interim.status == 104
        await asyncio.sleep(0.1)  # lets the server read what was sent
        connection.cut()
    upload = interim.headers["location"]
    offset = await offset_of(owner, upload)
    assert offset <= cut_at
    assert cut_at - offset <= MIB  # what had arrived at the server is not thrown away
    assert not await held(owner, DATA)
    answer = await patch(owner, upload, offset, DATA[offset:])
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))


async def test_an_append_cut_again_and_again(owner: Owner) -> None:
    """However often it breaks off, the offset never decreases and every byte is taken once."""
    upload = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]
    offset = 0
    for _ in range(6):
        async with raw(owner.api.url, owner.api.token) as connection:
            headers = {
                "Upload-Complete": "?1",
                "Upload-Offset": str(offset),
                "Content-Type": "application/partial-upload",
                "Content-Length": str(len(DATA) - offset),
            }
            await connection.request("PATCH", upload, headers, DATA[offset : offset + 400_000])
            await asyncio.sleep(0.05)
            connection.cut()
        now = await offset_of(owner, upload)
        assert now >= offset
        offset = now
    assert offset > 0
    assert (await patch(owner, upload, offset, DATA[offset:])).as_(BlobStored).name == sha256(DATA).hex()


async def test_a_new_appender_cuts_off_the_older(owner: Owner) -> None:
    """A client that comes again is served at once; the connection that it gave up is closed."""
    upload = (await create(owner)).headers["Location"]
    headers = {"Upload-Offset": "0", "Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    async with raw(owner.api.url, owner.api.token) as older:
        await older.request("PATCH", upload, {**headers, "Content-Length": str(len(DATA))}, DATA[: 2 * MIB])
        await asyncio.sleep(0.1)
        offset = await asyncio.wait_for(offset_of(owner, upload), 5)
        assert 0 < offset <= 2 * MIB
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(older.response(), 5)
    assert (await patch(owner, upload, offset, DATA[offset:])).as_(BlobStored).name == sha256(DATA).hex()


async def test_many_appenders_at_once(owner: Owner) -> None:
    """Of many that append at once none spoils the bytes: each is refused, cut off, or has appended."""
    upload = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]

    async def append() -> None:
        headers = {
            "Upload-Complete": "?1",
            "Upload-Offset": "0",
            "Content-Type": "application/partial-upload",
            "Content-Length": str(len(DATA)),
        }
        async with raw(owner.api.url, owner.api.token) as connection:
            try:
                await connection.request("PATCH", upload, headers, DATA)
                await connection.final()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass

    await asyncio.gather(*(append() for _ in range(8)))
    answer = await owner.api.send("HEAD", upload)
    if answer.headers["Upload-Complete"] == "?0":
        offset = int(answer.headers["Upload-Offset"])
        assert (await patch(owner, upload, offset, DATA[offset:])).status == 200
    assert (await owner.api.get(f"{owner.space}/blobs/{sha256(DATA).hex()}")).body == DATA


async def test_cancelling_cuts_off_the_appender(owner: Owner) -> None:
    """DELETE ends a running append, and its bytes are gone."""
    upload = (await create(owner)).headers["Location"]
    headers = {"Upload-Offset": "0", "Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    async with raw(owner.api.url, owner.api.token) as older:
        await older.request("PATCH", upload, {**headers, "Content-Length": str(len(DATA))}, DATA[:MIB])
        await asyncio.sleep(0.05)
        assert (await owner.api.send("DELETE", upload)).status == 204
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(older.response(), 5)
    assert (await owner.api.send("HEAD", upload)).status == 404


async def test_interim_responses_tell_progress(owner: Owner) -> None:
    """104 says where the upload is and then, at most every 8 MiB, how much is durable; never the address twice."""
    size = 20 * MIB
    data = os.urandom(MIB) * 20
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Content-Length": str(size), **INTEROP}
        await connection.request("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", headers)
        sending = asyncio.create_task(connection.send(data))
        responses = [await connection.response()]
        while responses[-1].status == 104:
            responses.append(await connection.response())
        await sending
    first, *progress, final = responses
    assert first.headers["upload-draft-interop-version"] == "8"
    assert "upload-limit" in first.headers
    assert "location" in first.headers
    offsets = [int(response.headers["upload-offset"]) for response in progress]
    assert offsets == sorted(offsets)
    assert 1 <= len(offsets) <= 3
    assert all("location" not in response.headers for response in progress)
    assert (final.status, final.headers["upload-complete"]) == (200, "?1")


@pytest.mark.parametrize("headers", [{}, {"Upload-Draft-Interop-Version": "7"}])
async def test_no_interim_responses_to_others(owner: Owner, headers: dict[str, str]) -> None:
    """A client of another version, or of none, gets no 104."""
    async with raw(owner.api.url, owner.api.token) as connection:
        sent = {"Upload-Complete": "?1", "Content-Length": "5", **headers}
        await connection.request("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", sent, b"bytes")
        assert (await connection.response()).status == 200


async def test_interim_responses_turned_off(start_server: StartServer) -> None:
    """A setting turns them off, for proxies that take 104 for the answer."""
    owner = await (await start_server(upload_interim=False)).owner()
    async with raw(owner.api.url, owner.api.token) as connection:
        sent = {"Upload-Complete": "?1", "Content-Length": "5", **INTEROP}
        await connection.request("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", sent, b"bytes")
        assert (await connection.response()).status == 200


async def test_a_continue_expectation(owner: Owner) -> None:
    """Who waits for 100 (Continue) gets it, besides the 104."""
    async with raw(owner.api.url, owner.api.token) as connection:
        sent = {"Upload-Complete": "?1", "Content-Length": "5", "Expect": "100-continue", **INTEROP}
        await connection.request("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", sent)
        assert (await connection.response()).status == 100
        await connection.send(b"bytes")
        assert (await connection.final()).status == 200


async def test_chunked_content_of_unknown_length(owner: Owner) -> None:
    """Content without a length is taken as it comes."""
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Transfer-Encoding": "chunked"}
        path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
        await connection.request("POST", path, headers, b"5\r\nbytes\r\n0\r\n\r\n")
        assert (await connection.final()).status == 200
    assert await held(owner, b"bytes")


async def test_chunked_content_that_is_too_long(owner: Owner) -> None:
    """Content that runs past the stated length spoils the upload: it is over, and nothing of it is kept."""
    upload = (await create(owner, Upload_Length="10")).headers["Location"]
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {
            "Upload-Complete": "?0",
            "Upload-Offset": "0",
            "Transfer-Encoding": "chunked",
            "Content-Type": "application/partial-upload",
        }
        await connection.request("PATCH", upload, headers, b"b\r\n01234567890\r\n0\r\n\r\n")
        assert (await connection.final()).status == 413
    assert (await owner.api.send("HEAD", upload)).status == 404


async def test_chunked_content_that_is_too_short(owner: Owner) -> None:
    """Content that completes the upload before its length is refused; what came is kept."""
    upload = (await create(owner, Upload_Length="10")).headers["Location"]
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {
            "Upload-Complete": "?1",
            "Upload-Offset": "0",
            "Transfer-Encoding": "chunked",
            "Content-Type": "application/partial-upload",
        }
        await connection.request("PATCH", upload, headers, b"4\r\n0123\r\n0\r\n\r\n")
        final = await connection.final()
        assert (final.status, final.headers["upload-complete"]) == (400, "?0")
    assert await offset_of(owner, upload) == 4


async def test_broken_chunks(start_server: StartServer) -> None:
    """Content that is not HTTP any more counts as standing still; what came before is kept."""
    owner = await (await start_server(stall_timeout_s=1)).owner()
    upload = (await create(owner)).headers["Location"]
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {
            "Upload-Complete": "?1",
            "Upload-Offset": "0",
            "Transfer-Encoding": "chunked",
            "Content-Type": "application/partial-upload",
        }
        await connection.request("PATCH", upload, headers, b"4\r\n0123\r\n")
        await asyncio.sleep(0.05)
        await connection.send(b"zzzz\r\n")
        assert (await connection.final()).status in {400, 408}
    assert await offset_of(owner, upload) in {0, 4}
    assert not await held(owner, b"0123")


async def test_a_stalled_upload(start_server: StartServer) -> None:
    """A connection on which nothing moves is given up; what it brought is kept."""
    owner = await (await start_server(stall_timeout_s=1)).owner()
    upload = (await create(owner)).headers["Location"]
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {
            "Upload-Complete": "?1",
            "Upload-Offset": "0",
            "Content-Length": "100",
            "Content-Type": "application/partial-upload",
        }
        await connection.request("PATCH", upload, headers, b"0123")
        final = await asyncio.wait_for(connection.final(), 5)
        assert (final.status, final.headers["upload-offset"]) == (408, "4")
    assert await offset_of(owner, upload) == 4


async def test_resumed_after_a_restart(start_server: StartServer) -> None:
    """An upload outlives the server's restart, and is hashed right all the same."""
    server = await start_server()
    owner = await server.owner()
    upload = (await create(owner, DATA[: 2 * MIB])).headers["Location"]
    await server.runner.cleanup()
    again = await start_server(folder=server.settings.data)
    owner.api = again.api.with_token(owner.api.token)
    assert await offset_of(owner, upload) == 2 * MIB
    assert (await patch(owner, upload, 2 * MIB, DATA[2 * MIB :])).as_(BlobStored).name == sha256(DATA).hex()
