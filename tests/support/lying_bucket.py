"""A bucket that lies: the real one behind a proxy that denies, forgets, hangs and changes bytes as a test says."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO

import aiohttp
from aiohttp import web
from yarl import URL

_NOT_PASSED_ON = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"})


@dataclass(frozen=True)
class Asked:
    """A request to the bucket, and how to ask the real one."""

    method: str
    path: str
    body: bytes
    forward: Callable[[bytes | None], Awaitable["Said"]]


@dataclass(frozen=True)
class Said:
    """What the bucket says. With status 0 the connection breaks; `claims` is a length that the body may not have."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    claims: int | None = None

    def with_header(self, name: str, value: str) -> "Said":
        """The same with one header changed."""
        return replace(self, headers={**self.headers, name: value})


Lie = Callable[[Asked], Awaitable[Said]]


@dataclass
class LyingBucket:
    """Where the bucket is reached, what it lies now, and what it was asked."""

    endpoint: str = ""
    lies: list[tuple[str, re.Pattern[str], Lie]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def lying(self, lie: Lie, method: str = ".*", path: str = "") -> Iterator[None]:
        """Answer what matches *method* and *path* with *lie* until the end of the block."""
        told = (method, re.compile(path), lie)
        self.lies.append(told)
        try:
            yield
        finally:
            self.lies.remove(told)


@asynccontextmanager
async def lying_bucket(upstream: str) -> AsyncIterator[LyingBucket]:
    """Run the proxy in front of *upstream*."""
    bucket = LyingBucket()
    async with aiohttp.ClientSession(auto_decompress=False) as http:

        async def serve(request: web.Request) -> web.StreamResponse:
            body = await request.read()

            async def forward(changed: bytes | None = None) -> Said:
                headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
                url, sent = upstream + request.raw_path, body if changed is None else changed
                async with http.request(
                    request.method, URL(url, encoded=True), data=BytesIO(sent), headers=headers
                ) as answer:
                    kept = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON}
                    if request.method == "HEAD":
                        kept["Content-Length"] = answer.headers.get("Content-Length", "0")
                    return Said(answer.status, kept, await answer.read())

            bucket.asked.append((request.method, request.raw_path))
            asked = Asked(request.method, request.raw_path, body, forward)
            matching = [
                lie
                for method, path, lie in bucket.lies
                if re.fullmatch(method, asked.method) and path.search(asked.path)
            ]
            said = await (matching[-1](asked) if matching else forward(None))
            return await _answer(request, said)

        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", serve)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            bucket.endpoint = f"http://{host}:{port}"
            yield bucket
        finally:
            await runner.cleanup()


async def _answer(request: web.Request, said: Said) -> web.StreamResponse:
    if said.status == 0 and request.transport is not None:
        request.transport.abort()
    if said.claims is None:
        return web.Response(status=said.status or 500, headers=said.headers, body=said.body or None)
    response = web.StreamResponse(status=said.status, headers=said.headers)
    response.content_length = said.claims
    await response.prepare(request)
    await response.write(said.body)
    if request.transport is not None:
        request.transport.close()
    return response


async def denies(asked: Asked) -> Said:
    """Nobody may do anything."""
    return Said(403, {}, b"<Error><Code>AccessDenied</Code></Error>")


async def is_busy(asked: Asked) -> Said:
    """It is always too much."""
    return Said(503, {}, b"<Error><Code>SlowDown</Code></Error>")


async def hangs(asked: Asked) -> Said:
    """Nothing is ever answered."""
    await asyncio.sleep(60)
    return Said(0)


async def talks_nonsense(asked: Asked) -> Said:
    """Something else listens there."""
    return Said(200, {"Content-Type": "text/html"}, b"<html>Welcome to your router</html>")


async def claims_to_have_it(asked: Asked) -> Said:
    """Everything that is put is said to be there, and thrown away."""
    return Said(200, {"ETag": '"0123456789abcdef0123456789abcdef"'})


async def keeps_what_is_deleted(asked: Asked) -> Said:
    """Everything that is deleted is said to be gone, and kept."""
    return Said(200, {}, b"<DeleteResult><Deleted><Key>all</Key></Deleted></DeleteResult>")


async def loses_the_answer(asked: Asked) -> Said:
    """It does as it was asked, and nobody hears of it."""
    await asked.forward(None)
    return Said(0)


async def flips_a_bit(asked: Asked) -> Said:
    """What comes back is not what was stored."""
    said = await asked.forward(None)
    if not said.body or said.status >= 300:
        return said
    body = bytearray(said.body)
    body[len(body) // 2] ^= 1
    return replace(said, body=bytes(body))


async def spoils_what_is_sent(asked: Asked) -> Said:
    """What arrives is not what was sent; the store itself has a chance to notice."""
    changed = bytearray(asked.body)
    if changed:
        changed[len(changed) // 2] ^= 1
    return await asked.forward(bytes(changed))


async def cuts_short(asked: Asked) -> Said:
    """The body ends before its length."""
    said = await asked.forward(None)
    return replace(said, body=said.body[: len(said.body) // 2], claims=len(said.body)) if said.body else said


async def adds_to_the_size(asked: Asked) -> Said:
    """The object is said to be longer than it is."""
    said = await asked.forward(None)
    found = re.fullmatch(r"(bytes \d+-\d+/)(\d+)", said.headers.get("Content-Range", ""))
    if found:
        return said.with_header("Content-Range", f"{found[1]}{int(found[2]) + 1}")
    if asked.method == "HEAD" and said.status == 200:
        return said.with_header("Content-Length", str(int(said.headers["Content-Length"]) + 1))
    return said


async def knows_no_conditions(asked: Asked) -> Said:
    """What is to be written only where nothing is, is said to be written all the same."""
    said = await asked.forward(None)
    return Said(200, {"ETag": '"0123456789abcdef0123456789abcdef"'}) if said.status == 412 else said


def only(times: int, lie: Lie) -> Lie:
    """Lie so many times, and then no more."""
    left = times

    async def first(asked: Asked) -> Said:
        nonlocal left
        left -= 1
        return await (lie(asked) if left >= 0 else asked.forward(None))

    return first
