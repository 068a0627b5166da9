"""How long it takes until a new device can list a large space, and in how much memory: all of it verified and opened.

`python -m bench.listing [--assets 100000] [--repeats 3]` logs in on an empty profile and runs `safelight asset list`,
which fetches the whole log, verifies every entry of it and opens every asset: once of a space whose records carry 50
assets each, and once of one whose records carry one. Then the same command again, which finds all of it in the profile.
Prints medians; exits 1 above 6 and 15 seconds or 400 MB.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.signed_records import fill
from bench.support import Installation, installation, with_camera

MEMORY_LIMIT_MB = 400
LIMITS_S = {50: 6.0, 1: 15.0}
_SAMPLE_S = 0.02
_ASSETS_OF_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ran, its helpers included: how long it took, of processors too, and how much memory at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def watched(made: Installation, profile: str, *arguments: str, lines: int = 0) -> Run:
    """Run a command, and check that it printed so many *lines*."""
    printed, started_s, peak_kib = made.folder / "printed", time.perf_counter(), 0
    with printed.open("wb") as out:
        process = subprocess.Popen(made.command(*arguments), env=made.environment(profile), stdout=out)
        while True:
            # Not the system's own measure at its end, which counts what this process had when it made the other.
            peak_kib = max(peak_kib, _peak_kib(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(_SAMPLE_S)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    with printed.open("rb") as text:
        count = sum(1 for _ in text)
    if process.returncode or (lines and count != lines):
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode} and {count} lines")
    return Run(wall_s, used.ru_utime + used.ru_stime, peak_kib * 1024 / 1e6)


def _peak_kib(pid: int) -> int:
    """The most memory that a process had so far, and its helpers each at most."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return own + sum(_peak_kib(int(child)) for child in children)


def listed(in_record: int, assets: int, repeats: int) -> dict[str, list[Run]]:
    """Make a space and list it on so many new devices, and once more on each."""
    runs: dict[str, list[Run]] = {}
    with installation() as made:
        with_camera(made)
        fill(made.folder, "camera", assets, in_record)
        for repeat in range(repeats):
            device = f"device-{repeat}"
            login = watched(made, device, "account", "login", "--server", made.url, "--name", "owner")
            runs.setdefault("login", []).append(login)
            for time_ in ("first", "again"):
                run = watched(made, device, "asset", "list", "--space", "Family", lines=assets)
                runs.setdefault(f"{in_record} a record, {time_}", []).append(run)
    return runs


def report(runs: dict[str, list[Run]], assets: int) -> bool:
    """Print the table; return whether it is within the limits."""
    limits_s = {f"{count} a record, first": limit_s for count, limit_s in LIMITS_S.items()}
    holds = True
    print(f"{assets:,} assets; medians of {len(runs['login'])}\n")
    print("| asset list | seconds | of processor time | limit | peak MB | limit |")
    print("|---|---|---|---|---|---|")
    for what, those in runs.items():
        wall_s, cpu_s, peak_mb = (
            statistics.median(column) for column in zip(*((r.wall_s, r.cpu_s, r.peak_mb) for r in those), strict=True)
        )
        limit_s = limits_s.get(what)
        holds = holds and (limit_s is None or wall_s <= limit_s) and peak_mb <= MEMORY_LIMIT_MB
        limit = "" if limit_s is None else f"{limit_s:.0f}"
        print(f"| {what} | {wall_s:.1f} | {cpu_s:.1f} | {limit} | {peak_mb:.0f} | {MEMORY_LIMIT_MB} |")
    return holds


def main() -> int:
    """Read the options and measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=int, default=_ASSETS_OF_LIMIT)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[Run]] = {}
    for in_record in LIMITS_S:
        runs |= listed(in_record, options.assets, options.repeats)
    return 0 if report(runs, options.assets) else 1


if __name__ == "__main__":
    sys.exit(main())
