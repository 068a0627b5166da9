"""Members of a space, as those who manage them see them: listed, given another role, removed (docs/spec/log.md §5)."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec.structs import replace

from safelight.clients.engine.epochs import make_epoch, member_box
from safelight.clients.engine.invitations import invited_name
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.ledger_entries import LedgerKind, RemoveMemberBody, SetRoleBody
from safelight.sync_protocol.ledger_state import LedgerState, Member
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import RIGHTS, TIERS, Right, Role, reads


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member: the name that whoever invited them gave them, or none for who made the space."""

    account_id: bytes
    name: str
    role: Role
    rights: frozenset[Right]
    is_me: bool


@dataclass(frozen=True, slots=True)
class ListedInvitation:
    """An invitation that is not over: whom it awaits, or who joined by it and waits."""

    invitation_id: bytes
    name: str
    role: Role
    expires_ms: int
    joined: bool


async def list_members(space: SpaceView, state: LedgerState | None = None) -> list[ListedMember]:
    """List the members, now or as of an earlier *state* of the ledger, in the order in which they came."""
    state = space.state if state is None else state
    names = {}
    for account_id, member in state.members.items():
        # By no other: *whoever also used an invitation that awaited someone else* would be listed under that name.
        invitation = state.invitations.get(member.invitation_id)
        if invitation is not None:
            names[account_id] = await invited_name(space, member.invitation_id, invitation)
    me = space.session.account_id
    return [
        ListedMember(account_id, names.get(account_id, ""), member.role, member.rights, account_id == me)
        for account_id, member in state.members.items()
    ]


async def list_invitations(space: SpaceView) -> list[ListedInvitation]:
    """List the invitations that are not over, in the order in which they were given."""
    return [
        ListedInvitation(
            invitation_id,
            await invited_name(space, invitation_id, invitation),
            invitation.role,
            invitation.expires_ms,
            invitation.joiner is not None,
        )
        for invitation_id, invitation in space.state.invitations.items()
        if not invitation.over
    ]


async def set_role(space: SpaceView, account_id: bytes, role: Role, rights: Collection[Right] | None = None) -> None:
    """Give a member another role, or other rights, with the box or the epoch that belongs to it.

    Raises RIGHT_MISSING, LAST_OWNER and LEDGER_RULE.
    """
    member = _member(space, account_id)
    before, tier = TIERS[member.role], TIERS[role]
    named = sorted(RIGHTS[role] if rights is None else rights)
    if not reads(tier, before):
        changed = {**space.state.members, account_id: replace(member, role=role)}
        handed = await space.secrets_to_hand_down()
        new = make_epoch(space.state.epoch.number + 1, space.state.nonce, changed, handed)
        await space.commit_epoch(LedgerKind.SET_ROLE, SetRoleBody(account_id, role, named, None, new.epoch), new)
        return
    held = await space.epoch_secrets()
    box = member_box(held, space.state.nonce, replace(member, role=role)) if tier is not before else None
    body = SetRoleBody(account_id, role, named, box.ref if box else None, None)
    await space.commit(LedgerKind.SET_ROLE, body, boxes=[box.new] if box else ())


async def remove_member(space: SpaceView, account_id: bytes) -> None:
    """Remove a member: a new epoch begins, and what is added from now on is sealed to keys that they never had.

    What they could read they may have kept. Raises RIGHT_MISSING, LAST_OWNER and LEDGER_RULE.
    """
    _member(space, account_id)
    held = await space.secrets_to_hand_down()
    stay = {key: member for key, member in space.state.members.items() if key != account_id}
    new = make_epoch(space.state.epoch.number + 1, space.state.nonce, stay, held)
    await space.commit_epoch(LedgerKind.REMOVE_MEMBER, RemoveMemberBody(account_id, new.epoch), new)


async def list_removed(space: SpaceView) -> list[tuple[bytes, str]]:
    """List who was removed and is no member again: the account, with each name under which it was awaited."""
    gone = [account_id for account_id in space.state.removed if account_id not in space.state.members]
    named = []
    for invitation_id, invitation in space.state.invitations.items():
        if invitation.joiner is not None and invitation.joiner.account_id in gone:
            named.append((invitation.joiner.account_id, await invited_name(space, invitation_id, invitation)))
    unnamed = [account_id for account_id in gone if account_id not in dict(named)]  # who made the space
    return named + [(account_id, "") for account_id in unnamed]


async def begin_epoch_that_is_due(space: SpaceView) -> bool:
    """Begin the epoch that belongs to reach which someone gave up who could not begin it; whether one was begun."""
    if not space.state.epoch_due or Right.MEMBERS not in space.state.rights_of(space.session.account_id):
        return False
    try:
        await space.rotate_epoch()
    except Refused as refusal:
        if refusal.code not in {Code.EPOCH_OLD, Code.LEDGER_RULE, Code.QUOTA_EXCEEDED}:
            raise
        return False  # another's device was faster, or members came and went meanwhile: the next one sees what is due
    return True


def _member(space: SpaceView, account_id: bytes) -> Member:
    member = space.state.members.get(account_id)
    if member is None:
        raise Refused(Code.LEDGER_RULE, "there is no such member")
    return member
