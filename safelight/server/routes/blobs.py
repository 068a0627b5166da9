"""Blobs for members, by tier."""

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.sending import send
from safelight.server.routes.spaces import SPACE
from safelight.server.routes.table import BYTES, Auth, Route
from safelight.sync_protocol.messages.blobs import BlobsHeld, HoldBlobs
from safelight.sync_protocol.refusals import Code

_CACHE_CONTROL = "private, no-cache"


async def fetch(call: Call) -> web.StreamResponse:
    """Send a blob of the space."""
    download = await call.services.downloads.open(
        call.who, call.path_bytes("space"), call.path_bytes("name"), call.services.sessions.still_stands
    )
    return await send(call, download, cache_control=_CACHE_CONTROL)


async def hold(call: Call) -> BlobsHeld:
    """Let the space hold blobs of another one as well."""
    request = await call.body(HoldBlobs)
    source_id = bytes.fromhex(request.source)
    return BlobsHeld(await call.services.holding.hold(call.who, call.path_bytes("space"), source_id, request.names))


_PATH = SPACE + "/blobs/{name:[0-9a-f]{64}}"
_REFUSALS = (Code.SPACE_UNKNOWN, Code.FORBIDDEN, Code.NOT_FOUND, Code.RANGE_UNSATISFIABLE)

ROUTES = [
    Route(
        method,
        _PATH,
        fetch,
        "Fetch a blob, or a range of it",
        Auth.SESSION,
        refusals=_REFUSALS,
        headers=("Range", "If-Range", "If-None-Match"),
        response_media=BYTES,
        statuses=(200, 206, 304),
    )
    for method in ("GET", "HEAD")
]
ROUTES.append(
    Route(
        "POST",
        SPACE + "/blobs",
        hold,
        "Hold blobs of another space in this one as well",
        Auth.SESSION,
        request=HoldBlobs,
        response=BlobsHeld,
        refusals=(
            Code.SPACE_UNKNOWN,
            Code.FORBIDDEN,
            Code.RIGHT_MISSING,
            Code.NOT_FOUND,
            Code.QUOTA_EXCEEDED,
            Code.UPLOAD_BUSY,
            Code.STORAGE_FULL,
            Code.STORAGE_READ_ONLY,
        ),
    )
)
