"""The bell: a WebSocket that says how far a space's log has come. A hint; the feed is the truth."""

import asyncio
import weakref
from contextlib import suppress

import msgspec
from aiohttp import WSCloseCode, web

from safelight.server.domain.bells import Listener
from safelight.server.routes.call import Call
from safelight.server.routes.spaces import SPACE
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol.messages import spaces as messages
from safelight.sync_protocol.refusals import Code, Refused

_HEARTBEAT_S = 30
_ASK_AGAIN_S = 60
_MAX_MESSAGE_SIZE_BYTES = 1024


class Sockets(weakref.WeakSet[web.WebSocketResponse]):
    """The bells that are open."""


SOCKETS: web.AppKey[Sockets] = web.AppKey("sockets", Sockets)


async def listen(call: Call) -> web.StreamResponse:
    """Ring at once with where the log stands, and then whenever it grows, for as long as who listens stands there."""
    space_id = call.path_bytes("space")
    row = await call.services.spaces.one(call.who, space_id)
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=_MAX_MESSAGE_SIZE_BYTES)
    await socket.prepare(call.request)
    call.request.app[SOCKETS].add(socket)
    with call.services.bells.listening(space_id) as listener:
        listener.ring(row.number)
        ringing = asyncio.create_task(_ring(call, socket, listener, space_id))
        try:
            async for _ in socket:
                pass  # nothing is said in this direction; reading notices the end
        finally:
            ringing.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await ringing
    return socket


async def _ring(call: Call, socket: web.WebSocketResponse, listener: Listener, space_id: bytes) -> None:
    """Ring, but only for who may hear it: asked before every ring, so at the very entry that took it away, and between.

    *A removed member that goes on hearing when and how much the others add.*
    """
    while True:
        number = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_AGAIN_S):
                number = await listener.wait()
        end = await _end(call, space_id)
        if end is not None:
            await socket.close(code=end[0], message=end[1])
            return
        if number is not None:
            await socket.send_str(msgspec.json.encode(messages.Bell(space_id.hex(), number)).decode())


async def _end(call: Call, space_id: bytes) -> tuple[WSCloseCode, bytes] | None:
    """Why the bell may ring no more: who listens is out of the space, or the session is over; None while it may.

    Where the database cannot say, nothing is rung on trust: the client comes again and is asked anew.
    """
    try:
        await call.services.spaces.check_standing(call.who, space_id)
        if not await call.services.sessions.still_stands(call.who):
            return WSCloseCode.POLICY_VIOLATION, b"session ended"
    except Refused as refusal:
        if refusal.code is Code.SPACE_UNKNOWN:
            return WSCloseCode.POLICY_VIOLATION, b"no longer in this space"
        return WSCloseCode.TRY_AGAIN_LATER, b"ask again later"
    return None


async def close_sockets(app: web.Application) -> None:
    """Close every bell, so that the server can stop."""
    sockets = app[SOCKETS]
    for socket in list(sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")


ROUTES = [
    Route(
        "GET",
        SPACE + "/bell",
        listen,
        "A WebSocket that rings when the log grows",
        Auth.SESSION,
        response=messages.Bell,
        refusals=(Code.SPACE_UNKNOWN,),
        statuses=(101,),
    )
]
