"""The shape of the route table: what each route takes, gives and refuses. The router and OpenAPI are made from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

import msgspec
from aiohttp import web

from safelight.server.routes.call import USUAL_BODY_SIZE_BYTES, Call
from safelight.sync_protocol.refusals import Code

JSON = "application/json"
FRAMES = "application/vnd.safelight.frames"
BYTES = "application/octet-stream"

Handler = Callable[[Call], Awaitable[msgspec.Struct | web.StreamResponse]]


class Auth(Enum):
    """What a route asks of who calls it."""

    NONE = "none"
    SESSION = "session"
    SESSION_OR_TICKET = "session or ticket"
    LINK = "link cookie"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `refusals` are the codes that it has besides those that every route has."""

    method: str
    path: str
    handler: Handler
    summary: str
    auth: Auth
    request: type[msgspec.Struct] | None = None
    response: type[msgspec.Struct] | None = None
    refusals: tuple[Code, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    request_media: str = JSON
    response_media: str = JSON
    statuses: tuple[int, ...] = (200,)
    max_body_bytes: int = USUAL_BODY_SIZE_BYTES


def add_routes(app: web.Application, routes: list[Route]) -> None:
    """Give the application every route of the table, behind the authentication that it asks for."""
    for route in routes:
        app.router.add_route(route.method, route.path, _serve(route))


def _serve(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        call = Call(request, route.max_body_bytes)
        if route.auth in {Auth.SESSION, Auth.SESSION_OR_TICKET}:
            await call.authenticate(ticket_allowed=route.auth is Auth.SESSION_OR_TICKET)
        if not route.query:
            call.query()
        answer = await route.handler(call)
        return answer if isinstance(answer, web.StreamResponse) else json_response(answer)

    return serve


def json_response(answer: msgspec.Struct, status: int = 200) -> web.Response:
    """Print a message."""
    return web.Response(body=msgspec.json.encode(answer), status=status, content_type=JSON)
