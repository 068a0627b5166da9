"""Two server processes, one PostgreSQL and one bucket behind a balancer: a roll goes in while each falls in turn."""

import random
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.balancer import Balancer, balancer
from tests.support.commands import new_account, new_camera
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.seaweed import Seaweed
from tests.support.two_servers import Servers, two_servers

FILES = 40


def _roll(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    chance = random.Random(11)
    roll = {f"IMG_{n:04}.JPG": chance.randbytes(chance.choice((900, 60_000, 700_000, 3_000_000))) for n in range(FILES)}
    for name, data in roll.items():
        (folder / name).write_bytes(data)
    return roll


def _faults(
    servers: Servers,
    postgres: PostgresServer,
    held: ExitStack,
    pushing: "subprocess.Popen[str]",
    fallen: list[str],
) -> None:
    """Let each fall in turn for as long as something is pushed, after those that fell before, and note it."""

    def restart() -> None:
        postgres.stop(signal.SIGQUIT)  # a crash
        time.sleep(0.5)
        postgres.start()

    faults = {
        "one": lambda: servers.kill_and_start(0, held),
        "two": lambda: servers.kill_and_start(1, held),
        "postgres": restart,
    }
    while pushing.poll() is None:
        name = list(faults)[len(fallen) % len(faults)]
        faults[name]()
        fallen.append(name)
        time.sleep(0.7)


@pytest.mark.timeout(400)
def test_a_roll_while_each_falls_in_turn(seaweed: Seaweed, tmp_path: Path) -> None:
    """Whatever was acknowledged is there once, in one feed without a gap, and comes out byte for byte."""
    with ExitStack() as held:
        postgres = held.enter_context(postgres_server())
        postgres.make_template()
        bucket = seaweed.address()
        blobs = ("--blobs", f"s3://{bucket.bucket}/{bucket.prefix}", "--s3-endpoint", seaweed.endpoint)
        options = ("--database", postgres.address("template"), *blobs)
        servers = held.enter_context(two_servers(tmp_path, options, held))
        before: Balancer = held.enter_context(balancer(*(server.url for server in servers.running)))
        entrance = replace(servers.running[0], url=before.url)
        owner = new_account(entrance, tmp_path / "owner", "owner")
        owner.ok("space", "create", "Family", "--kind", "family")
        camera = new_camera(owner, "Family", tmp_path / "phone")
        roll = _roll(tmp_path / "roll")

        fallen: list[str] = []
        for _ in range(20):
            process = camera.start("camera", "push", str(tmp_path / "roll"), "--no-renditions")
            _faults(servers, postgres, held, process, fallen)
            process.communicate()
            if len(fallen) >= 4:
                break
            (tmp_path / "roll" / f"LATER_{len(fallen):04}.JPG").write_bytes(data := random.randbytes(2_000_000))
            roll[f"LATER_{len(fallen):04}.JPG"] = data
        assert set(fallen) == {"one", "two", "postgres"}
        assert len(before.taken) == 2

        done = camera.json("camera", "push", str(tmp_path / "roll"), "--no-renditions")
        assert (done["uploaded"] + done["known"], done["failed"]) == (len(roll), 0)
        rows = owner.json("asset", "list", "--space", "Family")
        assert sorted(row["name"] for row in rows) == sorted(roll)
        owner.ok("export", str(tmp_path / "out"), "--space", "Family")
        assert {name: (tmp_path / "out" / name).read_bytes() for name in roll} == roll
        numbers = [number for (number,) in postgres.run("SELECT number FROM entries ORDER BY number", "template")]
        assert numbers == list(range(1, len(numbers) + 1))
    assert servers.mistakes() == []
