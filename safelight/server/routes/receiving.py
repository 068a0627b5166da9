"""Receiving a large body: from the connection into memory that is used again, which nobody copies on its way to disk.

While the body comes, `Receiving` stands in for the request's connection, by asyncio's own means (`BufferedProtocol`).
So it works on every event loop and through TLS, and sees no byte of the request after it.
"""

import asyncio
import mmap
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from aiohttp import web

from safelight.server.domain.uploads import Chunk, Interrupted
from safelight.server.routes.connection import Connection

DIRECT_FROM_BYTES = 64 * 1024  # of less, most has arrived by the time it could pay
MEMORY_BYTES = 1024 * 1024
_HELD = 4  # so many of one upload's are full or lent, at most, while another fills
_CROWD = 16  # of more bodies at once, each has one at most
_KEPT = 32
_LOOK_S = 1.0

_free: list[memoryview] = []
_coming: set["Receiving"] = set()


class Receiving(asyncio.BufferedProtocol):
    """What is left of one request's body, on its way in. Made when the parser has none of it; `end` it in any case."""

    def __init__(
        self, transport: asyncio.Transport, connection: Connection, request: web.Request, there: Sequence[bytes]
    ) -> None:
        """Take over from *connection*; *there* is what *request* had of its body, whose content gets nothing more."""
        self._memory: memoryview | None = _some_memory()  # first: where there is none, nothing has begun
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._connection = connection
        self._unread_bytes = (request.content_length or 0) - request.content.total_bytes + sum(map(len, there))
        self._filled_bytes = 0
        self._full: deque[memoryview] = deque()
        self._held = 0
        self._paused = False
        self._ended = False
        self._failure: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._arrived_s = self._loop.time()
        _coming.add(self)
        connection.leave_body(request.content)
        # Whatever aiohttp ends a request with (the connection is gone, the server stops) it tells the content.
        self._watching = asyncio.create_task(request.content.wait_eof())
        self._watching.add_done_callback(self._content_is_over)
        for piece in there:
            self._take(piece)
        transport.set_protocol(self)

    async def chunk(self, stall_timeout_s: float) -> Chunk | None:
        """Return what comes next, None at the end. Memory that does not fill within a second is given as it is.

        Raises TimeoutError where nothing came for so long though it was read, which does not count while the disk is
        waited for, and ConnectionError where nothing more will come.
        """
        while not self._full:
            if not self._unread_bytes and not self._filled_bytes:
                return None
            if self._failure is not None and not self._filled_bytes:
                raise ConnectionResetError("the body broke off") from self._failure
            if self._failure is not None or not await self._arrives(min(_LOOK_S, stall_timeout_s)):
                if self._filled_bytes:
                    self._set_aside()
                elif not self._paused and self._loop.time() - self._arrived_s >= stall_timeout_s:
                    raise TimeoutError
        data = self._full.popleft()
        return Chunk(data, partial(self._given_back, data))

    def end(self) -> None:
        """Give the connection back to aiohttp, with whatever of the body did not come."""
        if self._ended:
            return
        self._ended = True
        _coming.discard(self)
        self._watching.cancel()  # aiohttp tells the content nothing more where the client goes while it is answered
        # One that closes tells nothing but its end, which is passed on; through TLS it may have let go of all else.
        if not self._transport.is_closing():
            self._transport.set_protocol(self._connection)
        self._connection.take_body_back(self._unread_bytes)
        self._resume()

    # What asyncio tells a connection's protocol

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - there is as much as there is
        """Return where the next bytes go: no more than what is left of the body."""
        if self._memory is None:
            self._memory = _some_memory()
        return self._memory[self._filled_bytes : min(MEMORY_BYTES, self._filled_bytes + self._unread_bytes)]

    def buffer_updated(self, nbytes: int) -> None:
        """Note that so many bytes arrived; at the body's end the connection is aiohttp's again."""
        self._filled_bytes += nbytes
        self._unread_bytes -= nbytes
        self._arrived_s = self._loop.time()
        if self._filled_bytes == MEMORY_BYTES or not self._unread_bytes:
            self._set_aside()
            self._wake()
        if not self._unread_bytes:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and aiohttp."""
        self._fail(exc)
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on: answers are aiohttp's."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._connection.resume_writing()

    def _take(self, data: bytes) -> None:
        """Let bytes come as if they came now: in whole memory they go to disk like all others."""
        while data:
            room = self.get_buffer(len(data))
            size_bytes = min(len(room), len(data))
            room[:size_bytes] = data[:size_bytes]
            self.buffer_updated(size_bytes)
            data = data[size_bytes:]

    def _set_aside(self) -> None:
        """The memory that was filling is as full as it gets; where too much waits, nothing more is read for now."""
        if self._memory is None:
            return
        self._full.append(self._memory[: self._filled_bytes])
        self._memory, self._filled_bytes = None, 0
        self._held += 1
        if self._holds_enough() and self._unread_bytes and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _given_back(self, data: memoryview) -> None:
        self._held -= 1
        if len(_free) < _KEPT:
            _free.append(memoryview(data.obj))
        if self._paused and not self._ended and not self._holds_enough():
            self._resume()

    def _holds_enough(self) -> bool:
        return self._held >= (_HELD if len(_coming) <= _CROWD else 1)

    def _resume(self) -> None:
        self._paused = False
        self._arrived_s = self._loop.time()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _arrives(self, timeout_s: float) -> bool:
        """Wait until memory is full, or the end; False if it did not come to that in time."""
        self._arrival = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrival
        except TimeoutError:
            return False
        finally:
            self._arrival = None
        return True

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _fail(self, error: BaseException | None) -> None:
        if self._failure is None:
            self._failure = ConnectionResetError(str(error or "the connection is gone"))
        self._wake()

    def _content_is_over(self, watching: "asyncio.Task[None]") -> None:
        if watching.cancelled():
            self._fail(None)
        elif error := watching.exception():
            self._fail(error)


def _some_memory() -> memoryview:
    return _free.pop() if _free else memoryview(mmap.mmap(-1, MEMORY_BYTES))


async def content(request: web.Request, stall_timeout_s: float) -> AsyncGenerator[Chunk, None]:
    """Yield the request's content as it arrives; raises Interrupted when it breaks off, or stands still for so long."""
    length = request.content_length
    direct = isinstance(request.protocol, Connection) and length is not None and length >= DIRECT_FROM_BYTES
    try:
        async with aclosing((_directly if direct else _parsed)(request, stall_timeout_s)) as chunks:
            async for chunk in chunks:
                yield chunk
    except (ConnectionError, TimeoutError, web.RequestPayloadError) as error:
        raise Interrupted from error


async def _parsed(request: web.Request, stall_timeout_s: float) -> AsyncGenerator[Chunk, None]:
    """As aiohttp's parser gives it."""
    while True:
        async with asyncio.timeout(stall_timeout_s):
            piece = await request.content.readany()
        if not piece:
            return
        yield Chunk(piece)


async def _directly(request: web.Request, stall_timeout_s: float) -> AsyncGenerator[Chunk, None]:
    """What aiohttp's parser has already, and then the rest past it."""
    there = []
    while piece := request.content.read_nowait():
        there.append(piece)
    transport, connection = request.transport, request.protocol
    if (
        request.content.is_eof()
        or transport is None
        or not isinstance(connection, Connection)
        or connection.passes_bytes_over
    ):
        for piece in there:
            yield Chunk(piece)
        async for chunk in _parsed(request, stall_timeout_s):
            yield chunk
        return
    receiving = Receiving(transport, connection, request, there)
    try:
        while (came := await receiving.chunk(stall_timeout_s)) is not None:
            yield came
    finally:
        receiving.end()
