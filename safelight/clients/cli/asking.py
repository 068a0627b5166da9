"""Asking for passwords, words and codes: on a terminal by a prompt that shows nothing, elsewhere by the environment.

`SAFELIGHT_PASSWORD` is the account's password, `SAFELIGHT_NEW_PASSWORD` the one that replaces it,
`SAFELIGHT_LINK_PASSWORD` a link's, `SAFELIGHT_VAULT_PASSPHRASE` a vault's and `SAFELIGHT_NEW_VAULT_PASSPHRASE` the one
that replaces it. None is ever taken from the command line, where other users of the computer see it.
"""

import contextlib
import getpass
import os
import signal
import sys
from collections.abc import Iterator

import typer

from safelight.clients.engine.vaults import MIN_PASSPHRASE_LENGTH

PASSWORD_VARIABLE = "SAFELIGHT_PASSWORD"
NEW_PASSWORD_VARIABLE = "SAFELIGHT_NEW_PASSWORD"
LINK_PASSWORD_VARIABLE = "SAFELIGHT_LINK_PASSWORD"
PASSPHRASE_VARIABLE = "SAFELIGHT_VAULT_PASSPHRASE"
NEW_PASSPHRASE_VARIABLE = "SAFELIGHT_NEW_VAULT_PASSPHRASE"
_TRIES = 3
_MAX_LINE_LENGTH = 8192


class Misuse(Exception):
    """The command was not called as it can be: exit code 2."""


def ask_password(prompt: str = "Password", *, variable: str = PASSWORD_VARIABLE) -> str:
    """Return a password that exists already."""
    from_environment = os.environ.get(variable)
    if from_environment is not None:
        return from_environment
    _require_terminal(variable)
    return _type_hidden(f"{prompt}: ")


def ask_new_password(prompt: str = "Password", *, variable: str = PASSWORD_VARIABLE, min_length: int = 1) -> str:
    """Return a new password, typed twice the same."""
    from_environment = os.environ.get(variable)
    if from_environment is not None:
        return from_environment
    _require_terminal(variable)
    for _ in range(_TRIES):
        first = _type_hidden(f"{prompt}: ")
        if len(first) < min_length:
            typer.echo(f"It needs at least {min_length} characters.", err=True)
        elif first == _type_hidden("Once more: "):
            return first
        else:
            typer.echo("These were not the same.", err=True)
    raise Misuse("no password was chosen")


async def ask_passphrase() -> str | None:
    """Return a vault's passphrase; None where there is nobody to ask, and the environment does not say."""
    from_environment = os.environ.get(PASSPHRASE_VARIABLE)
    if from_environment is not None or not sys.stdin.isatty():
        return from_environment
    return _type_hidden("The vault's passphrase: ")


def ask_new_passphrase(prompt: str = "A passphrase for the vault", *, variable: str = PASSPHRASE_VARIABLE) -> str:
    """Return a vault's new passphrase, typed twice the same."""
    return ask_new_password(prompt, variable=variable, min_length=MIN_PASSPHRASE_LENGTH)


def ask_words() -> str:
    """Return the recovery words: typed on a terminal, or all that stands on standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.read(4096)
    return str(typer.prompt("The 24 recovery words, in order"))


def ask_pairing_code(given: str | None) -> str:
    """Return the pairing code: as *given*; from one line of standard input for `-`; else typed, and not shown."""
    return _ask_code(given, "Pairing code", "there is no pairing code on standard input; `camera pair` prints one")


def ask_invitation(given: str | None) -> str:
    """Return an invitation, in the same ways."""
    return _ask_code(given, "Invitation", "there is no invitation on standard input; `member invite` prints one")


def ask_upload_link(given: str | None) -> str:
    """Return an upload link's address, in the same ways."""
    typed = given == "-" and sys.stdin.isatty()
    return _ask_code(
        None if typed else given, "Upload link", "there is no link on standard input; `link create --upload` prints one"
    )


def _ask_code(given: str | None, prompt: str, missing: str) -> str:
    """*Secrets in the list of processes*: what stands on the command line, other users see, and the shell keeps."""
    if given == "-" or (given is None and not sys.stdin.isatty()):
        line = sys.stdin.readline(_MAX_LINE_LENGTH).strip()
        if not line:
            raise Misuse(missing)
        return line
    return _type_hidden(f"{prompt} (it is not shown): ").strip() if given is None else given


def _type_hidden(prompt: str) -> str:
    """Return a line that is typed and not shown; what the terminal sends that is no text is `Misuse`."""
    try:
        with _stopped_at_once():
            return getpass.getpass(prompt)
    except UnicodeDecodeError:
        raise Misuse("what was typed is not valid text") from None


@contextlib.contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a prompt: an event loop that waits for it would notice them after the answer alone."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_terminal(variable: str) -> None:
    if not sys.stdin.isatty():
        raise Misuse(f"there is no terminal to ask for the password; set {variable}")
