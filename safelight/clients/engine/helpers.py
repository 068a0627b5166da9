"""Helper processes: what is much and pure is done by several at once, a processor each (`helper_work`).

Nothing depends on them. When one dies, hangs or answers what it may not, all are ended, and whoever asked does the work
itself: slower, with the same outcome. They are started for much work alone, as processes of their own and no copies of
this one, in whose memory the account's keys are: all that a helper has is what it was asked.
"""

import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

import safelight
from safelight.clients.engine.helper_work import SIZE_BYTES, Request

T = TypeVar("T")

MAX_HELPERS = 8
# Starting one costs a fifth of a second of a processor: what so many signatures cost, or opening so many assets.
MANY = 3000
ANSWER_TIMEOUT_S = 60.0
_MAX_ANSWER_SIZE_BYTES = 64 * 1024 * 1024
_PIECE_SIZE_BYTES = 256 * 1024
_CHILD = "safelight.clients.engine.helper_child"


class HelpersGone(Exception):
    """No helper answers any more: do it yourself."""


class Asked:
    """A request that was sent, and its answer once that has come."""

    def __init__(self) -> None:
        self.answer: bytes | None = None


class _Helper:
    """One process, the socket to it, and what is under way in both directions."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # The same code as here, wherever that lies, and never the folder that the command was called in. Its own
            # session: Ctrl-C is for this process to handle. No other environment: it may hold passwords.
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
                [sys.executable, "-s", "-P", "-m", _CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(safelight.__file__).parent.parent)},
                cwd=os.sep,
                start_new_session=True,
            )
        ours.setblocking(False)  # noqa: FBT003 - the standard library's own parameter
        self.socket = ours
        self.asked: deque[Asked] = deque()
        self.unsent: deque[memoryview] = deque()
        self._received = bytearray()

    def send(self) -> None:
        """Send what the socket takes."""
        while self.unsent:
            try:
                sent = self.socket.send(self.unsent[0])
            except BlockingIOError:
                return
            self.unsent[0] = self.unsent[0][sent:]
            if not self.unsent[0]:
                self.unsent.popleft()

    def receive(self) -> None:
        """Take what has come. Raises HelpersGone for an end, and for an answer to nothing, or larger than any is."""
        try:
            piece = self.socket.recv(_PIECE_SIZE_BYTES)
        except BlockingIOError:
            return
        if not piece:
            raise HelpersGone
        self._received += piece
        while len(self._received) >= SIZE_BYTES:
            end = SIZE_BYTES + int.from_bytes(self._received[:SIZE_BYTES], "big")
            if not self.asked or end > _MAX_ANSWER_SIZE_BYTES:
                raise HelpersGone
            if len(self._received) < end:
                return
            self.asked.popleft().answer = bytes(self._received[SIZE_BYTES:end])
            del self._received[:end]

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Helpers:
    """Some helper processes, from their start until `close`; they forget all that they were sent when they end."""

    def __init__(self, count: int, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._answer_timeout_s = answer_timeout_s
        self._helpers: list[_Helper] = []
        try:
            for _ in range(count):
                self._helpers.append(_Helper())
        except OSError:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """How many there are; none once they are gone."""
        return len(self._helpers)

    def ask(self, request: Request) -> Asked:
        """Hand a request to whoever has least to do. Does not wait; `answer` does."""
        asked = Asked()
        if self._helpers:
            helper = min(self._helpers, key=lambda one: len(one.asked))
            data = msgspec.msgpack.encode(request)
            helper.asked.append(asked)
            helper.unsent.append(memoryview(len(data).to_bytes(SIZE_BYTES, "big") + data))
            self._exchange(0)
        return asked

    def answer(self, asked: Asked, shape: type[T]) -> T:
        """Wait for the answer to *asked* and return it as *shape*; raises HelpersGone where none comes."""
        deadline_s = time.monotonic() + self._answer_timeout_s
        while asked.answer is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                self.close()
            if not self._helpers:
                raise HelpersGone
            self._exchange(left_s)
        try:
            return msgspec.msgpack.decode(asked.answer, type=shape)
        except msgspec.DecodeError:
            self.close()
            raise HelpersGone from None

    def _exchange(self, wait_s: float) -> None:
        """Send and receive what goes without waiting, or what can be after *wait_s* at most."""
        poll, by_descriptor = select.poll(), {}
        for helper in self._helpers:
            by_descriptor[helper.socket.fileno()] = helper
            poll.register(helper.socket, select.POLLIN | (select.POLLOUT if helper.unsent else 0))
        try:
            for descriptor, event in poll.poll(wait_s * 1000):
                if event & select.POLLOUT:
                    by_descriptor[descriptor].send()
                if event & ~select.POLLOUT:
                    by_descriptor[descriptor].receive()
        except (OSError, HelpersGone):
            self.close()

    def close(self) -> None:
        """End them all."""
        helpers, self._helpers = self._helpers, []
        for helper in helpers:
            helper.stop()


def useful_count() -> int:
    """How many helpers this machine has processors for; none where there is but one."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, MAX_HELPERS) if processors > 1 else 0
