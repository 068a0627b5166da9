"""The inviter's side of new members: inviting, withdrawing, and letting in who joined (docs/spec/log.md §5)."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from safelight.clients.engine.epochs import DOES_NOT_OPEN, member_box
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import check_name
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.invitations import InvitationAddress, build_invitation_uri
from safelight.sync_protocol.ledger_entries import (
    AdmitMemberBody,
    InviteMemberBody,
    LedgerKind,
    WithdrawInvitationBody,
)
from safelight.sync_protocol.ledger_state import Invitation, Member
from safelight.sync_protocol.limits import INVITATION_MAX_AGE_S, KEY_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import RIGHTS, Right, Role
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box

DEFAULT_INVITATION_AGE_S = 3 * 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class InvitationCode:
    """An invitation that waits for whoever has *uri*, which carries the secret."""

    invitation_id: bytes
    uri: str
    expires_ms: int

    def __repr__(self) -> str:
        return f"InvitationCode({self.invitation_id.hex()})"


# What says that one admission is not to be, or not now. *Whoever joins with a key that nothing can be sealed to*, or by
# an invitation whose admission the ledger refuses, must not stop everything else that managers do in the space.
_SET_ASIDE = frozenset(
    {
        Code.LEDGER_RULE,
        Code.INVITATION_EXPIRED,
        Code.RIGHT_MISSING,
        Code.EPOCH_OLD,
        Code.ENTRY_STALE,
        Code.FORMAT_UNSUPPORTED,
        Code.QUOTA_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody whom this device let in, by the name that the inviter gave them; or who waits on, for *refused*."""

    account_id: bytes
    name: str
    role: Role
    refused: Refused | None = None


def _name_place(nonce: bytes, invitation_id: bytes, epoch: int) -> bytes:
    return context(Label.INVITATION_NAME, nonce, invitation_id, uint(epoch))


async def invite_member(
    space: SpaceView,
    name: str,
    role: Role,
    *,
    rights: Collection[Right] | None = None,
    max_age_s: int = DEFAULT_INVITATION_AGE_S,
) -> InvitationCode:
    """Invite whom *name* names, and return the invitation: for one account, once, for *max_age_s* (at most 30 days).

    Raises RIGHT_MISSING where this account may not manage that role, or has not those rights itself.
    """
    name = check_name(name, "a member's name")
    if not 0 < max_age_s <= INVITATION_MAX_AGE_S:
        raise Refused(Code.BAD_REQUEST, "an invitation lives at most 30 days")
    held = await space.epoch_secrets()
    secret, invitation_id = secrets.token_bytes(KEY_SIZE_BYTES), ids.new_id()
    expires_ms = space.session.clock() + max_age_s * 1000
    place = _name_place(space.state.nonce, invitation_id, held.number)
    body = InviteMemberBody(
        invitation_id=invitation_id,
        key=signatures.public_key_of(keytree.invitation_signing_seed(secret)),
        role=role,
        rights=sorted(RIGHTS[role] if rights is None else rights),
        expires_ms=expires_ms,
        epoch=held.number,
        name=seal_box(held.view_metadata_key, place, name.encode(), nonce=random_nonce()),
    )
    receipt = await space.commit(LedgerKind.INVITE_MEMBER, body)
    connection = space.session.connection
    address = InvitationAddress(
        server_url=await connection.public_url(),
        server_fingerprint=ids.key_fingerprint(connection.server_key),
        space_id=space.space_id,
        head=Head(receipt.number, receipt.entry_id),
        invitation_id=invitation_id,
        inviter_fingerprint=ids.key_fingerprint(space.session.keys.identity.signing),
        secret=secret,
    )
    return InvitationCode(invitation_id, build_invitation_uri(address), expires_ms)


async def withdraw_invitation(space: SpaceView, invitation_id: bytes) -> None:
    """Withdraw an invitation: it lets nobody in, nor who joined by it and was not let in yet."""
    await space.commit(LedgerKind.WITHDRAW_INVITATION, WithdrawInvitationBody(invitation_id))


async def invited_name(space: SpaceView, invitation_id: bytes, invitation: Invitation) -> str:
    """Open the name of whom an invitation awaits."""
    place = _name_place(space.state.nonce, invitation_id, invitation.name_epoch)
    try:
        held = await space.epoch_secrets(invitation.name_epoch)
        return open_box(held.view_metadata_key, place, invitation.name).decode("utf-8", "replace")
    except Refused as refusal:
        if refusal.code not in DOES_NOT_OPEN:
            raise
        return "(a name that does not open)"  # who is listed can be removed all the same


async def admit_joined(space: SpaceView) -> list[Admitted]:
    """Let in everyone who joined by an invitation and waits, as far as this account may: whoever's invitation it was.

    What the invitation's secret vouched for stands in the verified ledger, and the box is sealed to nothing else. An
    admission that is refused is told of and stops nothing: see `Admitted.refused`.
    """
    admitted = []
    if any(_waits(space, each) for each in space.state.invitations.values()):
        await space.sync()  # *a thief lets a friend in*: an invitation may be over by what a vault has not heard yet
    for invitation_id in list(space.state.invitations):
        invitation = space.state.invitations[invitation_id]  # as it is by now
        if invitation.joiner is None or not _waits(space, invitation):
            continue
        name, refused = await invited_name(space, invitation_id, invitation), None
        try:
            await _admit(space, invitation_id, invitation)
        except Refused as refusal:
            if refusal.code not in _SET_ASIDE:
                raise
            if space.state.invitations[invitation_id].over:
                continue  # another's device was faster
            refused = refusal
        admitted.append(Admitted(invitation.joiner.account_id, name, invitation.role, refused))
    return admitted


def _waits(space: SpaceView, invitation: Invitation) -> bool:
    return not invitation.over and invitation.joiner is not None and _may_admit(space, invitation)


def _may_admit(space: SpaceView, invitation: Invitation) -> bool:
    state, me = space.state, space.session.account_id
    both = (me, invitation.invited_by)
    return all(state.may_manage(who, invitation.role) and invitation.rights <= state.rights_of(who) for who in both)


async def _admit(space: SpaceView, invitation_id: bytes, invitation: Invitation) -> None:
    if invitation.joiner is None:
        raise Refused(Code.LEDGER_RULE, "nobody joined by this invitation")
    held = await space.epoch_secrets()
    joiner = Member(invitation.role, invitation.joiner, invitation.rights, invitation_id, invitation.vault_key)
    box = member_box(held, space.state.nonce, joiner)
    body = AdmitMemberBody(invitation_id, invitation.joiner.account_id, held.number, box.ref if box else None)
    await space.commit(LedgerKind.ADMIT_MEMBER, body, boxes=[box.new] if box else ())
