"""Uploads that no honest client sends: each ends in a refusal, and what was acknowledged stays as it was."""

import asyncio
import os
import resource

import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, StartServer
from tests.support.protocol import sha256
from tests.support.raw_http import RawConnection, raw
from tests.support.uploads import CUT_OFF, appending, create, held, length, offset_of, patch

MIB = 1024 * 1024
DATA = os.urandom(50_000)
CHUNKED = {"Transfer-Encoding": "chunked"}


async def begun(owner: Owner) -> str:
    """An upload with some bytes."""
    return str((await create(owner, DATA[:1000])).headers["Location"])


async def stands(owner: Owner, path: str, offset: int = 1000) -> None:
    """See that an upload is where it was, and goes on to its end with the right bytes."""
    assert await offset_of(owner, path) == offset
    answer = await patch(owner, path, offset, DATA[offset:])
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))


def head_of(owner: Owner, path: str, *lines: bytes, ending: bytes = b"\r\n") -> bytes:
    """The head of an append, with more *lines* as they stand, each ended by *ending*."""
    first = [
        f"PATCH {path} HTTP/1.1".encode(),
        b"Host: test",
        f"Authorization: Bearer {owner.api.token}".encode(),
        b"Content-Type: application/partial-upload",
        b"Upload-Offset: 1000",
        b"Upload-Complete: ?0",
    ]
    return b"".join(line + ending for line in [*first, *lines, b""])


async def answers_to(connection: RawConnection) -> list[int]:
    """The status of every answer that comes before the connection ends, or stands still."""
    statuses = []
    try:
        async with asyncio.timeout(3):
            while True:
                statuses.append((await connection.response()).status)
    except (TimeoutError, *CUT_OFF):
        return statuses


# A second request in what one reader takes for the body of the first, and the other for a request of its own.
SMUGGLED = b"DELETE %s HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n\r\n"
SMUGGLING: dict[str, tuple[bytes, ...]] = {
    "length and chunks": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks and length": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": (b"Content-Length: 5", b"Content-Length: 5"),
    "a list of lengths": (b"Content-Length: 5, 6",),
    "a length with a sign": (b"Content-Length: +5",),
    "a negative length": (b"Content-Length: -1",),
    "a length in other digits": ("Content-Length: \u0665".encode(),),
    "a length with an underscore": (b"Content-Length: 1_0",),
    "a length in hexadecimal": (b"Content-Length: 0x5",),
    "a coding that is none": (b"Transfer-Encoding: xchunked",),
    "chunked, but not as the last": (b"Transfer-Encoding: chunked, identity",),
    "chunked twice": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "a coding with a tail": (b"Transfer-Encoding: chunked\x0b",),
    "a space before the colon": (b"Transfer-Encoding : chunked",),
    "a folded line": (b"Content-Length: 5", b"Upload-Complete:", b" ?1"),
    "a folded coding": (b"Content-Length: 5", b"Transfer-Encoding:", b"\tchunked"),
    "a line without a name": (b": 5", b"Content-Length: 5"),
    "a zero byte": (b"Content-Length: 5", b"X: a\x00b"),
    "a bare carriage return": (b"Content-Length: 5", b"X: a\rTransfer-Encoding: chunked"),
}


@pytest.mark.parametrize("lines", SMUGGLING.values(), ids=SMUGGLING)
async def test_smuggling(owner: Owner, lines: tuple[bytes, ...]) -> None:
    """A message whose end is read in two ways is refused whole: nothing after it is taken for a request."""
    path = await begun(owner)
    async with raw(owner.api.url, owner.api.token) as connection:
        smuggled = SMUGGLED % (path.encode(), owner.api.token.encode())
        await connection.send(head_of(owner, path, *lines) + b"0\r\n\r\n" + smuggled)
        assert await answers_to(connection) in ([400], [])
    await stands(owner, path)


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\n\r", b"\r\r\n"])
async def test_lines_that_end_otherwise(owner: Owner, ending: bytes) -> None:
    """Lines end in CR LF; what a proxy might read otherwise is refused."""
    path = await begun(owner)
    async with raw(owner.api.url, owner.api.token) as connection:
        await connection.send(head_of(owner, path, b"Content-Length: 5", ending=ending) + b"bytes" + b"\r\n\r\n")
        assert await answers_to(connection) in ([400], [])
    await stands(owner, path)


BAD_CHUNKS = {
    "a size that is none": b"xyz\r\nbytes\r\n0\r\n\r\n",
    "a size with a sign": b"+5\r\nbytes\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nbytes\r\n0\r\n\r\n",
    "a size with a prefix": b"0x5\r\nbytes\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "a size without end": b"f" * 400 + b"\r\nbytes",
    "less than the size": b"6\r\nbytes\r\n0\r\n\r\n",
    "more than the size": b"4\r\nbytes\r\n0\r\n\r\n",
    "a bare line feed after the size": b"5\nbytes\r\n0\r\n\r\n",
    "a bare line feed after the chunk": b"5\r\nbytes\n0\r\n\r\n",
    "a line feed in an extension": b"5;a\nb\r\nbytes\r\n0\r\n\r\n",
    "no end": b"5\r\nbytes\r\n",
}


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_chunks_that_are_none(start_server: StartServer, chunks: bytes) -> None:
    """Chunks that cannot be read end the request; the upload is not complete, and keeps at most what was whole."""
    owner = await (await start_server(stall_timeout_s=1)).owner()
    path = (await create(owner)).headers["Location"]
    async with appending(owner, path, CHUNKED, chunks) as connection:
        statuses = await answers_to(connection)
        assert statuses in ([400], [408], [])
    assert not await held(owner, b"bytes")
    offset = await offset_of(owner, path)
    assert offset is not None
    assert offset <= len(chunks)


async def test_ten_thousand_tiny_chunks(owner: Owner) -> None:
    """Chunks of one byte are bytes like others."""
    path = (await create(owner)).headers["Location"]
    data = DATA[:10_000]
    async with appending(owner, path, CHUNKED) as connection:
        await connection.send(b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n")
        assert (await asyncio.wait_for(connection.final(), 20)).status == 200
    assert (await owner.api.get(f"{owner.space}/blobs/{sha256(data).hex()}")).body == data


async def test_megabytes_of_chunk_extensions(start_server: StartServer) -> None:
    """What stands beside a chunk's size is not kept: it is refused when it is long, and fills no memory."""
    owner = await (await start_server(stall_timeout_s=2)).owner()
    path = await begun(owner)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with appending(owner, path, {**CHUNKED, "Upload-Complete": "?0"}, b"5;", offset=1000) as connection:
        try:
            async with asyncio.timeout(20):
                for _ in range(64):
                    await connection.send(b"a" * MIB)
                statuses = await answers_to(connection)
        except (TimeoutError, *CUT_OFF):
            statuses = []
        assert statuses in ([400], [408], [])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # KiB
    await stands(owner, path)


async def test_trailers(owner: Owner) -> None:
    """Fields after the last chunk change nothing: neither the length nor who asks nor where the next request begins."""
    path = await begun(owner)
    chunks = (
        b"5\r\n%s\r\n0\r\nUpload-Complete: ?1\r\nContent-Length: 100\r\nAuthorization: Bearer x\r\n\r\n"
        % DATA[1000:1005]
    )
    async with appending(owner, path, {**CHUNKED, "Upload-Complete": "?0"}, chunks, 1000) as connection:
        assert (await connection.final()).status in {204, 400}
    offset = await offset_of(owner, path)
    assert offset in {1000, 1005}
    await stands(owner, path, offset)


@pytest.mark.parametrize("cut_at", [10, 60, 200])
async def test_half_a_header(start_server: StartServer, cut_at: int) -> None:
    """A head that breaks off or stops is closed in time; it cuts nobody off and changes nothing."""
    owner = await (await start_server(header_timeout_s=1)).owner()
    path = await begun(owner)
    async with raw(owner.api.url) as connection:
        await connection.send(head_of(owner, path, b"Content-Length: 5")[:cut_at])
        assert await asyncio.wait_for(connection.reader.read(), 5) == b""
    await stands(owner, path)


async def test_a_dripped_body(owner: Owner) -> None:
    """A body that comes byte by byte is taken, and what came before the patience of its sender ended is kept."""
    path = await begun(owner)
    async with appending(owner, path, length(len(DATA) - 1000), offset=1000) as connection:
        for at in range(1000, 1100):
            await connection.send(DATA[at : at + 1])
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.1)
    await stands(owner, path, 1100)


@pytest.mark.parametrize("off_by", [-1000, -1, 1, 10**14])
async def test_offsets_that_are_off(owner: Owner, off_by: int) -> None:
    """An append elsewhere than at the end is refused, whatever it brings, also nothing."""
    path = await begun(owner)
    for body in (DATA[1000:], b""):
        answer = await patch(owner, path, 1000 + off_by, body)
        assert (answer.status, answer.headers["Upload-Offset"]) == (409, "1000")
    await stands(owner, path)


NUMBERS = [
    "",
    "-1",
    "+1000",
    "1e3",
    "1000.0",
    "0x3e8",
    "1000, 1000",
    '"1000"',
    "9" * 16,
    "1_000",
    "\u0661",
    "1000;A",
    "?1",
]


@pytest.mark.parametrize("number", NUMBERS)
async def test_offsets_that_are_no_numbers(owner: Owner, number: str) -> None:
    """A field that is none of its kind counts as absent, and an append needs an offset."""
    path = await begun(owner)
    async with raw(owner.api.url, owner.api.token) as connection:
        head = head_of(owner, path, b"Content-Length: 5")
        await connection.send(head.replace(b"Upload-Offset: 1000", b"Upload-Offset: " + number.encode()) + b"bytes")
        assert (await connection.final()).status == 400
    await stands(owner, path)


@pytest.mark.parametrize("twice", ["Upload-Offset: 1000", "Upload-Complete: ?0"])
async def test_fields_that_stand_twice(owner: Owner, twice: str) -> None:
    """An item that stands twice is malformed, even where both say the same."""
    path = await begun(owner)
    async with raw(owner.api.url, owner.api.token) as connection:
        await connection.send(head_of(owner, path, twice.encode(), b"Content-Length: 5") + b"bytes")
        assert (await connection.final()).status == 400
    await stands(owner, path)


async def test_lengths_that_change(owner: Owner) -> None:
    """However the length is said, once or later, by itself or by the content: another one is refused."""
    path = (await create(owner, DATA[:1000], Upload_Length=str(len(DATA)))).headers["Location"]
    for stated in (0, 999, len(DATA) - 1, len(DATA) + 1, 10**14):
        answer = await patch(owner, path, 1000, b"x", "?0", Upload_Length=str(stated))
        assert answer.code == "upload-length-inconsistent", stated
    for body in (b"", DATA[1000:-1], DATA[1000:] + b"x"):
        assert (await patch(owner, path, 1000, body)).code == "upload-length-inconsistent"
    await stands(owner, path)


async def test_a_length_below_what_is_there(owner: Owner) -> None:
    """A length that is told late cannot be less than what has arrived."""
    path = await begun(owner)
    answer = await patch(owner, path, 1000, b"", "?0", Upload_Length="999")
    assert answer.status in {400, 413}
    await stands(owner, path)


async def test_the_next_request_after_a_refusal(owner: Owner) -> None:
    """The body of a refused append is never read as a request, though the connection may go on."""
    path = await begun(owner)
    smuggled = SMUGGLED % (path.encode(), owner.api.token.encode())
    async with appending(owner, path, length(len(smuggled)), smuggled, offset=7) as connection:
        statuses = await answers_to(connection)
        assert statuses == [409]
    await stands(owner, path)
