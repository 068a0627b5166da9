"""One request as a route sees it: who asks, with what body, query and path; strict, refused in the table's words."""

import asyncio
from ipaddress import ip_address
from typing import TypeVar

from aiohttp import web

from safelight.server.domain.access import Who
from safelight.server.routes.services import SERVICES, SERVING, Services, Serving
from safelight.sync_protocol.limits import MAX_INTEGER, MAX_REQUEST_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import parse_request

T = TypeVar("T")

# JSON takes up to a hundred times its size in memory while it is read, so most routes take little of it.
USUAL_BODY_SIZE_BYTES = 512 * 1024
# Bytes stand in JSON as base64, and an epoch for a thousand members is the largest request there is.
LARGEST_BODY_SIZE_BYTES = 2 * MAX_REQUEST_SIZE_BYTES


class Call:
    """A request, with what every route needs of it."""

    def __init__(self, request: web.Request, max_body_bytes: int = USUAL_BODY_SIZE_BYTES) -> None:
        self.request = request
        self._max_body_bytes = max_body_bytes
        self.services: Services = request.app[SERVICES]
        self.serving: Serving = request.app[SERVING]
        self._who: Who | None = None

    @property
    def who(self) -> Who:
        """Who asks; the route's table entry says that a session is needed."""
        if self._who is None:
            raise Refused(Code.SESSION_REQUIRED)
        return self._who

    async def authenticate(self, *, ticket_allowed: bool) -> None:
        """Find the session of the request's bearer token; raises SESSION_REQUIRED or SESSION_EXPIRED."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(Code.SESSION_REQUIRED)
        self._who = await self.services.sessions.find(token.strip(), ticket_allowed=ticket_allowed)

    async def check_session(self) -> None:
        """Ask again, during a long request, whether the session still stands; raises SESSION_REQUIRED."""
        if not await self.services.sessions.still_stands(self.who):
            raise Refused(Code.SESSION_REQUIRED)

    def path_bytes(self, name: str) -> bytes:
        """Return a part of the path that the route's pattern holds to hexadecimal."""
        return bytes.fromhex(self.request.match_info[name])

    def path_number(self, name: str) -> int:
        """Return a part of the path that the route's pattern holds to digits; raises BAD_REQUEST."""
        return _number(self.request.match_info[name], name)

    def query_numbers(self, **defaults: int) -> dict[str, int]:
        """Return the query's numbers, with *defaults* for those left out; raises BAD_REQUEST for anything else."""
        numbers = dict(defaults)
        for name, text in self.query(*defaults).items():
            numbers[name] = _number(text, name)
        return numbers

    def query(self, *names: str) -> dict[str, str]:
        """Return the query, which may hold only *names*, each once; raises BAD_REQUEST."""
        found: dict[str, str] = {}
        for name, text in self.request.query.items():
            if name not in names or name in found:
                raise Refused(Code.BAD_REQUEST, f"the query's {name[:32]!r} is unknown or stands twice")
            found[name] = text
        return found

    async def body(self, shape: type[T]) -> T:
        """Read the body as strict JSON; raises BAD_REQUEST, UNSUPPORTED_MEDIA, TOO_LARGE or TIMED_OUT.

        Where it was waited for, whoever asks is asked about again: *a revoked device that had begun its request, and
        says what it wants once it is revoked*. Raises SESSION_REQUIRED.
        """
        if self.request.content_type != "application/json":
            raise Refused(Code.UNSUPPORTED_MEDIA, "application/json")
        self.refuse_coding()
        waited = not self.request.content.is_eof()
        data = await self._read()
        if waited and self._who is not None:
            await self.check_session()
        return parse_request(data, shape)

    def refuse_coding(self) -> None:
        """Refuse compressed content: nothing here compresses well, and small bodies must not become large ones."""
        if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused(Code.UNSUPPORTED_MEDIA, "without Content-Encoding")

    @property
    def address(self) -> str:
        """The client's address: of the connection, or as the last trusted proxy saw it."""
        forwarded = ",".join(self.request.headers.getall("X-Forwarded-For", [])).split(",")
        address = self.request.remote or ""
        for hop in reversed([part.strip() for part in forwarded if part.strip()]):
            if not self.is_trusted(address):
                break
            address = hop
        return address

    async def _read(self) -> bytes:
        if (self.request.content_length or 0) > self._max_body_bytes:
            raise Refused(Code.TOO_LARGE)
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(self.serving.request_timeout_s):
                while True:
                    async with asyncio.timeout(self.serving.stall_timeout_s):
                        piece = await self.request.content.readany()
                    if not piece:
                        break
                    pieces.append(piece)
                    size_bytes += len(piece)
                    if size_bytes > self._max_body_bytes:
                        raise Refused(Code.TOO_LARGE)
        except TimeoutError:
            raise Refused(Code.TIMED_OUT) from None
        except web.RequestPayloadError as error:
            raise Refused(Code.BAD_REQUEST, str(error)) from None
        return b"".join(pieces)

    def is_trusted(self, address: str) -> bool:
        """Whether *address* is a proxy's that is believed."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.serving.trusted_proxies)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) > MAX_INTEGER:
        raise Refused(Code.BAD_REQUEST, f"{name} is a whole number")
    return int(text)
