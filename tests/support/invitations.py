"""Invitations as clients make and use them, for tests that talk to a real server."""

import base64
import os
from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import (
    AdmitMemberBody,
    BoxRef,
    InviteMemberBody,
    JoinSpaceBody,
    LedgerKind,
    RemoveMemberBody,
    SetRoleBody,
    join_message,
)
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, NewBox
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.roles import RIGHTS, TIERS, Right, Role, Tier
from tests.support.api import Api
from tests.support.identities import Person, Signer, now_ms, sha256
from tests.support.protocol import Writer, make_epoch


@dataclass
class Invitation:
    """An invitation to one role, with its secret key."""

    role: Role
    rights: Collection[Right] | None = None
    lifetime_ms: int = 600_000
    invitation_id: bytes = field(default_factory=lambda: os.urandom(16))
    seed: bytes = field(default_factory=lambda: os.urandom(32))

    def invite(self, writer: Writer, signer: Signer | None = None, **changes: object) -> Entry:
        """Build the entry that invites."""
        body = InviteMemberBody(
            invitation_id=self.invitation_id,
            key=signatures.public_key_of(self.seed),
            role=self.role,
            rights=sorted(RIGHTS[self.role] if self.rights is None else self.rights),
            expires_ms=now_ms() + self.lifetime_ms,
            epoch=writer.state.epoch.number,
            name=b"sealed name of who is awaited",
        )
        return writer.entry(LedgerKind.INVITE_MEMBER, body, signer, **changes)

    def join(self, writer: Writer, person: Person, signer: Signer, **changes: object) -> Entry:
        """Build *person*'s join, by its device *signer*."""
        brought = os.urandom(1216) if writer.state.kind == "vault" else None
        signed = (writer.space_id, self.invitation_id, signer.device_id, person.state.head, brought)
        body = JoinSpaceBody(
            invitation_id=self.invitation_id,
            account_entries=list(person.entries),
            vault_key=brought,
            identity_signature=signatures.sign(person.identity_seed, join_message(Label.SIGN_JOIN_IDENTITY, *signed)),
            invitation_signature=signatures.sign(self.seed, join_message(Label.SIGN_JOIN_INVITATION, *signed)),
        )
        return writer.entry(LedgerKind.JOIN_SPACE, body, signer, **changes)

    def admit(self, writer: Writer, person: Person, signer: Signer | None = None) -> tuple[Entry, list[NewBox]]:
        """Build the admission of who joined, and its box."""
        tier, box = TIERS[self.role], os.urandom(1200)
        ref = None if tier is Tier.NONE else BoxRef(person.account_id, tier.value, sha256(box))  # type: ignore[arg-type]  # never "none" here
        body = AdmitMemberBody(self.invitation_id, person.account_id, writer.state.epoch.number, ref)
        boxes = [NewBox(person.account_id.hex(), box)] if ref else []
        return writer.entry(LedgerKind.ADMIT_MEMBER, body, signer), boxes

    def reading(self, space_id: bytes) -> dict[str, str]:
        """The header that reads the ledger by this invitation."""
        message = context(Label.SIGN_INVITATION_READ, space_id, self.invitation_id)
        return {"Safelight-Invitation": base64.b64encode(signatures.sign(self.seed, message)).decode()}


async def take_join(api: Api, writer: Writer, entry: Entry, signer: Signer) -> None:
    """Send a join, and note its slot."""
    path = f"/v1/spaces/{writer.space_id.hex()}/join"
    committed = (await api.post(path, CommitEntry(entry.envelope))).as_(Committed)
    receipt = msgspec.msgpack.decode(committed.receipt, type=Receipt)
    writer.took(entry, receipt.number, receipt.chain, signer)


async def become_member(
    inviter: Api, writer: Writer, person: Person, api: Api, role: Role, rights: Collection[Right] | None = None
) -> Signer:
    """Invite, join and admit; returns the new member's signer."""
    invitation, signer = Invitation(role, rights), person.signer
    await inviter.commit(writer, invitation.invite(writer))
    await take_join(api, writer, invitation.join(writer, person, signer), signer)
    await inviter.commit(writer, *invitation.admit(writer, person))
    return signer


def removal(writer: Writer, person: Person, signer: Signer | None = None) -> tuple[Entry, list[NewBox]]:
    """Build the entry that removes a member, and the boxes of those who stay."""
    stay = [key for key in writer.state.members if key != person.account_id]
    readers = [(key, writer.state.tier_of(key).value) for key in stay if writer.state.tier_of(key) is not Tier.NONE]
    epoch, boxes = make_epoch(writer.state.epoch.number + 1, readers)
    return writer.entry(LedgerKind.REMOVE_MEMBER, RemoveMemberBody(person.account_id, epoch), signer), boxes


def lowering(writer: Writer, person: Person, role: Role) -> tuple[Entry, list[NewBox]]:
    """Build the entry that gives a member a role that reads less, with the epoch that belongs to it."""
    tiers = {key: writer.state.tier_of(key) for key in writer.state.members} | {person.account_id: TIERS[role]}
    readers = [(key, tier.value) for key, tier in tiers.items() if tier is not Tier.NONE]
    epoch, boxes = make_epoch(writer.state.epoch.number + 1, readers)
    body = SetRoleBody(person.account_id, role, sorted(RIGHTS[role]), None, epoch)
    return writer.entry(LedgerKind.SET_ROLE, body), boxes


def role_change(writer: Writer, person: Person, role: Role) -> tuple[Entry, list[NewBox]]:
    """Build the entry that gives a member another role of the same tier, which needs no box."""
    body = SetRoleBody(person.account_id, role, sorted(RIGHTS[role]), None, None)
    return writer.entry(LedgerKind.SET_ROLE, body), []
