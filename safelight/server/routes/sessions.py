"""Sessions and devices."""

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol.messages import sessions as messages
from safelight.sync_protocol.refusals import Code


async def challenge(call: Call) -> messages.Challenge:
    """Give something to sign."""
    return call.services.sessions.challenge(await call.body(messages.AskChallenge))


async def open_session(call: Call) -> messages.Session:
    """Open a session for a signed challenge."""
    return await call.services.sessions.open(await call.body(messages.OpenSession))


async def end(call: Call) -> web.Response:
    """End the session that asks."""
    await call.services.sessions.end(call.who)
    return web.Response(status=204)


async def devices(call: Call) -> messages.Devices:
    """List the account's devices."""
    return await call.services.sessions.devices(call.who)


ROUTES = [
    Route(
        "POST",
        "/v1/sessions/challenge",
        challenge,
        "Ask for something to sign",
        Auth.NONE,
        request=messages.AskChallenge,
        response=messages.Challenge,
    ),
    Route(
        "POST",
        "/v1/sessions",
        open_session,
        "Open a session with a signed challenge",
        Auth.NONE,
        request=messages.OpenSession,
        response=messages.Session,
        refusals=(Code.SIGNATURE_INVALID, Code.SESSION_EXPIRED, Code.DEVICE_REVOKED),
    ),
    Route("DELETE", "/v1/sessions/current", end, "End this session", Auth.SESSION_OR_TICKET, statuses=(204,)),
    Route(
        "GET",
        "/v1/devices",
        devices,
        "List the account's devices",
        Auth.SESSION,
        response=messages.Devices,
        refusals=(Code.FORBIDDEN,),
    ),
]
