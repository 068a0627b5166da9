"""Sending from an open file: `sendfile` on the connection's own socket, beside the event loop's buffers.

uvloop has no `sendfile`, and copying through the loop costs three to five times the CPU and lets many slow readers hold
up everyone. Here the transport is drained first, then at most 1 MiB at a time goes from file to socket in one of a few
threads, which never wait for the reader: that the socket takes more is the loop's to notice.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aiohttp import web

PIECE_SIZE_BYTES = 1024 * 1024
LOOK_AGAIN_S = 1.0
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="sending")


class FileSending:
    """One response whose body comes from a file. Open it with `begin`; close it in any case."""

    def __init__(self, request: web.Request, descriptor: int) -> None:
        self._request = request
        self._socket = descriptor
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def begin(cls, request: web.Request, response: web.StreamResponse) -> "FileSending | None":
        """Send the response's head; None where its body has to be written the usual way, for instance through TLS."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the connection is gone")
        connection = transport.get_extra_info("socket")
        if connection is None or transport.get_extra_info("sslcontext") is not None:
            await response.prepare(request)
            return None
        transport.set_write_buffer_limits(high=0)  # drained now means: empty
        try:
            writer = await response.prepare(request)
            if writer is None:
                return None
            writer.send_headers()
            await writer.drain()
        finally:
            transport.set_write_buffer_limits()
        if request.transport is None or transport.get_write_buffer_size():
            return None
        return cls(request, os.dup(connection.fileno()))

    async def send(self, file: int, start: int, end: int, stall_timeout_s: float) -> None:
        """Send the bytes of *file* from *start* up to *end*.

        Raises TimeoutError for a reader that takes nothing for so long, ConnectionError where it is gone, EOFError
        where the file is shorter than that.
        """
        while start < end:
            self._check_connection()
            sent = await self._piece(file, start, min(PIECE_SIZE_BYTES, end - start))
            if sent is None:
                async with asyncio.timeout(stall_timeout_s):
                    while not await self._writable():
                        self._check_connection()
            elif sent == 0:
                raise EOFError("the file is shorter than it was")
            else:
                start += sent

    def close(self) -> None:
        """Let go of the socket; the connection itself stays."""
        os.close(self._socket)

    async def _piece(self, file: int, start: int, size_bytes: int) -> int | None:
        """Send some of the bytes; None while the socket takes none. The thread is done with both files at the end."""
        sending = self._loop.run_in_executor(_THREADS, _send_some, self._socket, file, start, size_bytes)
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            while not sending.done():  # closed under it, both numbers may soon be another's files
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([sending])
            raise

    def _check_connection(self) -> None:
        """Stop when the server gave the connection up: our copy of its socket stays open, and is counted nowhere.

        *Readers beyond the limit of connections*: who closes its sending half is rid of the connection, and reads on.
        """
        if self._request.transport is None:
            raise ConnectionResetError("the connection is gone")

    async def _writable(self) -> bool:
        """Wait until the socket takes more; False if it is time to look at the connection again."""
        ready = self._loop.create_future()
        self._loop.add_writer(self._socket, _settle, ready)
        try:
            done, _ = await asyncio.wait([ready], timeout=LOOK_AGAIN_S)
            return bool(done)
        finally:
            self._loop.remove_writer(self._socket)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _send_some(connection: int, file: int, start: int, size_bytes: int) -> int | None:
    try:
        return os.sendfile(connection, file, start, size_bytes)
    except BlockingIOError:
        return None
