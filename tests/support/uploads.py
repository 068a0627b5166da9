"""Resumable uploads, request by request."""

from tests.http.conftest import Owner
from tests.support.api import Answer
from tests.support.protocol import sha256


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
