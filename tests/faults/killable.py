"""A real server to be killed and started again quickly: each is forked from a process that has only read its modules.

From `main` on everything happens anew in each, as in one that was started by hand; what is saved is the second and more
in which Python reads modules, so that a storm is mostly uploads and kills.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safelight.server.__main__ import main
from tests.faults.witness import Notes, Stage, attend
from tests.support.samples import REPOSITORY

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.001


@dataclass(frozen=True)
class Death:
    """What a server was at when it was killed: uploads whose bytes came, and a transaction with commits."""

    uploads: int
    stage: Stage


class KillableServer:
    """One server at a time, on one data folder and one address; *mutant* is code that breaks it before its main."""

    def __init__(self, data: Path, listen: str, *options: str, mutant: str = "") -> None:
        self.log = data.parent / "server.log"
        self._notes = Notes(data.parent / "witness")
        program = f"{mutant}\nfrom tests.faults.killable import fork_servers\nfork_servers()"
        arguments = [str(data.parent / "witness"), "run", "--data", str(data), "--listen", listen, *options]
        with self.log.open("ab") as log:
            self._template = subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                cwd=REPOSITORY,
            )
        self._pid = 0

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert self._template.stdin is not None
        self._template.stdin.write("start\n")
        self._pid = int(self._said().removeprefix("pid "))
        while not (said := self._said()).startswith("listening on "):
            if said == "reaping":
                raise AssertionError(self.log.read_text()[-2000:])

    def kill(self) -> Death:
        """End it without warning; returns what it was at."""
        os.kill(self._pid, signal.SIGKILL)  # it stays a child of its parent, so the number is nobody else's
        while self._said() != "reaping":
            pass
        death = Death(self._notes.uploads, self._notes.stage)
        self._pid = 0
        return death

    def close(self) -> None:
        """End everything."""
        if self._pid:
            self.kill()
        self._template.kill()
        self._template.wait()
        for stream in (self._template.stdin, self._template.stdout):
            if stream is not None:
                stream.close()

    def stop_with_bytes(self, going: Callable[[], bool]) -> bool:
        """Have it stand still while uploads are on their way; False where *going* ended before."""
        while going():
            if self._notes.uploads:
                self._signal(signal.SIGSTOP)
                self._wait_until_still()
                if self._notes.uploads:
                    return True
                self._signal(signal.SIGCONT)
            time.sleep(_LOOK_S)
        return False

    def stop_in_commit(self, stage: Stage, going: Callable[[], bool]) -> bool:
        """Have it stand still inside a transaction with commits, while uploads are on their way, too.

        False where *going* ended before.
        """
        self._notes.hold_at(stage)
        while going():
            if self._is_still():
                if self._notes.uploads:
                    return True
                self._notes.hold_at(stage)
                self.go_on()
            time.sleep(_LOOK_S)
        self._notes.hold_at(Stage.NONE)
        self.go_on()
        return False

    def go_on(self) -> None:
        """Let it go on, if it stands still."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def _wait_until_still(self) -> None:
        while not self._is_still():
            time.sleep(_LOOK_S / 10)

    def _is_still(self) -> bool:
        """Whether every thread of it was stopped: none does anything any more, not even one that was in the kernel."""
        states = [_state(task / "stat") for task in Path(f"/proc/{self._pid}/task").iterdir()]
        if "Z" in states:
            raise AssertionError(f"the server ended by itself: {self.log.read_text()[-2000:]}")
        return all(state in {"T", ""} for state in states)

    def _said(self) -> str:
        assert self._template.stdout is not None
        line = self._template.stdout.readline()
        if not line:
            raise AssertionError(self.log.read_text()[-2000:])
        return line.strip()


def _state(stat: Path) -> str:
    """The state of a thread, a letter; nothing where it has ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def fork_servers() -> None:
    """Start a server for every line that comes in, one after the other."""
    witness, *arguments = sys.argv[1:]
    _end_with_parent()
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            print(f"pid {os.getpid()}", flush=True)  # noqa: T201 - to whoever starts servers
            _end_with_parent()
            attend(witness)
            sys.argv = ["safelight-server", *arguments]
            main()
            sys.exit()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        print("reaping", flush=True)  # noqa: T201
        os.waitpid(pid, 0)


def _end_with_parent() -> None:
    """Whoever kills the tests leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
