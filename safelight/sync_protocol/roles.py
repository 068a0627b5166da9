"""Roles: named sets of rights that the ledger carries, and the tier that each reads (DESIGN §4)."""

from enum import StrEnum, unique


@unique
class Tier(StrEnum):
    """How much of an asset a key opens; full implies view."""

    NONE = "none"
    VIEW = "view"
    FULL = "full"


@unique
class Right(StrEnum):
    """One thing that a member may do."""

    ADD = "add"
    ORGANISE = "organise"
    EDIT = "edit"
    TRASH = "trash"
    PROPOSE_DELETION = "propose-deletion"
    APPROVE = "approve"
    LINK = "link"
    REVOKE_LINK = "revoke-link"
    MEMBERS = "members"
    POLICY = "policy"


@unique
class Role(StrEnum):
    """What a member is in a space. A grantee reads what it is granted, album by album, and nothing besides."""

    OWNER = "owner"
    MANAGER = "manager"
    EDITOR = "editor"
    VIEWER = "viewer"
    PREVIEWER = "previewer"
    CONTRIBUTOR = "contributor"
    GRANTEE = "grantee"


_EDITING = frozenset({Right.ADD, Right.ORGANISE, Right.EDIT, Right.TRASH, Right.PROPOSE_DELETION})

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset(Right),
    Role.EDITOR: _EDITING,
    Role.VIEWER: frozenset(),
    Role.PREVIEWER: frozenset(),
    Role.CONTRIBUTOR: frozenset({Right.ADD}),
    Role.GRANTEE: frozenset(),
}

# What a role may be given instead: so a team parts who uploads, who approves, who shares and who revokes. An owner has
# every right, and who gives rights gives none that it has not itself.
MAY_HOLD: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset(Right),
    Role.EDITOR: frozenset(Right) - {Right.MEMBERS, Right.POLICY},
    Role.VIEWER: frozenset({Right.PROPOSE_DELETION, Right.APPROVE, Right.REVOKE_LINK}),
    Role.PREVIEWER: frozenset({Right.APPROVE}),
    Role.CONTRIBUTOR: frozenset({Right.ADD}),
    Role.GRANTEE: frozenset(),
}

# Whose members each may invite, change and remove, where it has the right to.
MANAGES: dict[Role, frozenset[Role]] = {
    Role.OWNER: frozenset(Role),
    Role.MANAGER: frozenset({Role.EDITOR, Role.VIEWER, Role.PREVIEWER, Role.CONTRIBUTOR, Role.GRANTEE}),
    Role.EDITOR: frozenset(),
    Role.VIEWER: frozenset(),
    Role.PREVIEWER: frozenset(),
    Role.CONTRIBUTOR: frozenset(),
    Role.GRANTEE: frozenset(),
}

CAMERA_RIGHTS: frozenset[Right] = frozenset({Right.ADD})

TIERS: dict[Role, Tier] = {
    Role.OWNER: Tier.FULL,
    Role.MANAGER: Tier.FULL,
    Role.EDITOR: Tier.FULL,
    Role.VIEWER: Tier.FULL,
    Role.PREVIEWER: Tier.VIEW,
    Role.CONTRIBUTOR: Tier.NONE,
    Role.GRANTEE: Tier.NONE,
}


def reads(tier: Tier, wanted: Tier) -> bool:
    """Whether who reads *tier* may read something of tier *wanted*."""
    order = (Tier.NONE, Tier.VIEW, Tier.FULL)
    return order.index(tier) >= order.index(wanted)


def may_hold(role: Role, rights: frozenset[Right]) -> bool:
    """Whether *rights* can be those of a *role*: an owner has all, and who only adds may not even not add."""
    if role in {Role.OWNER, Role.CONTRIBUTOR}:
        return rights == RIGHTS[role]
    return rights <= MAY_HOLD[role]
