"""The project's own tools: what they judge, and what no committed file may say."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tools import ensure_program
from tools.audit import Outcome, judge_npm, judge_python

REPOSITORY = Path(__file__).resolve().parents[2]


def _project() -> dict[str, list[str]]:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)
    return {"run": data["project"]["dependencies"], **data["dependency-groups"]}


def test_every_part_is_pinned_exactly() -> None:
    """A dependency of ours names one version, in pyproject.toml, and the locks name the same."""
    lock = (REPOSITORY / "requirements" / "dev.txt").read_text()
    for group in _project().values():
        for requirement in group:
            part, _, only_where = requirement.partition("; ")
            assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", part), requirement
            assert (f"\n{part} ; " if only_where else f"\n{part} \\\n") in f"\n{lock}", requirement


def test_every_part_has_its_reason() -> None:
    """docs/decisions/0002-dependencies.md names every direct dependency and no other."""
    page = (REPOSITORY / "docs" / "decisions" / "0002-dependencies.md").read_text()
    named = set(re.findall(r"^\| `([a-z0-9-]+)` ", page, re.MULTILINE))
    used = {requirement.split("==")[0] for group in _project().values() for requirement in group}
    assert named == used


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_locks_carry_hashes_and_no_address(name: str) -> None:
    """Every locked part has hashes, and no lock says from which index it came."""
    lock = (REPOSITORY / "requirements" / name).read_text()
    assert "://" not in lock
    assert "index-url" not in lock
    parts = re.split(r"\n(?=[a-z0-9])", lock)
    assert len(parts) > len(_project()["run"])
    assert [part for part in parts if "--hash=sha256:" not in part] == []


def test_npm_lock_carries_hashes_and_no_address() -> None:
    """package-lock.json names versions and hashes, and no registry."""
    packages = json.loads((REPOSITORY / "safelight" / "web_share" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package.get("link") or "integrity" in package, name


def _part(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "version": "1", **more}


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([_part("a", vulns=[]), _part("b", vulns=[])], Outcome.CLEAN),
        ([_part("a", vulns=[{"id": "PYSEC-1"}])], Outcome.FOUND),
        ([_part("a", vulns=[]), _part("b", skip_reason="not found")], Outcome.FOUND),
        ([_part("a", skip_reason="not found"), _part("b", skip_reason="not found")], Outcome.UNREACHABLE),
        ([], Outcome.FOUND),
    ],
)
def test_an_audit_that_skips_parts_is_not_clean(parts: list[dict[str, object]], outcome: Outcome) -> None:
    """Nothing known is clean only where every part was looked up; nothing looked up is named as that."""
    assert judge_python({"dependencies": parts})[0] is outcome


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        ({"vulnerabilities": {}}, Outcome.CLEAN),
        ({"vulnerabilities": {"x": {"severity": "low"}}}, Outcome.CLEAN),
        ({"vulnerabilities": {"x": {"severity": "high"}}}, Outcome.FOUND),
        ({"message": "405"}, Outcome.UNREACHABLE),
    ],
)
def test_npm_audit_is_judged_by_severity(report: dict[str, object], outcome: Outcome) -> None:
    """Moderate and worse fail; no answer is named as no answer."""
    assert judge_npm(report)[0] is outcome


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH; nothing is found that is not put there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SAFELIGHT_CHROMIUM", raising=False)
    monkeypatch.setattr("sys.argv", ["ensure_program.py", "chromium"])
    return tmp_path


def test_a_program_under_any_of_its_names_is_enough(bare_system: Path) -> None:
    """Nothing is installed where the program is there, whatever the system calls it."""
    _program(bare_system, "google-chrome", "exit 0")
    assert ensure_program.main() == 0
    assert ensure_program.find("chromium") == str(bare_system / "google-chrome")


def test_a_missing_program_is_installed_where_root_allows(bare_system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, or with sudo that asks nothing, the system's package is installed."""
    _program(bare_system, "env", 'shift; exec "$@"')
    _program(bare_system, "sudo", 'shift; [ "$1" = true ] || exec "$@"')
    _program(bare_system, "apt-get", f'[ "$4" != install ] || echo "$5 $6 $7" > {bare_system}/installed')
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert ensure_program.main() == 0
    assert (bare_system / "installed").read_text() == "--yes --no-install-recommends chromium\n"


def test_a_program_not_to_be_had_is_one_clear_sentence(
    bare_system: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without root and sudo, the person is told what to install or to name."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert ensure_program.main() == 1
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    assert "SAFELIGHT_CHROMIUM" in sentence
