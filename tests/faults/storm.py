"""The kill storm: `kill -9` of the real server at random moments while the real command line uploads through it.

A kill counts only while a push runs and the server was writing an upload that is not finished. After the storm, before
anything is sent again, everything that a push called uploaded must be there.
"""

import hashlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.commands import new_account, new_camera
from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerProcess

# A part that was written to so shortly before the kill was on its way.
_IN_FLIGHT_S = 0.5
_FILE_SIZES_BYTES = (1_000, 1_500_000, 6_000_000)
_WAIT_S = 8
_LOOKS = 20

# A server that is quick to promise: it says that a blob is stored, and stores it a moment later.
HASTY = """
import asyncio
from safelight.server.stores.blobs_directory import DirectoryAppender as A
finish, close = A.finish, A.close
async def hasty(self, digest=None):
    self.hasty = True
    async def later():
        await asyncio.sleep(2)
        await finish(self, digest)
        await close(self)
    self.task = asyncio.ensure_future(later())
    return digest, self.offset_bytes
async def patient(self):
    if not getattr(self, "hasty", False):
        await close(self)
A.finish, A.close = hasty, patient
"""


@dataclass
class Report:
    """What happened: kills, those with bytes in flight, what was called uploaded, and what was found wrong."""

    kills: int = 0
    in_flight: int = 0
    acknowledged: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)


class Storm:
    """One server on one port that is killed and started again, and a push that goes on meanwhile."""

    def __init__(self, folder: Path, *, seed: int, mutant: str = "") -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.mutant = mutant
        self.port = _free_port()
        self.report = Report()
        self.roll = folder / "roll"
        self.roll.mkdir(parents=True)
        self.server = self._start()
        self.owner = new_account(self.server, folder / "owner", "owner")
        self.owner.ok("space", "create", "Family", "--kind", "family")
        self.camera = new_camera(self.owner, "Family", folder / "phone")

    def run(self, kills: int) -> Report:
        """Kill the server *kills* times, then check what stands and finish the roll."""
        while self.report.in_flight < kills and self.report.kills < 3 * kills:
            self._add_files()
            with self._pushing() as push:
                while push.poll() is None and self.report.in_flight < kills:
                    time.sleep(self.chance.uniform(0, 2))  # some acknowledgements come through in between
                    self._wait_for_bytes(push)
                    if push.poll() is None:
                        self._kill_and_restart(push)
        self._check_acknowledged()
        self._finish()
        self._end_server()
        return self.report

    def _add_files(self) -> None:
        start = len(list(self.roll.iterdir()))
        for number in range(start, start + 40):
            content = self.chance.randbytes(self.chance.choice(_FILE_SIZES_BYTES))
            (self.roll / f"IMG_{number:05}.JPG").write_bytes(content)

    @contextmanager
    def _pushing(self) -> Iterator["subprocess.Popen[str]"]:
        """A push whose lines are read as they come; killed with its last words at the end."""
        push = self.camera.start("camera", "push", str(self.roll), "--no-renditions")
        reader = threading.Thread(target=self._read, args=(push,))
        reader.start()
        try:
            yield push
        finally:
            push.send_signal(signal.SIGKILL)
            push.wait()
            reader.join()
            for stream in (push.stdout, push.stderr):
                if stream is not None:
                    stream.close()

    def _read(self, push: "subprocess.Popen[str]") -> None:
        for line in push.stdout or ():
            if line.startswith("+ "):
                self.report.acknowledged.add(line[2:].strip())

    def _kill_and_restart(self, push: "subprocess.Popen[str]") -> None:
        # Held still, it is looked at: the few kills that would find nothing on its way are left out as far as may be.
        for _ in range(_LOOKS):
            self.server.process.send_signal(signal.SIGSTOP)
            in_flight = self._in_flight()
            if in_flight or push.poll() is not None:
                break
            self.server.process.send_signal(signal.SIGCONT)
            self._wait_for_bytes(push)
        running = push.poll() is None
        self._end_server()
        self.report.kills += 1
        self.report.in_flight += running and in_flight
        self.server = self._start()

    def _wait_for_bytes(self, push: "subprocess.Popen[str]") -> None:
        """Wait until the client, which paused after the last kill, sends again."""
        deadline = time.monotonic() + _WAIT_S
        while push.poll() is None and time.monotonic() < deadline and not self._in_flight():
            time.sleep(0.002)

    def _in_flight(self) -> bool:
        """Whether an upload that is not finished was written to just now."""
        try:
            parts = [path.stat() for path in (self.folder / "data").rglob("uploads/*") if path.is_file()]
        except FileNotFoundError:
            return False  # one was finished while we looked
        now = time.time()
        return any(part.st_size and now - part.st_mtime < _IN_FLIGHT_S for part in parts)

    def _end_server(self) -> None:
        self.server.kill()
        if self.server.process.stdout is not None:
            self.server.process.stdout.close()

    def _start(self) -> ServerProcess:
        """Start the server, broken as the mutant says; it listens where it did before."""
        program = f"{self.mutant}\nimport sys\nfrom safelight.server.__main__ import main\nsys.exit(main())"
        arguments = ["run", "--data", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]
        log = (self.folder / "server.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, cwd=REPOSITORY
        )
        log.close()
        if process.stdout is None or not process.stdout.readline().startswith("listening on "):
            raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
        return ServerProcess(f"http://127.0.0.1:{self.port}", self.folder / "data", process)

    def _check_acknowledged(self) -> None:
        """I1 and I3: what was called uploaded is there once and whole, before anything is sent again."""
        rows = self.owner.json("asset", "list", "--space", "Family")
        names = [row["name"] for row in rows]
        lost = self.report.acknowledged - set(names)
        twice = {name for name in names if names.count(name) > 1}
        self.report.violations += [f"acknowledged and not there: {name}" for name in sorted(lost)]
        self.report.violations += [f"there twice: {name}" for name in sorted(twice)]
        self._compare("after the storm", expected=set(names))

    def _finish(self) -> None:
        """I2: the next push completes the roll, and every file comes back as it was."""
        done = self.camera.run("camera", "push", str(self.roll), "--no-renditions", "--json")
        if done.returncode:
            self.report.violations.append(f"the last push failed: {done.stderr[-300:]}")
        self._compare("at the end", expected=set(digests(self.roll)))

    def _compare(self, when: str, expected: set[str]) -> None:
        target = self.folder / when.replace(" ", "-")
        self.owner.run("export", str(target), "--space", "Family")
        found, wanted = digests(target), digests(self.roll)
        for name in sorted(expected):
            if found.get(name) != wanted.get(name):
                self.report.violations.append(f"{when}: {name} does not come back as it was")


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every photograph in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.JPG")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
