"""`safelight member …`: who is in a space, and who may come in."""

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse, ask_invitation, ask_new_passphrase
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.expiry import parse_expiry
from safelight.clients.cli.output import Column, JsonOption, note, print_json, print_qr, print_table, say
from safelight.clients.cli.running import with_account, with_space
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.invitations import (
    DEFAULT_INVITATION_AGE_S,
    InvitationCode,
    invite_member,
    withdraw_invitation,
)
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import (
    ListedInvitation,
    ListedMember,
    list_invitations,
    list_members,
    remove_member,
    set_role,
)
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import INVITATION_MAX_AGE_S
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role

app = typer.Typer(no_args_is_help=True, help="Members: who is in a space, and what each may do there.")


class GivenRole(StrEnum):
    """The roles that people give one another."""

    OWNER = "owner"
    MANAGER = "manager"
    EDITOR = "editor"
    VIEWER = "viewer"
    PREVIEWER = "previewer"


_ABOUT = {
    GivenRole.OWNER: "reads everything and may do everything",
    GivenRole.MANAGER: "reads everything, and manages members below, links and policy",
    GivenRole.EDITOR: "reads everything, adds, organises, edits and trashes",
    GivenRole.VIEWER: "reads everything and changes nothing",
    GivenRole.PREVIEWER: "sees previews, never an original, a place or a file name",
}
_ROLES = "; ".join(f"{role.value}: {about}" for role, about in _ABOUT.items())

RoleOption = Annotated[GivenRole, typer.Option("--role", help=f"{_ROLES}.")]
MemberArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="Their name as `member list` shows it, or how their id begins.")
]


@app.command()
def invite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom you await; members see it, the server never does.")],
    space: SpaceOption,
    role: RoleOption = GivenRole.VIEWER,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="3d, 12h, or a date; at most 30 days.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Print an invitation to a space, for one person, once. It is good for three days unless you say otherwise.

    Example: safelight member invite "Grandma Ruth" --space Family --role previewer
    """
    max_age_s = _max_age_s(expires)

    async def give(view: SpaceView) -> tuple[InvitationCode, str]:
        code = await invite_member(view, name, Role(role.value), max_age_s=max_age_s)
        return code, (await view.session.connection.server_info()).warning

    code, warning = with_space(space, give)
    if warning:
        note(warning)
    if json:
        print_json({"id": code.invitation_id, "uri": code.uri, "expires_ms": code.expires_ms, "warning": warning})
        return
    print_qr(code.uri)
    say(code.uri)
    note(f"{name.strip()} will be a {role.value}: {_ABOUT[role]}.")
    note("They need an account on this server, and then: safelight member join, which asks for this invitation.")
    note("Whoever uses it first joins: send it to nobody else.")
    note("Your next command in this space lets them in, unless it is member list or member withdraw.")


def _max_age_s(expires: str) -> int:
    if not expires:
        return DEFAULT_INVITATION_AGE_S
    now = datetime.now(UTC)
    age_s = parse_expiry(expires, now) // 1000 - int(now.timestamp())
    if age_s > INVITATION_MAX_AGE_S:
        raise Misuse("--expires: an invitation lives at most 30 days")
    return max(1, age_s)


@app.command()
def join(
    uri: Annotated[
        str | None,
        typer.Argument(
            metavar="URI", help="What `member invite` printed; - reads it from standard input.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Join the space that an invitation is for.

    Without URI it is asked for, and not shown. You read the space once a device of someone who manages its members runs
    again and lets you in.

    Example: safelight member join
    """
    invitation = ask_invitation(uri)

    async def choose_passphrase() -> str | None:
        note("This is a vault, and opens with a passphrase of your own. Choose one that you do not use elsewhere.")
        note("Whoever forgets it opens nothing there any more, not with recovery words either.")
        return ask_new_passphrase()

    async def enter(session: AccountSession) -> bytes:
        return await join_space(session, invitation, choose_passphrase)

    space_id = with_account(enter)
    if json:
        print_json({"space_id": space_id, "state": "joined"})
    else:
        say("You joined. Your inviter's device lets you in when it next runs; then: safelight space list")


@app.command(name="list")
def list_(space: SpaceOption, json: JsonOption = False) -> None:
    """List who is in a space, and who is invited."""

    async def look(view: SpaceView) -> tuple[list[ListedMember], list[ListedInvitation]]:
        return await list_members(view), await list_invitations(view)

    members, invitations = with_space(space, look, admits=False)
    rows = [(one.account_id, _shown(one), one.role.value, "member") for one in members]
    rows += [(one.invitation_id, one.name, one.role.value, _state(one)) for one in invitations]
    if json:
        print_json([{"id": id_, "name": name, "role": role, "state": state} for id_, name, role, state in rows])
        return
    columns = [Column("name", fold=True), Column("role"), Column("state"), Column("id")]
    print_table(columns, ((name, role, state, id_.hex()[:12]) for id_, name, role, state in rows))


def _shown(one: ListedMember) -> str:
    if one.is_me:
        return f"{one.name} (you)" if one.name else "(you)"
    return one.name or "(made the space)"


def _state(one: ListedInvitation) -> str:
    if one.joined:
        return "joined, to be let in"
    return "invited" if time.time_ns() // 1_000_000 < one.expires_ms else "invitation expired"


@app.command()
def withdraw(
    who: Annotated[str, typer.Argument(metavar="WHO", help="The invited name, or how the invitation's id begins.")],
    space: SpaceOption,
    json: JsonOption = False,
) -> None:
    """Withdraw an invitation: it lets nobody in any more, nor who joined by it and was not let in yet.

    Example: safelight member withdraw "Grandma Ruth" --space Family
    """

    async def end(view: SpaceView) -> bytes:
        found = [(one.invitation_id, one.name) for one in await list_invitations(view)]
        invitation_id = _find(found, who, "invitation")
        await withdraw_invitation(view, invitation_id)
        return invitation_id

    invitation_id = with_space(space, end, admits=False)  # else whoever stole it would be let in before it is withdrawn
    if json:
        print_json({"id": invitation_id, "state": "withdrawn"})
    else:
        say("The invitation is withdrawn.")


@app.command(name="role")
def role_(who: MemberArgument, space: SpaceOption, role: RoleOption, json: JsonOption = False) -> None:
    """Give a member another role. Whoever reads less from now on may have kept what they could read until now.

    Example: safelight member role Max --space Family --role editor
    """

    async def give(view: SpaceView) -> bytes:
        account_id = _find(await _members(view), who, "member")
        await set_role(view, account_id, Role(role.value))
        return account_id

    account_id = with_space(space, give)
    if json:
        print_json({"id": account_id, "role": role.value})
    else:
        say(f"From now on: {role.value}, who {_ABOUT[role]}.")


@app.command()
def remove(who: MemberArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Remove a member: they get nothing more, and what is added from now on is sealed to keys that they never had.

    Example: safelight member remove Max --space Family
    """

    async def shut_out(view: SpaceView) -> tuple[bytes, list[str]]:
        account_id = _find(await _members(view), who, "member")
        await remove_member(view, account_id)
        return account_id, [one.name for one in await list_invitations(view)]

    account_id, invited = with_space(space, shut_out)
    if json:
        print_json({"id": account_id, "state": "removed", "open_invitations": invited})
        return
    say("Removed. What they could read until now they may have kept; nobody can take that back.")
    if invited:
        # *Under another account's name* they could use one that they were sent, or saw.
        note(f"Still open: the invitations for {', '.join(invited)}. Withdraw any that they may have: member withdraw.")


async def _members(view: SpaceView) -> list[tuple[bytes, str]]:
    return [(one.account_id, one.name) for one in await list_members(view)]


def _find(found: list[tuple[bytes, str]], who: str, what: str) -> bytes:
    """The one of that id, of that name, or whose id begins so; a name that looks like another's id hides nobody."""
    wanted = who.strip()
    named = [id_ for id_, _ in found if id_.hex() == wanted.lower()] or [
        id_ for id_, name in found if name == wanted or (len(wanted) >= 4 and id_.hex().startswith(wanted.lower()))
    ]
    if not named:
        raise Refused(Code.NOT_FOUND, f"no {what} is called {wanted[:32]!r}; `member list` shows them")
    if len(named) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one {what} is called {wanted[:32]!r}; use the id")
    return named[0]
