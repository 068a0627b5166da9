"""`safelight space …`: the libraries."""

from enum import StrEnum
from typing import Annotated

import typer

from safelight.clients.cli.asking import NEW_PASSPHRASE_VARIABLE, ask_new_passphrase
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.output import Column, JsonOption, note, print_json, print_table, say, size_text
from safelight.clients.cli.running import with_account
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.spaces import SpaceList, change_passphrase, create_space, find_space, list_spaces
from safelight.sync_protocol.refusals import Code, Refused

app = typer.Typer(no_args_is_help=True, help="Spaces: separate libraries, each with its own keys and members.")


class Kind(StrEnum):
    """What a space is for."""

    FAMILY = "family"
    WORK = "work"
    VAULT = "vault"


_ABOUT = {
    Kind.FAMILY: "Its links show previews and never give out an original.",
    Kind.WORK: "Its links may give out originals.",
    Kind.VAULT: "It has no links, and opens with its own passphrase alone.",
}


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only its members ever read it.")],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            help="family: links show previews; work: links may give out originals; vault: no links, and a passphrase "
            "of its own.",
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Make a space; you are its owner.

    Example: safelight space create Family --kind family
    """
    passphrase = ask_new_passphrase() if kind is Kind.VAULT else None

    async def make(session: AccountSession) -> bytes:
        return await create_space(session, name, kind.value, passphrase)

    space_id = with_account(make)
    if json:
        print_json({"id": space_id, "name": name.strip(), "kind": kind.value})
        return
    say(f"Space {name.strip()} is ready. {_ABOUT[kind]}")
    if kind is Kind.VAULT:
        note("Your recovery words do not open it: whoever forgets its passphrase has lost what is in it.")


@app.command()
def passphrase(space: SpaceOption, json: JsonOption = False) -> None:
    """Change the passphrase of a vault. It is asked for twice: the old one, and then the new one.

    Example: safelight space passphrase --space Private
    """

    async def change(session: AccountSession) -> bytes:
        with await find_space(session, space) as view:
            await view.sync()
            if not view.is_vault:
                raise Refused(Code.BAD_REQUEST, "only a vault has a passphrase")
            await view.epoch_secrets()
            new = ask_new_passphrase("The vault's new passphrase", variable=NEW_PASSPHRASE_VARIABLE)
            await change_passphrase(view, new)
            return view.space_id

    space_id = with_account(change)
    if json:
        print_json({"id": space_id, "state": "changed"})
        return
    say("From now on the vault opens with the new passphrase, on all your devices.")
    note("Whoever knew the old one, and has your account's keys and a copy of your keyring, could still open it.")


@app.command(name="list")
def list_(json: JsonOption = False) -> None:
    """List your spaces. What the server shows and you never made or joined is named on stderr, and ignored."""

    async def look(session: AccountSession) -> SpaceList:
        return await list_spaces(session)

    listing = with_account(look)
    for space_id, refusal in listing.refused.items():
        note(f"safelight: space {space_id.hex()[:12]}: {refusal.sentence}")
    for space_id in listing.waiting:
        note(f"safelight: space {space_id.hex()[:12]}: you joined it, and wait until its inviter's device lets you in")
    if json:
        print_json(
            [
                {
                    "id": space.space_id,
                    "name": space.name,
                    "kind": space.kind,
                    "role": space.role.value,
                    "used_bytes": space.used_bytes,
                    "quota_bytes": space.quota_bytes,
                    "is_shut": space.is_shut,
                }
                for space in listing.spaces
            ]
        )
        return
    columns = [Column("name"), Column("kind"), Column("role"), Column("used", right=True), Column("id")]
    print_table(
        columns,
        (
            (
                "(shut)" if space.is_shut else space.name,
                space.kind,
                space.role.value,
                size_text(space.used_bytes),
                space.space_id.hex()[:12],
            )
            for space in listing.spaces
        ),
    )
