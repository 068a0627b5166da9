"""The demo, as `make demo` runs it, without anyone there to press Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.samples import REPOSITORY, make_roll

_LINK = re.compile(r"(http://127\.0\.0\.1:\d+/s/[0-9a-f]{32}#[a-z2-7]{61})\n\s+password: ([a-z-]+)")


def _demo(*arguments: str) -> str:
    command = [sys.executable, str(REPOSITORY / "tools" / "demo.py"), "--once", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, timeout=110)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_the_demo_ends_with_a_link(tmp_path: Path) -> None:
    """With a folder of photographs: each command is shown, and a link with its password is printed."""
    printed = _demo(str(make_roll(tmp_path / "roll")), "--data", str(tmp_path / "demo"))
    assert "$ safelight camera push" in printed
    assert "9 uploaded" in printed
    assert _LINK.search(printed)


def test_the_demo_paints_and_goes_on(tmp_path: Path) -> None:
    """Without a folder it paints pictures; a second run goes on with what is there, at the same address."""
    first = _LINK.search(_demo("--data", str(tmp_path / "demo")))
    printed = _demo("--data", str(tmp_path / "demo"))
    second = _LINK.search(printed)
    assert "Going on" in printed
    assert "0 uploaded, 9 known" in printed
    assert first
    assert second
    assert first[1].split("/s/")[0] == second[1].split("/s/")[0]
    assert first[1] != second[1]


@pytest.mark.parametrize("at", ["account create", "camera add", "camera push", "link create"])
def test_a_demo_that_is_stopped_goes_on(tmp_path: Path, at: str) -> None:
    """Ctrl-C, pressed twice, whatever it is doing: a friendly last line and exit code 0; the next run goes on."""
    command = [sys.executable, str(REPOSITORY / "tools" / "demo.py"), "--data", str(tmp_path / "demo"), "--once"]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True
    )
    assert started.stdout is not None
    assert started.stderr is not None
    for line in started.stdout:
        if f"safelight {at}" in line:
            os.killpg(started.pid, signal.SIGINT)
            os.killpg(started.pid, signal.SIGINT)
            break
    said, complained = started.communicate(timeout=60)
    assert started.returncode == 0, (said, complained)
    assert said.strip() == (
        f"Stopped. The same command goes on from here; without the folder {tmp_path / 'demo'} it begins anew."
    )
    assert "Traceback" not in complained
    assert _LINK.search(_demo("--data", str(tmp_path / "demo")))
