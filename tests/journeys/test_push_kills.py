"""Kill -9 of the camera at random moments with bytes on their way: at the end all is there, and nothing twice."""

import contextlib
import hashlib
import random
import time
from pathlib import Path

import pytest

from tests.support.commands import kill, new_account, new_camera
from tests.support.server_process import ServerProcess

KILLS = 15
# Some in one request, some in memory, some through the spool.
SIZES_BYTES = (900, 60_000, 700_000, 3_000_000, 9_000_000, 20_000_000)


def _add_photographs(folder: Path, chance: random.Random) -> None:
    """Some more photographs of all sizes."""
    folder.mkdir(exist_ok=True)
    for _ in range(20):
        data = chance.randbytes(chance.choice(SIZES_BYTES) + chance.randrange(1000))
        (folder / f"IMG_{chance.randrange(10**9):09}.JPG").write_bytes(data)


def _stored(server: ServerProcess) -> int:
    """Whatever the server holds of blobs and uploads, in bytes."""
    total = 0
    for path in server.data.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed while we looked
            total += path.stat().st_size if path.is_file() and "blob" in str(path) else 0
    return total


@pytest.mark.timeout(600)  # a minute on a quiet machine
def test_a_camera_killed_again_and_again(server: ServerProcess, tmp_path: Path) -> None:
    """After fifteen kills while bytes went up, one push completes the roll; every file is there once, byte for byte."""
    owner = new_account(server, tmp_path / "owner", f"kills-{time.time_ns()}")
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    chance = random.Random(20)
    in_flight = 0
    for _ in range(KILLS):
        _add_photographs(tmp_path / "roll", chance)
        before = _stored(server)
        process = camera.start("camera", "push", str(tmp_path / "roll"), "--no-renditions")
        while _stored(server) == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.3)
        in_flight += process.poll() is None
        kill(process)
    assert in_flight >= KILLS * 0.8

    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "roll").iterdir()}
    done = camera.json("camera", "push", str(tmp_path / "roll"), "--no-renditions")
    assert (done["uploaded"] + done["known"], done["failed"]) == (len(digests), 0)
    rows = owner.json("asset", "list", "--space", "Family")
    assert sorted(row["name"] for row in rows) == sorted(digests)
    assert list(camera.profile.rglob("spool/*")) == []
    owner.ok("export", str(tmp_path / "out"), "--space", "Family")
    sums = dict(line.split("  ")[::-1] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines())
    assert sums == digests
