"""`safelight space …`: the libraries."""

from enum import StrEnum
from typing import Annotated

import typer

from safelight.clients.cli.output import Column, JsonOption, note, print_json, print_table, say, size_text
from safelight.clients.cli.running import with_account
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.spaces import SpaceList, create_space, list_spaces

app = typer.Typer(no_args_is_help=True, help="Spaces: separate libraries, each with its own keys and members.")


class Kind(StrEnum):
    """What a space is for."""

    FAMILY = "family"
    WORK = "work"
    VAULT = "vault"


_ABOUT = {
    Kind.FAMILY: "Its links show previews and never give out an original.",
    Kind.WORK: "Its links may give out originals.",
    Kind.VAULT: "It has no links.",
}


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only its members ever read it.")],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind", help="family: links show previews; work: links may give originals; vault: not to be had yet."
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Make a space; you are its owner.

    Example: safelight space create Family --kind family
    """

    async def make(session: AccountSession) -> bytes:
        return await create_space(session, name, kind.value)

    space_id = with_account(make)
    if json:
        print_json({"id": space_id, "name": name.strip(), "kind": kind.value})
    else:
        say(f"Space {name.strip()} is ready. {_ABOUT[kind]}")


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
                }
                for space in listing.spaces
            ]
        )
        return
    columns = [Column("name"), Column("kind"), Column("role"), Column("used", right=True), Column("id")]
    print_table(
        columns,
        (
            (space.name, space.kind, space.role.value, size_text(space.used_bytes), space.space_id.hex()[:12])
            for space in listing.spaces
        ),
    )
