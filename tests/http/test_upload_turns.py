"""Requests to one upload at the same time: the newest goes on, no byte is lost, and none is there twice."""

import asyncio
import os
from typing import Any

import pytest

from safelight.server.stores.blobs_directory import DirectoryAppender
from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner
from tests.support.protocol import sha256
from tests.support.uploads import CUT_OFF, appending, create, creating, held, length, offset_of, patch

MIB = 1024 * 1024
DATA = os.urandom(4 * MIB)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes its time to sync, so that whoever answers too early is found out."""
    flush = DirectoryAppender.flush

    async def slowly(self: DirectoryAppender) -> int:
        await asyncio.sleep(0.2)
        return await flush(self)

    monkeypatch.setattr(DirectoryAppender, "flush", slowly)


async def racer(owner: Owner, path: str, number: int) -> int:
    """One of many appenders, as a client is that lost patience: asks, appends, is cut off, and asks again.

    Returns how often it was cut off or refused.
    """
    setbacks = 0
    while True:
        answer = await owner.api.send("HEAD", path)
        offset = int(answer.headers["Upload-Offset"])
        if answer.headers["Upload-Complete"] == "?1":
            return setbacks
        size_bytes = min(300_000 + 10_000 * number, len(DATA) - offset)
        headers = {**length(size_bytes), "Upload-Complete": "?1" if offset + size_bytes == len(DATA) else "?0"}
        try:
            async with appending(owner, path, headers, offset=offset) as connection:
                for start in range(offset, offset + size_bytes, 50_000):
                    await connection.send(DATA[start : min(start + 50_000, offset + size_bytes)])
                    await asyncio.sleep(0)
                setbacks += (await connection.final()).status >= 400
        except CUT_OFF:
            setbacks += 1
        await asyncio.sleep(0.01 * number)


async def test_ten_appenders_race(owner: Owner) -> None:
    """Ten that append and ask without regard for each other bring the upload to its end, every byte once."""
    path = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]
    async with asyncio.timeout(60):
        setbacks = await asyncio.gather(*(racer(owner, path, number) for number in range(10)))
    assert sum(setbacks) > 0  # they did meet
    answer = await patch(owner, path, len(DATA), b"")
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))
    assert (await owner.api.get(f"{owner.space}/blobs/{sha256(DATA).hex()}")).body == DATA


@pytest.mark.usefixtures("slow_disk")
async def test_the_newer_waits_until_the_olders_bytes_are_durable(owner: Owner) -> None:
    """An append that cuts off another is answered once that one's bytes count, and goes on after them."""
    path = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]
    async with appending(owner, path, length(len(DATA)), DATA[: 2 * MIB]) as older:
        await asyncio.sleep(0.2)
        offset = await offset_of(owner, path)
        assert offset == 2 * MIB
        with pytest.raises(CUT_OFF):
            await asyncio.wait_for(older.response(), 5)
    assert (await patch(owner, path, offset, DATA[offset:])).as_(BlobStored).name == sha256(DATA).hex()


@pytest.mark.usefixtures("slow_disk")
async def test_a_stale_append_is_refused_after_the_cut(owner: Owner) -> None:
    """Who comes again with the old offset cuts the older off, and learns where that one had come to."""
    path = (await create(owner)).headers["Location"]
    async with appending(owner, path, length(len(DATA)), DATA[:MIB]):
        await asyncio.sleep(0.2)
        refused = await patch(owner, path, 0, DATA)
        assert (refused.status, refused.headers["Upload-Offset"]) == (409, str(MIB))
    assert (await patch(owner, path, MIB, DATA[MIB:])).status == 200


async def test_of_several_that_wait_only_the_newest_goes_on(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends that wait and are given up meanwhile bring nothing: the newest finds what the first had brought."""
    flush, may_flush = DirectoryAppender.flush, asyncio.Event()

    async def when_let(self: DirectoryAppender) -> int:
        await may_flush.wait()
        return await flush(self)

    monkeypatch.setattr(DirectoryAppender, "flush", when_let)
    path = (await create(owner, Upload_Length=str(len(DATA)))).headers["Location"]
    async with appending(owner, path, length(len(DATA)), DATA[:MIB]):
        await asyncio.sleep(0.2)
        rest = DATA[MIB : MIB + 50_000]
        async with appending(owner, path, length(len(DATA) - MIB), rest, MIB) as second:
            await asyncio.sleep(0.2)
            async with appending(owner, path, length(len(DATA) - MIB), rest, MIB) as third:
                await asyncio.sleep(0.2)
                newest = asyncio.create_task(patch(owner, path, MIB, rest[:1], "?0"))
                for given_up in (second, third):
                    with pytest.raises(CUT_OFF):
                        await asyncio.wait_for(given_up.response(), 5)
                may_flush.set()
                assert (await newest).headers["Upload-Offset"] == str(MIB + 1)
    assert await offset_of(owner, path) == MIB + 1


@pytest.mark.usefixtures("slow_disk")
async def test_questions_and_cancellations_are_never_cut_off(owner: Owner) -> None:
    """Those who only ask are answered, however many come after them, and a cancellation is carried out."""
    path = (await create(owner)).headers["Location"]
    async with appending(owner, path, length(len(DATA)), DATA[:MIB]):
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(owner.api.send("HEAD", path) for _ in range(5)))
        assert {(answer.status, answer.headers["Upload-Offset"]) for answer in answers} == {(204, str(MIB))}
    async with appending(owner, path, length(len(DATA)), DATA[MIB : 2 * MIB], MIB):
        await asyncio.sleep(0.1)
        cancelling = asyncio.create_task(owner.api.send("DELETE", path))
        await asyncio.sleep(0.05)
        assert (await patch(owner, path, 2 * MIB, b"x")).status == 404
        assert (await cancelling).status == 204
    assert (await owner.api.send("HEAD", path)).status == 404


@pytest.mark.usefixtures("slow_disk")
async def test_a_creation_that_is_still_sending_is_cut_off_too(owner: Owner) -> None:
    """The upload that a 104 named can be asked for while its creation still comes, which then ends."""
    headers = {**length(len(DATA)), "Upload-Draft-Interop-Version": "8"}
    async with creating(owner, headers, DATA[:MIB]) as connection:
        path = (await connection.response()).headers["location"]
        await asyncio.sleep(0.2)
        assert await offset_of(owner, path) == MIB
        with pytest.raises(CUT_OFF):
            await asyncio.wait_for(connection.response(), 5)
    assert (await patch(owner, path, MIB, DATA[MIB:])).status == 200


async def test_every_offset_is_durable_before_it_is_told(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """104, HEAD, 201, 204 and refusals tell offsets that the disk had confirmed, and none that is on its way."""
    durable = 0
    flush = DirectoryAppender.flush

    async def noted(self: DirectoryAppender) -> int:
        nonlocal durable
        await asyncio.sleep(0.05)
        offset = await flush(self)
        durable = max(durable, offset)
        return offset

    monkeypatch.setattr(DirectoryAppender, "flush", noted)
    told: list[tuple[int, int]] = []

    def note(headers: Any) -> None:
        told.append((int(headers["upload-offset"]), durable))

    data = os.urandom(MIB) * 40
    answer = await create(owner, data[:MIB], Upload_Length=str(len(data)))
    path = answer.headers["Location"]
    note(answer.headers)
    note((await patch(owner, path, MIB, data[MIB : 2 * MIB], "?0")).headers)
    note((await patch(owner, path, 0, b"", "?0")).headers)
    headers = {**length(len(data) - 2 * MIB), "Upload-Draft-Interop-Version": "8"}
    async with appending(owner, path, headers, offset=2 * MIB) as connection:
        sending = asyncio.create_task(connection.send(data[2 * MIB : 35 * MIB]))
        for _ in range(3):
            note((await connection.response()).headers)
        await sending
        note((await owner.api.send("HEAD", path)).headers)
    assert all(offset <= confirmed for offset, confirmed in told), told
    assert [offset for offset, _ in told[:3]] == [MIB, 2 * MIB, 2 * MIB]
    assert told[-1][0] >= told[-2][0] > 2 * MIB
    assert not await held(owner, data)
