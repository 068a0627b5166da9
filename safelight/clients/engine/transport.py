"""One request, one answer: aiohttp held to what a client of ours needs, and every wait bounded.

No redirect is followed, nothing is unpacked, no cookie is kept; what fails on the way is `ConnectionCut`.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from safelight.clients.engine.answers import (
    Answer,
    Busy,
    ConnectionCut,
    NotSent,
    read_limited,
    read_refusal,
    reason,
    retry_after_s,
    stay_here,
)
from safelight.clients.engine.stalls import Body, Moving, Patience, SteadyReader, unless_stalled
from safelight.sync_protocol.refusals import Code, Refused

MAX_CONNECTIONS = 16
CONNECT_TIMEOUT_S = 15
BELL_HEARTBEAT_S = 30
RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})


class Transport:
    """The connections to one server; an async context manager."""

    def __init__(self, url: URL, patience: Patience) -> None:
        self._url = url
        self._patience = patience
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._patience.stall_s)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            # *An answer that swells*: nothing is asked for compressed, and nothing is unpacked.
            headers={"User-Agent": "Safelight", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trace_configs=[stay_here()],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def send(self, method: str, path: str, data: bytes | Body, headers: Mapping[str, str]) -> Answer:
        """Send one request and return its whole answer; a problem document is raised, as `Busy` where it passes."""
        if isinstance(data, bytes):
            # In pieces, too: an entry of a megabyte at once would hold up the event loop.
            payload = io.BytesIO(data) if data else None
            return await self._send(method, path, payload, headers, self._patience.seconds_for(len(data)))
        moving = Moving(data)
        sending = self._send(method, path, moving.pieces(), headers, None)
        return await unless_stalled(sending, moving, self._patience.stall_s)

    async def _send(
        self,
        method: str,
        path: str,
        payload: io.BytesIO | Body | None,
        headers: Mapping[str, str],
        max_wait_s: float | None,
    ) -> Answer:
        try:
            async with (
                asyncio.timeout(max_wait_s) as limit,
                self._client().request(
                    method, self._at(path), data=payload, headers=headers, allow_redirects=False
                ) as response,
            ):
                body = await self._read(response, limit)
                if 200 <= response.status < 300:
                    return Answer(response.status, response.headers, body)
                refusal = read_refusal(response, body)
                if response.status in RETRIED_STATUSES and refusal.code is not Code.STORAGE_READ_ONLY:
                    raise Busy(refusal, retry_after_s(response))
                raise refusal
        except aiohttp.ClientConnectorError as error:
            raise NotSent(reason(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error.__cause__, Refused):
                raise error.__cause__ from None  # the body's source failed, not the network
            raise ConnectionCut(reason(error)) from error

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[tuple[int, SteadyReader]]:
        """Give an answer's status and its body as a stream; ConnectionCut when the network fails."""
        try:
            async with (
                asyncio.timeout(self._patience.stall_s) as limit,
                self._client().get(self._at(path), headers=headers, allow_redirects=False) as response,
            ):
                if response.status not in (200, 206):
                    raise read_refusal(response, await self._read(response, limit))
                limit.reschedule(None)  # from here on the reader watches
                yield response.status, SteadyReader(response.content, self._patience)
        except TimeoutError:
            raise ConnectionCut("it answers too slowly") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            # Not every OSError: a full disk under whoever writes what is read here is no fault of the network.
            raise ConnectionCut(reason(error)) from error

    @asynccontextmanager
    async def socket(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket; raises what aiohttp raises, and TimeoutError for a handshake that does not end."""
        async with (
            asyncio.timeout(self._patience.stall_s) as limit,
            self._client().ws_connect(self._at(path), headers=headers, heartbeat=BELL_HEARTBEAT_S) as socket,
        ):
            limit.reschedule(None)
            yield socket

    async def _read(self, response: aiohttp.ClientResponse, limit: asyncio.Timeout) -> bytes:
        """Read an answer whose time grows with what has come of it."""
        started_s = asyncio.get_running_loop().time()
        return await read_limited(
            response, lambda size_bytes: limit.reschedule(started_s + self._patience.seconds_for(size_bytes))
        )

    def _at(self, path: str) -> URL:
        target, _, query = path.partition("?")
        return self._url.joinpath(target.lstrip("/")).with_query(query or None)

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise Refused(Code.SERVER_UNREACHABLE, "the connection is closed")
        return self._http
