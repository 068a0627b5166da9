"""What an installation carries."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a wheel is built from, with a page that stands for the built ones."""
    leave_out = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
    shutil.copytree(REPOSITORY / "safelight", tmp_path / "safelight", ignore=leave_out)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPOSITORY / name, tmp_path)
    web = tmp_path / "safelight" / "web_share"
    (web / "dist" / "assets").mkdir(parents=True)
    (web / "dist" / "link.html").write_text("<!doctype html>")
    (web / "dist" / "assets" / "link.js").write_text("0")
    (web / "node_modules" / "left-over").mkdir(parents=True)
    (web / "node_modules" / "left-over" / "index.js").write_text("0")
    return tmp_path


def test_a_wheel_carries_pages_migrations_and_vectors_but_no_sources_of_pages(tree: Path) -> None:
    """`pip install .` gives both commands with the built pages inside."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tree / "out")]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (wheel,) = (tree / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (commands,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))

    assert "safelight = safelight.clients.cli.__main__:main" in commands
    assert "safelight-server = safelight.server.__main__:main" in commands

    inside = {name for name in names if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(tree))
        for pattern in ("**/*.py", "**/*.typed", "sync_protocol/vectors/**/*", "server/**/*", "web_share/dist/**/*")
        for path in (tree / "safelight").glob(pattern)
        if path.is_file() and "node_modules" not in path.parts
    }
    assert wanted <= inside, wanted - inside
    assert {name for name in inside if name.startswith("safelight/web_share/dist/")} == {
        "safelight/web_share/dist/link.html",
        "safelight/web_share/dist/assets/link.js",
    }
    of_pages = {name for name in inside if name.startswith("safelight/web_share/") and "/dist/" not in name}
    assert {name for name in of_pages if not name.endswith(".py")} == set()


def test_built_pages_are_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pages stand, an installation needs no npm."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "link.html").write_text("<!doctype html>")
    monkeypatch.setenv("PATH", "")
    hatch_build.build_pages(tmp_path)


def test_missing_pages_without_npm_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without pages is refused and says what it needs."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(hatch_build.PagesMissing, match=r"needs Node 20\.19"):
        hatch_build.build_pages(tmp_path)


def test_missing_pages_are_built_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook installs exactly what the lock names, then builds; a failure tells which step it was."""
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\necho "$@" >> calls\n[ "$1" != run ]\n')
    npm.chmod(0o755)
    web = tmp_path / "web"
    web.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(hatch_build.PagesMissing, match=r"run build ended with 1"):
        hatch_build.build_pages(web)
    assert (web / "calls").read_text().splitlines() == ["ci --no-audit --no-fund", "run build"]
