"""The developing processes, seen from the camera: one per core, reused, replaced when they die or hang."""

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from safelight.clients.camera.develop import messages
from safelight.clients.camera.develop.messages import (
    Answer,
    Developed,
    NotDeveloped,
    WatermarkAnswer,
    Watermarked,
)

ANSWER_TIMEOUT_S = 60.0
START_TIMEOUT_S = 60.0
# A decoder's leaks end with its process.
_PICTURES_PER_PROCESS = 500

T = TypeVar("T")
_Send = Callable[[socket.socket], Awaitable[None]]

_developed: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Developed | NotDeveloped)
_watermarked: msgspec.msgpack.Decoder[WatermarkAnswer] = msgspec.msgpack.Decoder(Watermarked | NotDeveloped)


_CHILD = ("-m", "safelight.clients.camera.develop.child")


class Purpose:
    """What pictures are developed for: one roll, or one link. A process that saw those of one never sees another's.

    *A picture that takes over its decoder* could keep what the process sees and give it out in place of what comes
    later: a client's clean proofs in a link for somebody else. So that process has ended by then.
    """


class _Gone(Exception):
    """The process died, hung, or answered what it may not."""


class _Worker:
    """One developing process and the socket to it; used by one task at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._developed = 0
        self._purpose: Purpose | None = None

    async def ask(self, purpose: Purpose, send: _Send, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Return the answer to what *send* asks; raises _Gone after which the next call starts a new process."""
        if self._process is None or self._purpose is not purpose or self._developed >= _PICTURES_PER_PROCESS:
            await self.stop()
            await self._start()
            self._purpose = purpose
        self._developed += 1
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._ask(send, decoder)
        except TimeoutError:
            await self.stop()
            raise _Gone("developing took too long") from None
        except (OSError, msgspec.MsgspecError) as error:
            await self.stop()
            raise _Gone(f"developing failed ({type(error).__name__})") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def _ask(self, send: _Send, decoder: msgspec.msgpack.Decoder[T]) -> T:
        connection = self._connection()
        await send(connection)
        size_bytes = int.from_bytes(await _receive(connection, messages.SIZE_BYTES), "big")
        if size_bytes > messages.MAX_ANSWER_SIZE_BYTES:
            raise OSError("the answer is larger than any may be")
        return decoder.decode(await _receive(connection, size_bytes))

    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise OSError("the process is not running")
        return self._socket

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Its own session: Ctrl-C is the camera's to handle. No environment: it may hold passwords.
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-I", *_CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": ""},
                cwd=os.sep,
                start_new_session=True,
            )
        ours.setblocking(False)  # noqa: FBT003 - the standard library's own parameter
        self._socket, self._developed = ours, 0
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _receive(ours, 1)
        except (OSError, TimeoutError):
            await self.stop()
            raise _Gone("the developing process did not start") from None

    async def stop(self) -> None:
        """End the process, for whatever it is doing."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._process = self._socket = None


class Developers:
    """A pool of developing processes."""

    def __init__(self, count: int) -> None:
        self._roll = Purpose()
        self._workers = [_Worker() for _ in range(count)]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def develop(self, path: Path, *, check: Callable[[os.stat_result], None] | None = None) -> Answer:
        """Develop the picture at *path*; NotDeveloped for whatever goes wrong: the original still goes up.

        *check* looks at the status of what was opened, and raises if it is not what was meant.
        """

        async def work(worker: _Worker) -> Answer:
            # A FIFO that took the picture's place is not waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = await asyncio.to_thread(os.open, path, flags)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    return NotDeveloped("it is no ordinary file")
                if check is not None:
                    check(status)
                return await worker.ask(
                    self._roll, lambda to: asyncio.to_thread(_send_descriptor, to, descriptor), _developed
                )
            finally:
                os.close(descriptor)

        return await self._with_worker(work)

    async def watermark(self, picture: bytes, text: str, link: Purpose) -> WatermarkAnswer:
        """Make *picture* anew with *text* all over it; NotDeveloped for whatever goes wrong: then there is no picture.

        *link* is the one that it is for; the process sees no others' pictures.

        The picture goes over the socket and not through a file: it may have been decrypted a moment ago.
        """
        if len(picture) > messages.MAX_PICTURE_SIZE_BYTES:
            return NotDeveloped("it is larger than a preview may be")

        async def send(to: socket.socket) -> None:
            values = (text.encode(), picture)
            sizes = [len(value).to_bytes(messages.SIZE_BYTES, "big") for value in values]
            await asyncio.get_running_loop().sock_sendall(to, b"".join((messages.WATERMARK, *sizes, *values)))

        return await self._with_worker(lambda worker: worker.ask(link, send, _watermarked))

    async def _with_worker(self, work: Callable[[_Worker], Awaitable[T]]) -> T | NotDeveloped:
        worker = await self._idle.get()
        try:
            return await work(worker)
        except (OSError, _Gone) as error:
            return NotDeveloped(str(error)[: messages.MAX_TEXT_LENGTH])
        finally:
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            await worker.stop()


@contextlib.asynccontextmanager
async def developers(count: int | None = None) -> AsyncIterator[Developers]:
    """Developing processes, one per core unless *count* says otherwise; they start when first needed and end here."""
    pool = Developers(count or os.cpu_count() or 1)
    try:
        yield pool
    finally:
        await asyncio.shield(pool.close())


def _send_descriptor(connection: socket.socket, descriptor: int) -> None:
    socket.send_fds(connection, [messages.DEVELOP], [descriptor])


async def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    data = bytearray(size_bytes)
    view, loop = memoryview(data), asyncio.get_running_loop()
    while view:
        received = await loop.sock_recv_into(connection, view)
        if not received:
            raise ConnectionResetError("the developing process ended")
        view = view[received:]
    return bytes(data)
