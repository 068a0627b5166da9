"""A week's roll of ten cameras goes through nginx, two servers, PostgreSQL and SeaweedFS, each of them killed in turn.

The nginx is that of deploy/, with its certificate. A day is a round: every camera gets pictures, some of which it or
another has already under another name, and all push at once, again and again until nothing is left. As long as they do,
one of the five falls without warning and comes back; once some more photographs were acknowledged, it is the next one's
turn.
"""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.storm import check
from tests.faults.storm_stores import InPostgresAndBucket
from tests.http.test_process import make_certificate
from tests.support.commands import Cli, new_account, new_camera
from tests.support.deployed_nginx import deployed
from tests.support.ports import free_port
from tests.support.postgres import postgres_server
from tests.support.pushing import Acknowledged, pushing
from tests.support.seaweed import seaweed_process
from tests.support.server_process import ServerAddress
from tests.support.two_servers import two_servers

CAMERAS = 10
DAYS = 7
NEW_A_DAY = 6
SIZES_BYTES = (900, 60_000, 700_000, 3_000_000)
FALLS_EACH = 3  # at least, or the week is longer
MAX_DAYS = 3 * DAYS
MAX_PUSHES_A_DAY = 100
ACKNOWLEDGED_BETWEEN = 3
DOWN_S = 0.3
SPACE = "Family"
TIMEOUT_S = 1200  # of what reads all that was uploaded
# What a camera may be told while something is down; anything else is a fault of ours.
PASSING = ("[server-unreachable]", "[storage-unavailable]", "[upload-busy]")


@dataclass
class Camera:
    """A camera, its roll, and what was called uploaded of it."""

    cli: Cli
    roll: Path
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    complaints: list[str] = field(default_factory=list)
    pushes: int = 0

    def push_all(self) -> None:
        """Push until nothing is left."""
        for _ in range(MAX_PUSHES_A_DAY):
            with pushing(self.cli, self.roll, self.acknowledged) as push:
                self.pushes += 1
                if push.end() == 0:
                    return
            self.complaints += push.complaints.splitlines()
        raise AssertionError(f"a camera does not get through: {self.complaints[-3:]}")


@dataclass
class Week:
    """What was pictured: by its hash, how many cameras got it on its first day, who cannot know of each other."""

    chance: random.Random
    cameras: list[Camera]
    got_by: Counter[str] = field(default_factory=Counter)
    before: list[Path] = field(default_factory=list)

    def dawn(self, day: int) -> None:
        """Give every camera the pictures of a day."""
        self.before = [path for camera in self.cameras for path in sorted(camera.roll.iterdir())]
        sent = self._new()
        for number, camera in enumerate(self.cameras):
            for picture in range(NEW_A_DAY):
                content = self._new()
                self._take(camera, f"IMG_{day:02}{picture:02}.JPG", content)
                if picture == 0:
                    (camera.roll / f"IMG_{day:02}{picture:02}_copy.JPG").write_bytes(content)
            if number < 2:  # to two at once
                self._take(camera, f"SENT_{day:02}.JPG", sent)
            for again in range(2 if self.before else 0):  # of this camera's, or of another's
                (camera.roll / f"AGAIN_{day:02}{again:02}.JPG").write_bytes(
                    self.chance.choice(self.before).read_bytes()
                )

    def _new(self) -> bytes:
        return self.chance.randbytes(self.chance.choice(SIZES_BYTES))

    def _take(self, camera: Camera, name: str, content: bytes) -> None:
        self.got_by[hashlib.sha256(content).hexdigest()] += 1
        (camera.roll / name).write_bytes(content)

    def acknowledged(self) -> int:
        """How many were called uploaded."""
        return sum(len(camera.acknowledged.names) for camera in self.cameras)


def a_day(week: Week, falls: dict[str, Callable[[], None]], fallen: list[str]) -> None:
    """All cameras push at once, and meanwhile one after the other falls; what is raised anywhere is raised."""
    over = threading.Event()
    with ThreadPoolExecutor(len(week.cameras) + 1) as threads:
        falling = threads.submit(let_fall, week, falls, fallen, over)
        try:
            for pushed in [threads.submit(camera.push_all) for camera in week.cameras]:
                pushed.result()
        finally:
            over.set()
        falling.result()


def let_fall(week: Week, falls: dict[str, Callable[[], None]], fallen: list[str], over: threading.Event) -> None:
    """Let each fall in turn, after those that fell before, whenever some more photographs were acknowledged."""
    while not over.is_set():
        enough = week.acknowledged() + ACKNOWLEDGED_BETWEEN
        while not over.is_set() and week.acknowledged() < enough:
            time.sleep(0.01)
        if not over.is_set():
            name = list(falls)[len(fallen) % len(falls)]
            falls[name]()
            fallen.append(name)


class Falls(Protocol):
    """What can be killed and started again."""

    def kill(self) -> None:
        """End it without warning."""
        ...

    def start(self) -> None:
        """Start it, and wait until it does its work."""
        ...


def kill_and_start(what: Falls) -> None:
    """Let it fall, leave it down for a moment, and start it."""
    what.kill()
    time.sleep(DOWN_S)
    what.start()


@pytest.mark.battery
@pytest.mark.timeout(3600)
def test_a_week_of_ten_cameras(tmp_path: Path) -> None:
    """All that was acknowledged is exported byte for byte, once, and the feed has no gap."""
    with ExitStack() as held:
        postgres = held.enter_context(postgres_server())
        postgres.make_template()
        seaweed = held.enter_context(seaweed_process())
        stores = InPostgresAndBucket(postgres, seaweed)
        listen = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        cert, key = make_certificate(tmp_path)
        nginx = deployed(tmp_path / "nginx", listen, cert, key)
        options = (*stores.options, "--public-url", nginx.url, "--upload-interim", "no")
        servers = held.enter_context(two_servers(tmp_path, options, held, listen))
        held.enter_context(nginx.running())

        entrance = ServerAddress(nginx.url, servers.folders[0])
        owner = new_account(entrance, tmp_path / "owner", "owner", SSL_CERT_FILE=str(cert))
        owner.timeout_s = TIMEOUT_S
        owner.ok("space", "create", SPACE, "--kind", "family")
        week = Week(random.Random(7), [new_one(owner, tmp_path, number) for number in range(CAMERAS)])

        falls: dict[str, Callable[[], None]] = {
            "nginx": lambda: kill_and_start(nginx),
            "one": lambda: servers.kill_and_start(0, held),
            "PostgreSQL": lambda: kill_and_start(postgres),
            "two": lambda: servers.kill_and_start(1, held),
            "SeaweedFS": lambda: kill_and_start(seaweed),
        }
        fallen: list[str] = []
        for day in range(MAX_DAYS):
            if day >= DAYS and min(Counter(fallen)[name] for name in falls) >= FALLS_EACH:
                break
            week.dawn(day)
            a_day(week, falls, fallen)
        assert min(Counter(fallen)[name] for name in falls) >= FALLS_EACH
        pushes = sum(camera.pushes for camera in week.cameras)
        print(f"{dict(Counter(fallen))}; {pushes} pushes; {week.acknowledged()} acknowledged")  # noqa: T201 - with -rP

        is_all_there(week, owner, tmp_path / "out")
        assert stores.wrong(tmp_path) == []
        assert check(servers.folders[0], *stores.options) == []
        assert servers.mistakes() == []

        stores.lose_one()  # all of this can fail
        with pytest.raises(AssertionError):
            is_all_there(week, owner, tmp_path / "less")
        assert stores.wrong(tmp_path) != []
        assert check(servers.folders[0], *stores.options) != []


def new_one(owner: Cli, folder: Path, number: int) -> Camera:
    """A camera with an empty roll."""
    roll = folder / f"roll{number}"
    roll.mkdir()
    return Camera(new_camera(owner, SPACE, folder / f"phone{number}", f"Phone {number}"), roll)


def is_all_there(week: Week, owner: Cli, out: Path) -> None:
    """Nothing was acknowledged and lost, nothing is there twice that its camera could know of, and all comes back."""
    for camera in week.cameras:
        assert camera.acknowledged.twice == set()
        assert [line for line in camera.complaints if not any(code in line for code in PASSING)] == []
        again = camera.cli.json("camera", "push", str(camera.roll), "--no-renditions")
        assert (again["uploaded"], again["failed"]) == (0, 0)
        assert again["known"] == len(list(camera.roll.iterdir()))
    owner.ok("export", str(out), "--space", SPACE)
    exported = Counter(digest_of(path) for path in out.glob("*.JPG"))
    assert exported.total() == len(owner.json("asset", "list", "--space", SPACE))
    assert set(exported) == set(week.got_by)
    assert {digest: count for digest, count in exported.items() if count > week.got_by[digest]} == {}
    for camera in week.cameras:
        assert {digest_of(camera.roll / name) for name in camera.acknowledged.names} <= set(exported)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
