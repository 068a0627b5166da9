"""Blob downloads by members: tiers, ranges, and an end in the middle when the right ends."""

import os

import pytest

from safelight.server.domain.downloads import ASK_AGAIN_SIZE_BYTES
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from tests.http.conftest import Owner, Server
from tests.support.protocol import Blob, Pairing
from tests.support.raw_http import raw

DATA = os.urandom(10_000)


async def stored(owner: Owner, data: bytes = DATA) -> str:
    """Store a blob; returns its path."""
    await owner.api.upload(owner.writer.space_id, Blob(data))
    return f"{owner.space}/blobs/{Blob(data).name.hex()}"


async def test_a_blob_that_lost_its_end(server: Server, owner: Owner) -> None:
    """What is shorter than it was is not sent as if it were whole."""
    blob = Blob(os.urandom(1000))
    await owner.api.add_photo(owner.writer, blob)
    os.truncate(server.settings.data / "blobs" / blob.name.hex()[:2] / blob.name.hex(), 999)
    answer = await owner.api.get(f"{owner.space}/blobs/{blob.name.hex()}")
    assert (answer.status, answer.code) == (503, "storage-unavailable")


async def test_whole(owner: Owner) -> None:
    """A blob comes with its name as entity tag and its digest."""
    path = await stored(owner)
    answer = await owner.api.get(path)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["ETag"] == f'"{Blob(DATA).name.hex()}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    head = await owner.api.send("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(DATA)))
    same = await owner.api.get(path, **{"If-None-Match": answer.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=9999-9999", 9999, 10_000),
        ("bytes=5000-", 5000, 10_000),
        ("bytes=-1", 9999, 10_000),
        ("bytes=-99999", 0, 10_000),
        ("bytes=9000-99999", 9000, 10_000),
    ],
)
async def test_ranges(owner: Owner, wanted: str, start: int, end: int) -> None:
    """A range comes with what it is of."""
    answer = await owner.api.get(await stored(owner), Range=wanted)
    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/10000"


@pytest.mark.parametrize("wanted", ["bytes=10000-", "bytes=10000-10001", "bytes=-0"])
async def test_ranges_that_are_not_there(owner: Owner, wanted: str) -> None:
    """A range beyond the end is refused with the size."""
    answer = await owner.api.get(await stored(owner), Range=wanted)
    assert (answer.status, answer.code) == (416, "range-unsatisfiable")
    assert answer.headers["Content-Range"] == "bytes */10000"


@pytest.mark.parametrize("wanted", ["bytes=5-4", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes 0-1"])
async def test_ranges_that_are_none(owner: Owner, wanted: str) -> None:
    """What is no single range is passed over."""
    answer = await owner.api.get(await stored(owner), Range=wanted)
    assert (answer.status, answer.body) == (200, DATA)


async def test_if_range(owner: Owner) -> None:
    """A range of what is there now, or all of it."""
    path = await stored(owner)
    right = {"Range": "bytes=0-9", "If-Range": f'"{Blob(DATA).name.hex()}"'}
    assert (await owner.api.get(path, **right)).body == DATA[:10]
    wrong = {"Range": "bytes=0-9", "If-Range": '"something else"'}
    assert (await owner.api.get(path, **wrong)).body == DATA


async def test_an_empty_blob(owner: Owner) -> None:
    """Zero bytes have no range."""
    path = await stored(owner, b"")
    assert (await owner.api.get(path)).body == b""
    assert (await owner.api.get(path, Range="bytes=0-0")).code == "range-unsatisfiable"


async def test_who_may_not(server: Server, owner: Owner) -> None:
    """Strangers, cameras and the nameless fetch nothing; nor does anyone by another space's name."""
    path = await stored(owner)
    other = await server.owner()
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    assert (await server.api.get(path)).code == "session-required"
    assert (await other.api.get(path)).code == "space-unknown"
    assert (await other.api.get(path.replace(owner.space, other.space))).code == "not-found"
    assert (await camera.get(path)).code == "forbidden"
    assert (await owner.api.get(f"{owner.space}/blobs/{os.urandom(32).hex()}")).code == "not-found"


async def test_a_download_ends_with_its_session(server: Server, owner: Owner) -> None:
    """Whose device is revoked in the middle of a download gets at most 8 MiB more."""
    size = 48 * 1024 * 1024
    data = os.urandom(1024 * 1024) * 48
    path = await stored(owner, data)
    entry, laptop = owner.person.add_device()
    ledger = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    await owner.api.post(ledger, AppendAccountEntries([entry]))
    lost = await server.api.sign_in(laptop)
    async with raw(server.api.url, lost.token) as connection:
        await connection.request("GET", path, {})
        await connection.reader.readuntil(b"\r\n\r\n")
        before = len(await connection.reader.readexactly(ASK_AGAIN_SIZE_BYTES))
        revocation = owner.person.revoke_device(laptop.device_id)
        assert (await owner.api.post(ledger, AppendAccountEntries([revocation]))).status == 200
        after = await connection.rest_size_bytes()
    assert before + after < size
    assert after <= 8 * 1024 * 1024 + 2 * ASK_AGAIN_SIZE_BYTES
