"""Digests of uploads (RFC 9530): of the whole, and of each request's content, which counts only once it verified."""

import asyncio
import base64
import hashlib
import os
from typing import Any

import pytest

from safelight.server.app import DATABASE
from safelight.server.stores.blobs_directory import DirectoryAppender, DirectoryBlobs
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import Code, Refused
from tests.http.conftest import Owner, Server, StartServer
from tests.support.api import repr_digest
from tests.support.protocol import sha256
from tests.support.uploads import appending, create, held, length, offset_of, patch

MIB = 1024 * 1024
DATA = os.urandom(300_000)


def digest(data: bytes, algorithm: str = "sha-256") -> str:
    """A digest of *data* as a field has it."""
    value = hashlib.new(algorithm.replace("-", ""), data).digest()
    return f"{algorithm}=:{base64.b64encode(value).decode()}:"


@pytest.mark.parametrize("algorithms", [("sha-256",), ("sha-512",), ("sha-512", "sha-256")])
async def test_content_that_has_its_digest(owner: Owner, algorithms: tuple[str, ...]) -> None:
    """Each request may state a digest of its own content; where it is right it changes nothing."""
    stated = ", ".join(digest(DATA[:1000], algorithm) for algorithm in algorithms)
    path = (await create(owner, DATA[:1000], Content_Digest=stated)).headers["Location"]
    assert await offset_of(owner, path) == 1000
    stated = ", ".join(digest(DATA[1000:], algorithm) for algorithm in algorithms)
    answer = await patch(owner, path, 1000, DATA[1000:], Content_Digest=stated)
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
@pytest.mark.parametrize("ends", ["?0", "?1"])
async def test_content_that_has_another_digest(owner: Owner, algorithm: str, ends: str) -> None:
    """Content that was damaged on the way counts for nothing: the offset stays, and the same is sent again."""
    path = (await create(owner, DATA[:1000])).headers["Location"]
    wrong = digest(b"other", algorithm)
    for _ in range(2):
        answer = await patch(owner, path, 1000, DATA[1000:], ends, Content_Digest=wrong)
        assert (answer.status, answer.code) == (422, "upload-digest-mismatch")
        assert (answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == ("?0", "1000")
        assert await offset_of(owner, path) == 1000
    assert not await held(owner, DATA)
    assert (await patch(owner, path, 1000, DATA[1000:], Content_Digest=digest(DATA[1000:]))).status == 200
    assert await held(owner, DATA)


async def test_one_right_digest_of_two(owner: Owner) -> None:
    """Every digest that is stated and known must be right."""
    path = (await create(owner)).headers["Location"]
    stated = f"{digest(DATA)}, {digest(b'other', 'sha-512')}"
    assert (await patch(owner, path, 0, DATA, Content_Digest=stated)).code == "upload-digest-mismatch"
    assert await offset_of(owner, path) == 0


async def test_a_damaged_creation(owner: Owner) -> None:
    """A creation whose content was damaged says where to send it again."""
    answer = await create(owner, DATA, Upload_Complete="?1", Content_Digest=digest(b"other"))
    assert (answer.code, answer.headers["Upload-Offset"]) == ("upload-digest-mismatch", "0")
    path = answer.headers["Location"]
    assert not await held(owner, DATA)
    assert (await patch(owner, path, 0, DATA)).status == 200


async def test_content_cut_before_its_digest_is_known(owner: Owner) -> None:
    """What nobody could verify does not count, however much of it came, and nothing of it is told to be durable."""
    data = os.urandom(MIB) * 20
    path = (await create(owner)).headers["Location"]
    headers = {**length(len(data)), "Content-Digest": digest(data), "Upload-Draft-Interop-Version": "8"}
    async with appending(owner, path, headers, data[: 18 * MIB]) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.response(), 0.5)
    assert await offset_of(owner, path) == 0
    assert (await patch(owner, path, 0, data, Content_Digest=digest(data))).as_(BlobStored).size_bytes == len(data)


async def test_the_servers_end_before_the_digest_is_known(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Damaged bytes that a restart makes good*: what nobody could verify is taken back when the server stops, too."""
    taken_back = asyncio.Event()

    async def interrupted(*_: Any) -> None:
        raise asyncio.CancelledError

    async def noted(*_: Any) -> None:
        taken_back.set()

    path = (await create(owner)).headers["Location"]
    monkeypatch.setattr(DirectoryBlobs, "cut_back", noted)
    monkeypatch.setattr(DirectoryAppender, "write", interrupted)
    headers = {**length(len(DATA)), "Content-Digest": digest(DATA)}
    async with appending(owner, path, headers, DATA):
        await asyncio.wait_for(taken_back.wait(), 5)


async def test_a_repeated_damaged_append_reads_nothing_again(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong digest does not make the server hash again what it has: else small requests would cost it much."""
    path = (await create(owner, DATA)).headers["Location"]
    reads: list[Any] = []
    monkeypatch.setattr("safelight.server.stores.blob_part.disk.read_exactly", lambda *args: reads.append(args))
    for _ in range(3):
        answer = await patch(owner, path, len(DATA), b"x", "?0", Content_Digest=digest(b"y"))
        assert answer.code == "upload-digest-mismatch"
    assert (await patch(owner, path, len(DATA), b"")).as_(BlobStored).name == sha256(DATA).hex()
    assert not reads


async def test_what_another_process_goes_on_with_is_not_taken_back(
    server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that lost the upload drops nothing of it: another may have told that what came is durable."""
    taken_back: list[bytes] = []

    async def lost(*_: Any) -> None:
        raise Refused(Code.UPLOAD_BUSY, "another server process goes on with it")

    async def noted(self: DirectoryBlobs, upload_id: bytes, offset_bytes: int) -> None:
        taken_back.append(upload_id)

    path = (await create(owner, DATA[:1000])).headers["Location"]
    monkeypatch.setattr(DirectoryBlobs, "cut_back", noted)
    assert (await patch(owner, path, 1000, DATA[1000:], Content_Digest=digest(b"other"))).status == 422
    assert len(taken_back) == 1
    monkeypatch.setattr(server.app[DATABASE], "set_upload_offset", lost)
    assert (await patch(owner, path, 1000, DATA[1000:], Content_Digest=digest(b"other"))).code == "upload-busy"
    assert len(taken_back) == 1


MALFORMED = ["", "sha-256=AAAA", "sha-256=:!:", "sha-256=:AAA:", "sha-256=:AAAA:", "sha-512=:AAAA:", "nonsense", "="]


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("value", MALFORMED)
async def test_malformed_digests(owner: Owner, field: str, value: str) -> None:
    """A field that is none, or a digest that is not as long as its kind, is refused: someone meant something by it."""
    answer = await create(owner, DATA, **{field.replace("-", "_"): value})
    assert (answer.status, answer.code) == (400, "upload-digest-unsupported")
    path = (await create(owner)).headers["Location"]
    assert (await patch(owner, path, 0, DATA, **{field: value})).code == "upload-digest-unsupported"
    assert await offset_of(owner, path) == 0


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
async def test_digests_of_another_kind(owner: Owner, field: str) -> None:
    """A kind that the server has not is passed over, as the RFC asks; one beside it that it has counts."""
    for others in ("md5=:AAAA:", "unixsum=:AQ==:, crc32c=:AAAAAA==:;x=1"):
        assert (await create(owner, DATA, Upload_Complete="?1", **{field: others})).status == 200
        wrong = f"{others}, {repr_digest(b'other')}"
        assert (await create(owner, DATA, Upload_Complete="?1", **{field: wrong})).code == "upload-digest-mismatch"


@pytest.mark.parametrize("wanted", ["sha-256=10", "sha-512=3, sha-256=10", "sha-512=1", "not a dictionary ="])
async def test_the_digest_that_comes_back(owner: Owner, wanted: str) -> None:
    """Whether wanted or not, and however, a complete upload's answer has the SHA-256 that is its name."""
    answer = await create(owner, DATA, Upload_Complete="?1", Want_Repr_Digest=wanted)
    assert answer.headers["Repr-Digest"] == repr_digest(DATA)


async def test_after_a_restart(start_server: StartServer) -> None:
    """An upload goes on after a restart from where it verified."""
    server = await start_server()
    owner = await server.owner()
    path = (await create(owner, DATA[:1000])).headers["Location"]
    assert (await patch(owner, path, 1000, DATA[1000:], Content_Digest=digest(b""))).status == 422
    await server.runner.cleanup()
    again = await start_server(folder=server.settings.data)
    owner.api = again.api.with_token(owner.api.token)
    assert await offset_of(owner, path) == 1000
    assert (await patch(owner, path, 1000, DATA[1000:])).as_(BlobStored).name == sha256(DATA).hex()
