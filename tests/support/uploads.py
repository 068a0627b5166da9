"""Resumable uploads, request by request."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.http.conftest import Owner
from tests.support.api import Answer
from tests.support.protocol import sha256
from tests.support.raw_http import RawConnection, raw

CUT_OFF = (ConnectionError, asyncio.IncompleteReadError)


async def create(owner: Owner, body: bytes = b"", **headers: str) -> Answer:
    """Send a creation; underscores in names stand for dashes."""
    return await owner.api.try_upload(owner.writer.space_id, body, **{"Upload_Complete": "?0", **headers})


async def patch(owner: Owner, path: str, offset: int, body: bytes, complete: str = "?1", **headers: str) -> Answer:
    """Append to an upload."""
    sent = {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": complete,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await owner.api.send("PATCH", path, body, sent)


async def held(owner: Owner, data: bytes) -> bool:
    """Whether the space holds a blob."""
    return (await owner.api.get(f"{owner.space}/blobs/{sha256(data).hex()}")).status == 200


def length(size_bytes: int) -> dict[str, str]:
    """State the length of a body."""
    return {"Content-Length": str(size_bytes)}


@asynccontextmanager
async def creating(owner: Owner, headers: Mapping[str, str], body: bytes = b"") -> AsyncIterator[RawConnection]:
    """Begin the creation of an upload that is to be complete; yields its connection, which is cut in the end."""
    async with raw(owner.api.url, owner.api.token) as connection:
        path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
        await connection.request("POST", path, {"Upload-Complete": "?1", **headers}, body)
        yield connection


@asynccontextmanager
async def appending(
    owner: Owner, upload: str, headers: Mapping[str, str], body: bytes = b"", offset: int = 0
) -> AsyncIterator[RawConnection]:
    """Begin an append that is to complete its upload; yields its connection, which is cut in the end."""
    async with raw(owner.api.url, owner.api.token) as connection:
        sent = {"Upload-Complete": "?1", "Upload-Offset": str(offset), "Content-Type": "application/partial-upload"}
        await connection.request("PATCH", upload, {**sent, **headers}, body)
        yield connection


async def offset_of(owner: Owner, path: str) -> int | None:
    """Ask how far an upload has come; None where it is over."""
    answer = await owner.api.send("HEAD", path)
    if answer.status == 404:
        return None
    assert (answer.status, answer.headers["Upload-Complete"]) == (204, "?0")
    return int(answer.headers["Upload-Offset"])
