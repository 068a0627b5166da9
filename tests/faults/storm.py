"""The kill storm: `kill -9` of the real server at random moments while the real command line uploads through it.

A kill counts as one with bytes in flight only while a push runs and the server had taken bytes of an upload that it
had not answered; as one in a commit only between the first statement for an entry and the return of COMMIT. The server
notes both itself (`witness.py`). After the storm, before anything is sent again, everything that a push called uploaded
must be there.
"""

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.killable import Death, KillableServer
from tests.faults.storm_stores import InFolder, StormStores
from tests.faults.witness import Stage
from tests.support.commands import new_account, new_camera
from tests.support.ports import free_port
from tests.support.pushing import Acknowledged, Push, pushing
from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerAddress

_FILE_SIZES_BYTES = (1_000, 1_500_000, 6_000_000)
_FILES_AT_ONCE = 40
_ACKNOWLEDGED_BETWEEN = (0, 0, 1, 2, 4)
_LOOK_S = 0.002
# How long a kill comes after the moment that was waited for, at most.
_BYTES_GO_ON_S = 0.1
_COMMIT_GOES_ON_S = 0.003
_SPACE = "Family"
_TIMEOUT_S = 1200  # of what reads all that was uploaded


@dataclass
class Report:
    """What happened: kills, those with bytes in flight and in commits, what was called uploaded, what was wrong."""

    kills: int = 0
    in_flight: int = 0
    in_commit: int = 0
    acknowledged: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.in_flight} with bytes in flight, {self.in_commit} in a commit;"
            f" {len(self.acknowledged)} photographs acknowledged; {len(self.violations)} violations"
        )


class Storm:
    """One server on one port that is killed and started again, and a push that goes on meanwhile."""

    def __init__(self, folder: Path, *, seed: int, stores: StormStores | None = None, mutant: str = "") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.chance = random.Random(seed)
        self.stores = stores or InFolder()
        self.report = Report()
        self.acknowledged = Acknowledged()
        self.roll = folder / "roll"
        self.roll.mkdir(parents=True)
        self.port = free_port()
        self.server = KillableServer(self.data, f"127.0.0.1:{self.port}", *self.stores.options, mutant=mutant)

    def run(self, kills: int, *, in_commits: int = 1) -> Report:
        """Kill the server *kills* times, at least so many of them in commits; check what stands; finish the roll."""
        with ExitStack() as held:
            held.callback(self.server.close)
            self._begin()
            going = True
            while going and self._goes_on(kills, in_commits):
                self._add_files()
                going = self._push(kills, in_commits)
            self.report.acknowledged = self.acknowledged.names
            self._check_acknowledged()
            self._finish()
            self.server.kill()
            self._check_behind_its_back()
        return self.report

    def _push(self, kills: int, in_commits: int) -> bool:
        """One push; False where it failed though the server lived, which none that comes later would do better."""
        before = self.report.kills
        with pushing(self.camera, self.roll, self.acknowledged) as push:
            while push.goes_on() and self._goes_on(kills, in_commits):
                self._let_some_through(push)
                self._kill_and_restart(push, kills, in_commits)
        if push.code <= 0 or self.report.kills > before:
            return True
        self.report.violations.append(f"a push failed while the server lived: {push.complaints[-300:]}")
        return False

    def _goes_on(self, kills: int, in_commits: int) -> bool:
        enough = self.report.in_flight >= kills and self.report.in_commit >= in_commits
        return not enough and self.report.kills < 3 * kills

    def _begin(self) -> None:
        self.server.start()
        server = ServerAddress(f"http://127.0.0.1:{self.port}", self.data)
        self.owner = new_account(server, self.folder / "owner", "owner")
        self.owner.timeout_s = _TIMEOUT_S
        self.owner.ok("space", "create", _SPACE, "--kind", "family")
        self.camera = new_camera(self.owner, _SPACE, self.folder / "phone")
        self.camera.timeout_s = _TIMEOUT_S

    def _add_files(self) -> None:
        start = len(list(self.roll.iterdir()))
        for number in range(start, start + _FILES_AT_ONCE):
            content = self.chance.randbytes(self.chance.choice(_FILE_SIZES_BYTES))
            (self.roll / f"IMG_{number:05}.JPG").write_bytes(content)

    def _let_some_through(self, push: Push) -> None:
        """Let the push have some more acknowledged, or none."""
        enough = len(self.acknowledged.names) + self.chance.choice(_ACKNOWLEDGED_BETWEEN)
        while push.goes_on() and len(self.acknowledged.names) < enough:
            time.sleep(_LOOK_S)

    def _kill_and_restart(self, push: Push, kills: int, in_commits: int) -> None:
        """Kill the server at a moment that was sought, or not at all where the push ended before that came."""
        wanted = in_commits - self.report.in_commit
        if self.chance.random() < 1 / 3 or wanted >= kills - self.report.kills:
            found = self._seek_commit(push.goes_on)
        else:
            found = self._seek_bytes(push.goes_on)
        if not found:
            return
        running = push.goes_on()
        death = self.server.kill()
        self._count(death, running=running)
        self.stores.after_kill()
        self.server.start()

    def _seek_bytes(self, going: Callable[[], bool]) -> bool:
        """Any moment at which bytes are on their way."""
        time.sleep(self.chance.uniform(0, _BYTES_GO_ON_S))
        return self.server.stop_with_bytes(going)

    def _seek_commit(self, going: Callable[[], bool]) -> bool:
        """A moment while rows are written, or just before COMMIT; or a little later, perhaps in the middle of it."""
        found = self.server.stop_in_commit(self.chance.choice((Stage.WRITING, Stage.COMMITTING)), going)
        if found and self.chance.random() < 1 / 2:
            self.server.go_on()
            time.sleep(self.chance.uniform(0, _COMMIT_GOES_ON_S))
        return found

    def _count(self, death: Death, *, running: bool) -> None:
        self.report.kills += 1
        self.report.in_flight += running and death.uploads > 0
        self.report.in_commit += running and death.stage is not Stage.NONE

    def _check_acknowledged(self) -> None:
        """I1 and I3: what was called uploaded is there once and whole, before anything is sent again."""
        wrong = self.report.violations
        wrong += [f"acknowledged, and gone by a later push: {name}" for name in sorted(self.acknowledged.twice)]
        rows = self.owner.json("asset", "list", "--space", _SPACE)
        names = [row["name"] for row in rows]
        wrong += [f"acknowledged and not there: {name}" for name in sorted(self.report.acknowledged - set(names))]
        wrong += [f"there twice: {name}" for name in sorted({name for name in names if names.count(name) > 1})]
        self._compare("after the storm", expected=set(names))

    def _finish(self) -> None:
        """I2: the next push completes the roll, and every file comes back as it was."""
        done = self.camera.run("camera", "push", str(self.roll), "--no-renditions", "--json")
        if done.returncode:
            self.report.violations.append(f"the last push failed: {done.stderr[-300:]}")
        self._compare("at the end", expected=set(digests(self.roll)))

    def _compare(self, when: str, expected: set[str]) -> None:
        target = self.folder / "export"
        self.owner.run("export", str(target), "--space", _SPACE)
        found, wanted = digests(target), digests(self.roll)
        for name in sorted(expected):
            if found.get(name) != wanted.get(name):
                self.report.violations.append(f"{when}: {name} does not come back as it was")

    def _check_behind_its_back(self) -> None:
        """I2 and I3: the rows, the logs and the blobs fit, for our own check and for a look at the stores."""
        wrong = self.report.violations
        wrong += self.stores.wrong(self.data)
        wrong += check(self.data, *self.stores.options)
        if "made a mistake" in self.server.log.read_text():
            wrong.append("the server made a mistake; see its log")


def check(data: Path, *options: str) -> list[str]:
    """What `safelight-server check` finds wrong."""
    command = [sys.executable, "-m", "safelight.server", "check", "--data", str(data), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=_TIMEOUT_S, check=False)
    if not done.stdout:
        return [f"the check failed: {done.stderr[-300:]}"]
    return [f"the check: {finding}" for finding in json.loads(done.stdout)["findings"]]


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every photograph in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.JPG")}
