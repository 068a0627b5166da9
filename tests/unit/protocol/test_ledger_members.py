"""Members in the space ledger: each rule with what it lets through and what it stops."""

import msgspec
import pytest

from safelight.sync_protocol import ledger_entries, limits
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import MANAGES, MAY_HOLD, RIGHTS, Right, Role, Tier, may_hold
from safelight.sync_protocol.wire import Signed
from tests.support.ledgers import NOW_MS, Person, Space, apply_next, id_of, seed_of, with_role
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
from tests.support.refusing import refusal

LATE_MS = NOW_MS + 60_001


@pytest.fixture
def bert() -> Person:
    """Who is invited."""
    return Person("bert")


@pytest.mark.parametrize("role", list(Role))
def test_three_entries_make_a_member(space: Space, bert: Person, role: Role) -> None:
    """Invited, joined and admitted, a member has its role, its rights, and a box of the epoch in force if it reads."""
    signer = joining(space, bert, role)
    assert bert.account_id not in space.state.members
    assert space.state.signing_key(bert.account_id, bert.device_id) is None
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert")))
    admitted = space.state.members[bert.account_id]
    assert (admitted.role, admitted.rights) == (role, RIGHTS[role])
    assert admitted.account == bert.account
    assert space.state.epoch.number == 1
    boxed = {box.account_id: box.tier for box in space.state.epoch.boxes}
    assert boxed.get(bert.account_id, "none") == space.state.tier_of(bert.account_id)
    assert space.state.signing_key(bert.account_id, signer.device_id)
    assert space.state.invitations[id_of("invitation bert")].over


@pytest.mark.parametrize(
    ("giver", "role", "allowed"),
    [(giver, role, role in MANAGES[giver]) for giver in (Role.OWNER, Role.MANAGER) for role in Role],
)
def test_managers_manage_whoever_is_below_them(
    space: Space, bert: Person, giver: Role, role: Role, allowed: bool
) -> None:
    """An owner invites, changes and removes anyone; a manager neither owners nor managers."""
    assert allowed == (giver is Role.OWNER or role not in {Role.OWNER, Role.MANAGER})
    carla = Person("carla")
    member(space, carla, role)
    by = member(space, bert, giver)
    entries = [
        space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, role, "dora"), by),
        remove_entry(space, carla, by),
    ]
    if role is not Role.VIEWER:
        entries.append(role_entry(space, carla, Role.VIEWER, by))
    for entry in entries:
        if allowed:
            apply_next(space, entry)
        else:
            assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER, Role.PREVIEWER, Role.CONTRIBUTOR])
def test_nobody_else_manages(space: Space, bert: Person, role: Role) -> None:
    """Whoever is neither owner nor manager invites, admits, changes and removes nobody."""
    carla = Person("carla")
    joining(space, carla, Role.VIEWER)
    by = member(space, bert, role)
    for entry in (
        space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "dora"), by),
        space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, carla, "carla"), by),
        space.entry(
            LedgerKind.WITHDRAW_INVITATION, ledger_entries.WithdrawInvitationBody(id_of("invitation carla")), by
        ),
        role_entry(space, bert, Role.OWNER, by),
        remove_entry(space, space.owner, by),
        space.entry(LedgerKind.SET_POLICY, ledger_entries.SetPolicyBody(Policy(1, "none")), by),
    ):
        assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


def test_rights_part_who_may_what(space: Space, bert: Person) -> None:
    """An editor that shares but does not trash; a manager that does not share gives nobody that right."""
    rights = (RIGHTS[Role.EDITOR] | {Right.LINK}) - {Right.TRASH}
    member(space, bert, Role.EDITOR, rights)
    assert space.state.rights_of(bert.account_id) == rights
    manager = member(space, Person("carla"), Role.MANAGER, RIGHTS[Role.MANAGER] - {Right.LINK})
    sharing = space.entry(
        LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "dora", RIGHTS[Role.EDITOR] | {Right.LINK}), manager
    )
    assert refusal(apply_next, space, sharing) is Code.RIGHT_MISSING
    apply_next(space, space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "dora"), manager))
    without = member(space, Person("emil"), Role.MANAGER, RIGHTS[Role.MANAGER] - {Right.MEMBERS})
    by_emil = space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "dora"), without)
    assert refusal(apply_next, space, by_emil) is Code.RIGHT_MISSING


def test_rights_fit_their_role(space: Space) -> None:
    """Which rights a role may have is a table; in an entry they stand in order, each once."""
    assert all(RIGHTS[role] <= MAY_HOLD[role] and may_hold(role, RIGHTS[role]) for role in Role)
    assert not may_hold(Role.OWNER, frozenset({Right.ADD}))
    assert not may_hold(Role.CONTRIBUTOR, frozenset())
    for role, rights in ((Role.EDITOR, {Right.MEMBERS}), (Role.PREVIEWER, {Right.ADD}), (Role.OWNER, {Right.ADD})):
        entry = space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, role, "bert", rights))
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    for named in ([Right.TRASH, Right.ADD], [Right.ADD, Right.ADD]):
        body = msgspec.structs.replace(invite_body(space, Role.EDITOR, "bert"), rights=named)
        assert refusal(apply_next, space, space.entry(LedgerKind.INVITE_MEMBER, body)) is Code.ENTRY_MALFORMED


def test_invitations_are_bounded(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that is taken, more than 30 days, an old epoch, and too many are refused."""
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    long_ms = NOW_MS + limits.INVITATION_MAX_AGE_S * 1000 + 1
    for code, body in (
        (Code.LEDGER_RULE, invite_body(space, Role.VIEWER, "bert")),
        (Code.LEDGER_RULE, invite_body(space, Role.VIEWER, "carla", expires_ms=long_ms)),
        (Code.EPOCH_OLD, invite_body(space, Role.VIEWER, "carla", epoch=2)),
    ):
        assert refusal(apply_next, space, space.entry(LedgerKind.INVITE_MEMBER, body)) is code
    another = space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "carla"))
    with monkeypatch.context() as patch:
        patch.setattr("safelight.sync_protocol.ledger_members.MAX_MEMBERS", 1)
        assert refusal(apply_next, space, another) is Code.LEDGER_RULE
    apply_next(space, another)


def test_an_invitation_is_used_once_and_in_time(space: Space, bert: Person) -> None:
    """Unknown, late, withdrawn or used a second time, by the signed time and by name."""
    signer = signer_of(bert)
    unknown = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert"), signer)
    assert refusal(apply_next, space, unknown) is Code.INVITATION_EXPIRED
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    late = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert"), signer, signed_ms=LATE_MS)
    assert refusal(apply_next, space, late) is Code.INVITATION_EXPIRED
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert"), signer), signer)
    carla = Person("carla")
    second = space.entry(LedgerKind.JOIN_SPACE, join_body(space, carla, "bert"), signer_of(carla))
    assert refusal(apply_next, space, second) is Code.INVITATION_USED
    withdrawal = ledger_entries.WithdrawInvitationBody(id_of("invitation bert"))
    space.take(space.entry(LedgerKind.WITHDRAW_INVITATION, withdrawal))
    again = space.entry(LedgerKind.WITHDRAW_INVITATION, withdrawal)
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE
    admission = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert"))
    assert refusal(apply_next, space, admission) is Code.LEDGER_RULE
    third = space.entry(LedgerKind.JOIN_SPACE, join_body(space, carla, "bert"), signer_of(carla))
    assert refusal(apply_next, space, third) is Code.INVITATION_EXPIRED


def test_a_server_in_the_middle_gains_nothing(space: Space, bert: Person) -> None:
    """Without the secret nobody's keys are vouched for; without the identity nobody joins in another's name."""
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    mallory, signer = Person("mallory"), signer_of(bert)
    swapped = join_body(
        space, mallory, "bert", invitation_signature=join_body(space, bert, "bert").invitation_signature
    )
    entry = space.entry(LedgerKind.JOIN_SPACE, swapped, signer_of(mallory))
    assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID
    forged = join_body(space, bert, "bert", identity_signature=join_body(space, mallory, "bert").identity_signature)
    assert refusal(apply_next, space, space.entry(LedgerKind.JOIN_SPACE, forged, signer)) is Code.SIGNATURE_INVALID
    honest = join_body(space, bert, "bert")
    by_another = space.entry(LedgerKind.JOIN_SPACE, honest, signer_of(mallory))
    assert refusal(apply_next, space, by_another) is Code.SIGNATURE_INVALID
    in_anothers_name = space.entry(LedgerKind.JOIN_SPACE, honest, signer, author_id=mallory.account_id)
    assert refusal(apply_next, space, in_anothers_name) is Code.SIGNER_UNKNOWN
    thief = signer_of(bert)
    thief.seed = seed_of("thief")
    assert refusal(apply_next, space, space.entry(LedgerKind.JOIN_SPACE, honest, thief)) is Code.SIGNATURE_INVALID
    vouched = join_body(space, bert, "bert", device_id=id_of("another device"))
    stranger = space.entry(LedgerKind.JOIN_SPACE, vouched, signer, device_id=id_of("another device"))
    assert refusal(apply_next, space, stranger) is Code.SIGNER_UNKNOWN


def test_nobody_without_the_secret_has_an_account_verified(
    space: Space, bert: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A thousand entries to verify, sent again and again*: the invitation's signature is looked at first."""
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    forged = join_body(space, bert, "bert", invitation_signature=bytes(64))
    entry = space.entry(LedgerKind.JOIN_SPACE, forged, signer_of(bert))

    def never(*_: object) -> None:
        raise AssertionError("an account was verified")

    monkeypatch.setattr("safelight.sync_protocol.ledger_members.apply_account_entries", never)
    assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID


def test_an_admission_is_of_who_joined(space: Space, bert: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else, with the right box of the epoch in force, and not beyond the limit."""
    carla = Person("carla")
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "carla")))
    early = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, carla, "carla"))
    assert refusal(apply_next, space, early) is Code.LEDGER_RULE
    joining(space, bert, Role.PREVIEWER)
    full_box = box_for(space, bert.account_id, Tier.FULL)
    for code, body in (
        (Code.LEDGER_RULE, admit_body(space, carla, "bert")),
        (Code.EPOCH_OLD, admit_body(space, bert, "bert", epoch=2)),
        (Code.LEDGER_RULE, admit_body(space, bert, "bert", box=None)),
        (Code.LEDGER_RULE, admit_body(space, bert, "bert", box=full_box)),
        (Code.LEDGER_RULE, admit_body(space, bert, "bert", box=box_for(space, carla.account_id, Tier.VIEW))),
    ):
        assert refusal(apply_next, space, space.entry(LedgerKind.ADMIT_MEMBER, body)) is code
    entry = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert"))
    with monkeypatch.context() as patch:
        patch.setattr("safelight.sync_protocol.ledger_members.MAX_MEMBERS", 1)
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body("other", camera_id=bert.account_id)))
    admitted = apply_next(space, space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert")))
    assert admitted.cameras[bert.account_id].revoked
    assert admitted.signing_key(bert.account_id, bert.device_id)


def test_who_was_removed_is_not_let_in_by_a_second_invitation(space: Space, bert: Person) -> None:
    """Of two invitations that one account took, the second is over when it is admitted by the first."""
    signer = joining(space, bert, Role.VIEWER)
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "again")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "again"), signer), signer)
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "third")))
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert")))
    third = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "third"), signer)
    assert refusal(apply_next, space, third) is Code.MEMBER_EXISTS
    space.take(remove_entry(space, bert))
    assert bert.account_id not in space.state.members
    again = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "again"))
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE


def test_who_was_removed_kept_no_invitation(space: Space, bert: Person) -> None:
    """An invitation given before a removal does not bring back who was removed; one given after it does."""
    signer = member(space, bert, Role.VIEWER)
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "kept")))
    space.take(remove_entry(space, bert))
    kept = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "kept"), signer)
    assert refusal(apply_next, space, kept) is Code.INVITATION_EXPIRED
    carla = Person("carla")
    apply_next(space, space.entry(LedgerKind.JOIN_SPACE, join_body(space, carla, "kept"), signer_of(carla)))
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, "anew")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "anew"), signer), signer)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "anew")))
    assert space.state.members[bert.account_id].invitation_id == id_of("invitation anew")


def test_what_a_member_began_does_not_come_back_with_it(space: Space, bert: Person) -> None:
    """A removed member's cameras and invitations, used or not, are over, also when it is a manager again."""
    manager, carla, dora = member(space, bert, Role.MANAGER), Person("carla"), Person("dora")
    for name in ("carla", "dora"):
        space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, name), manager), manager)
    by_carla = signer_of(carla)
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, carla, "carla"), by_carla), by_carla)
    for name in ("phone", "tablet"):
        space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(name), manager), manager)
    phone, tablet = space.camera_signer("phone"), space.camera_signer("tablet")
    space.take(space.entry(LedgerKind.BIND_CAMERA, space.bind_body("phone"), phone), phone)
    own = space.camera("owner's")
    space.take(remove_entry(space, bert))
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.MANAGER, "again")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "again"), manager), manager)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "again")))
    assert space.state.signing_key(phone.author_id, phone.device_id) is None
    assert space.state.signing_key(own.author_id, own.device_id)
    bind = space.entry(LedgerKind.BIND_CAMERA, space.bind_body("tablet"), tablet)
    assert refusal(apply_next, space, bind) is Code.SIGNER_UNKNOWN
    admission = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, carla, "carla"))
    assert refusal(apply_next, space, admission) is Code.LEDGER_RULE
    late = space.entry(LedgerKind.JOIN_SPACE, join_body(space, dora, "dora"), signer_of(dora))
    assert refusal(apply_next, space, late) is Code.INVITATION_EXPIRED


def test_a_member_keeps_the_invitation_that_it_came_by(space: Space, bert: Person) -> None:
    """By it people are named, whatever others the same account took, and whatever it becomes."""
    signer = joining(space, bert, Role.PREVIEWER)
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "grandma")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "grandma"), signer), signer)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert")))
    space.take(role_entry(space, bert, Role.EDITOR))
    assert space.state.members[bert.account_id].invitation_id == id_of("invitation bert")
    assert space.state.members[space.owner.account_id].invitation_id == b""


def test_invitations_end_with_what_their_giver_may_give(space: Space, bert: Person) -> None:
    """Whoever was removed, or manages no more, lets nobody in: neither to join nor to be admitted."""
    manager, carla, dora = member(space, bert, Role.MANAGER), Person("carla"), Person("dora")
    for name in ("carla", "dora"):
        space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.EDITOR, name), manager), manager)
    signer = signer_of(carla)
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, carla, "carla"), signer), signer)
    space.take(role_entry(space, bert, Role.MANAGER, rights=RIGHTS[Role.MANAGER] - {Right.TRASH}))
    late = space.entry(LedgerKind.JOIN_SPACE, join_body(space, dora, "dora"), signer_of(dora))
    assert refusal(apply_next, space, late) is Code.INVITATION_EXPIRED
    admission = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, carla, "carla"))
    assert refusal(apply_next, space, admission) is Code.INVITATION_EXPIRED
    by_giver = ledger_entries.WithdrawInvitationBody(id_of("invitation dora"))
    space.take(role_entry(space, bert, Role.VIEWER))
    apply_next(space, space.entry(LedgerKind.WITHDRAW_INVITATION, by_giver, manager))
    apply_next(space, space.entry(LedgerKind.WITHDRAW_INVITATION, by_giver))


def test_roles_rise_with_a_box_and_fall_with_an_epoch(space: Space, bert: Person) -> None:
    """More reach comes with a box of the epoch in force, less with a new epoch, as much with neither."""
    member(space, bert, Role.CONTRIBUTOR)
    space.take(role_entry(space, bert, Role.PREVIEWER))
    space.take(role_entry(space, bert, Role.VIEWER))
    assert [box.tier for box in space.state.epoch.boxes if box.account_id == bert.account_id] == ["full"]
    space.take(role_entry(space, bert, Role.EDITOR))
    assert space.state.epoch.number == 1
    epoch = space.next_epoch()
    for code, entry in (
        (Code.LEDGER_RULE, role_entry(space, bert, Role.EDITOR)),
        (Code.LEDGER_RULE, role_entry(space, bert, Role.VIEWER, epoch=epoch)),
        (Code.LEDGER_RULE, role_entry(space, bert, Role.VIEWER, box=box_for(space, bert.account_id, Tier.FULL))),
        (Code.LEDGER_RULE, role_entry(space, bert, Role.PREVIEWER, box=box_for(space, bert.account_id, Tier.VIEW))),
        (Code.EPOCH_REQUIRED, role_entry(space, bert, Role.PREVIEWER, epoch=None)),
        (Code.LEDGER_RULE, role_entry(space, bert, Role.PREVIEWER, epoch=epoch)),
    ):
        assert refusal(apply_next, space, entry) is code
    space.take(role_entry(space, bert, Role.PREVIEWER))
    assert space.state.epoch.number == 2
    space.take(role_entry(space, bert, Role.CONTRIBUTOR))
    assert space.state.epoch.number == 3
    assert [box.account_id for box in space.state.epoch.boxes] == [space.owner.account_id]


def test_a_space_keeps_an_owner(space: Space, anna: Person, bert: Person) -> None:
    """The last owner neither leaves nor is made anything else; with another beside, it may be."""
    assert refusal(apply_next, space, role_entry(space, anna, Role.EDITOR)) is Code.LAST_OWNER
    assert refusal(apply_next, space, remove_entry(space, anna)) is Code.LAST_OWNER
    other = member(space, bert, Role.MANAGER)
    space.take(role_entry(space, bert, Role.OWNER))
    assert apply_next(space, role_entry(space, anna, Role.EDITOR)).members[anna.account_id].role is Role.EDITOR
    removed = apply_next(space, remove_entry(space, anna, other))
    assert list(removed.members) == [bert.account_id]


def test_nobody_takes_their_own_reach_away(space: Space, anna: Person, bert: Person) -> None:
    """The new epoch's keys would be known to whom it is to keep out."""
    member(space, bert, Role.OWNER)
    assert refusal(apply_next, space, remove_entry(space, anna)) is Code.LEDGER_RULE
    assert refusal(apply_next, space, role_entry(space, anna, Role.PREVIEWER)) is Code.LEDGER_RULE


def test_strangers_are_neither_changed_nor_removed(space: Space, bert: Person) -> None:
    """Who is no member has no role to change."""
    body = ledger_entries.RemoveMemberBody(bert.account_id, space.next_epoch())
    assert refusal(apply_next, space, space.entry(LedgerKind.REMOVE_MEMBER, body)) is Code.LEDGER_RULE


def test_a_removed_members_cameras_add_nothing(space: Space, bert: Person) -> None:
    """A camera's right ends with its certifier's membership."""
    by = member(space, bert, Role.CONTRIBUTOR)
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), by), by)
    camera = space.camera_signer()
    space.take(space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera), camera)
    assert space.state.rights_of(camera.author_id) == {Right.ADD}
    space.take(remove_entry(space, bert))
    assert space.state.rights_of(camera.author_id) == frozenset()
    assert space.state.signing_key(camera.author_id, camera.device_id) is None


@pytest.mark.parametrize("role", [Role.PREVIEWER, Role.CONTRIBUTOR])
def test_who_does_not_read_all_begins_no_epoch(space: Space, bert: Person, role: Role) -> None:
    """Its keys would be theirs: a previewer would read every original from then on. What they lose makes one due."""
    member(space, bert, role)
    laptop, _ = bert.add_device("bert's laptop")
    by = signer_of(bert)
    by.counter, by.last_id = 1, space.frames[2].entry_id
    added = ledger_entries.AdvanceAccountBody(bert.account_id, bert.entries[1:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, added, by), by)
    bert.revoke_device(laptop)
    greedy = ledger_entries.AdvanceAccountBody(bert.account_id, bert.entries[2:], space.next_epoch())
    assert refusal(apply_next, space, space.entry(LedgerKind.ADVANCE_ACCOUNT, greedy, by)) is Code.RIGHT_MISSING
    lost = ledger_entries.AdvanceAccountBody(bert.account_id, bert.entries[2:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, lost, by), by)
    assert space.state.epoch_due
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    assert not space.state.epoch_due


def test_a_contributor_revokes_its_camera_without_an_epoch(space: Space, bert: Person) -> None:
    """And an owner only together with one."""
    by = member(space, bert, Role.CONTRIBUTOR)
    for name in ("phone", "tablet"):
        space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(name), by), by)
    bare = ledger_entries.RevokeCameraBody(id_of("camera phone"), None)
    greedy = ledger_entries.RevokeCameraBody(id_of("camera phone"), space.next_epoch())
    assert refusal(apply_next, space, space.entry(LedgerKind.REVOKE_CAMERA, greedy, by)) is Code.RIGHT_MISSING
    assert refusal(apply_next, space, space.entry(LedgerKind.REVOKE_CAMERA, bare)) is Code.EPOCH_REQUIRED
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, bare, by), by)
    assert space.state.epoch_due


def test_policies_change_within_the_spaces_kind(space: Space) -> None:
    """Links within what the kind allows; the lowest version rises as far as this one, and never falls."""
    set_to = LedgerKind.SET_POLICY, ledger_entries.SetPolicyBody
    space.take(space.entry(set_to[0], set_to[1](Policy(1, "none"))))
    assert space.state.policy.links == "none"
    assert refusal(apply_next, space, space.entry(set_to[0], set_to[1](Policy(1, "full")))) is Code.LEDGER_RULE
    assert refusal(apply_next, space, space.entry(set_to[0], set_to[1](Policy(2, "view")))) is Code.UPDATE_REQUIRED
    assert refusal(apply_next, space, space.entry(set_to[0], set_to[1](Policy(0, "view")))) is Code.LEDGER_RULE


def test_roles_that_do_not_exist(space: Space) -> None:
    """A role or a right of no name is malformed, whoever signs it."""

    class Loose(Signed, frozen=True):
        """The invitation's shape without its rules."""

        invitation_id: bytes
        key: bytes
        role: str
        rights: list[str]
        expires_ms: int
        epoch: int
        name: bytes

    honest = invite_body(space, Role.VIEWER, "bert")
    values = (honest.expires_ms, honest.epoch, honest.name)
    for role, rights in (("king", []), ("viewer", ["fly"])):
        body = Loose(honest.invitation_id, honest.key, role, rights, *values)
        assert refusal(apply_next, space, space.entry(LedgerKind.INVITE_MEMBER, body)) is Code.ENTRY_MALFORMED


def test_two_managers_at_once(space: Space, bert: Person) -> None:
    """Of two changes of one member the first counts, and the other's signer is told and signs anew."""
    carla = Person("carla")
    member(space, bert, Role.VIEWER)
    other = member(space, carla, Role.MANAGER)
    late = role_entry(space, bert, Role.CONTRIBUTOR, other)
    space.take(role_entry(space, bert, Role.EDITOR))
    assert refusal(apply_next, space, late) is Code.ENTRY_STALE
    apply_next(space, role_entry(space, bert, Role.CONTRIBUTOR, other))


def test_a_role_of_nobody(space: Space, anna: Person) -> None:
    """The state of a member with another role, as tests make it, has that role's rights."""
    assert with_role(space.state, anna.account_id, Role.VIEWER).rights_of(anna.account_id) == frozenset()
