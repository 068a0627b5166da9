"""A move whose process is killed before any of its requests, and run again: nothing is lost, nothing is twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerProcess

# Ends the process before its Nth request that changes something, or right after it.
_DIES = """
import os, signal, sys
from safelight.clients.engine.transport import Transport
from safelight.clients.cli.__main__ import main
left, after = int(sys.argv.pop(1)), sys.argv.pop(1) == "after"
send = Transport.send
async def counted(self, method, path, *others, **named):
    global left
    changes = method == "POST" and "/spaces/" in path
    left -= changes
    if changes and not left and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = await send(self, method, path, *others, **named)
    if changes and not left and after:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
Transport.send = counted
main()
"""


def _dies(cli: Cli, at: int, when: str, *arguments: str) -> bool:
    line = [sys.executable, "-c", _DIES, str(at), when, *arguments]
    done = subprocess.run(
        line, capture_output=True, text=True, cwd=REPOSITORY, env=cli.environment, timeout=90, check=False
    )
    assert done.returncode in {0, -signal.SIGKILL}, (at, done.stderr)
    return done.returncode != 0


def _ids(cli: Cli, space: str, *more: str) -> set[str]:
    return {row["id"] for row in cli.json("asset", "list", "--space", space, *more)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_request(server: ServerProcess, tmp_path: Path, when: str) -> None:
    """Whichever request it dies at, every picture is in a list; the same move goes on, and back again all are there."""
    owner = new_account(server, tmp_path / "owner", f"killed-{when}")
    owner.ok("space", "create", "Here", "--kind", "family")
    camera, roll = new_camera(owner, "Here", tmp_path / "phone"), tmp_path / "roll"
    roll.mkdir()
    for number in range(3):
        (roll / f"{number}.bin").write_bytes(os.urandom(2000))
    camera.ok("camera", "push", str(roll))
    ids, deaths = _ids(owner, "Here"), 0
    while True:
        there = f"There {deaths}"
        owner.ok("space", "create", there, "--kind", "family")
        move = ("asset", "move", "--from", "Here", "--to", there, "--all")
        if not _dies(owner, deaths + 1, when, *move):
            break
        deaths += 1
        assert _ids(owner, "Here") | _ids(owner, there) == ids
        owner.ok(*move)
        assert (_ids(owner, "Here"), _ids(owner, there)) == (set(), ids)
        assert not list((tmp_path / "owner").rglob("moving-*"))
        owner.ok("asset", "restore", *ids, "--space", "Here")
    assert deaths >= 4
