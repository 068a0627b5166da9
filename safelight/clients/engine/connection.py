"""The connection to one server: pinned key, device sessions that renew themselves, timeouts and bounded retries.

Nothing that the server says is trusted here but its key, which must be the pinned one; what it sends is verified by
whoever asked for it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from safelight.clients.engine.answers import Answer, Busy, ConnectionCut, NotSent, check_server_url, decode
from safelight.clients.engine.device_session import DeviceKey, DeviceSession
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.stalls import Body, Patience, SteadyReader
from safelight.clients.engine.transport import RETRIED_STATUSES, Transport
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.log import Frame, frames_from_bytes, split_frames
from safelight.sync_protocol.messages.common import Request, ServerInfo
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession, Session
from safelight.sync_protocol.messages.spaces import Bell
from safelight.sync_protocol.refusals import Code, Refused

__all__ = ["Connection", "DeviceKey"]

T = TypeVar("T")


class Connection:
    """One server, as one device sees it; an async context manager.

    *server_key* is the pinned key; without one, the first answer's key is taken and kept in `server_key` for the caller
    to pin. Without *device* only requests that need no session are possible.
    """

    def __init__(
        self,
        server_url: str,
        *,
        server_key: bytes | None = None,
        device: DeviceKey | None = None,
        retries: Retries | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.url = check_server_url(server_url)
        self.device = device
        self.retries = retries or Retries()
        self._pinned_key = server_key
        self._info: ServerInfo | None = None
        self._info_lock = asyncio.Lock()
        self._session = DeviceSession(device, self._ask_challenge, self._open_session)
        self._transport = Transport(self.url, patience or Patience())

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    @property
    def server_key(self) -> bytes:
        """The server's signing key: the pinned one, or the one met first. Known after `server_info`."""
        if self._pinned_key is None:
            raise Refused(Code.SERVER_UNREACHABLE, "the server was not asked for its key yet")
        return self._pinned_key

    async def server_info(self) -> ServerInfo:
        """Return what the server says of itself; SERVER_KEY_CHANGED if its key is not the pinned one.

        Asked once a connection, before anything else is sent.
        """
        async with self._info_lock:
            if self._info is None:
                answer = await self._repeat("GET", "/v1/server", b"", {}, repeatable=True)
                info = decode(answer.body, ServerInfo)
                if self._pinned_key is not None and info.server_key != self._pinned_key:
                    raise Refused(Code.SERVER_KEY_CHANGED, str(self.url.host))
                self._pinned_key = info.server_key
                self._info = info
            return self._info

    async def public_url(self) -> str:
        """The address for others, in links and pairing codes: what the server says, else the one that is used here.

        *A server that sends people elsewhere*: nothing but an https address, or this machine's, is handed on.
        """
        stated = (await self.server_info()).public_url
        try:
            return str(check_server_url(stated)).rstrip("/")
        except Refused:
            return str(self.url).rstrip("/")

    async def request(
        self,
        method: str,
        path: str,
        body: Request | None,
        shape: type[T],
        *,
        ticket: str | None = None,
        anonymous: bool = False,
        repeatable: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Send one request and return the answer as *shape*; a problem document is raised as `Refused`.

        Signs in by the device's key when needed; *ticket* is sent instead of the session, *anonymous* sends neither.
        Network failures, 429 and 503 are tried again within `retries`, unless not *repeatable* (then only while
        certainly nothing was done). Raises SERVER_UNREACHABLE when they do not end.
        """
        data = b"" if body is None else msgspec.json.encode(body)
        more = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        answer = await self._authorised(method, path, data, more, ticket, anonymous=anonymous, repeatable=repeatable)
        return decode(answer.body, shape)

    async def fetch_frames(
        self, path: str, *, headers: Mapping[str, str] | None = None, anonymous: bool = False
    ) -> list[Frame]:
        """Return one page of a feed, unverified; an empty list at its end."""
        answer = await self._authorised("GET", path, b"", headers or {}, None, anonymous=anonymous, repeatable=True)
        return list(frames_from_bytes(answer.body))

    async def fetch_album_frames(self, path: str) -> list[AlbumFrame]:
        """Return one page of a shared album's own log, unverified; an empty list at its end."""
        return list(split_frames(await self.fetch_bytes(path), AlbumFrame))

    async def fetch_bytes(self, path: str) -> bytes:
        """Return an answer's bytes as they are."""
        return (await self._authorised("GET", path, b"", {}, None, anonymous=False, repeatable=True)).body

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> Answer:
        """Send one signed-in request once, its *body* streamed; ConnectionCut when the network fails or stands still.

        For uploads, which repeat in their own way. A session that ended is renewed for the next attempt.
        """
        await self.server_info()
        token = await self._session_token()
        signed = {**headers, "Authorization": f"Bearer {token}"}
        try:
            return await self._transport.send(method, path, body if body is not None else b"", signed)
        except Refused as refusal:
            self._session.ended(token, refusal)
            raise

    @asynccontextmanager
    async def open_blob(self, space_id: bytes, name: bytes, *, start: int = 0) -> AsyncIterator[SteadyReader]:
        """Stream a stored blob from the byte *start* on, unverified; ConnectionCut when the network fails or drips."""
        await self.server_info()
        path = f"/v1/spaces/{space_id.hex()}/blobs/{name.hex()}"
        ranges = {"Range": f"bytes={start}-"} if start else {}
        token = await self._session_token()
        try:
            async with self._transport.stream(path, {**ranges, "Authorization": f"Bearer {token}"}) as (status, stream):
                if bool(start) != (status == 206):
                    raise Refused(Code.LENGTH_MISMATCH, "the server sent another range than was asked for")
                yield stream
        except Refused as refusal:
            self._session.ended(token, refusal)
            raise

    async def open_bell(self, space_id: bytes) -> AsyncGenerator[Bell, None]:
        """Yield the bell's rings, without end; after each (re)connection one of number 0, which says: look.

        A hint only; the feed is the truth. Reconnects by itself; raises `Refused` when the server refuses.
        """
        failures = 0
        while True:
            await self.server_info()
            try:
                token = await self._session_token()
                path = f"/v1/spaces/{space_id.hex()}/bell"
                async with self._transport.socket(path, {"Authorization": f"Bearer {token}"}) as socket:
                    failures = 0
                    yield Bell(space_id.hex(), 0)
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            yield decode(message.data.encode(), Bell)
            except aiohttp.WSServerHandshakeError as error:
                self._session.forget()
                if error.status not in (401, *RETRIED_STATUSES):
                    raise Refused(Code.SPACE_UNKNOWN if error.status == 404 else Code.FORBIDDEN) from None
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass  # the loop goes on after a pause
            failures += 1
            await asyncio.sleep(self.retries.pause_s(failures))

    async def _authorised(
        self,
        method: str,
        path: str,
        data: bytes,
        headers: Mapping[str, str],
        ticket: str | None,
        *,
        anonymous: bool,
        repeatable: bool,
    ) -> Answer:
        await self.server_info()
        if anonymous or ticket is not None:
            authorization = {} if ticket is None else {"Authorization": f"Bearer {ticket}"}
            return await self._repeat(method, path, data, {**headers, **authorization}, repeatable=repeatable)
        token = await self._session_token()
        try:
            signed = {**headers, "Authorization": f"Bearer {token}"}
            return await self._repeat(method, path, data, signed, repeatable=repeatable)
        except Refused as refusal:
            if not self._session.ended(token, refusal):
                raise
        renewed = {**headers, "Authorization": f"Bearer {await self._session_token()}"}
        return await self._repeat(method, path, data, renewed, repeatable=repeatable)

    async def _session_token(self) -> str:
        return await self._session.token(self.server_key)

    async def _ask_challenge(self, asked: AskChallenge) -> Challenge:
        return await self.request("POST", "/v1/sessions/challenge", asked, Challenge, anonymous=True)

    async def _open_session(self, opening: OpenSession) -> Session:
        return await self.request("POST", "/v1/sessions", opening, Session, anonymous=True)

    async def _repeat(
        self, method: str, path: str, data: bytes, headers: Mapping[str, str], *, repeatable: bool
    ) -> Answer:
        failures = 0
        while True:
            failures += 1
            wished_s = 0.0
            try:
                return await self._transport.send(method, path, data, headers)
            except Busy as busy:
                refusal, wished_s = busy.refusal, busy.wished_s
            except NotSent as error:
                refusal = Refused(Code.SERVER_UNREACHABLE, str(error))
            except ConnectionCut as error:
                refusal = Refused(Code.SERVER_UNREACHABLE, str(error))
                if not repeatable:
                    raise refusal from None
            if failures >= self.retries.attempts:
                raise refusal
            await asyncio.sleep(self.retries.pause_s(failures, wished_s=wished_s))
