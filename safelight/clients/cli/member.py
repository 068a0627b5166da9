"""`safelight member …`: who is in a space, and who may come in."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse, ask_invitation, ask_new_passphrase
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.expiry import parse_expiry
from safelight.clients.cli.member_changes import change_role, remove
from safelight.clients.cli.member_names import (
    ABOUT,
    GivenRole,
    RightsOption,
    RoleOption,
    find_named,
    given_rights,
    role_text,
    shown_name,
)
from safelight.clients.cli.member_verify import verify
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
)
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import INVITATION_MAX_AGE_S
from safelight.sync_protocol.roles import Role

app = typer.Typer(no_args_is_help=True, help="Members: who is in a space, and what each may do there.")


@app.command()
def invite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom you await; members see it, the server never does.")],
    space: SpaceOption,
    role: RoleOption = GivenRole.VIEWER,
    rights: RightsOption = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="3d, 12h, or a date; at most 30 days.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Print an invitation to a space, for one person, once. It is good for three days unless you say otherwise.

    Example: safelight member invite "Grandma Ruth" --space Family --role previewer

    Example: safelight member invite "Approving Anna" --space Studio --role previewer --rights approve
    """
    max_age_s, given = _max_age_s(expires), given_rights(rights, Role(role.value))

    async def give(view: SpaceView) -> tuple[InvitationCode, str]:
        code = await invite_member(view, name, Role(role.value), rights=given, max_age_s=max_age_s)
        return code, (await view.session.connection.server_info()).warning

    code, warning = with_space(space, give)
    if warning:
        note(warning)
    if json:
        print_json({"id": code.invitation_id, "uri": code.uri, "expires_ms": code.expires_ms, "warning": warning})
        return
    print_qr(code.uri)
    say(code.uri)
    note(f"{name.strip()} will be a {role.value}: {ABOUT[role]}.")
    if rights is not None:
        note(f"What they may do is: {', '.join(sorted(given)) or 'nothing'}.")
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
    if json:
        listed = [_fields(one.account_id, one, "member", is_me=one.is_me) for one in members]
        print_json(listed + [_fields(one.invitation_id, one, _state(one), is_me=False) for one in invitations])
        return
    rows = [(one.account_id, shown_name(one), role_text(one.role, one.rights), "member") for one in members]
    rows += [(one.invitation_id, one.name, one.role.value, _state(one)) for one in invitations]
    columns = [Column("name", fold=True), Column("role", fold=True), Column("state"), Column("id")]
    print_table(columns, ((name, role, state, id_.hex()[:12]) for id_, name, role, state in rows))


def _fields(id_: bytes, one: ListedMember | ListedInvitation, state: str, *, is_me: bool) -> dict[str, object]:
    rights = {"rights": sorted(one.rights)} if isinstance(one, ListedMember) else {}
    return {"id": id_, "name": one.name, "role": one.role.value, **rights, "state": state, "is_me": is_me}


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
        invitation_id = find_named(found, who, "invitation")
        await withdraw_invitation(view, invitation_id)
        return invitation_id

    invitation_id = with_space(space, end, admits=False)  # else whoever stole it would be let in before it is withdrawn
    if json:
        print_json({"id": invitation_id, "state": "withdrawn"})
    else:
        say("The invitation is withdrawn.")


app.command(name="role")(change_role)
app.command(name="remove")(remove)
app.command(name="verify")(verify)
