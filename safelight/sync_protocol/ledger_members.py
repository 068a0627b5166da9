"""Members in the space ledger: invited, joined, admitted, given another role, removed. docs/spec/log.md §5.

Three entries make a member, so that a server in the middle gains nothing. The invitation says what it gives, to whoever
has the secret of its key. The join is the joiner's own word, and only that secret can vouch for its keys. The admission
seals the keys of the space to what was vouched for.
"""

import hashlib

from msgspec.structs import replace

from safelight.sync_protocol import signatures
from safelight.sync_protocol.account_ledger import apply_account_entries
from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.ledger_entries import (
    AdmitMemberBody,
    InviteMemberBody,
    JoinSpaceBody,
    RemoveMemberBody,
    SetRoleBody,
    WithdrawInvitationBody,
    join_message,
)
from safelight.sync_protocol.ledger_epochs import after_loss, with_box
from safelight.sync_protocol.ledger_grants import without_grants_of
from safelight.sync_protocol.ledger_state import Invitation, LedgerState, Member, authorise, check_vault_key
from safelight.sync_protocol.limits import INVITATION_MAX_AGE_S, MAX_MEMBERS
from safelight.sync_protocol.log import Entry, Head, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import TIERS, Right, Role, Tier, may_hold, reads
from safelight.sync_protocol.wire import Signed


def change_members(state: LedgerState, entry: Entry, body: Signed) -> LedgerState:
    """Take an entry about members. Raises ENTRY_UNKNOWN_CRITICAL for any other, and else what the ledger raises."""
    match body:
        case InviteMemberBody():
            return _invite(state, entry, body)
        case WithdrawInvitationBody():
            return _withdraw(state, entry, body)
        case JoinSpaceBody():
            return _join(state, entry, body)
        case AdmitMemberBody():
            return _admit(state, entry, body)
        case SetRoleBody():
            return _set_role(state, entry, body)
        case RemoveMemberBody():
            return _remove(state, entry, body)
        case _:
            raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, entry.header.kind)


def _invite(state: LedgerState, entry: Entry, body: InviteMemberBody) -> LedgerState:
    authorise(state, entry, Right.MEMBERS)
    rights = _checked_rights(state, entry, body.role, body.rights)
    if body.invitation_id in state.invitations:
        raise Refused(Code.LEDGER_RULE, "the invitation's id is taken")
    if sum(not invitation.over for invitation in state.invitations.values()) >= MAX_MEMBERS:
        raise Refused(Code.LEDGER_RULE, "there are too many invitations; withdraw some")
    if body.expires_ms > entry.header.signed_ms + INVITATION_MAX_AGE_S * 1000:
        raise Refused(Code.LEDGER_RULE, "an invitation lives at most 30 days")
    if body.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD)
    invitation = Invitation(
        invited_by=entry.header.author_id,
        key=body.key,
        role=body.role,
        rights=rights,
        expires_ms=body.expires_ms,
        name=body.name,
        name_epoch=body.epoch,
        given_at=state.head.number,
    )
    return _with_invitation(state, body.invitation_id, invitation)


def _withdraw(state: LedgerState, entry: Entry, body: WithdrawInvitationBody) -> LedgerState:
    """Who gave it may, also one who invites nobody any more, and who may manage members of its role."""
    authorise(state, entry, None)
    invitation = _open_invitation(state, body.invitation_id)
    author_id = entry.header.author_id
    if author_id != invitation.invited_by and not state.may_manage(author_id, invitation.role):
        raise Refused(Code.RIGHT_MISSING, Right.MEMBERS.value)
    return _with_invitation(state, body.invitation_id, replace(invitation, over=True))


def _join(state: LedgerState, entry: Entry, body: JoinSpaceBody) -> LedgerState:
    """The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides."""
    invitation = state.invitations.get(body.invitation_id)
    if invitation is None or invitation.over or not may_still_invite(state, invitation):
        raise Refused(Code.INVITATION_EXPIRED)
    if invitation.joiner is not None:
        raise Refused(Code.INVITATION_USED)
    header = entry.header
    if header.signed_ms > invitation.expires_ms:
        raise Refused(Code.INVITATION_EXPIRED)
    head = Head(len(body.account_entries), hashlib.sha256(body.account_entries[-1]).digest())
    signed = (state.space_id, body.invitation_id, header.device_id, head, body.vault_key)
    # First, of all that costs: *a thousand entries to verify*, sent by one who has no secret.
    signatures.verify(invitation.key, body.invitation_signature, join_message(Label.SIGN_JOIN_INVITATION, *signed))
    account = apply_account_entries(None, body.account_entries)
    key = account.device_key(header.device_id)
    if header.author_id != account.account_id or key is None:
        raise Refused(Code.SIGNER_UNKNOWN)
    if account.account_id in state.members:
        raise Refused(Code.MEMBER_EXISTS)
    if state.removed.get(account.account_id, 0) > invitation.given_at:
        # *Whoever was removed lets themselves in again* by an invitation that they kept.
        raise Refused(Code.INVITATION_EXPIRED, "this account was removed after it was given")
    by_identity = join_message(Label.SIGN_JOIN_IDENTITY, *signed)
    signatures.verify(account.identity.signing, body.identity_signature, by_identity)
    verify_entry(entry, key)
    check_vault_key(state.kind, account, body.vault_key)
    joined = replace(invitation, joiner=account, vault_key=body.vault_key)
    return _with_invitation(state, body.invitation_id, joined)


def _admit(state: LedgerState, entry: Entry, body: AdmitMemberBody) -> LedgerState:
    """Who may manage members of the role admits, though another invited: both have what only the secret vouched for."""
    authorise(state, entry, Right.MEMBERS)
    invitation = _open_invitation(state, body.invitation_id)
    joiner = invitation.joiner
    if joiner is None or joiner.account_id != body.account_id:
        raise Refused(Code.LEDGER_RULE, "that account did not join by this invitation")
    if not may_still_invite(state, invitation):
        raise Refused(Code.INVITATION_EXPIRED)
    _check_gives(state, entry, invitation.role, invitation.rights)
    if len(state.members) >= MAX_MEMBERS:
        raise Refused(Code.LEDGER_RULE, "there are too many members")
    if body.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD)
    member = Member(invitation.role, joiner, invitation.rights, body.invitation_id, invitation.vault_key)
    # *Whoever was removed is let in again* by a second invitation, whose giver's device admits of itself.
    theirs = {
        key: replace(other, over=True)
        for key, other in state.invitations.items()
        if other.joiner and other.joiner.account_id == body.account_id
    }
    # *Whoever adds keeps someone out for good* by certifying a camera under their id, which only malice makes the same.
    cameras = state.cameras
    if body.account_id in cameras:
        cameras = {**cameras, body.account_id: replace(cameras[body.account_id], revoked=True)}
    members = {**state.members, body.account_id: member}
    admitted = replace(state, invitations={**state.invitations, **theirs}, members=members, cameras=cameras)
    return with_box(admitted, body.account_id, TIERS[invitation.role], body.box)


def _set_role(state: LedgerState, entry: Entry, body: SetRoleBody) -> LedgerState:
    """Less reach comes with a new epoch, more with a box of the one in force, as much with neither."""
    authorise(state, entry, Right.MEMBERS)
    member = _managed_member(state, entry, body.account_id)
    rights = _checked_rights(state, entry, body.role, body.rights)
    if (body.role, rights) == (member.role, member.rights):
        raise Refused(Code.LEDGER_RULE, "that is the member's role already")
    if body.role is not Role.OWNER:
        _check_other_owner(state, body.account_id)
    changed = replace(member, role=body.role, rights=rights)
    after = replace(state, members={**state.members, body.account_id: changed})
    before_tier, tier = TIERS[member.role], TIERS[body.role]
    if not reads(tier, before_tier):
        _check_not_oneself(entry, body.account_id)
        if body.box is not None:
            raise Refused(Code.LEDGER_RULE, "a new epoch has all its boxes itself")
        return after_loss(after, entry, body.epoch)
    if body.epoch is not None:
        raise Refused(Code.LEDGER_RULE, "no reach is lost, so no epoch ends")
    return with_box(after, body.account_id, tier if tier is not before_tier else Tier.NONE, body.box)


def _remove(state: LedgerState, entry: Entry, body: RemoveMemberBody) -> LedgerState:
    """What the member had begun ends with it, for good: its cameras, links for uploading and invitations."""
    authorise(state, entry, Right.MEMBERS)
    _managed_member(state, entry, body.account_id)
    _check_other_owner(state, body.account_id)
    _check_not_oneself(entry, body.account_id)
    members = {account_id: member for account_id, member in state.members.items() if account_id != body.account_id}
    cameras = {
        key: replace(camera, revoked=True)
        for key, camera in state.cameras.items()
        if camera.certified_by == body.account_id
    }
    links = {
        link_id: replace(link, closed=True)
        for link_id, link in state.upload_links.items()
        if link.made_by == body.account_id
    }
    left = replace(
        without_grants_of(without_invitations_of(state, body.account_id), body.account_id),
        members=members,
        cameras={**state.cameras, **cameras},
        upload_links={**state.upload_links, **links},
        removed={**state.removed, body.account_id: state.head.number},
    )
    return after_loss(left, entry, body.epoch)


def _checked_rights(state: LedgerState, entry: Entry, role: Role, named: list[Right]) -> frozenset[Right]:
    """What is given with *role*: in order and each once, rights that it may have, and that the signer may give."""
    if named != sorted(set(named)):
        raise Refused(Code.ENTRY_MALFORMED, "rights stand in order, each once")
    rights = frozenset(named)
    if not may_hold(role, rights):
        raise Refused(Code.LEDGER_RULE, f"these are no rights of a {role.value}")
    _check_gives(state, entry, role, rights)
    return rights


def _check_gives(state: LedgerState, entry: Entry, role: Role, rights: frozenset[Right]) -> None:
    """*A manager that makes owners, or gives what it was not given*."""
    author_id = entry.header.author_id
    if not state.may_manage(author_id, role) or not rights <= state.rights_of(author_id):
        raise Refused(Code.RIGHT_MISSING, f"to make someone a {role.value} with these rights")


def _managed_member(state: LedgerState, entry: Entry, account_id: bytes) -> Member:
    member = state.members.get(account_id)
    if member is None:
        raise Refused(Code.LEDGER_RULE, "there is no such member")
    if not state.may_manage(entry.header.author_id, member.role):
        raise Refused(Code.RIGHT_MISSING, f"to manage a {member.role.value}")
    return member


def _check_other_owner(state: LedgerState, account_id: bytes) -> None:
    owners = [owner_id for owner_id, member in state.members.items() if member.role is Role.OWNER]
    if owners == [account_id]:
        raise Refused(Code.LAST_OWNER)


def _check_not_oneself(entry: Entry, account_id: bytes) -> None:
    """The keys of the new epoch would be theirs who lose their reach."""
    if account_id == entry.header.author_id:
        raise Refused(Code.LEDGER_RULE, "another takes this reach away, not oneself")


def may_still_invite(state: LedgerState, invitation: Invitation) -> bool:
    """*Whoever was removed lets a friend in*: an invitation ends with what its giver may give."""
    given_by = invitation.invited_by
    return state.may_manage(given_by, invitation.role) and invitation.rights <= state.rights_of(given_by)


def without_invitations_of(state: LedgerState, account_id: bytes) -> LedgerState:
    """End every invitation that an account gave, for good."""
    theirs = {
        key: replace(invitation, over=True)
        for key, invitation in state.invitations.items()
        if invitation.invited_by == account_id
    }
    return replace(state, invitations={**state.invitations, **theirs}) if theirs else state


def _open_invitation(state: LedgerState, invitation_id: bytes) -> Invitation:
    invitation = state.invitations.get(invitation_id)
    if invitation is None or invitation.over:
        raise Refused(Code.LEDGER_RULE, "there is no such invitation, or it is over")
    return invitation


def _with_invitation(state: LedgerState, invitation_id: bytes, invitation: Invitation) -> LedgerState:
    return replace(state, invitations={**state.invitations, invitation_id: invitation})
