"""Ask the advisories of PyPI and npm about every part that the locks name.

A scan that skips parts must not look like one that found nothing: where some parts could not be looked up, the audit
fails. Where no advisory can be reached at all, `--or-say-so` makes that a sentence and not a failure, so that `make
check` works without a network; `make audit`, and every release, goes without it.
"""

import argparse
import json
import subprocess
import sys
from enum import Enum, auto
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WEB_FOLDER = ROOT / "safelight" / "web_share"
NPM_SEVERITIES_THAT_FAIL = ("moderate", "high", "critical")


class Outcome(Enum):
    """How an audit ended."""

    CLEAN = auto()
    FOUND = auto()
    UNREACHABLE = auto()


def judge_python(report: dict[str, Any]) -> tuple[Outcome, list[str]]:
    """Judge pip-audit's JSON *report*: the outcome, and a line for everything that speaks against it."""
    parts = report["dependencies"]
    lines = [f"{part['name']} {part['version']}: {flaw['id']}" for part in parts for flaw in part.get("vulns", ())]
    skipped = [f"{part['name']}: {part['skip_reason']}" for part in parts if "skip_reason" in part]
    if parts and len(skipped) == len(parts):
        return Outcome.UNREACHABLE, []
    lines += skipped
    return (Outcome.FOUND if lines or not parts else Outcome.CLEAN), lines


def judge_npm(report: dict[str, Any]) -> tuple[Outcome, list[str]]:
    """Judge npm's JSON *report* likewise."""
    if "vulnerabilities" not in report:
        return Outcome.UNREACHABLE, []
    lines = [
        f"{name}: {flaw['severity']}"
        for name, flaw in report["vulnerabilities"].items()
        if flaw["severity"] in NPM_SEVERITIES_THAT_FAIL
    ]
    return (Outcome.FOUND if lines else Outcome.CLEAN), lines


def audit_python(lock: Path) -> tuple[Outcome, list[str]]:
    """Run pip-audit over *lock*, whose hashes and exact versions make it need no installation."""
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"]
    command += ["--disable-pip", "--require-hashes", "--requirement", str(lock)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        return judge_python(json.loads(done.stdout))
    except ValueError:
        reached = "Connection" not in done.stderr and "timed out" not in done.stderr
        return (Outcome.FOUND if reached else Outcome.UNREACHABLE), done.stderr.splitlines()[-3:]


def audit_npm(folder: Path) -> tuple[Outcome, list[str]]:
    """Run npm's audit over the lock in *folder*."""
    command = ["npm", "audit", "--json", "--package-lock-only", "--fetch-retries=0", "--fetch-timeout=30000"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    try:
        return judge_npm(json.loads(done.stdout))
    except ValueError:
        return Outcome.FOUND, done.stderr.splitlines()[-3:]


def main() -> int:
    """Audit all locks; return 1 if anything was found, or could not be asked while it had to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--or-say-so", action="store_true", help="do not fail where no advisory can be reached")
    may_be_unreachable = parser.parse_args().or_say_so

    failed = False
    results = {"Python": audit_python(ROOT / "requirements" / "dev.txt"), "npm": audit_npm(WEB_FOLDER)}
    for name, (outcome, lines) in results.items():
        if outcome is Outcome.CLEAN:
            print(f"{name}: every part was looked up, nothing is known against any.")
        elif outcome is Outcome.UNREACHABLE:
            print(f"{name}: NOT AUDITED, no advisories can be reached from here.")
            failed |= not may_be_unreachable
        else:
            print(f"{name}: the audit fails.", *lines, sep="\n  ")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
