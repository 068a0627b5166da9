"""`safelight-server check` as people run it: beside the running server or alone, and stopped in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.stored import Stored, flip, make
from tests.support.samples import REPOSITORY
from tests.support.server_process import server_process


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """An installation; never damaged."""
    return Stored(make(tmp_path_factory.mktemp("made")))


@pytest.fixture
def stored(made: Stored, tmp_path: Path) -> Stored:
    """A copy of it, for one test."""
    return made.copy(tmp_path / "data")


def check(stored: Stored, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `check`."""
    return subprocess.run(
        line(stored, *arguments), capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False
    )


def line(stored: Stored, *arguments: str) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "safelight.server", "check", "--data", str(stored.folder), *arguments]


def until_it_hashes(stored: Stored, pid: int) -> None:
    """Wait until that process has a blob open, as a slow check has from its first blob to its last."""
    blobs = {str(blob) for blob in stored.blobs()}
    until_s = time.monotonic() + 60
    while blobs.isdisjoint(_open_files(pid)):
        assert time.monotonic() < until_s
        time.sleep(0.02)


def _open_files(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            yield str(descriptor.readlink())


@pytest.mark.parametrize("running", [True, False])
def test_what_it_prints(stored: Stored, running: bool) -> None:
    """The same whether a server runs or not: one line when all is well, one for each finding, or one document."""

    def try_out() -> None:
        well = check(stored)
        assert (well.returncode, well.stderr) == (0, "")
        assert well.stdout.endswith("1 space and 1 account: all is well\n")
        flip(stored.blobs()[0])
        damaged = check(stored)
        assert damaged.returncode == 1
        finding, summary = damaged.stdout.splitlines()
        assert finding.startswith(f"damaged {stored.blobs()[0].name}: ")
        assert summary.endswith("1 finding")
        document = json.loads(check(stored, "--json", "--fraction", "1%").stdout)
        assert document["clean"] is False
        assert [found["kind"] for found in document["findings"]] == ["damaged"]

    if running:
        with server_process(stored.folder):
            try_out()
    else:
        try_out()


@pytest.mark.parametrize("running", [True, False])
def test_stopped_by_hand(stored: Stored, running: bool) -> None:
    """Ctrl-C ends it at once and says that what was checked is noted; a server that did it goes on serving."""

    def try_out(server_pid: int | None = None) -> None:
        process = subprocess.Popen(
            line(stored, "--rate", "100kB/s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        until_it_hashes(stored, server_pid or process.pid)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)
        assert process.returncode == 130, said
        assert said[1] == "stopped; what was checked so far is noted, and the next check goes on from there\n"

    if running:
        with server_process(stored.folder) as server:
            try_out(server.process.pid)
            assert check(stored).returncode == 0  # the other one is over
    else:
        try_out()


def test_the_grace_of_orphans(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it is what is set, by flag, environment or default; where a server runs it is that server's."""
    stray = stored.folder / "blobs" / "00" / f"00{'ab' * 31}"
    stray.write_bytes(b"nobody's")
    two_days_ago_s = time.time() - 2 * 24 * 60 * 60
    os.utime(stray, (two_days_ago_s, two_days_ago_s))

    def orphans(*arguments: str) -> int:
        document = json.loads(check(stored, "--json", "--fraction", "1%", *arguments).stdout)
        return sum(finding["kind"] == "orphan" for finding in document["findings"])

    day = ("--unreferenced-grace-s", str(24 * 60 * 60))
    assert orphans() == 0  # a week
    assert orphans(*day) == 1
    with server_process(stored.folder, *day):
        assert orphans() == 1
    with server_process(stored.folder):
        assert orphans(*day) == 0
    monkeypatch.setenv("SAFELIGHT_UNREFERENCED_GRACE_S", str(24 * 60 * 60))
    assert orphans() == 1
    assert "--unreferenced-grace-s" in command_help("check").partition("print a JSON document")[2]


def command_help(command: str) -> str:
    """What `--help` says."""
    line = [sys.executable, "-m", "safelight.server", command, "--help"]
    return subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=True).stdout


def test_two_at_once(stored: Stored) -> None:
    """A server does one check at a time, and tells a second so; when it stops, whoever waits is told as well."""
    with server_process(stored.folder) as server:
        first = subprocess.Popen(
            line(stored, "--rate", "50kB/s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        until_it_hashes(stored, server.process.pid)
        second = check(stored)
        assert (second.returncode, second.stderr) == (1, "safelight-server: a check is under way already\n")
        server.process.terminate()
        assert "what was checked so far is noted" in first.communicate(timeout=30)[1]
        assert first.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fraction", "0%"], "10%"),
        (["--not-checked-for", "soon"], "30d"),
        (["--rate", "fast"], "50MB/s"),
        (["--all", "--fraction", "5%"], "not allowed with"),
    ],
)
def test_misuse(stored: Stored, arguments: list[str], said: str) -> None:
    """What cannot be meant is misuse, and the message has an example."""
    done = check(stored, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """A folder without our marker is not taken for an empty installation, and stays as it is."""
    done = check(Stored(tmp_path))
    assert (done.returncode, [*tmp_path.iterdir()]) == (1, [])
    assert "mounted" in done.stderr
