"""`safelight member role` and `safelight member remove`: who reads less, or nothing, from now on, and what goes on."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.member_links import links_json, revoking_command, tell_links, tell_others, tell_standing
from safelight.clients.cli.member_names import (
    ABOUT,
    MemberArgument,
    RightsOption,
    RoleOption,
    find_named,
    given_rights,
    members_by_name,
    named,
)
from safelight.clients.cli.output import JsonOption, count_text, note, print_json, say
from safelight.clients.cli.running import with_space
from safelight.clients.engine.link_listing import StandingLink, check_may_revoke, revoke_links, standing_links
from safelight.clients.engine.members import list_invitations, list_removed, remove_member, set_role
from safelight.clients.engine.sharing import ListedGrant, list_grants
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Role, Tier


def change_role(
    who: MemberArgument,
    space: SpaceOption,
    role: RoleOption,
    rights: RightsOption = None,
    json: JsonOption = False,
) -> None:
    """Give a member another role, or other rights. Whoever reads less from now on may have kept what they could read.

    Example: safelight member role Max --space Family --role editor

    Example: safelight member role Max --space Studio --role editor --rights add,organise
    """
    given = given_rights(rights, Role(role.value))

    async def give(view: SpaceView) -> tuple[bytes, list[StandingLink]]:
        account_id = find_named(await members_by_name(view), who, "member")
        await set_role(view, account_id, Role(role.value), given)
        if Right.LINK in given:
            return account_id, []
        return account_id, [link for link in await standing_links(view) if link.maker_id == account_id]

    account_id, links = with_space(space, give)
    if json:
        print_json({"id": account_id, "role": role.value, "links": links_json(links)})
        return
    say(f"From now on: {role.value}, who {ABOUT[role]}.")
    if rights is not None:
        say(f"What they may do is: {', '.join(sorted(given)) or 'nothing'}.")
    tell_standing(links)


@dataclass
class _Removal:
    """What a removal came to: whose, links and grants of theirs, how many links of others, who is still invited."""

    account_id: bytes
    before: bool
    links: list[StandingLink] = field(default_factory=list)
    others: int = 0
    grants: list[ListedGrant] = field(default_factory=list)
    invited: list[str] = field(default_factory=list)


def remove(
    who: MemberArgument,
    space: SpaceOption,
    revoke: Annotated[
        bool, typer.Option("--revoke-links", help="Revoke the links that they made, too; else they are listed.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Remove a member: they get nothing more, and what is added from now on is sealed to keys that they never had.

    The links that they made, and the albums that they granted to others, go on until they are revoked. Of someone who
    was removed already, lists or revokes those links.

    Example: safelight member remove Max --space Family --revoke-links
    """

    async def shut_out(view: SpaceView) -> _Removal:
        if revoke:
            check_may_revoke(view)
        removal, tier = await _remove(view, who)
        links = await standing_links(view)
        removal.links = [link for link in links if link.maker_id == removal.account_id]
        removal.others = len(links) - len(removal.links) if tier is Tier.FULL else 0
        removal.grants = [one for one in await list_grants(view) if one.given_by == removal.account_id]
        removal.invited = [one.name for one in await list_invitations(view)]
        if revoke and removal.links:
            note(
                f"Removed. Revoking their links; should this be cut off: {revoking_command(removal.account_id, space)}"
            )
            removal.links = await revoke_links(view, removal.links)
        return removal

    _report(with_space(space, shut_out), revoked=revoke, json=json)


async def _remove(view: SpaceView, who: str) -> tuple[_Removal, Tier]:
    """Remove the member whom *who* names, or find who was removed before; with the tier that they read until now."""
    members = await members_by_name(view)
    try:
        account_id = find_named(members, who, "member")
    except Refused as refusal:
        # A run that was cut off is finished by the same command.
        gone = await list_removed(view)
        if refusal.code is not Code.NOT_FOUND or not named(gone, who):
            raise
        return _Removal(find_named(gone, who, "removed member"), before=True), Tier.NONE
    tier = view.state.tier_of(account_id)
    await remove_member(view, account_id)
    return _Removal(account_id, before=False), tier


def _report(removal: _Removal, *, revoked: bool, json: bool) -> None:
    if json:
        print_json(
            {
                "id": removal.account_id,
                "state": "removed",
                "open_invitations": removal.invited,
                "links": links_json(removal.links),
                "grants": [{"album": one.title, "account_id": one.account_id} for one in removal.grants],
            }
        )
        return
    if removal.before:
        say("They were removed before.")
    else:
        say("Removed. What they could read until now they may have kept; nobody can take that back.")
    if revoked:
        say(f"Revoked: {count_text(len(removal.links), 'link')} that they made.")
        tell_links(removal.links)
    else:
        tell_standing(removal.links)
    tell_others(removal.others)
    if removal.grants:
        goes = "goes on" if len(removal.grants) == 1 else "go on"
        albums = ", ".join(sorted({one.title for one in removal.grants}))
        note(f"{count_text(len(removal.grants), 'grant')} that they gave {goes}, of {albums}: safelight album grants")
    if removal.invited:
        # *Under another account's name* they could use one that they were sent, or saw.
        invited = ", ".join(removal.invited)
        note(f"Still open: the invitations for {invited}. Withdraw any that they may have: member withdraw.")
