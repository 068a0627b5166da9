"""The versions of the upload draft, each as its own text has it: what differs, in every answer."""

import asyncio
import os
from dataclasses import dataclass

import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, Server, StartServer
from tests.support.api import Answer, repr_digest
from tests.support.protocol import sha256
from tests.support.raw_http import Response, raw
from tests.support.uploads import held

MIB = 1024 * 1024
DATA = os.urandom(100_000)
TYPES = "https://iana.org/assignments/http-problem-types#"


@dataclass(frozen=True)
class Version:
    """What a client of one version sends, and what it must find."""

    number: int
    media: str
    partial_status: int
    complete_status: int
    age: str
    word: str = "Upload-Complete"

    @property
    def named(self) -> dict[str, str]:
        """The version's name."""
        return {"Upload-Draft-Interop-Version": str(self.number)}

    def said(self, *, complete: bool) -> dict[str, str]:
        """Say whether the upload is complete."""
        return {self.word: "?1" if complete is (self.word == "Upload-Complete") else "?0"}


V3 = Version(3, "", 201, 201, "", word="Upload-Incomplete")
V5 = Version(5, "", 201, 201, "")
V6 = Version(6, "application/partial-upload", 201, 201, "expires")
V8 = Version(8, "application/partial-upload", 204, 200, "max-age")
OLDER = [V3, V5, V6]
ALL = [*OLDER, V8]
versions = pytest.mark.parametrize("version", ALL, ids=lambda version: f"version-{version.number}")
older = pytest.mark.parametrize("version", OLDER, ids=lambda version: f"version-{version.number}")


async def create(owner: Owner, version: Version, body: bytes = b"", *, complete: bool = False, **more: str) -> Answer:
    """Create an upload as a client of *version* does."""
    headers = {**version.named, **version.said(complete=complete), **{k.replace("_", "-"): v for k, v in more.items()}}
    return await owner.api.send("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", body, headers)


async def append(
    owner: Owner, version: Version, path: str, offset: int, body: bytes, *, complete: bool = True, **more: str
) -> Answer:
    """Append as a client of *version* does."""
    headers = {**version.named, **version.said(complete=complete), "Upload-Offset": str(offset)}
    headers |= {"Content-Type": version.media or "image/heic"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return await owner.api.send("PATCH", path, body, headers)


def says(version: Version, answer: Answer | Response) -> bool:
    """Whether an answer says that the upload is complete, in its version's words and no other's."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    [word] = {"upload-complete", "upload-incomplete"} & set(headers)
    assert word == version.word.lower()
    return (headers[word] == "?1") is (version.word == "Upload-Complete")


def limits(answer: Answer) -> dict[str, int]:
    """The limits that an answer tells."""
    members = (member.strip().partition("=") for member in answer.headers.get("Upload-Limit", "").split(",") if member)
    return {name: int(value) for name, _, value in members}


@versions
async def test_from_beginning_to_end(owner: Owner, version: Version) -> None:
    """Creation, two appends and the question in between: status, completeness, offset and address at each step."""
    created = await create(owner, version, DATA[:1000], Upload_Length=str(len(DATA)))
    assert (created.status, says(version, created), created.headers["Upload-Offset"]) == (201, False, "1000")
    path = created.headers["Location"]
    appended = await append(owner, version, path, 1000, DATA[1000:2000], complete=False)
    assert (appended.status, says(version, appended)) == (version.partial_status, False)
    assert appended.headers["Upload-Offset"] == "2000"
    asked = await owner.api.send("HEAD", path, headers=version.named)
    assert (asked.status, says(version, asked), asked.headers["Upload-Offset"]) == (204, False, "2000")
    assert (asked.headers["Upload-Length"], asked.headers["Cache-Control"]) == (str(len(DATA)), "no-store")
    final = await append(owner, version, path, 2000, DATA[2000:])
    assert (final.status, says(version, final)) == (version.complete_status, True)
    assert final.headers["Upload-Offset"] == str(len(DATA))
    assert final.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))
    asked = await owner.api.send("HEAD", path, headers=version.named)
    assert (says(version, asked), asked.headers["Upload-Offset"]) == (True, str(len(DATA)))


@versions
async def test_in_one_request(owner: Owner, version: Version) -> None:
    """All at once: 104 with version and address, progress where the version has it, and one address throughout."""
    data = os.urandom(MIB) * 10
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {**version.named, **version.said(complete=True), "Content-Length": str(len(data))}
        await connection.request("POST", f"/v1/blobs?space={owner.writer.space_id.hex()}", headers)
        first = await connection.response()
        sending = asyncio.create_task(connection.send(data))
        responses = [first]
        while responses[-1].status == 104:
            responses.append(await connection.response())
        await sending
    *interim, final = responses
    assert all(response.headers["upload-draft-interop-version"] == str(version.number) for response in interim)
    assert ("upload-limit" in first.headers) is bool(version.age)
    assert "upload-offset" not in first.headers
    assert bool(interim[1:]) is (version is not V3)
    assert all(set(response.headers) == {"upload-draft-interop-version", "upload-offset"} for response in interim[1:])
    assert (final.status, says(version, final)) == (version.complete_status, True)
    blob = f"{owner.space}/blobs/{sha256(data).hex()}"
    assert final.headers["location"] == (blob if version is V8 else first.headers["location"])
    assert (await owner.api.send("HEAD", first.headers["location"], headers=version.named)).status == 204
    assert await held(owner, data)


@versions
async def test_limits(start_server: StartServer, version: Version) -> None:
    """Limits under the names that the version has, in every answer that is to have them, and before any upload."""
    server = await start_server(upload_append_size_bytes=50_000, upload_max_size_bytes=10**9)
    owner = await server.owner()
    created = await create(owner, version, DATA[:1000])
    path = created.headers["Location"]
    asked = await owner.api.send("HEAD", path, headers=version.named)
    appended = await append(owner, version, path, 1000, b"more", complete=False)
    refused = await append(owner, version, path, 1004, DATA)
    assert (refused.status, refused.headers["Upload-Offset"]) == (413, "1004")
    offered = await server.api.send("OPTIONS", "/v1/blobs", headers=version.named)
    assert (offered.status, offered.headers["Accept-Patch"]) == (204, "application/partial-upload")
    for answer in (created, asked, appended, refused, offered):
        if not version.age:
            assert "Upload-Limit" not in answer.headers
            continue
        found = limits(answer)
        assert set(found) == {"max-size", "max-append-size", version.age}
        assert (found["max-size"], found["max-append-size"]) == (10**9, 50_000)
        assert 0 < found[version.age] <= server.settings.upload_lifetime_s


@versions
async def test_age_falls(server: Server, owner: Owner, version: Version) -> None:
    """The age is what is left, so the end that it means stays where it is."""
    path = (await create(owner, version)).headers["Location"]
    server.clock.offset_ms = 3600_000
    asked = await owner.api.send("HEAD", path, headers=version.named)
    left_s = limits(asked).get(version.age, 0)
    assert bool(version.age) is (server.settings.upload_lifetime_s - 3610 < left_s < server.settings.upload_lifetime_s)


@versions
async def test_wrong_offset(owner: Owner, version: Version) -> None:
    """409 with the right offset, which is then accepted; nothing has changed."""
    path = (await create(owner, version, DATA[:100])).headers["Location"]
    for offset in (0, 99, 101):
        refused = await append(owner, version, path, offset, DATA[100:])
        assert (refused.status, says(version, refused), refused.headers["Upload-Offset"]) == (409, False, "100")
        assert refused.problem["type"] == TYPES + "mismatching-upload-offset"
        assert (refused.problem["expected-offset"], refused.problem["provided-offset"]) == (100, offset)
    assert (await append(owner, version, path, 100, DATA[100:])).status == version.complete_status


# To a complete upload of 100,000 bytes: what is appended where, and the type of the refusal.
TO_COMPLETE = {
    (V3, 100_000): (400, "completed-upload"),
    (V3, 0): (409, "mismatching-upload-offset"),
    (V5, 100_000): (400, "completed-upload"),
    (V5, 0): (409, "mismatching-upload-offset"),
    (V6, 100_000): (400, "completed-upload"),
    (V6, 0): (400, "completed-upload"),
    (V8, 100_000): (400, "inconsistent-upload-length"),
    (V8, 0): (409, "mismatching-upload-offset"),
}


@pytest.mark.parametrize(
    ("version", "offset"), TO_COMPLETE, ids=[f"version-{version.number}-at-{at}" for version, at in TO_COMPLETE]
)
async def test_append_to_a_complete_upload(owner: Owner, version: Version, offset: int) -> None:
    """What is complete does not change; the refusal has the version's type. An empty append at its end is answered."""
    path = (await create(owner, version)).headers["Location"]
    await append(owner, version, path, 0, DATA)
    refused = await append(owner, version, path, offset, b"more")
    assert (refused.status, refused.problem["type"].removeprefix(TYPES)) == TO_COMPLETE[version, offset]
    assert refused.headers["Upload-Offset"] == str(len(DATA))
    again = await append(owner, version, path, len(DATA), b"")
    assert (again.status, again.headers["Repr-Digest"]) == (version.complete_status, repr_digest(DATA))
    asked = await owner.api.send("HEAD", path, headers=version.named)
    assert (says(version, asked), asked.headers["Upload-Offset"]) == (True, str(len(DATA)))


@versions
async def test_more_than_the_stated_length(owner: Owner, version: Version) -> None:
    """Content beyond the length is refused by its own length, and byte by byte where it states none; never a blob."""
    status = 413 if version is V8 else 400
    path = (await create(owner, version, Upload_Length="10")).headers["Location"]
    refused = await append(owner, version, path, 0, b"x" * 11, complete=False)
    assert (refused.status, refused.headers["Upload-Offset"]) == (status, "0")
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {**version.named, **version.said(complete=False), "Upload-Offset": "0"}
        headers |= {"Content-Type": version.media or "text/plain", "Transfer-Encoding": "chunked"}
        await connection.request("PATCH", path, headers, b"b\r\n01234567890\r\n0\r\n\r\n")
        final = await connection.final()
    assert (final.status, says(version, final)) == (status, True)
    assert (await owner.api.send("HEAD", path, headers=version.named)).status == 404
    assert (await append(owner, version, path, 0, b"x")).status == 404


@versions
async def test_lengths_that_contradict(owner: Owner, version: Version) -> None:
    """Lengths must agree, within a request and from one to the next, however they are said."""
    refused = await create(owner, version, DATA, complete=True, Upload_Length="7")
    assert (refused.status, refused.problem["type"]) == (400, TYPES + "inconsistent-upload-length")
    path = (await create(owner, version, Upload_Length="100")).headers["Location"]
    for refused in (
        await append(owner, version, path, 0, b"x", complete=False, Upload_Length="99"),
        await append(owner, version, path, 0, b"x" * 99),
    ):
        assert (refused.status, says(version, refused), refused.headers["Upload-Offset"]) == (400, False, "0")
        assert refused.problem["type"] == TYPES + "inconsistent-upload-length"


FORBIDDEN = [
    (V3, "Upload-Offset"),
    (V3, "Upload-Incomplete"),
    (V5, "Upload-Offset"),
    (V5, "Upload-Complete"),
    (V6, "Upload-Offset"),
    (V6, "Upload-Complete"),
    (V6, "Upload-Length"),
]


@pytest.mark.parametrize(("version", "field"), FORBIDDEN, ids=[f"{v.number}-{field}" for v, field in FORBIDDEN])
async def test_questions_with_fields_that_they_must_not_have(owner: Owner, version: Version, field: str) -> None:
    """The older drafts refuse questions and cancellations that talk of offsets; the newest one does not mind."""
    path = (await create(owner, version, DATA[:10])).headers["Location"]
    more = {field: "?0" if "omplete" in field else "10"}
    for method in ("HEAD", "DELETE"):
        assert (await owner.api.send(method, path, headers={**version.named, **more})).status == 400
    assert (await owner.api.send("HEAD", path, headers={**V8.named, **more})).headers["Upload-Offset"] == "10"
    assert (await owner.api.send("DELETE", path, headers={**V8.named, **more})).status == 204


@versions
async def test_cancelled(owner: Owner, version: Version) -> None:
    """204, and from then on 404 to everything."""
    path = (await create(owner, version, DATA[:10])).headers["Location"]
    assert (await owner.api.send("DELETE", path, headers=version.named)).status == 204
    for method in ("HEAD", "DELETE"):
        assert (await owner.api.send(method, path, headers=version.named)).status == 404
    assert (await append(owner, version, path, 10, DATA[10:])).status == 404


@versions
async def test_media_type_of_an_append(owner: Owner, version: Version) -> None:
    """From version 6 on an append is a partial upload, and says so; before, its type means nothing."""
    path = (await create(owner, version, DATA[:10])).headers["Location"]
    answer = await append(owner, version, path, 10, DATA[10:], Content_Type="video/quicktime")
    assert answer.status == (415 if version.media else version.complete_status)
    if version.media:
        assert answer.headers["Upload-Offset"] == "10"


@versions
async def test_an_append_that_does_not_say_whether_it_is_the_last(owner: Owner, version: Version) -> None:
    """In the older drafts who does not say that more follows has sent the last of it; in the newest one must say."""
    path = (await create(owner, version, DATA[:10])).headers["Location"]
    headers = {**version.named, "Upload-Offset": "10", "Content-Type": "application/partial-upload"}
    for malformed in ("", "?2", "1", "?0, ?1"):
        refused = await owner.api.send("PATCH", path, DATA[10:], {**headers, version.word: malformed})
        assert (refused.status, refused.headers["Upload-Offset"]) == (400, "10")
    answer = await owner.api.send("PATCH", path, DATA[10:], headers)
    assert answer.status == (400 if version is V8 else version.complete_status)
    assert await held(owner, DATA) is (version is not V8)


@versions
async def test_another_versions_word(owner: Owner, version: Version) -> None:
    """Upload-Incomplete where the version says Upload-Complete, or the other way round, would mean the opposite."""
    other = "Upload-Complete" if version is V3 else "Upload-Incomplete"
    path = (await create(owner, version)).headers["Location"]
    for value in ("?0", "?1"):
        headers = {**version.named, other: value, "Upload-Offset": "0", "Content-Type": "application/partial-upload"}
        assert (await owner.api.send("PATCH", path, DATA, headers)).code == "bad-request"
        target = f"/v1/blobs?space={owner.writer.space_id.hex()}"
        assert (await owner.api.send("POST", target, DATA, {**version.named, other: value})).code == "bad-request"
    # Who says it in both ways is understood.
    answer = await append(owner, version, path, 0, DATA, complete=False, **{other: "?1"})
    assert says(version, answer) is False


@versions
async def test_a_creation_that_says_nothing_of_completeness(owner: Owner, version: Version) -> None:
    """It is an ordinary upload, which the version's name alone does not make resumable: no 104."""
    async with raw(owner.api.url, owner.api.token) as connection:
        path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
        await connection.request("POST", path, {**version.named, "Content-Length": str(len(DATA))}, DATA)
        assert (await connection.response()).status == version.complete_status
    assert await held(owner, DATA)


@pytest.mark.parametrize("named", ["", "0", "2", "4", "7", "9", "80", "eight", "8.0", "8, 8", "?1", "-8", '"8"'])
async def test_versions_that_are_not_known(owner: Owner, named: str) -> None:
    """Whoever speaks a version that is not here gets no 104, and otherwise the newest version's answers."""
    async with raw(owner.api.url, owner.api.token) as connection:
        path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
        headers = {"Upload-Draft-Interop-Version": named, "Upload-Complete": "?0", "Content-Length": "5"}
        await connection.request("POST", path, headers, b"bytes")
        response = await connection.response()
    assert (response.status, response.headers["upload-offset"], says(V8, response)) == (201, "5", False)


@versions
async def test_an_upload_goes_on_in_another_version(owner: Owner, version: Version) -> None:
    """A phone that was updated meanwhile goes on with what it began."""
    path = (await create(owner, version, DATA[:10])).headers["Location"]
    for offset, other in zip((10, 20, 30, 40), ALL, strict=True):
        assert (
            says(other, await append(owner, other, path, offset, DATA[offset : offset + 10], complete=False)) is False
        )
    assert (await append(owner, version, path, 50, DATA[50:])).as_(BlobStored).name == sha256(DATA).hex()


@older
async def test_offset_in_every_refusal(owner: Owner, version: Version) -> None:
    """The older drafts want the offset in every answer of an upload that stands, refusals among them."""
    path = (await create(owner, version, DATA[:10], Upload_Length="100")).headers["Location"]
    for refused in (
        await append(owner, version, path, 11, b"x"),
        await append(owner, version, path, 10, b"x", Upload_Length="7"),
        await append(owner, version, path, 10, b"x" * 91),
        await append(owner, version, path, 10, b"x", Content_Encoding="gzip"),
        await append(owner, version, path, 10, b"x" * 90, Content_Digest=repr_digest(b"other")),
    ):
        assert (refused.status >= 400, refused.headers["Upload-Offset"], says(version, refused)) == (True, "10", False)


async def test_lost_bytes_end_the_upload(server: Server, owner: Owner) -> None:
    """An upload whose acknowledged bytes are gone from the disk is over: its offset may not decrease."""
    path = (await create(owner, V8, DATA[:100])).headers["Location"]
    [part] = (server.settings.data / "blobs" / "uploads").iterdir()
    part.write_bytes(DATA[:99])
    for _ in range(2):
        assert (await append(owner, V8, path, 100, DATA[100:])).status == 404
    assert (await owner.api.send("HEAD", path, headers=V8.named)).status == 404
    assert not await held(owner, DATA)


async def test_addresses_are_random(owner: Owner) -> None:
    """An upload's address is 128 random bits: it tells nothing, and cannot be guessed."""
    paths = [(await create(owner, V8)).headers["Location"] for _ in range(8)]
    ids = [path.removeprefix("/v1/blobs/uploads/") for path in paths]
    assert len(set(ids)) == 8
    assert all(len(bytes.fromhex(one)) == 16 for one in ids)
