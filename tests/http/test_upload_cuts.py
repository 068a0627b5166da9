"""Uploads that break off, come twice, or never end; and the interim responses that tell of them."""

import asyncio
import os
from typing import Any

import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, StartServer
from tests.support.protocol import sha256
from tests.support.uploads import CUT_OFF, appending, create, creating, held, length, offset_of, patch

MIB = 1024 * 1024
DATA = os.urandom(3 * MIB)
INTEROP = {"Upload-Draft-Interop-Version": "8"}
CHUNKED = {"Transfer-Encoding": "chunked"}


async def complete(owner: Owner, upload: str, offset: int | None) -> None:
    """Append what is missing of `DATA`, and see that just these bytes are stored."""
    assert offset is not None
    answer = await patch(owner, upload, offset, DATA[offset:])
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))


@pytest.mark.parametrize("cut_at", [0, 1, 65_535, MIB - 1, MIB, MIB + 1, 2 * MIB + 12_345, 3 * MIB - 1])
async def test_an_upload_cut_at_any_byte_resumes(owner: Owner, cut_at: int) -> None:
    """What arrived before the connection broke is kept, and the rest completes it."""
    async with creating(owner, {**length(len(DATA)), **INTEROP}, DATA[:cut_at]) as connection:
        interim = await connection.response()
        assert interim.status == 104
        await asyncio.sleep(0.1)  # lets the server read what was sent
    upload = interim.headers["location"]
    offset = await offset_of(owner, upload)
    assert offset is not None
    assert offset <= cut_at
    assert cut_at - offset <= MIB  # what had arrived at the server is not thrown away
    assert not await held(owner, DATA)
    await complete(owner, upload, offset)


async def test_an_append_cut_again_and_again(owner: Owner) -> None:
    """However often it breaks off, the offset never decreases and every byte is taken once."""
    upload = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]
    offset = 0
    for _ in range(6):
        rest = DATA[offset:]
        async with appending(owner, upload, length(len(rest)), rest[:400_000], offset):
            await asyncio.sleep(0.05)
        now = await offset_of(owner, upload)
        assert now is not None
        assert now >= offset
        offset = now
    assert offset > 0
    await complete(owner, upload, offset)


async def test_a_new_appender_cuts_off_the_older(owner: Owner) -> None:
    """A client that comes again is served at once; the connection that it gave up is closed."""
    upload = (await create(owner)).headers["Location"]
    async with appending(owner, upload, length(len(DATA)), DATA[: 2 * MIB]) as older:
        await asyncio.sleep(0.1)
        offset = await asyncio.wait_for(offset_of(owner, upload), 5)
        assert offset is not None
        assert 0 < offset <= 2 * MIB
        with pytest.raises(CUT_OFF):
            await asyncio.wait_for(older.response(), 5)
    await complete(owner, upload, offset)


async def test_cancelling_cuts_off_the_appender(owner: Owner) -> None:
    """DELETE ends a running append, and its bytes are gone."""
    upload = (await create(owner)).headers["Location"]
    async with appending(owner, upload, length(len(DATA)), DATA[:MIB]) as older:
        await asyncio.sleep(0.05)
        assert (await owner.api.send("DELETE", upload)).status == 204
        with pytest.raises(CUT_OFF):
            await asyncio.wait_for(older.response(), 5)
    assert await offset_of(owner, upload) is None


async def test_many_appenders_at_once(owner: Owner) -> None:
    """Of many that append at once none spoils the bytes: each is refused, cut off, or has appended."""
    upload = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]

    async def append() -> int | None:
        try:
            async with appending(owner, upload, length(len(DATA)), DATA) as connection:
                return (await connection.final()).status
        except CUT_OFF:
            return None

    outcomes = await asyncio.gather(*(append() for _ in range(8)))
    assert set(outcomes) <= {None, 200, 400, 409}
    assert outcomes.count(200) <= 1
    if 200 not in outcomes:
        await complete(owner, upload, await offset_of(owner, upload))
    assert (await owner.api.get(f"{owner.space}/blobs/{sha256(DATA).hex()}")).body == DATA


async def test_interim_responses_tell_progress(owner: Owner) -> None:
    """104 says where the upload is and then, at most every 8 MiB, how much is durable; never the address twice."""
    size = 20 * MIB
    data = os.urandom(MIB) * 20
    async with creating(owner, {**length(size), **INTEROP}) as connection:
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


NO_INTERIM: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "to a client that knows no draft": ({}, {}),
    "to a client of another version": ({}, {"Upload-Draft-Interop-Version": "7"}),
    "where a setting turns them off": ({"upload_interim": False}, INTEROP),  # for proxies that take 104 for the answer
}


@pytest.mark.parametrize(("settings", "headers"), NO_INTERIM.values(), ids=NO_INTERIM)
async def test_no_interim_responses(
    start_server: StartServer, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    """Who did not ask for 104, or may not get it, gets the answer first."""
    owner = await (await start_server(**settings)).owner()
    async with creating(owner, {**length(5), **headers}, b"bytes") as connection:
        assert (await connection.response()).status == 200
    assert await held(owner, b"bytes")


async def test_a_continue_expectation(owner: Owner) -> None:
    """Who waits for 100 (Continue) gets it, besides the 104."""
    async with creating(owner, {**length(5), "Expect": "100-continue", **INTEROP}) as connection:
        assert (await connection.response()).status == 100
        await connection.send(b"bytes")
        assert (await connection.final()).status == 200
    assert await held(owner, b"bytes")


async def test_chunked_content_of_unknown_length(owner: Owner) -> None:
    """Content without a length is taken as it comes."""
    async with creating(owner, CHUNKED, b"5\r\nbytes\r\n0\r\n\r\n") as connection:
        assert (await connection.final()).status == 200
    assert await held(owner, b"bytes")


# What is appended to an upload of ten bytes, the status, and what is kept (None where the upload is over).
WRONG_LENGTHS = {
    "too long": ("?0", b"b\r\n01234567890\r\n0\r\n\r\n", 413, "?1", None),
    "too short": ("?1", b"4\r\n0123\r\n0\r\n\r\n", 400, "?0", 4),
}


@pytest.mark.parametrize(("ends", "chunks", "status", "over", "kept"), WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
async def test_chunked_content_of_another_length(
    owner: Owner, ends: str, chunks: bytes, status: int, over: str, kept: int | None
) -> None:
    """Content that runs past the stated length spoils the upload; of what ends before it, all that came is kept."""
    upload = (await create(owner, Upload_Length="10")).headers["Location"]
    async with appending(owner, upload, {**CHUNKED, "Upload-Complete": ends}, chunks) as connection:
        final = await connection.final()
    assert (final.status, final.headers["upload-complete"]) == (status, over)
    assert await offset_of(owner, upload) == kept


# The headers, the first bytes, and those that follow.
STANDING_STILL: dict[str, tuple[dict[str, str], bytes, bytes]] = {
    "nothing moves": (length(100), b"0123", b""),
    "no HTTP any more": (CHUNKED, b"4\r\n0123\r\n", b"zzzz\r\n"),
}


@pytest.mark.parametrize(("headers", "first", "then"), STANDING_STILL.values(), ids=STANDING_STILL)
async def test_an_append_that_stands_still(
    start_server: StartServer, headers: dict[str, str], first: bytes, then: bytes
) -> None:
    """A connection on which nothing that counts arrives is given up; what it brought is kept."""
    owner = await (await start_server(stall_timeout_s=1)).owner()
    upload = (await create(owner)).headers["Location"]
    async with appending(owner, upload, headers, first) as connection:
        await asyncio.sleep(0.05)
        await connection.send(then)
        final = await asyncio.wait_for(connection.final(), 5)
    assert (final.status, final.headers["upload-offset"]) == (408, "4")
    assert await offset_of(owner, upload) == 4
    assert not await held(owner, b"0123")


async def test_resumed_after_a_restart(start_server: StartServer) -> None:
    """An upload outlives the server's restart, and is hashed right all the same."""
    server = await start_server()
    owner = await server.owner()
    upload = (await create(owner, DATA[: 2 * MIB])).headers["Location"]
    await server.runner.cleanup()
    again = await start_server(folder=server.settings.data)
    owner.api = again.api.with_token(owner.api.token)
    assert await offset_of(owner, upload) == 2 * MIB
    await complete(owner, upload, 2 * MIB)
