"""Shared albums, for their grantees and for members."""

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.spaces import SPACE
from safelight.server.routes.table import FRAMES, Auth, Route
from safelight.sync_protocol.messages.spaces import GrantedAlbums
from safelight.sync_protocol.refusals import Code


async def granted(call: Call) -> GrantedAlbums:
    """List the albums that are granted to who asks."""
    return await call.services.albums.granted(call.who, call.path_bytes("space"))


async def log(call: Call) -> web.Response:
    """Page through an album's log."""
    after = call.query_numbers(after=0)["after"]
    body = await call.services.albums.log(call.who, call.path_bytes("space"), call.path_bytes("album"), after)
    return web.Response(body=body, content_type=FRAMES)


ROUTES = [
    Route(
        "GET",
        SPACE + "/albums",
        granted,
        "The albums granted to who asks, and where their logs end",
        Auth.SESSION,
        response=GrantedAlbums,
        refusals=(Code.SPACE_UNKNOWN, Code.FORBIDDEN),
    ),
    Route(
        "GET",
        SPACE + "/albums/{album:[0-9a-f]{32}}/log",
        log,
        "Read a shared album's log onwards from a number",
        Auth.SESSION,
        refusals=(Code.SPACE_UNKNOWN, Code.FORBIDDEN, Code.NOT_FOUND),
        query=("after",),
        response_media=FRAMES,
    ),
]
