"""A server that lies: the real one behind a proxy that changes its answers as a test tells it to."""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from safelight.sync_protocol.log import Frame, frames_from_bytes, frames_to_bytes, next_chain
from safelight.sync_protocol.messages.spaces import SpaceRow

T = TypeVar("T")

_NOT_PASSED_ON = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"}
)


@dataclass(frozen=True)
class Exchange:
    """One request, as it came, and its answer, as the client will see it."""

    method: str
    path: str
    query: Mapping[str, str]
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes

    def as_(self, shape: type[T]) -> T:
        """Read the answer as *shape*."""
        return msgspec.json.decode(self.body, type=shape)

    def cut(self) -> "Exchange":
        """The same exchange, whose answer never arrives."""
        return replace(self, status=0)

    def with_json(self, answer: object) -> "Exchange":
        """The same exchange with another answer."""
        return replace(self, body=msgspec.json.encode(answer))

    def changed(self, answer: msgspec.Struct, **changes: object) -> "Exchange":
        """The same exchange with some of the answer's fields changed."""
        return self.with_json(msgspec.structs.replace(answer, **changes))


Lie = Callable[[Exchange], Exchange | Awaitable[Exchange]]


@dataclass
class Proxy:
    """Where clients reach the lying server, and the lies that it tells now."""

    url: str
    upstream: str
    http: aiohttp.ClientSession
    lies: list[tuple[str, re.Pattern[str], Lie]] = field(default_factory=list)

    def lie(self, method: str, path: str, lie: Lie) -> None:
        """Answer *method* on paths that match *path* (a regular expression) with what *lie* makes of the truth."""
        self.lies.append((method, re.compile(path), lie))

    def be_honest(self) -> None:
        """Tell no more lies."""
        self.lies.clear()

    async def ask(self, path: str, headers: Mapping[str, str]) -> bytes:
        """Ask the real server."""
        async with self.http.get(self.upstream + path, headers=_passed_on(headers)) as response:
            return await response.read()

    def rewrite_log(self, space_id: bytes, rewrite: Callable[[list[Frame]], list[Frame]]) -> None:
        """Show a log that *rewrite* made of the real one, numbered and chained anew, as a server can."""
        base = f"/v1/spaces/{space_id.hex()}"

        async def frames(exchange: Exchange) -> list[Frame]:
            data = await self.ask(f"{base}/log?after=0", exchange.request_headers)
            return chained(rewrite(list(frames_from_bytes(data))))

        async def show_log(exchange: Exchange) -> Exchange:
            shown = [f for f in await frames(exchange) if f.number > int(exchange.query.get("after", "0"))]
            return replace(exchange, status=200, body=frames_to_bytes(shown))

        async def show_row(exchange: Exchange) -> Exchange:
            last = (await frames(exchange))[-1]
            return exchange.changed(exchange.as_(SpaceRow), number=last.number, chain=last.chain)

        self.lie("GET", f"{base}/log", show_log)
        self.lie("GET", f"{base}$", show_row)

    async def handle(self, request: web.Request) -> web.Response:
        """Pass a request on, and change its answer."""
        body = await request.read()
        async with self.http.request(
            request.method, self.upstream + request.raw_path, data=body or None, headers=_passed_on(request.headers)
        ) as response:
            exchange = Exchange(
                request.method,
                request.path,
                request.query,
                request.headers,
                body,
                response.status,
                dict(response.headers),
                await response.read(),
            )
        for method, path, lie in self.lies:
            if method == exchange.method and path.match(exchange.path):
                told = lie(exchange)
                exchange = told if isinstance(told, Exchange) else await told
        if exchange.status == 0 and request.transport is not None:
            request.transport.abort()
            return web.Response(status=502)
        return web.Response(status=exchange.status, headers=_passed_on(exchange.headers), body=exchange.body)


def chained(frames: list[Frame]) -> list[Frame]:
    """Number and chain frames from the beginning."""
    made: list[Frame] = []
    chain = b""
    for number, frame in enumerate(frames, start=1):
        chain = next_chain(chain, number, frame.entry_id)
        made.append(msgspec.structs.replace(frame, number=number, chain=chain))
    return made


def with_envelope(frame: Frame, envelope: bytes) -> Frame:
    """Return *frame* with another entry in it, named for what it is."""
    return msgspec.structs.replace(frame, envelope=envelope, entry_id=hashlib.sha256(envelope).digest())


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}


@asynccontextmanager
async def lying_server(upstream: str) -> AsyncIterator[Proxy]:
    """Run a proxy in front of *upstream*; honest until told otherwise."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as http:
        proxy = Proxy("", upstream, http)
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            address: Any = runner.addresses[0]
            proxy.url = f"http://127.0.0.1:{address[1]}"
            yield proxy
        finally:
            await runner.cleanup()
