"""Resumable uploads: the draft's MUSTs, one a test (draft-ietf-httpbis-resumable-upload, interop version 8)."""

import os

import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, Server, StartServer
from tests.support.api import repr_digest
from tests.support.protocol import Blob, Pairing, sha256
from tests.support.uploads import create, held, patch

DATA = os.urandom(100_000)


async def test_created_whole(owner: Owner) -> None:
    """A creation with all of the content is complete at once, and says by name and digest what is stored."""
    answer = await create(owner, DATA, Upload_Complete="?1", Repr_Digest=repr_digest(DATA))
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))
    assert answer.headers["Upload-Complete"] == "?1"
    assert answer.headers["Repr-Digest"] == repr_digest(DATA)
    assert await held(owner, DATA)


async def test_created_without_the_drafts_headers(owner: Owner) -> None:
    """A plain POST is an upload, too: whoever does not know the draft sends it whole."""
    answer = await owner.api.send("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", DATA)
    assert answer.as_(BlobStored).name == sha256(DATA).hex()


async def test_created_in_parts(owner: Owner) -> None:
    """A creation with some content, and appends, make the whole; each answer says how far it has come."""
    answer = await create(owner, DATA[:1000], Upload_Length=str(len(DATA)))
    assert (answer.status, answer.headers["Upload-Complete"]) == (201, "?0")
    assert "max-age=" in answer.headers["Upload-Limit"]
    path = answer.headers["Location"]
    answer = await patch(owner, path, 1000, DATA[1000:5000], "?0")
    assert (answer.status, answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == (204, "?0", "5000")
    answer = await patch(owner, path, 5000, DATA[5000:])
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))
    assert answer.headers["Upload-Complete"] == "?1"


async def test_created_empty_and_completed_by_an_empty_append(owner: Owner) -> None:
    """Content may come in any request; an append without content completes what is there."""
    path = (await create(owner)).headers["Location"]
    assert (await patch(owner, path, 0, DATA, "?0")).status == 204
    assert (await patch(owner, path, len(DATA), b"")).as_(BlobStored).name == sha256(DATA).hex()


async def test_an_empty_blob(owner: Owner) -> None:
    """Zero bytes are a blob."""
    answer = await create(owner, b"", Upload_Complete="?1")
    assert answer.as_(BlobStored) == BlobStored(sha256(b"").hex(), 0)


async def test_offset_retrieval(owner: Owner) -> None:
    """HEAD says offset, completeness, length and limits, and is not cached."""
    path = (await create(owner, DATA[:100], Upload_Length="500")).headers["Location"]
    answer = await owner.api.send("HEAD", path)
    assert answer.status == 204
    assert answer.headers["Upload-Offset"] == "100"
    assert answer.headers["Upload-Complete"] == "?0"
    assert answer.headers["Upload-Length"] == "500"
    assert "max-size=" in answer.headers["Upload-Limit"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_offset_of_a_complete_upload(owner: Owner) -> None:
    """Who lost the last answer learns that the upload is complete, and gets that answer again."""
    path = (await create(owner)).headers["Location"]
    await patch(owner, path, 0, DATA)
    answer = await owner.api.send("HEAD", path)
    assert (answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == ("?1", str(len(DATA)))
    assert answer.headers["Repr-Digest"] == repr_digest(DATA)
    assert (await patch(owner, path, len(DATA), b"")).as_(BlobStored).name == sha256(DATA).hex()


async def test_wrong_offset(owner: Owner) -> None:
    """An append elsewhere than at the offset is refused with the right one, and changes nothing."""
    path = (await create(owner, DATA[:100])).headers["Location"]
    for offset in (0, 99, 101, 10**14):
        answer = await patch(owner, path, offset, DATA[100:])
        assert (answer.status, answer.code) == (409, "upload-offset-mismatch")
        assert answer.problem["type"] == "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
        assert (answer.problem["expected-offset"], answer.problem["provided-offset"]) == (100, offset)
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Complete"]) == ("100", "?0")
    assert (await patch(owner, path, 100, DATA[100:])).as_(BlobStored).name == sha256(DATA).hex()


async def test_append_to_a_complete_upload(owner: Owner) -> None:
    """Nothing can be appended to what is complete: elsewhere it is the wrong offset, and at its end a wrong length."""
    path = (await create(owner)).headers["Location"]
    await patch(owner, path, 0, DATA)
    answer = await patch(owner, path, len(DATA), b"more")
    assert (answer.status, answer.code, answer.headers["Upload-Complete"]) == (400, "upload-completed", "?0")
    assert answer.problem["type"] == "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"
    for body in (b"more", b""):
        answer = await patch(owner, path, 0, body)
        assert (answer.status, answer.code, answer.headers["Upload-Complete"]) == (409, "upload-offset-mismatch", "?0")
        assert answer.headers["Upload-Offset"] == str(len(DATA))
    assert await held(owner, DATA)


@pytest.mark.parametrize("missing", ["Upload-Offset", "Upload-Complete"])
@pytest.mark.parametrize("value", [None, "", "ten", "?2", "-1", "1.0", "1, 2", '"1"', "9" * 16])
async def test_append_without_its_headers(owner: Owner, missing: str, value: str | None) -> None:
    """A header that is missing, or malformed and so counts as missing, is asked for."""
    path = (await create(owner)).headers["Location"]
    headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?1"}
    del headers[missing]
    if value is not None:
        headers[missing] = value
    assert (await owner.api.send("PATCH", path, b"x", headers)).code == "bad-request"


async def test_append_in_another_media_type(owner: Owner) -> None:
    """PATCH takes application/partial-upload alone."""
    path = (await create(owner)).headers["Location"]
    headers = {"Content-Type": "application/octet-stream", "Upload-Offset": "0", "Upload-Complete": "?1"}
    assert (await owner.api.send("PATCH", path, b"x", headers)).code == "unsupported-media"


@pytest.mark.parametrize(("created", "appended"), [("500", "600"), ("500", "499")])
async def test_lengths_that_contradict(owner: Owner, created: str, appended: str) -> None:
    """A length once stated stays."""
    path = (await create(owner, Upload_Length=created)).headers["Location"]
    answer = await patch(owner, path, 0, b"x", "?0", Upload_Length=appended)
    assert (answer.status, answer.code) == (400, "upload-length-inconsistent")
    assert answer.problem["type"] == "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"
    assert answer.headers["Upload-Complete"] == "?0"


async def test_complete_with_another_length(owner: Owner) -> None:
    """Content that completes the upload must end where its length says, as created or appended."""
    assert (
        await create(owner, b"x" * 10, Upload_Complete="?1", Upload_Length="11")
    ).code == "upload-length-inconsistent"
    path = (await create(owner, Upload_Length="100")).headers["Location"]
    assert (await patch(owner, path, 0, b"x" * 99)).code == "upload-length-inconsistent"
    assert (await patch(owner, path, 0, b"x" * 101)).code == "upload-length-inconsistent"
    assert (await patch(owner, path, 0, b"x" * 100)).status == 200


async def test_overlong_append(owner: Owner) -> None:
    """More than the stated length is refused by its Content-Length, before any of it is taken."""
    path = (await create(owner, Upload_Length="100")).headers["Location"]
    answer = await patch(owner, path, 0, b"x" * 101, "?0")
    assert (answer.status, answer.code) == (413, "upload-too-long")
    assert (await owner.api.send("HEAD", path)).headers["Upload-Offset"] == "0"


async def test_wrong_digest(owner: Owner) -> None:
    """Bytes that do not have the stated digest are not stored, and the upload is over."""
    answer = await create(owner, DATA, Upload_Complete="?1", Repr_Digest=repr_digest(b"other"))
    assert (answer.status, answer.code, answer.headers["Upload-Complete"]) == (422, "upload-digest-mismatch", "?1")
    assert not await held(owner, DATA)
    path = (await create(owner, DATA[:10], Repr_Digest=repr_digest(b"other"))).headers["Location"]
    assert (await patch(owner, path, 10, DATA[10:])).code == "upload-digest-mismatch"
    assert (await owner.api.send("HEAD", path)).status == 404
    assert not await held(owner, DATA)


async def test_digest_stated_at_the_end(owner: Owner) -> None:
    """A digest may come with the last append; one that contradicts the first is refused."""
    path = (await create(owner, DATA[:10])).headers["Location"]
    assert (await patch(owner, path, 10, DATA[10:], Repr_Digest=repr_digest(DATA))).status == 200
    path = (await create(owner, DATA[:10], Repr_Digest=repr_digest(DATA))).headers["Location"]
    answer = await patch(owner, path, 10, DATA[10:], Repr_Digest=repr_digest(b"x"))
    assert (answer.code, answer.headers["Upload-Complete"]) == ("upload-digest-mismatch", "?0")
    assert (await patch(owner, path, 10, DATA[10:])).status == 200


async def test_digest_stated_in_the_middle(owner: Owner) -> None:
    """A digest that came with any append is kept: one that contradicts it is refused, and so are other bytes."""
    path = (await create(owner)).headers["Location"]
    assert (await patch(owner, path, 0, DATA[:10], "?0", Repr_Digest=repr_digest(b"other"))).status == 204
    assert (await patch(owner, path, 10, b"", "?0", Repr_Digest=repr_digest(DATA))).code == "upload-digest-mismatch"
    assert (await patch(owner, path, 10, DATA[10:])).code == "upload-digest-mismatch"
    assert not await held(owner, DATA)


async def test_cancelled(owner: Owner) -> None:
    """A cancelled upload is gone; a second DELETE finds nothing."""
    path = (await create(owner, DATA[:100])).headers["Location"]
    assert (await owner.api.send("DELETE", path)).status == 204
    for method in ("DELETE", "HEAD"):
        assert (await owner.api.send(method, path)).status == 404
    assert (await patch(owner, path, 100, DATA[100:])).code == "not-found"


async def test_another_devices_upload(server: Server, owner: Owner) -> None:
    """An upload is its device's alone, whoever learns its address."""
    path = (await create(owner, DATA[:100])).headers["Location"]
    _, stranger = await server.account()
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    for other in (stranger, camera):
        assert (await other.send("HEAD", path)).status == 404
        assert (await other.send("DELETE", path)).status == 404
    assert (await server.api.send("HEAD", path)).status == 401
    assert (await owner.api.send("HEAD", path)).headers["Upload-Offset"] == "100"


async def test_limits_by_options(server: Server) -> None:
    """OPTIONS says that uploads can be resumed, and within which limits, without a session."""
    answer = await server.api.send("OPTIONS", "/v1/blobs")
    assert answer.status == 204
    assert "max-size=" in answer.headers["Upload-Limit"]


async def test_largest_upload(start_server: StartServer) -> None:
    """What is longer than the server takes is refused when it says so, and at the byte where it is if it does not."""
    server = await start_server(upload_max_size_bytes=1000)
    owner = await server.owner()
    answer = await create(owner, Upload_Length="1001")
    assert (answer.status, answer.code) == (413, "upload-too-long")
    assert "max-size=1000" in answer.headers["Upload-Limit"]
    assert (await create(owner, b"x" * 1001)).code == "upload-too-long"
    path = (await create(owner, b"x" * 1000)).headers["Location"]
    assert (await patch(owner, path, 1000, b"x", "?0")).code == "upload-too-long"
    assert (await patch(owner, path, 1000, b"")).status == 200


async def test_largest_request(start_server: StartServer) -> None:
    """Where a proxy takes only so much at once, longer bodies are refused with the limit."""
    server = await start_server(upload_append_size_bytes=1000)
    owner = await server.owner()
    answer = await create(owner, b"x" * 1001)
    assert (answer.status, answer.code) == (413, "too-large")
    assert "max-append-size=1000" in answer.headers["Upload-Limit"]
    assert (await create(owner, b"x" * 1000, Upload_Complete="?1")).status == 200


async def test_quota(start_server: StartServer) -> None:
    """A space's quota is asked when an upload is created, and again by the commit."""
    server = await start_server(space_quota_bytes=150_000)
    owner = await server.owner()
    assert (await create(owner, Upload_Length="150001")).code == "quota-exceeded"
    first, second = Blob(os.urandom(100_000)), Blob(os.urandom(100_000))
    await owner.api.upload(owner.writer.space_id, first, second)
    await owner.api.add_photo(owner.writer, first)
    with pytest.raises(AssertionError, match="quota-exceeded"):
        await owner.api.add_photo(owner.writer, second)
    assert (await create(owner, Upload_Length="60000")).code == "quota-exceeded"


async def test_too_many_open(start_server: StartServer) -> None:
    """A device has so many uploads open, and no more."""
    server = await start_server(upload_max_open=2)
    owner = await server.owner()
    first = await create(owner)
    await create(owner)
    assert (await create(owner)).code == "quota-exceeded"
    await owner.api.send("DELETE", first.headers["Location"])
    assert (await create(owner)).status == 201


async def test_too_much_uncommitted(start_server: StartServer) -> None:
    """What no record names yet counts against its device."""
    server = await start_server(upload_max_uncommitted_bytes=1000)
    owner = await server.owner()
    assert (await create(owner, b"x" * 600, Upload_Complete="?1")).status == 200
    assert (await create(owner, b"y" * 600, Upload_Complete="?1")).code == "quota-exceeded"


async def test_who_may_not_add(server: Server, owner: Owner) -> None:
    """A stranger to the space uploads nothing into it, and learns nothing of it."""
    _, stranger = await server.account()
    answer = await stranger.try_upload(owner.writer.space_id, DATA)
    assert (answer.status, answer.code) == (404, "space-unknown")
    assert (await stranger.try_upload(os.urandom(32), DATA)).body == answer.body
    for space in ("", "ab", "X" * 64, "00" * 33):
        assert (await owner.api.send("POST", f"/v1/blobs?space={space}", DATA)).code == "bad-request"


async def test_compressed_content(owner: Owner) -> None:
    """Ciphertext is not compressed, and what is compressed is not unpacked."""
    assert (await create(owner, DATA, Content_Encoding="gzip")).code == "unsupported-media"


async def test_an_expired_upload(server: Server, owner: Owner) -> None:
    """An upload ends with its lifetime, though the bytes are still there."""
    path = (await create(owner, DATA[:100])).headers["Location"]
    server.clock.offset_ms = (server.settings.upload_lifetime_s + 1) * 1000
    api = await owner.api.sign_in(owner.signer)
    assert (await api.send("HEAD", path)).status == 404
