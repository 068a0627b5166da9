"""Interim responses of uploads: 104 (Upload Resumption Supported), to clients of a draft that we know and no others."""

from collections.abc import Mapping

from aiohttp import web

from safelight.server.routes.call import Call
from safelight.server.routes.upload_dialects import Dialect, takes_interim


class Interim:
    """Sends 104s on one request's connection: first where the upload is, then how far it has come."""

    def __init__(self, call: Call, dialect: Dialect) -> None:
        self._request = call.request
        self._dialect = dialect
        self._allowed = call.serving.interim and takes_interim(call.request, dialect)
        self.told = False  # whether any was sent

    def keep_silent(self) -> None:
        """Send none: this request is an ordinary upload."""
        self._allowed = False

    async def announce(self, announcement: Mapping[str, str]) -> None:
        """Say where the upload is."""
        if self._allowed:
            await self._send(announcement)

    async def progress(self, offset_bytes: int) -> None:
        """Say how much is durable."""
        if self._allowed and self._dialect.tells_progress:
            await self._send({"Upload-Offset": str(offset_bytes)})

    async def _send(self, headers: Mapping[str, str]) -> None:
        self.told = True
        await send_interim(self._request, self._dialect.version, headers)


async def send_interim(request: web.Request, version: int | None, headers: Mapping[str, str]) -> None:
    """Write a 104 on the request's connection."""
    lines = [
        "HTTP/1.1 104 Upload Resumption Supported",
        f"Upload-Draft-Interop-Version: {version}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    await request.writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    # The final response has not begun: aiohttp would take these bytes for it and could not report an error.
    request.writer.output_size = 0
