"""What upkeep's commands print: findings on stdout as they come, progress on stderr, one document with --json."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from safelight.server.upkeep.events import Event, Failure, Finding, Progress, Summary

_PLAIN_EVERY_S = 30.0
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


class ProgressLine:
    """One line that is written over on a terminal; elsewhere now and then a line of its own."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = False
        self._told_s = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Show how far it is."""
        read = f", {size(progress.done_bytes)}" if progress.done_bytes else ""
        text = f"{progress.stage}: {progress.done} of {progress.total}{read}"
        now_s = time.monotonic()
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            self._shown = True
        elif now_s - self._told_s >= _PLAIN_EVERY_S:
            sys.stderr.write(text + "\n")
            self._told_s = now_s
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


@dataclass
class CheckPrinter:
    """Prints a check's events; `findings` and `summary` remember them."""

    as_json: bool
    findings: list[Finding] = field(default_factory=list)
    summary: Summary | None = None
    _progress: ProgressLine = field(default_factory=ProgressLine)

    def take(self, event: Event) -> None:
        """Print one."""
        match event:
            case Progress():
                self._progress.show(event)
            case Finding():
                self.findings.append(event)
                if not self.as_json:
                    self._progress.clear()
                    sys.stdout.write(_line(event))
                    sys.stdout.flush()
            case Summary():
                self.summary = event
            case Failure():
                self._progress.clear()

    def finish(self) -> int:
        """Print the end; returns the exit status: 0 if there was nothing to find."""
        self._progress.clear()
        if self.as_json:
            sys.stdout.buffer.write(msgspec.json.encode(self._document()) + b"\n")
        elif self.summary is not None:
            sys.stdout.write(self._sentence(self.summary))
        sys.stdout.flush()
        return int(bool(self.findings))

    def stopped(self) -> None:
        """Say that it was stopped."""
        self._progress.clear()
        sys.stderr.write("stopped; what was checked so far is noted, and the next check goes on from there\n")

    def _document(self) -> dict[str, Any]:
        findings = [
            {"kind": f.kind, "subject": f.subject, "detail": f.detail, "remedy": f.remedy, "repaired": f.repaired}
            for f in self.findings
        ]
        counts = (
            {}
            if self.summary is None
            else {
                "blobs": self.summary.blobs,
                "checked": self.summary.checked,
                "checked_bytes": self.summary.checked_bytes,
                "spaces": self.summary.spaces,
                "accounts": self.summary.accounts,
            }
        )
        return {"clean": not findings, **counts, "findings": findings}

    def _sentence(self, summary: Summary) -> str:
        looked = (
            f"hashed {summary.checked} of {count(summary.blobs, 'blob')} ({size(summary.checked_bytes)}), and verified"
            f" {count(summary.spaces, 'space')} and {count(summary.accounts, 'account')}"
        )
        if not self.findings:
            return f"{looked}: all is well\n"
        repaired = sum(finding.repaired for finding in self.findings)
        also = f", {repaired} of them repaired" if repaired else ""
        return f"{looked}: {count(len(self.findings), 'finding')}{also}\n"


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(size_bytes: int) -> str:
    """A size as people read it."""
    value, unit = float(size_bytes), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{size_bytes} bytes" if not unit else f"{value:.1f} {_UNITS[unit]}"


def _line(finding: Finding) -> str:
    subject = f" {finding.subject}" if finding.subject else ""
    return f"{finding.kind}{subject}: {finding.detail}; {finding.remedy}\n"
