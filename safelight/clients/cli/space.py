"""`safelight space …`: the libraries."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from safelight.clients.cli.asking import NEW_PASSPHRASE_VARIABLE, ask_new_passphrase
from safelight.clients.cli.member_links import links_json, tell_links
from safelight.clients.cli.output import Column, JsonOption, count_text, note, print_json, print_table, say, size_text
from safelight.clients.cli.running import with_account, with_space
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.link_listing import StandingLink
from safelight.clients.engine.policies import links_beyond_policy, set_links_policy
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import SpaceList, change_passphrase, create_space, find_space, list_spaces
from safelight.sync_protocol.ledger_entries import Policy
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role

# What stands in place of the name of a space that this account does not read.
_UNREAD = {Role.GRANTEE: "(see album list)", Role.CONTRIBUTOR: "(you only add)"}

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


class LinkTier(StrEnum):
    """Which links a space allows."""

    NONE = "none"
    VIEW = "view"
    FULL = "full"


_MEANS = {
    LinkTier.NONE: "nobody can make a link",
    LinkTier.VIEW: "links show previews, and none that is made now gives out an original",
    LinkTier.FULL: "links may give out originals",
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
def passphrase(
    space: Annotated[str, typer.Argument(metavar="NAME", help="The vault's name.")], json: JsonOption = False
) -> None:
    """Change the passphrase of a vault. It is asked for twice: the old one, and then the new one.

    Example: safelight space passphrase Private
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
            + [
                {"id": view.space_id, "name": "", "kind": view.state.kind, "role": view.role.value, "is_shut": False}
                for view in listing.granted
            ]
        )
        return
    columns = [Column("name"), Column("kind"), Column("role"), Column("used", right=True), Column("id")]
    rows = [
        (
            "(shut)" if space.is_shut else space.name,
            space.kind,
            space.role.value,
            size_text(space.used_bytes),
            space.space_id.hex()[:12],
        )
        for space in listing.spaces
    ]
    rows += [
        (_UNREAD[view.role], view.state.kind, view.role.value, "", view.space_id.hex()[:12]) for view in listing.granted
    ]
    print_table(columns, rows)


@app.command()
def policy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The space's name.")],
    links: Annotated[
        LinkTier | None,
        typer.Option("--links", help="; ".join(f"{tier.value}: {what}" for tier, what in _MEANS.items()) + "."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a space allows, or set which links may be made from now on.

    Links that were made before go on as they are, originals included, until they expire or are revoked. Those that
    could not be made any more are listed.

    Example: safelight space policy Studio --links view
    """

    async def look(view: SpaceView) -> tuple[bool, Policy, list[StandingLink]]:
        changed = links is not None and await set_links_policy(view, links.value)
        return changed, view.state.policy, await links_beyond_policy(view)

    changed, allowed, beyond = with_space(name, look)
    if json:
        print_json(
            {
                "links": allowed.links,
                "min_version": allowed.min_version,
                "changed": changed,
                "links_beyond": [{**row, "originals": link.originals} for row, link in _with_rows(beyond)],
            }
        )
        return
    now = "From now on" if changed else "As it is"
    say(f"{now}: {allowed.links}, {_MEANS[LinkTier(allowed.links)]}.")
    say(f"The oldest version of the protocol that its clients may speak: {allowed.min_version}.")
    _tell_beyond(beyond)


def _with_rows(links: list[StandingLink]) -> list[tuple[dict[str, Any], StandingLink]]:
    return list(zip(links_json(links), links, strict=True))


def _tell_beyond(links: list[StandingLink]) -> None:
    """Say plainly which links the policy does not end."""
    for title, some in (
        ("that may give out originals", [link for link in links if link.originals]),
        ("without originals", [link for link in links if not link.originals]),
    ):
        if some:
            goes = "goes on as it is" if len(some) == 1 else "go on as they are"
            note(f"{count_text(len(some), 'link')} {title}, made before, {goes}:")
            tell_links(some)
    if links:
        note("End one: safelight link revoke ID")
