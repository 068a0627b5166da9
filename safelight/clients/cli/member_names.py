"""Whom a command about members means, and the roles that people give one another."""

from enum import StrEnum
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse
from safelight.clients.engine.members import ListedMember, list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import MAY_HOLD, RIGHTS, Right, Role, may_hold


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
RightsOption = Annotated[
    str | None,
    typer.Option(
        "--rights",
        metavar="RIGHTS",
        help=f"What they may do in place of what the role usually may: any of {', '.join(Right)}; or none.",
    ),
]
MemberArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="Their name as `member list` shows it, or how their id begins.")
]


def given_rights(text: str | None, role: Role) -> frozenset[Right]:
    """The rights that an option names, or those that the role usually has. Misuse for what it cannot have."""
    if text is None:
        return RIGHTS[role]
    words = {word for word in (piece.strip() for piece in text.split(",")) if word}
    if unknown := sorted(words - {*Right, "none"}):
        raise Misuse(f"--rights: there is no right {unknown[0][:32]!r}; there are {', '.join(Right)}")
    rights = frozenset(Right(word) for word in words if word != "none")
    if not words or (rights and "none" in words):
        raise Misuse("--rights: name rights with commas between them, or say none")
    if not may_hold(role, rights):
        possible = ", ".join(right for right in Right if right in MAY_HOLD[role]) or "none"
        always = " has all rights" if role is Role.OWNER else f" may have of these: {possible}"
        raise Misuse(f"--rights: one who is {role.value}{always}")
    return rights


def role_text(role: Role, rights: frozenset[Right]) -> str:
    """A role as lists show it, with the rights where they are not those that it usually has."""
    if rights == RIGHTS[role]:
        return role.value
    return f"{role.value}: {', '.join(right for right in Right if right in rights) or 'no rights'}"


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
