"""A push of the real command line, read as it goes: what it called uploaded counts, whatever follows."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safelight.clients.camera.outcomes import Outcome
from tests.support.commands import Cli


class Silent:
    """Who hears of a push's progress, and says nothing."""

    def expect(self, files: int, size_bytes: int) -> None:
        """So much is to be done."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """One file is done."""

    def sent(self, size_bytes: int) -> None:
        """So much went out."""


@dataclass
class Acknowledged:
    """The names that pushes of one folder called uploaded, and those that they called so twice."""

    names: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)

    def note(self, name: str) -> None:
        """Note a name. Uploaded again, it was not there any more."""
        (self.twice if name in self.names else self.names).add(name)


class Push:
    """A push that is under way."""

    def __init__(self, camera: Cli, roll: Path, acknowledged: Acknowledged) -> None:
        self.process = camera.start("camera", "push", str(roll), "--no-renditions")
        self.complaints = ""
        self.code = 0
        self._acknowledged = acknowledged
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for reader in self._readers:
            reader.start()

    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def end(self) -> int:
        """Wait until it has ended and all that it said was read. Its exit code, or minus the signal that killed it."""
        self.code = self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return self.code

    def _read(self) -> None:
        for line in self.process.stdout or ():
            if line.startswith("+ "):
                self._acknowledged.note(line[2:].strip())

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.complaints += line


@contextmanager
def pushing(camera: Cli, roll: Path, acknowledged: Acknowledged) -> Iterator[Push]:
    """A push that is killed at the end of the block, if it still goes on."""
    push = Push(camera, roll, acknowledged)
    try:
        yield push
    finally:
        push.process.send_signal(signal.SIGKILL)
        push.end()
