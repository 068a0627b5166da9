"""The demo, as `make demo` runs it, without anyone there to press Ctrl-C."""

import re
import subprocess
import sys
from pathlib import Path

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
