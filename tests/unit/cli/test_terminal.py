"""What strangers wrote (names, titles, a server's words) reaches a terminal as text and as nothing else."""

import json
from datetime import UTC, datetime

import pytest

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.cli import output, running
from safelight.clients.cli.output import date_text
from safelight.clients.cli.progress import PushProgress
from safelight.clients.engine.index import Problem
from safelight.sync_protocol.refusals import Code, Refused

# A screen cleared, a window's title set, a link, C1 controls, writing turned round, lines broken in Unicode's ways.
HOSTILE = "a\x1b[2J\x1b]0;t\x07\x1b]8;;http://evil\x1b\\\x9b31m\u202e\u2066\u061c\u2028\u2029\x85\r\nb\ud800"
MARKUP = "[red]r[/red][link=http://evil]x[/link]"


def _is_one_clean_line(text: str) -> bool:
    return text.endswith("\n") and text[:-1].isprintable()


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A line stays one line, and moves no cursor, whichever way it is printed."""
    output.say(HOSTILE + MARKUP)
    output.note(HOSTILE + MARKUP)
    output.complain(HOSTILE + MARKUP)
    printed = capsys.readouterr()
    assert _is_one_clean_line(printed.out)
    assert MARKUP in printed.out
    assert len(printed.err.split("\n")) == 3
    assert all(line.isprintable() for line in printed.err.split("\n"))


def test_json_for_people_who_look_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON keeps what a name holds, escaped where a terminal would obey it, also outside the first plane."""
    name = HOSTILE + "é写🏖\U000e0041\x7f"
    output.print_json({"name": name})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": name}
    assert all(line.isprintable() for line in printed.split("\n"))
    assert "é写🏖" in printed


def test_waiting_says_what_a_server_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that asks to be waited for does not write on the screen itself."""
    with PushProgress(watching=True) as progress:
        progress.waiting(Refused(Code.SERVER_FAULT, HOSTILE + MARKUP), 4)
        progress.settled(HOSTILE + MARKUP, Outcome.FAILED, HOSTILE, 0)
    printed = capsys.readouterr()
    assert all(line.isprintable() for line in printed.err.split("\n"))
    assert MARKUP in printed.err


@pytest.mark.parametrize("time_ms", [2**53 - 1, -(2**53), 253402300800000])
def test_times_that_no_calendar_has(time_ms: int) -> None:
    """A link's row is what the server says: a time that cannot be must not hide all other links."""
    assert date_text(time_ms) == "?"


def test_times_that_a_calendar_has() -> None:
    """Local time to the minute; nothing where there is none."""
    assert date_text(0) == ""
    assert date_text(int(datetime(2027, 1, 31, tzinfo=UTC).timestamp() * 1000)).startswith("2027-01-3")


def test_a_server_that_sends_garbage_does_not_fill_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """A few of many entries that were set aside are named, and the others counted."""
    problems = [Problem(number, Code.ENTRY_MALFORMED, HOSTILE, set_aside=True) for number in range(1, 2001)]
    running.warn_of_problems(problems)
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) < 12
    assert all(line.isprintable() for line in lines)
    assert "entry 1 " in lines[0]
    assert "1995 more" in lines[-2]
