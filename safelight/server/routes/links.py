"""Links: opening one, its blobs, and the makers' list."""

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.sending import send
from safelight.server.routes.spaces import SPACE
from safelight.server.routes.table import BYTES, Auth, Route, json_response
from safelight.sync_protocol.messages import links as messages
from safelight.sync_protocol.refusals import Code

COOKIE = "safelight-link"
# A link that was revoked must not go on from the browser's cache: it asks each time, and is told 304 while it stands.
_CACHE_CONTROL = "private, no-cache"
# How long browsers keep a cookie at most. It outlives the session that it names: who opened the link once may come back
# without another opening being counted.
_COOKIE_AGE_S = 400 * 24 * 60 * 60


async def open_link(call: Call) -> web.Response:
    """Open a link: a person clicked. The answer's cookie is the guest's session."""
    link_id = call.path_bytes("link")
    request = await call.body(messages.OpenLink)
    opened = await call.services.links.open(link_id, request, call.request.cookies.get(COOKIE, ""), call.address)
    response = json_response(opened.answer)
    response.set_cookie(
        COOKIE,
        opened.cookie,
        path=f"/v1/links/{link_id.hex()}",
        max_age=_COOKIE_AGE_S,
        secure=call.serving.public_url.startswith("https:"),
        httponly=True,
        samesite="Strict",
    )
    return response


async def fetch(call: Call) -> web.StreamResponse:
    """Send a blob that the link shows."""
    link_id, name = call.path_bytes("link"), call.path_bytes("name")
    download = await call.services.links.download(link_id, name, call.request.cookies.get(COOKIE, ""))
    response = await send(call, download, cache_control=_CACHE_CONTROL)
    if call.request.method == "GET" and response.status == 200:
        await call.services.links.count_download(link_id, name)
    return response


async def of_space(call: Call) -> messages.Links:
    """List a space's links for its makers."""
    return await call.services.links.of_space(call.who, call.path_bytes("space"))


_LINK = "/v1/links/{link:[0-9a-f]{32}}"
_OVER = (Code.LINK_EXPIRED, Code.LINK_REVOKED)

ROUTES = [
    Route(
        "POST",
        _LINK + "/open",
        open_link,
        "Open a link with its token, and its password's proof where it has one",
        Auth.NONE,
        request=messages.OpenLink,
        response=messages.LinkOpened,
        refusals=(Code.LINK_NOT_OPENED, Code.LINK_EXHAUSTED, Code.RATE_LIMITED, *_OVER),
    ),
    *(
        Route(
            method,
            _LINK + "/blobs/{name:[0-9a-f]{64}}",
            fetch,
            "Fetch a blob that the link shows, or a range of it",
            Auth.LINK,
            refusals=(Code.LINK_SESSION_REQUIRED, Code.NOT_FOUND, Code.RANGE_UNSATISFIABLE, *_OVER),
            headers=("Range", "If-Range", "If-None-Match"),
            response_media=BYTES,
            statuses=(200, 206, 304),
        )
        for method in ("GET", "HEAD")
    ),
    Route(
        "GET",
        SPACE + "/links",
        of_space,
        "List a space's links",
        Auth.SESSION,
        response=messages.Links,
        refusals=(Code.SPACE_UNKNOWN, Code.FORBIDDEN),
    ),
]
