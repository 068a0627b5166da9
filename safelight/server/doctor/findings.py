"""What the doctor found, and how it is told: to people at 80 columns, to programs as JSON."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]
WIDTH = 80
_INDENT = 10
_COLOURS = {"ok": "32", "note": "33", "problem": "31"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is (a stable word), how it is, and what to do where something is to do."""

    subject: str
    level: Level
    sentence: str
    remedy: str = ""


def ok(subject: str, sentence: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, "ok", sentence)


def note(subject: str, sentence: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(subject, "note", sentence, remedy)


def problem(subject: str, sentence: str, remedy: str) -> Finding:
    """It does not work, or will not, or photographs are in danger."""
    return Finding(subject, "problem", sentence, remedy)


def has_problem(findings: Sequence[Finding]) -> bool:
    """Whether something must be done."""
    return any(finding.level == "problem" for finding in findings)


def as_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as a document for programs."""
    levels = [finding.level for finding in findings]
    worst = next(level for level in ("problem", "note", "ok") if level in {*levels, "ok"})
    return {"level": worst, "findings": [asdict(finding) for finding in findings]}


def as_text(heading: str, findings: Sequence[Finding], *, colours: bool) -> str:
    """Return the findings for people: what needs doing first, each with what to do."""
    blocks = ["\n".join(textwrap.wrap(heading, WIDTH, break_long_words=False, break_on_hyphens=False))]
    for level in ("problem", "note"):
        blocks += ["\n".join(_lines(one, colours=colours)) for one in findings if one.level == level]
    well = [line for one in findings if one.level == "ok" for line in _lines(one, colours=colours)]
    return "\n\n".join([*blocks, *(["\n".join(well)] if well else []), _summary(findings)]) + "\n"


def _lines(finding: Finding, *, colours: bool) -> list[str]:
    level = f"{finding.level:>8}"
    shown = f"\033[{_COLOURS[finding.level]}m{level}\033[0m" if colours else level
    first, *rest = _wrapped(finding.sentence)
    lines = [f"{shown}  {first}", *(" " * _INDENT + line for line in rest)]
    if finding.remedy:
        first, *rest = _wrapped(finding.remedy, 3)
        lines += [f"{' ' * _INDENT}-> {first}", *(" " * (_INDENT + 3) + line for line in rest)]
    return lines


def _wrapped(text: str, less: int = 0) -> list[str]:
    """Wrap, and leave a path or an address whole even where it is longer than the line: it is there to be copied."""
    return textwrap.wrap(text, WIDTH - _INDENT - less, break_long_words=False, break_on_hyphens=False)


def _summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in ("problem", "note", "ok")}
    told = [_counted(counts[level], level) for level in ("problem", "note") if counts[level]]
    if not told:
        return "All that was looked at is well."
    return f"{' and '.join(told)}; {_counted(counts['ok'], 'thing')} {'is' if counts['ok'] == 1 else 'are'} well."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
