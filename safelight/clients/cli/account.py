"""`safelight account …`: the person, on this computer."""

from collections.abc import Sequence
from typing import Annotated

import typer

from safelight.clients.cli.asking import (
    NEW_PASSWORD_VARIABLE,
    ask_new_password,
    ask_password,
    ask_words,
)
from safelight.clients.cli.output import JsonOption, note, print_json, say
from safelight.clients.cli.running import profile, run
from safelight.clients.engine import accounts
from safelight.clients.engine.account_changes import change_password, recovery_words, words_were_shown
from safelight.clients.engine.profile import AccountProfile
from safelight.clients.engine.profile_secrets import needs_password
from safelight.clients.engine.unlocking import MIN_PASSWORD_LENGTH

app = typer.Typer(no_args_is_help=True, help="Your account: make it, log in on another device, recover it.")

ServerOption = Annotated[str, typer.Option("--server", metavar="URL", help="The server's address, https://…")]
NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="The account's name on that server.")]


@app.command()
def create(
    server: ServerOption,
    name: NameOption,
    invite: Annotated[str, typer.Option("--invite", metavar="CODE", help="The one-time code from the operator.")],
    json: JsonOption = False,
) -> None:
    """Make an account, and make this computer its first device.

    Prints 24 recovery words, once. Write them on paper: with them you get back in when the password is lost, and
    without either nobody can, the server's operator included. Cut off, the same command goes on, and prints them.

    Example: safelight account create --server https://photos.example.org --name ada --invite 4K7Q-…
    """
    with profile() as folder:
        if accounts.unfinished(folder, server, name) is None:
            folder.require_free()
            password = ask_new_password("New password", min_length=MIN_PASSWORD_LENGTH)
        else:
            note("safelight: making this account was cut off before; this goes on with it.")
            password = ask_password("The password that you chose")
        created = run(accounts.create_account(folder, server, name, invite, password))
        if json:
            print_json(
                {
                    "name": created.profile.name,
                    "account_id": created.profile.account_id,
                    "server": created.profile.server_url,
                    "recovery_words": created.recovery_words,
                }
            )
        else:
            _print_words(f"Account {name} is ready. These are its recovery words", created.recovery_words)
        words_were_shown(folder, password)


@app.command()
def login(server: ServerOption, name: NameOption, json: JsonOption = False) -> None:
    """Make this computer another device of an account that exists.

    Example: safelight account login --server https://photos.example.org --name ada
    """
    with profile() as folder:
        folder.require_free()
        made = run(accounts.login(folder, server, name, ask_password()))
    _print_device(made, json)


@app.command()
def recover(server: ServerOption, name: NameOption, json: JsonOption = False) -> None:
    """Get back into an account with its 24 recovery words, and set a new password.

    The words are asked for on a terminal, or read from standard input. Other devices go on working.

    Example: safelight account recover --server https://photos.example.org --name ada
    """
    with profile() as folder:
        folder.require_free()
        words = ask_words()
        password = ask_new_password("New password", min_length=MIN_PASSWORD_LENGTH)
        made = run(accounts.recover(folder, server, name, words, password))
    _print_device(made, json)


@app.command()
def recovery(json: JsonOption = False) -> None:
    """Print new recovery words; those until now open nothing any more.

    Where `account create` was cut off before it printed the words, these are printed. Whoever has the password and this
    computer can do this, so it does not shut a thief out. Keep the first words, too, if you have them: what a theft may
    one day ask for, new keys for the whole account, only they can sign.
    """
    with profile() as folder:
        is_new = folder.load_account().words != "unshown"
        password = ask_password() if is_new or needs_password(folder.load_account()) else None
        words = run(recovery_words(folder, password))
        if json:
            print_json({"recovery_words": words, "new": is_new})
        else:
            _print_words("These are the account's new recovery words" if is_new else "These are the words", words)
            if is_new:
                say("The words until now open nothing any more.")
        words_were_shown(folder, password)


@app.command()
def password(json: JsonOption = False) -> None:
    """Change the account's password.

    Whoever learnt the old password and got in is not shut out by this: for that, revoke their device. On another device
    the same command, with that device's password until now and the account's new one, takes the new one there, too.
    In scripts SAFELIGHT_PASSWORD is the old one and SAFELIGHT_NEW_PASSWORD the new one.
    """
    with profile() as folder:
        folder.load_account()
        old = ask_password("Password until now")
        new = ask_new_password("New password", variable=NEW_PASSWORD_VARIABLE, min_length=MIN_PASSWORD_LENGTH)
        run(change_password(folder, old, new))
    if json:
        print_json({"changed": True})
    else:
        say("The password is changed. Your other devices ask for the one that they were set up with.")


def _print_words(what: str, words: Sequence[str]) -> None:
    say(f"{what}; they are shown this once:")
    say()
    numbered = [f"{number:>2} {word}" for number, word in enumerate(words, 1)]
    for start in range(0, len(numbered), 6):
        say("  " + "  ".join(f"{word:<11}" for word in numbered[start : start + 6]).rstrip())
    say()
    say("Write them on paper and keep them where you keep what must not be lost.")


def _print_device(made: AccountProfile, json: bool) -> None:
    if json:
        print_json(
            {
                "name": made.name,
                "account_id": made.account_id,
                "device_id": made.device_id,
                "server": made.server_url,
            }
        )
    else:
        say(f"This computer is now a device of {made.name}.")
