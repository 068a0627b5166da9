"""Interim responses of uploads: 104 (Upload Resumption Supported), to clients of the same draft and no others."""

from collections.abc import Mapping

from aiohttp import HttpVersion11

from safelight.server.routes.call import Call

INTEROP_VERSION = "8"


class Interim:
    """Sends 104s on one request's connection: first where the upload is, then how far it has come."""

    def __init__(self, call: Call, announcement: Mapping[str, str]) -> None:
        request = call.request
        self._request = request
        self._announcement = announcement
        self._allowed = (
            call.serving.interim
            and request.version >= HttpVersion11
            and request.headers.getall("Upload-Draft-Interop-Version", []) == [INTEROP_VERSION]
        )

    async def announce(self) -> None:
        """Say where the upload is."""
        await self._send(self._announcement)

    async def progress(self, offset_bytes: int) -> None:
        """Say how much is durable."""
        await self._send({"Upload-Offset": str(offset_bytes)})

    async def _send(self, headers: Mapping[str, str]) -> None:
        if not self._allowed:
            return
        lines = [
            "HTTP/1.1 104 Upload Resumption Supported",
            f"Upload-Draft-Interop-Version: {INTEROP_VERSION}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        await self._request.writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        # The final response has not begun: aiohttp would take these bytes for it and could not report an error.
        self._request.writer.output_size = 0
