"""The machine that the server runs on: its clock, the versions of what we stand on, and how many files may be open."""

import platform
import sqlite3
import ssl
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from safelight.server.doctor.findings import Finding, note, ok, problem

OLDEST_BELIEVED_MS = 1_735_689_600_000  # 2025, before there was a Safelight
BEHIND_MS = 60_000
NEEDED_FILES = 4096
# Before this one, SQLite can corrupt a WAL database that several connections write or checkpoint.
SAFE_SQLITE = (3, 51, 3)
_SET_CLOCK = "Set the clock and keep it right: sudo timedatectl set-ntp true (or install chrony)."


def clock(now_ms: int, highest_stored_ms: int, newest_file_ms: int) -> list[Finding]:
    """Compare the clock with what it must not be before: there is no other to ask without a network."""
    shown = _time(now_ms)
    if now_ms < OLDEST_BELIEVED_MS:
        sentence = f"The clock says {shown}, which cannot be: sessions, links and deletions go by it."
        return [problem("clock", sentence, _SET_CLOCK)]
    for what, time_ms in (
        ("was stored here", highest_stored_ms),
        ("a file in the data folder carries", newest_file_ms),
    ):
        if time_ms - now_ms > BEHIND_MS:
            sentence = (
                f"The clock says {shown}, {_span(time_ms - now_ms)} before a time that {what} ({_time(time_ms)})."
                " Until it has caught up, links and sessions outlive their end, and nothing is cleared away."
            )
            return [problem("clock", sentence, _SET_CLOCK)]
    return [ok("clock", f"The clock says {shown}, and nothing stored is later.")]


def network_time() -> list[Finding]:
    """Ask systemd whether something keeps the clock right; nothing where there is no systemd to ask."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired):
        return []
    match asked.stdout.strip():
        case "yes":
            return [ok("network-time", "The clock is kept right over the network.")]
        case "no":
            sentence = "Nothing keeps the clock right over the network, so it drifts."
            return [note("network-time", sentence, _SET_CLOCK)]
    return []


def versions(running: str) -> list[Finding]:
    """Name what the server stands on. *running* is the version that a running server says it has."""
    installed = version("safelight")
    found = [
        ok(
            "versions",
            f"Safelight {installed}, Python {platform.python_version()}, aiohttp {version('aiohttp')},"
            f" {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}.",
        )
    ]
    if running and running != installed:
        sentence = f"The server that runs is Safelight {running}; installed is {installed}."
        found.append(note("running-version", sentence, "Start the server anew when it suits you."))
    return [*found, sqlite_version(sqlite3.sqlite_version_info)]


def sqlite_version(found: tuple[int, ...]) -> Finding:
    """Say whether SQLite has the mistake that our way of writing avoids."""
    shown = ".".join(str(part) for part in found)
    if found >= SAFE_SQLITE:
        return ok("sqlite-version", f"SQLite {shown}.")
    return note(
        "sqlite-version",
        f"SQLite {shown}: before 3.51.3 it can damage a database that several connections write. Safelight writes"
        " through a single one, so this does not touch it.",
        "Let no other program write to safelight.db; copy it with Safelight's own commands.",
    )


def open_files(limits: Path) -> list[Finding]:
    """Look at how many files the running server may have open, in its /proc/PID/limits."""
    try:
        line = next(line for line in limits.read_text().splitlines() if line.startswith("Max open files"))
        allowed = line.split()[3]
    except (OSError, StopIteration, IndexError):
        return []
    if allowed.isdecimal() and int(allowed) < NEEDED_FILES:
        sentence = f"The server may have {allowed} files open; each connection and each transfer takes one or two."
        return [note("open-files", sentence, "Start it with LimitNOFILE=65536 (systemd) or ulimit -n 65536.")]
    return [ok("open-files", f"The server may have {allowed} files open.")]


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _span(span_ms: int) -> str:
    minutes = span_ms // 60_000
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
