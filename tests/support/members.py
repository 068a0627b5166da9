"""Members of a space made from fixed seeds: invitations, joins and admissions, as honest clients would sign them."""

from collections.abc import Collection
from types import EllipsisType

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label
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
from safelight.sync_protocol.roles import RIGHTS, TIERS, Right, Role, Tier
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of


def signer_of(person: Person) -> Signer:
    """Who signs for a person, from its first entry in a space on."""
    return Signer(person.account_id, person.device_id, person.device_seed)


def box_for(space: Space, account_id: bytes, tier: Tier) -> BoxRef | None:
    """A box of the epoch in force, for who reads."""
    if tier is Tier.NONE:
        return None
    return BoxRef(account_id, tier.value, seed_of(f"box {account_id.hex()} {space.state.epoch.number}"))  # type: ignore[arg-type]  # never "none" here


def invite_body(
    space: Space, role: Role, name: str, rights: Collection[Right] | None = None, **changes: object
) -> InviteMemberBody:
    """Build the invitation for whoever holds *name*'s secret."""
    values: dict[str, object] = {
        "invitation_id": id_of(f"invitation {name}"),
        "key": signatures.public_key_of(seed_of(f"invitation {name}")),
        "role": role,
        "rights": sorted(RIGHTS[role] if rights is None else rights),
        "expires_ms": NOW_MS + 60_000,
        "epoch": space.state.epoch.number,
        "name": b"sealed name of who is awaited",
    }
    return InviteMemberBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def join_body(
    space: Space,
    person: Person,
    name: str,
    *,
    device_id: bytes = b"",
    vault_key: bytes | EllipsisType | None = ...,
    **changes: object,
) -> JoinSpaceBody:
    """Build *person*'s join by the invitation *name*, from the person's own device or another.

    It brings the *vault_key* that belongs to the space's kind unless another, or none, is given.
    """
    invitation_id = id_of(f"invitation {name}")
    usual = person.vault_key if space.state.kind == "vault" else None
    brought = usual if isinstance(vault_key, EllipsisType) else vault_key
    signed = (space.state.space_id, invitation_id, device_id or person.device_id, person.account.head, brought)
    values: dict[str, object] = {
        "invitation_id": invitation_id,
        "account_entries": list(person.entries),
        "vault_key": brought,
        "identity_signature": signatures.sign(person.identity_seed, join_message(Label.SIGN_JOIN_IDENTITY, *signed)),
        "invitation_signature": signatures.sign(
            seed_of(f"invitation {name}"), join_message(Label.SIGN_JOIN_INVITATION, *signed)
        ),
    }
    return JoinSpaceBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def admit_body(space: Space, person: Person, name: str, **changes: object) -> AdmitMemberBody:
    """Build the admission of who joined by the invitation *name*."""
    invitation_id = id_of(f"invitation {name}")
    tier = TIERS[space.state.invitations[invitation_id].role]
    values: dict[str, object] = {
        "invitation_id": invitation_id,
        "account_id": person.account_id,
        "epoch": space.state.epoch.number,
        "box": box_for(space, person.account_id, tier),
    }
    return AdmitMemberBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def joining(space: Space, person: Person, role: Role, rights: Collection[Right] | None = None) -> Signer:
    """Invite a person and have it join; returns its signer."""
    signer = signer_of(person)
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, role, person.name, rights)))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, person, person.name), signer), signer)
    return signer


def member(space: Space, person: Person, role: Role, rights: Collection[Right] | None = None) -> Signer:
    """Make a person a member; returns its signer."""
    signer = joining(space, person, role, rights)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, person, person.name)))
    return signer


def role_entry(
    space: Space,
    person: Person,
    role: Role,
    signer: Signer | None = None,
    rights: Collection[Right] | None = None,
    **changes: object,
) -> Entry:
    """Build the entry that gives a member another role, with what belongs to it."""
    before, after = TIERS[space.state.members[person.account_id].role], TIERS[role]
    order = [Tier.NONE, Tier.VIEW, Tier.FULL]
    loses, gains = order.index(after) < order.index(before), order.index(after) > order.index(before)
    readers = [(key, TIERS[each.role]) for key, each in space.state.members.items() if key != person.account_id]
    readers += [(person.account_id, after)]
    boxed: list[tuple[bytes, Tier]] = [(key, tier) for key, tier in readers if tier is not Tier.NONE]
    epoch = space.epoch(space.state.epoch.number + 1, boxed)
    values: dict[str, object] = {
        "account_id": person.account_id,
        "role": role,
        "rights": sorted(RIGHTS[role] if rights is None else rights),
        "box": box_for(space, person.account_id, after) if gains else None,
        "epoch": epoch if loses else None,
    }
    body = SetRoleBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name
    return space.entry(LedgerKind.SET_ROLE, body, signer)


def remove_entry(space: Space, person: Person, signer: Signer | None = None) -> Entry:
    """Build the entry that removes a member, with the epoch of those who stay."""
    stay = [(key, TIERS[each.role]) for key, each in space.state.members.items() if key != person.account_id]
    readers: list[tuple[bytes, Tier]] = [(key, tier) for key, tier in stay if tier is not Tier.NONE]
    body = RemoveMemberBody(person.account_id, space.epoch(space.state.epoch.number + 1, readers))
    return space.entry(LedgerKind.REMOVE_MEMBER, body, signer)
