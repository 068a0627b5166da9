"""What the server says of itself: health, its key and limits, and the document of all its routes."""

from aiohttp import web

from safelight.server.domain.readiness import READY
from safelight.server.routes.call import Call
from safelight.server.routes.probes import Probes
from safelight.server.routes.table import Auth, Route, json_response
from safelight.sync_protocol.ledger import PROTOCOL_VERSION
from safelight.sync_protocol.limits import MAX_BLOB_SIZE_BYTES, MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.messages.common import Health, Ready, ServerInfo

DOCUMENT: web.AppKey[bytes] = web.AppKey("openapi", bytes)
PROBES: web.AppKey[Probes] = web.AppKey("probes", Probes)


async def health(call: Call) -> Health:
    """Say that the process lives and its event loop turns: the answer is the proof. Asks no store; `ready` does."""
    await call.request.app[PROBES].look_at(call)
    return Health("ok", call.serving.version)


async def ready(call: Call) -> web.Response:
    """Say whether traffic may come, and if not, which part is in the way."""
    parts = await call.services.readiness.parts()
    well = all(code == READY for code in parts.values())
    return json_response(Ready("ready" if well else "not-ready", call.serving.version, parts), 200 if well else 503)


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
    Route("GET", "/health", health, "Whether the process lives", Auth.NONE, response=Health),
    Route("GET", "/ready", ready, "Whether traffic may come", Auth.NONE, response=Ready, statuses=(200, 503)),
    Route("GET", "/v1/server", info, "The server's key, address and limits", Auth.NONE, response=ServerInfo),
    Route("GET", "/v1/openapi.json", document, "This document", Auth.NONE),
]
