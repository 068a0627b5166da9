"""Vectors of members: logs in which they are invited, join, are admitted, changed and removed, as readers take them."""

from collections.abc import Callable, Collection
from functools import partial

import msgspec

from safelight.sync_protocol import log, signatures
from safelight.sync_protocol.ledger_entries import (
    AdvanceAccountBody,
    BindCameraBody,
    LedgerKind,
    Policy,
    RevokeCameraBody,
    SetPolicyBody,
    SetRoleBody,
    WithdrawInvitationBody,
    bind_message,
)
from safelight.sync_protocol.log import Entry, Frame
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from safelight.sync_protocol.wire import unpack
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.members import (
    admit_body,
    box_for,
    invite_body,
    join_body,
    joining,
    member,
    remove_entry,
    role_entry,
    signer_of,
)
from tools.vector_builder import Cases
from tools.vector_operations import Values


class _Family:
    """Anna's space, with Max, a manager who may not share, and Pia, a previewer; Bert has joined and waits."""

    def __init__(self) -> None:
        self.space = Space(Person("anna"), "work", "full").create()
        self.max, self.pia, self.bert, self.carla = map(Person, ("max", "pia", "bert", "carla"))
        self.by_max = member(self.space, self.max, Role.MANAGER, RIGHTS[Role.MANAGER] - {Right.LINK})
        self.by_pia = member(self.space, self.pia, Role.PREVIEWER)
        self.by_bert = joining(self.space, self.bert, Role.VIEWER)

    def invite(
        self, role: Role, signer: Signer | None = None, rights: Collection[Right] | None = None, **changes: object
    ) -> Entry:
        """Build an invitation for Carla."""
        body = invite_body(self.space, role, "carla", rights, **changes)
        return self.space.entry(LedgerKind.INVITE_MEMBER, body, signer)

    def invited(self) -> "_Family":
        """Invite Carla as a viewer."""
        self.space.take(self.invite(Role.VIEWER))
        return self

    def join(self, **changes: object) -> Entry:
        """Build Carla's join."""
        return self.space.entry(
            LedgerKind.JOIN_SPACE, join_body(self.space, self.carla, "carla"), signer_of(self.carla), **changes
        )

    def admit(self, **changes: object) -> Entry:
        """Build Bert's admission."""
        return self.space.entry(LedgerKind.ADMIT_MEMBER, admit_body(self.space, self.bert, "bert", **changes))


def members() -> list[Values]:
    """Return the cases."""
    cases = Cases()
    _invitations(cases)
    _joins(cases)
    _admissions(cases)
    _roles(cases)
    _removals(cases)
    return cases.cases


def _replay(cases: Cases, name: str, make: Callable[[_Family], Entry | None], expect: Code | None = None) -> None:
    family = _Family()
    entry = make(family)
    frames = list(family.space.frames)
    if entry is not None:
        number = family.space.log.number + 1
        chain = log.next_chain(family.space.log.chain, number, entry.id)
        frames.append(Frame(number, NOW_MS, chain, entry.id, entry.envelope))
    cases.add(name, "space.replay", expect, frames=log.frames_to_bytes(frames))


def _invitations(cases: Cases) -> None:
    sharing = RIGHTS[Role.EDITOR] | {Right.LINK}
    _replay(cases, "whole", lambda _: None)
    _replay(cases, "an editor that shares", lambda family: family.invite(Role.EDITOR, rights=sharing))
    _replay(cases, "an editor, by a manager", lambda family: family.invite(Role.EDITOR, family.by_max))
    for name, make, expect in (
        ("a manager, by a manager", lambda f: f.invite(Role.MANAGER, f.by_max), Code.RIGHT_MISSING),
        ("rights that its giver has not", lambda f: f.invite(Role.EDITOR, f.by_max, sharing), Code.RIGHT_MISSING),
        ("by a previewer", lambda f: f.invite(Role.VIEWER, f.by_pia), Code.RIGHT_MISSING),
        ("rights beyond the role", lambda f: f.invite(Role.PREVIEWER, rights={Right.ADD}), Code.LEDGER_RULE),
        ("an owner without a right", lambda f: f.invite(Role.OWNER, rights={Right.ADD}), Code.LEDGER_RULE),
        ("for 31 days", lambda f: f.invite(Role.VIEWER, expires_ms=NOW_MS + 31 * 86_400_000), Code.LEDGER_RULE),
        ("of an old epoch", lambda f: f.invite(Role.VIEWER, epoch=2), Code.EPOCH_OLD),
        ("under an id that is taken", lambda f: f.invited().invite(Role.VIEWER), Code.LEDGER_RULE),
    ):
        _replay(cases, f"invited: {name}", make, expect)
    _replay(cases, "invited: rights out of order", _rights_out_of_order, Code.ENTRY_MALFORMED)


def _rights_out_of_order(family: _Family) -> Entry:
    body = invite_body(family.space, Role.EDITOR, "carla")
    turned = msgspec.structs.replace(body, rights=body.rights[::-1])
    return family.space.entry(LedgerKind.INVITE_MEMBER, turned)


def _joins(cases: Cases) -> None:
    _replay(cases, "joined", lambda family: family.invited().join())
    for name, make, expect in (
        ("without an invitation", lambda f: f.join(), Code.INVITATION_EXPIRED),
        ("too late", lambda f: f.invited().join(signed_ms=NOW_MS + 60_001), Code.INVITATION_EXPIRED),
        ("twice", _joined_twice, Code.INVITATION_USED),
        ("after it was withdrawn", _joined_after_withdrawal, Code.INVITATION_EXPIRED),
        ("after its giver was removed", _joined_after_removal, Code.INVITATION_EXPIRED),
        ("after its giver was removed and came back", _joined_after_return, Code.INVITATION_EXPIRED),
        ("by one that a former identity gave", _joined_after_rotation, Code.INVITATION_EXPIRED),
        ("by one that the new identity gave", _joined_by_the_new_identity, None),
        ("by one that who was removed had kept", _joined_by_a_kept_one, Code.INVITATION_EXPIRED),
        ("by one that who was removed got since", _joined_by_a_new_one, None),
        ("with keys that the secret did not vouch for", _joined_with_other_keys, Code.SIGNATURE_INVALID),
        ("in another's name", _joined_in_anothers_name, Code.SIGNATURE_INVALID),
        ("by another's device", _joined_by_anothers_device, Code.SIGNATURE_INVALID),
        ("by a device that the account has not", _joined_by_no_device, Code.SIGNER_UNKNOWN),
        ("by a member", _joined_by_a_member, Code.MEMBER_EXISTS),
    ):
        _replay(cases, f"joined: {name}", make, expect)


def _joined_twice(family: _Family) -> Entry:
    return family.space.entry(
        LedgerKind.JOIN_SPACE, join_body(family.space, family.carla, "bert"), signer_of(family.carla)
    )


def _joined_after_withdrawal(family: _Family) -> Entry:
    space = family.invited().space
    space.take(space.entry(LedgerKind.WITHDRAW_INVITATION, WithdrawInvitationBody(id_of("invitation carla"))))
    return family.join()


def _joined_after_removal(family: _Family) -> Entry:
    family.space.take(family.invite(Role.VIEWER, family.by_max), family.by_max)
    family.space.take(remove_entry(family.space, family.max))
    return family.join()


def _joined_after_return(family: _Family) -> Entry:
    family.space.take(family.invite(Role.VIEWER, family.by_max), family.by_max)
    _return_max(family)
    return family.join()


def _rotate_max(family: _Family) -> None:
    family.max.rotate_identity()
    body = AdvanceAccountBody(family.max.account_id, family.max.entries[1:], family.space.next_epoch())
    family.space.take(family.space.entry(LedgerKind.ADVANCE_ACCOUNT, body, family.by_max), family.by_max)


def _joined_after_rotation(family: _Family) -> Entry:
    family.space.take(family.invite(Role.VIEWER, family.by_max), family.by_max)
    _rotate_max(family)
    return family.join()


def _joined_by_the_new_identity(family: _Family) -> Entry:
    _rotate_max(family)
    family.space.take(family.invite(Role.VIEWER, family.by_max), family.by_max)
    return family.join()


def _return_max(family: _Family) -> None:
    space = family.space
    space.take(remove_entry(space, family.max))
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.MANAGER, "again")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, family.max, "again"), family.by_max), family.by_max)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, family.max, "again")))


def _joined_by_a_kept_one(family: _Family) -> Entry:
    space = family.invited().space
    space.take(remove_entry(space, family.pia))
    return space.entry(LedgerKind.JOIN_SPACE, join_body(space, family.pia, "carla"), family.by_pia)


def _joined_by_a_new_one(family: _Family) -> Entry:
    family.space.take(remove_entry(family.space, family.pia))
    space = family.invited().space
    return space.entry(LedgerKind.JOIN_SPACE, join_body(space, family.pia, "carla"), family.by_pia)


def _joined_with_other_keys(family: _Family) -> Entry:
    space, mallory = family.invited().space, Person("mallory")
    vouched = join_body(space, family.carla, "carla").invitation_signature
    body = join_body(space, mallory, "carla", invitation_signature=vouched)
    return space.entry(LedgerKind.JOIN_SPACE, body, signer_of(mallory))


def _joined_in_anothers_name(family: _Family) -> Entry:
    space, mallory = family.invited().space, Person("mallory")
    by_mallory = join_body(space, mallory, "carla").identity_signature
    body = join_body(space, family.carla, "carla", identity_signature=by_mallory)
    return space.entry(LedgerKind.JOIN_SPACE, body, signer_of(family.carla))


def _joined_by_anothers_device(family: _Family) -> Entry:
    body = join_body(family.invited().space, family.carla, "carla")
    return family.space.entry(LedgerKind.JOIN_SPACE, body, signer_of(Person("mallory")))


def _joined_by_no_device(family: _Family) -> Entry:
    device_id = id_of("no device of hers")
    body = join_body(family.invited().space, family.carla, "carla", device_id=device_id)
    return family.space.entry(LedgerKind.JOIN_SPACE, body, signer_of(family.carla), device_id=device_id)


def _joined_by_a_member(family: _Family) -> Entry:
    body = join_body(family.invited().space, family.pia, "carla")
    return family.space.entry(LedgerKind.JOIN_SPACE, body, family.by_pia)


def _admissions(cases: Cases) -> None:
    _replay(cases, "admitted", lambda family: family.admit())
    _replay(cases, "admitted, though a camera took the id", _admitted_over_a_camera)
    _replay(cases, "admitted, and the camera of that id is shut out", _camera_that_took_an_id, Code.SIGNER_UNKNOWN)
    for name, make, expect in (
        ("without a box", lambda f: f.admit(box=None), Code.LEDGER_RULE),
        ("with a box of another tier", _admitted_at_another_tier, Code.LEDGER_RULE),
        ("of an old epoch", lambda f: f.admit(epoch=2), Code.EPOCH_OLD),
        ("somebody else", lambda f: f.admit(account_id=f.carla.account_id), Code.LEDGER_RULE),
        ("a second time, by a second invitation", _admitted_again, Code.LEDGER_RULE),
    ):
        _replay(cases, f"admitted: {name}", make, expect)


def _admitted_at_another_tier(family: _Family) -> Entry:
    return family.admit(box=box_for(family.space, family.bert.account_id, Tier.VIEW))


def _admitted_over_a_camera(family: _Family) -> Entry:
    space = family.space
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(camera_id=family.bert.account_id)))
    return family.admit()


def _camera_that_took_an_id(family: _Family) -> Entry:
    space, camera_id = family.space, family.bert.account_id
    space.take(_admitted_over_a_camera(family))
    key = signatures.public_key_of(seed_of("camera phone"))
    signature = signatures.sign(seed_of("pairing phone"), bind_message(space.state.space_id, camera_id, key))
    signer = Signer(camera_id, camera_id, seed_of("camera phone"))
    return space.entry(LedgerKind.BIND_CAMERA, BindCameraBody(camera_id, key, signature), signer)


def _admitted_again(family: _Family) -> Entry:
    space = family.invited().space
    body = join_body(space, family.bert, "carla")
    space.take(space.entry(LedgerKind.JOIN_SPACE, body, family.by_bert), family.by_bert)
    space.take(family.admit())
    space.take(remove_entry(space, family.bert))
    return space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, family.bert, "carla"))


def _roles(cases: Cases) -> None:
    _replay(cases, "a role rises with a box", lambda family: role_entry(family.space, family.pia, Role.VIEWER))
    _replay(cases, "a role falls with an epoch", lambda family: role_entry(family.space, family.max, Role.PREVIEWER))
    _replay(cases, "a role ends all reading", lambda family: role_entry(family.space, family.pia, Role.CONTRIBUTOR))
    for name, make, expect in (
        ("that it has", lambda f: role_entry(f.space, f.pia, Role.PREVIEWER), Code.LEDGER_RULE),
        ("risen without a box", lambda f: role_entry(f.space, f.pia, Role.VIEWER, box=None), Code.LEDGER_RULE),
        ("fallen without an epoch", _fallen_without_an_epoch, Code.EPOCH_REQUIRED),
        ("of a manager, by a manager", _role_of_a_manager, Code.RIGHT_MISSING),
        ("of the last owner", lambda f: role_entry(f.space, f.space.owner, Role.VIEWER), Code.LAST_OWNER),
        ("of nobody", _role_of_nobody, Code.LEDGER_RULE),
    ):
        _replay(cases, f"a role: {name}", make, expect)
    _replay(cases, "a policy: no links", lambda family: _policy(family, Policy(1, "none")))
    for name, policy, expect in (
        ("of a later version", Policy(2, "view"), Code.UPDATE_REQUIRED),
        ("of an earlier version", Policy(0, "view"), Code.LEDGER_RULE),
    ):
        _replay(cases, f"a policy: {name}", partial(_policy, policy=policy), expect)


def _policy(family: _Family, policy: Policy) -> Entry:
    return family.space.entry(LedgerKind.SET_POLICY, SetPolicyBody(policy))


def _fallen_without_an_epoch(family: _Family) -> Entry:
    return role_entry(family.space, family.max, Role.PREVIEWER, epoch=None)


def _role_of_a_manager(family: _Family) -> Entry:
    return role_entry(family.space, family.max, Role.EDITOR, family.by_max)


def _role_of_nobody(family: _Family) -> Entry:
    family.space.take(family.admit())
    body = unpack(role_entry(family.space, family.bert, Role.EDITOR).body, SetRoleBody)
    family.space.take(remove_entry(family.space, family.bert))
    return family.space.entry(LedgerKind.SET_ROLE, body)


def _removals(cases: Cases) -> None:
    _replay(cases, "removed", lambda family: remove_entry(family.space, family.pia))
    _replay(cases, "removed by a manager", lambda family: remove_entry(family.space, family.pia, family.by_max))
    for name, make, expect in (
        ("by a previewer", lambda f: remove_entry(f.space, f.max, f.by_pia), Code.RIGHT_MISSING),
        ("a manager, by a manager", lambda f: remove_entry(f.space, f.max, f.by_max), Code.RIGHT_MISSING),
        ("the last owner", lambda f: remove_entry(f.space, f.space.owner), Code.LAST_OWNER),
        ("by a previewer's epoch", _epoch_of_a_previewer, Code.RIGHT_MISSING),
    ):
        _replay(cases, f"removed: {name}", make, expect)
    _replay(cases, "a previewer's device is gone and an epoch is due", lambda f: _without_laptop(f, greedy=False))
    _replay(cases, "a contributor's camera is gone and an epoch is due", _without_camera)
    _replay(cases, "a camera of who was removed and came back", _camera_after_return, Code.SIGNER_UNKNOWN)


def _epoch_of_a_previewer(family: _Family) -> Entry:
    return _without_laptop(family, greedy=True)


def _without_laptop(family: _Family, *, greedy: bool) -> Entry:
    space, pia = family.space, family.pia
    pia.add_device("pia's laptop")
    added = AdvanceAccountBody(pia.account_id, pia.entries[1:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, added, family.by_pia), family.by_pia)
    pia.revoke_device(id_of("device pia's laptop"))
    body = AdvanceAccountBody(pia.account_id, pia.entries[2:], space.next_epoch() if greedy else None)
    return space.entry(LedgerKind.ADVANCE_ACCOUNT, body, family.by_pia)


def _without_camera(family: _Family) -> Entry:
    space = family.space
    by_carla = member(space, family.carla, Role.CONTRIBUTOR)
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), by_carla), by_carla)
    return space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(id_of("camera phone"), None), by_carla)


def _camera_after_return(family: _Family) -> Entry:
    space, camera = family.space, family.space.camera_signer()
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), family.by_max), family.by_max)
    _return_max(family)
    return space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera)
