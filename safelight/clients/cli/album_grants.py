"""`safelight album grant|revoke|grants`: who reads one album, and not its space."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.expiry import parse_expiry
from safelight.clients.cli.member_names import find_named, members_by_name
from safelight.clients.cli.output import Column, JsonOption, date_text, note, print_json, print_table, say
from safelight.clients.cli.running import with_space
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.members import list_members
from safelight.clients.engine.sharing import ListedGrant, end_grant, give_grant, list_grants
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.roles import Tier


class GrantTier(StrEnum):
    """What a grant gives."""

    VIEW = "view"
    FULL = "full"


_ABOUT = {
    GrantTier.VIEW: "previews, never an original, a place or a file name",
    GrantTier.FULL: "originals and everything about them",
}

TitleArgument = Annotated[str, typer.Argument(metavar="NAME", help="The album's name.")]


def grant(
    title: TitleArgument,
    space: SpaceOption,
    to: Annotated[str, typer.Option("--to", metavar="WHO", help="A member: their name, or how their id begins.")],
    tier: Annotated[
        GrantTier, typer.Option("--tier", help="; ".join(f"{each.value}: {what}" for each, what in _ABOUT.items()))
    ] = GrantTier.VIEW,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="30d, 12h, 2w, or a date: the end of that day.")
    ] = "",
    can_add: Annotated[
        bool, typer.Option("--can-add", help="They may add to it, too: safelight asset add DIR --album NAME.")
    ] = False,
    can_organise: Annotated[
        bool,
        typer.Option("--can-organise", help="They may take pictures out of it, and rename it: album remove, rename."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Let somebody see one album, what is in it and what is added, and nothing else of the space.

    Whoever is to see no more than that is invited with the role `grantee` before. A grant that is given again gives
    more, or lasts longer; to give less, revoke it first.

    Example: safelight member invite "Freelance Fred" --space Studio --role grantee

    Example: safelight album grant Wedding --space Studio --to "Freelance Fred" --tier full --expires 30d

    Example: safelight album grant Wedding --space Studio --to "Second Shooter" --can-add --can-organise
    """
    expires_ms = parse_expiry(expires, datetime.now(UTC)) if expires else 0

    async def give(view: SpaceView) -> tuple[bytes, bytes]:
        account_id = find_named(await members_by_name(view), to, "member")
        album = await find_album(view, title)
        await give_grant(
            view,
            album,
            account_id,
            Tier(tier.value),
            expires_ms=expires_ms,
            can_add=can_add,
            can_organise=can_organise,
        )
        return album.album_id, account_id

    album_id, account_id = with_space(space, give)
    if json:
        document = {"album_id": album_id, "account_id": account_id, "tier": tier.value, "expires_ms": expires_ms}
        print_json({**document, "can_add": can_add, "can_organise": can_organise})
        return
    until = f", until {date_text(expires_ms)}" if expires_ms else ""
    say(f"{to.strip()} sees {title}{until}: {_ABOUT[tier]}.{_may_text(can_add=can_add, can_organise=can_organise)}")
    note("On their device: safelight album list")


def _may_text(*, can_add: bool, can_organise: bool) -> str:
    may = [what for what, lets in (("add to it", can_add), ("take pictures out and rename it", can_organise)) if lets]
    return f" They may {', '.join(may)}." if may else ""


def revoke(
    title: TitleArgument,
    space: SpaceOption,
    who: Annotated[str, typer.Option("--from", metavar="WHO", help="Their name, or how their id begins.")],
    json: JsonOption = False,
) -> None:
    """End a grant. What is added to the album from now on is sealed to keys that they never had.

    Example: safelight album revoke Wedding --space Studio --from "Freelance Fred"
    """

    async def end(view: SpaceView) -> tuple[bytes, bytes]:
        account_id = find_named(await members_by_name(view), who, "member")
        album = await find_album(view, title)
        await end_grant(view, album, account_id)
        return album.album_id, account_id

    album_id, account_id = with_space(space, end)
    if json:
        print_json({"album_id": album_id, "account_id": account_id, "state": "ended"})
        return
    say(f"{who.strip()} sees {title} no more.")
    note("What they saw they may have kept: that cannot be taken back.")


def grants(space: SpaceOption, json: JsonOption = False) -> None:
    """List who sees which album by a grant, until when, and who gave it when."""

    async def look(view: SpaceView) -> tuple[list[ListedGrant], dict[bytes, str]]:
        names = {one.account_id: "you" if one.is_me else one.name for one in await list_members(view)}
        return await list_grants(view), names

    found, names = with_space(space, look)
    if json:
        print_json([_fields(one, names) for one in found])
        return
    columns = [Column("album", fold=True), Column("who", fold=True), Column("tier"), Column("until"), Column("given")]
    print_table(
        columns,
        (
            (
                one.title,
                names.get(one.account_id, ""),
                ", ".join(
                    [one.tier.value, *(["adds"] if one.can_add else []), *(["organises"] if one.can_organise else [])]
                ),
                date_text(one.expires_ms) if one.expires_ms else "revoked",
                f"{date_text(one.given_ms)} by {names.get(one.given_by) or one.given_by.hex()[:12]}",
            )
            for one in found
        ),
    )


def _fields(one: ListedGrant, names: dict[bytes, str]) -> dict[str, Any]:
    return {
        "album_id": one.album_id,
        "album": one.title,
        "account_id": one.account_id,
        "name": names.get(one.account_id, ""),
        "tier": one.tier.value,
        "expires_ms": one.expires_ms,
        "can_add": one.can_add,
        "can_organise": one.can_organise,
        "given_by": one.given_by,
        "given_ms": one.given_ms,
    }
