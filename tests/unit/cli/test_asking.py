"""What is asked for on a terminal is not shown, and what is a secret need not stand in the command."""

import getpass
import io
import sys

import pytest

from safelight.clients.cli.asking import Misuse, ask_pairing_code


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_a_pairing_code_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out, it is asked for without echo; - takes a line also there; written out, it is taken as it is."""
    monkeypatch.setattr(sys, "stdin", Terminal("safelight:pair#line\n"))
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return " safelight:pair#typed "

    monkeypatch.setattr(getpass, "getpass", typed)
    assert ask_pairing_code(None) == "safelight:pair#typed"
    assert len(asked) == 1
    assert ask_pairing_code("-") == "safelight:pair#line"
    assert ask_pairing_code("safelight:pair#given") == "safelight:pair#given"
    assert len(asked) == 1


@pytest.mark.parametrize("given", ["-", None])
def test_a_pairing_code_that_nobody_wrote(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """An empty standard input is misuse, not a code."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(Misuse):
        ask_pairing_code(given)
