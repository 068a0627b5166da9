"""The command line at a terminal of its own, typed at as a person does."""

import os
import pty
import select
import sys
import time
from collections.abc import Callable, Sequence

from tests.support.commands import TIMEOUT_S, Cli
from tests.support.samples import REPOSITORY

Press = Callable[[int, int], None]  # what a person does at a prompt, with the terminal and the process


def line(text: str) -> Press:
    """Type a line."""
    return lambda terminal, _: _write(terminal, text.encode() + b"\n")


def keys(data: bytes) -> Press:
    """Press keys, without Enter."""
    return lambda terminal, _: _write(terminal, data)


def killed(number: int) -> Press:
    """Send the process a signal."""
    return lambda _, process: os.kill(process, number)


def type_at(cli: Cli, *arguments: str, answers: Sequence[Press]) -> tuple[int, str]:
    """Run a command, answer one prompt after the other, and return its exit code and all that was on the screen."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(REPOSITORY)
        os.execvpe(sys.executable, [sys.executable, "-m", "safelight.clients.cli", *arguments], cli.environment)
    shown, answered, waiting = b"", 0, list(answers)
    until = time.monotonic() + TIMEOUT_S
    try:
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 0.2)[0]:
                if waiting and shown[answered:].rstrip().endswith(b":"):  # nothing more comes: it waits for an answer
                    answered = len(shown)
                    waiting.pop(0)(terminal, process)
                continue
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the terminal's other end was closed
                return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.decode("utf-8", "replace")
        os.kill(process, 9)
        os.waitpid(process, 0)
        raise AssertionError(f"it still waits: {shown!r}")
    finally:
        os.close(terminal)


def _write(terminal: int, data: bytes) -> None:
    os.write(terminal, data)
