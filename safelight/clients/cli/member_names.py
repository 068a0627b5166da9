"""Whom a command about members means, and the roles that people give one another."""

from enum import StrEnum
from typing import Annotated

import typer

from safelight.clients.engine.members import ListedMember, list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Code, Refused


class GivenRole(StrEnum):
    """The roles that people give one another."""

    OWNER = "owner"
    MANAGER = "manager"
    EDITOR = "editor"
    VIEWER = "viewer"
    PREVIEWER = "previewer"
    CONTRIBUTOR = "contributor"
    GRANTEE = "grantee"


ABOUT = {
    GivenRole.OWNER: "reads everything and may do everything",
    GivenRole.MANAGER: "reads everything, and manages members below, links and policy",
    GivenRole.EDITOR: "reads everything, adds, organises, edits and trashes",
    GivenRole.VIEWER: "reads everything and changes nothing",
    GivenRole.PREVIEWER: "sees previews, never an original, a place or a file name",
    GivenRole.CONTRIBUTOR: "adds, and sees nothing",
    GivenRole.GRANTEE: "sees the albums that you grant, and nothing else",
}
_ROLES = "; ".join(f"{role.value}: {about}" for role, about in ABOUT.items())

RoleOption = Annotated[GivenRole, typer.Option("--role", help=f"{_ROLES}.")]
MemberArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="Their name as `member list` shows it, or how their id begins.")
]


def shown_name(one: ListedMember) -> str:
    """A member's name as lists show it; who made the space was invited by nobody, and has none."""
    if one.is_me:
        return f"{one.name} (you)" if one.name else "(you)"
    return one.name or "(made the space)"


async def members_by_name(view: SpaceView) -> list[tuple[bytes, str]]:
    """The members and their names, among whom to find one."""
    return [(one.account_id, one.name) for one in await list_members(view)]


def find_named(found: list[tuple[bytes, str]], who: str, what: str) -> bytes:
    """The one of that id, of that name, or whose id begins so; a name that looks like another's id hides nobody.

    Raises NOT_FOUND, and BAD_REQUEST for more than one.
    """
    meant = named(found, who)
    if not meant:
        raise Refused(Code.NOT_FOUND, f"no {what} is called {who.strip()[:32]!r}; `member list` shows them")
    if len(meant) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one {what} is called {who.strip()[:32]!r}; use the id")
    return meant.pop()


def named(found: list[tuple[bytes, str]], who: str) -> set[bytes]:
    """All who could be meant: of that id, or else of that name, or whose id begins so."""
    wanted = who.strip()
    return {id_ for id_, _ in found if id_.hex() == wanted.lower()} or {
        id_ for id_, name in found if name == wanted or (len(wanted) >= 4 and id_.hex().startswith(wanted.lower()))
    }
