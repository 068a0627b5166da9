"""The second listener: metrics, for whoever may reach its address, and nothing else; the public port has none of them.

It asks nobody who they are, which is why it is off unless an address is named.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from safelight.server.domain.ports.database import Database
from safelight.server.domain.readiness import Readiness
from safelight.server.listening import bound
from safelight.server.metrics import CONTENT_TYPE, Metrics
from safelight.server.routes.bell import Sockets
from safelight.server.settings import split_listen
from safelight.sync_protocol.refusals import Refused

_SHUTDOWN_S = 1


class MetricsListener:
    """Answers `/metrics` at an address of its own."""

    def __init__(self, metrics: Metrics, readiness: Readiness, database: Database, sockets: Sockets) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._database = database
        self._sockets = sockets

    async def listening(self, listen: str) -> AsyncIterator[None]:
        """Serve until the generator goes on. Raises OSError where the address cannot be taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            listener = bound(*split_listen(listen))
            host, port = listener.getsockname()[:2]
            await web.SockSite(runner, listener).start()
            sys.stderr.write(f"metrics at http://{f'[{host}]' if ':' in host else host}:{port}/metrics\n")
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        look, parts = await self._readiness.look(), await self._readiness.parts()
        self._metrics.look({"database": look.database, "blobs": look.blobs}, parts)
        self._metrics.stand(sockets=len(self._sockets), open_uploads=await self._open_uploads())
        return web.Response(body=await asyncio.to_thread(self._metrics.text), headers={"Content-Type": CONTENT_TYPE})

    async def _open_uploads(self) -> int | None:
        try:
            return await self._database.open_uploads()
        except Refused:
            return None
