"""What the server says of itself: health, its key and limits, and the document of all its routes."""

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol.ledger import PROTOCOL_VERSION
from safelight.sync_protocol.limits import MAX_BLOB_SIZE_BYTES, MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.messages.common import Health, ServerInfo

DOCUMENT: web.AppKey[bytes] = web.AppKey("openapi", bytes)


async def health(call: Call) -> Health:
    """Say whether the server serves; asks the database, so that a broken one is noticed."""
    await call.services.sessions.ping()
    return Health("ok", call.serving.version)


async def info(call: Call) -> ServerInfo:
    """Say what a client must know before it trusts."""
    serving = call.serving
    return ServerInfo(
        version=serving.version,
        protocol_version=PROTOCOL_VERSION,
        public_url=serving.public_url,
        server_key=serving.server_key,
        upload_append_size_bytes=serving.append_size_bytes or MAX_BLOB_SIZE_BYTES,
        max_entry_size_bytes=MAX_ENTRY_SIZE_BYTES,
        warning=serving.warning,
    )


async def document(call: Call) -> web.Response:
    """Return the OpenAPI document."""
    return web.Response(body=call.request.app[DOCUMENT], content_type="application/json")


ROUTES = [
    Route("GET", "/health", health, "Whether the server serves", Auth.NONE, response=Health),
    Route("GET", "/v1/server", info, "The server's key, address and limits", Auth.NONE, response=ServerInfo),
    Route("GET", "/v1/openapi.json", document, "This document", Auth.NONE),
]
