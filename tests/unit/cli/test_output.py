"""What commands print, and what they never print."""

import json

import pytest

from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.cli import output
from safelight.clients.cli.progress import PushProgress, summary
from safelight.sync_protocol.refusals import Code, Refused


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (3_140_000, "3.1 MB"),
        (5 * 10**12, "5.0 TB"),
    ],
)
def test_sizes_as_people_write_them(size_bytes: int, text: str) -> None:
    """Powers of 1000, one digit after the point."""
    assert output.size_text(size_bytes) == text


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes are hexadecimal, text is as it is."""
    output.print_json({"id": b"\x01\xff", "name": "Übersicht", "rows": [{"n": 1}]})
    assert json.loads(capsys.readouterr().out) == {"id": "01ff", "name": "Übersicht", "rows": [{"n": 1}]}


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a server or a file name puts into it: one line, and nothing that moves a cursor."""
    output.complain("first\nsecond \x1b[2J \u202e third\r\n")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.rstrip("\n").isprintable()
    assert printed.err.startswith("safelight: first second")


def test_tables_are_fields_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets a line a row and tabs between fields, and no field can hold either."""
    output.print_table([output.Column("a"), output.Column("b")], [("1", "two\twords\nand a line"), ("3", "4")])
    assert capsys.readouterr().out.splitlines() == ["1\ttwo\ufffdwords\ufffdand a line", "3\t4"]


def test_plain_lines_of_a_push(capsys: pytest.CaptureFixture[str]) -> None:
    """Uploaded, skipped and failed files are named with the reason; known ones are only counted."""
    with PushProgress() as progress:
        progress.expect(3, 30)
        progress.settled("a.jpg", Outcome.UPLOADED, "", 10)
        progress.settled("b.jpg", Outcome.UPLOADED, "it does not open as a picture", 10)
        progress.settled("c.jpg", Outcome.KNOWN, "", 10)
        progress.settled(".d", Outcome.SKIPPED, "its name begins with a dot", 0)
        progress.settled("e[bold]", Outcome.FAILED, "it may not be read", 0)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "+ a.jpg",
        "+ b.jpg  (uploaded: it does not open as a picture)",
        "- .d  (skipped: its name begins with a dot)",
    ]
    assert printed.err.splitlines() == ["! e[bold]  (failed: it may not be read)"]


def test_quiet_says_failures_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout belongs to the document."""
    with PushProgress(quiet=True) as progress:
        progress.settled("a.jpg", Outcome.UPLOADED, "", 10)
        progress.settled("b.jpg", Outcome.FAILED, "why", 0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "b.jpg" in printed.err


def test_watching_says_the_same_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What is found again at every look is said at the first."""
    with PushProgress(watching=True) as progress:
        for _ in range(3):
            progress.settled(".d", Outcome.SKIPPED, "its name begins with a dot", 0)
            progress.settled("a.jpg", Outcome.UPLOADED, "", 0)
        progress.waiting(Refused(Code.SERVER_UNREACHABLE), 4)
        progress.rested()
    printed = capsys.readouterr()
    assert printed.out.count(".d") == 1
    assert printed.out.count("a.jpg") == 3
    assert "could not be reached" in printed.err


def test_the_summary_counts() -> None:
    """One line at the end; skipped and failed only where there are any."""
    tally = Tally()
    tally.add("a", Outcome.UPLOADED, "")
    assert summary(tally) == "1 uploaded, 0 known."
    tally.add("b", Outcome.FAILED, "why")
    assert summary(tally) == "1 uploaded, 0 known, 1 failed."
    assert tally.reasons == [("b", Outcome.FAILED, "why")]
