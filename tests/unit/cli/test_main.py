"""However a command ends: one line and a code, never a trace."""

import pytest
import typer

from safelight.clients.cli import __main__ as entry
from safelight.clients.cli import asking
from safelight.sync_protocol.refusals import Code, Refused


def _app(error: BaseException) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        """Fail."""
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refused(Code.NAME_TAKEN), 1, "taken"),
        (asking.Misuse("not like this"), 2, "not like this"),
        (OSError(28, "No space left on device", "/x"), 1, "No space left on device: /x"),
        (KeyboardInterrupt(), 130, "stopped"),
        (ZeroDivisionError("secret"), 1, "ZeroDivisionError"),
        (typer.BadParameter("bad"), 2, "bad"),
    ],
)
def test_every_end_has_its_line_and_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    """What went wrong is said in a line; what an unexpected error carries is not."""
    monkeypatch.setattr(entry, "app", _app(error))
    monkeypatch.delenv("SAFELIGHT_DEBUG", raising=False)
    assert entry.run([]) == code
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert "secret" not in printed.err


def test_a_developer_may_see_the_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With SAFELIGHT_DEBUG an unexpected error shows where it happened."""
    monkeypatch.setattr(entry, "app", _app(ZeroDivisionError()))
    monkeypatch.setenv("SAFELIGHT_DEBUG", "1")
    assert entry.run([]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_new_passwords_are_typed_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Too short is asked for again, and so are two that differ; after three tries it ends."""
    monkeypatch.delenv("SAFELIGHT_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["short", "long enough", "not the same", "long enough", "long enough"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert asking.ask_new_password(min_length=8) == "long enough"
    said = capsys.readouterr().err
    assert "at least 8" in said
    assert "not the same" in said
    monkeypatch.setattr("getpass.getpass", lambda _: "short")
    with pytest.raises(asking.Misuse):
        asking.ask_new_password(min_length=8)


def test_the_environment_answers_before_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in its variable is taken as it is; without one and without a terminal the variable is named."""
    monkeypatch.setenv("SAFELIGHT_PASSWORD", " with spaces ")
    assert asking.ask_password() == " with spaces "
    monkeypatch.delenv("SAFELIGHT_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(asking.Misuse, match="SAFELIGHT_PASSWORD"):
        asking.ask_password()
