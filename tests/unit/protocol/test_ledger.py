"""The space ledger: each rule with what it lets through and what it stops."""

from dataclasses import replace

import msgspec
import pytest

from safelight.sync_protocol import ledger, ledger_entries, ledger_state, log, signatures
from safelight.sync_protocol.account_ledger import AccountKind, AddDeviceBody, SetUnlockerBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role, Tier, reads
from safelight.sync_protocol.wire import pack
from tests.support.ledgers import Person, Signer, Space, apply_next, id_of, inbox_of, seed_of
from tests.support.refusing import refusal


def test_genesis_makes_its_signer_the_owner(space: Space, anna: Person) -> None:
    """After genesis the creator is the owner, reads all and may do all."""
    assert space.state.members[anna.account_id].role is Role.OWNER
    assert space.state.tier_of(anna.account_id) is Tier.FULL
    assert space.state.rights_of(anna.account_id) == frozenset(Right)
    assert space.state.epoch.number == 1
    assert space.state.head == Head(1, space.frames[0].entry_id)


def test_strangers_have_nothing(space: Space) -> None:
    """Who is no member has no tier, no right and no key."""
    stranger = id_of("stranger")
    assert space.state.tier_of(stranger) is Tier.NONE
    assert space.state.rights_of(stranger) == frozenset()
    assert space.state.signing_key(stranger, stranger) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"counter": 2},
        {"previous_id": seed_of("previous")},
        {"space_id": seed_of("space")},
        {"ledger": Head(0, seed_of("x"))},
        {"log": Head(0, seed_of("x"))},
        {"ledger": Head(1, b"")},
        {"log": Head(1, b"")},
    ],
)
def test_nothing_comes_before_a_genesis(anna: Person, changes: dict[str, object]) -> None:
    """A genesis that refers to anything is refused."""
    space = Space(anna)
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(), None, **changes)
    assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_a_genesis_stands_only_first(space: Space, anna: Person) -> None:
    """Neither into a space that exists, nor at a later slot, nor after nothing but another kind."""
    again = Space(anna).entry(LedgerKind.CREATE_SPACE, space.genesis_body())
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE
    assert refusal(ledger.apply, None, again, 2) is Code.LEDGER_RULE
    first = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body())
    assert refusal(ledger.apply, None, first, 1) is Code.LEDGER_RULE


def test_a_genesis_in_anothers_name(anna: Person) -> None:
    """A space exists for me only if my identity signed it: a server with my ledger alone cannot make one."""
    bert, space = Person("bert"), Space(anna)
    other = Signer(bert.account_id, bert.device_id, bert.device_seed)
    by_bert = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(), other)
    assert refusal(apply_next, space, by_bert) is Code.SIGNER_UNKNOWN
    forger = Signer(anna.account_id, anna.device_id, bert.device_seed)
    forged = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(), forger)
    assert refusal(apply_next, space, forged) is Code.SIGNATURE_INVALID
    packed = pack(space.terms)
    by_device = signatures.sign(anna.device_seed, context(Label.SIGN_GENESIS_IDENTITY, anna.device_id, packed))
    entry = space.entry(LedgerKind.CREATE_SPACE, ledger_entries.CreateSpaceBody(packed, by_device))
    assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID
    wrong_account = msgspec.structs.replace(space.terms, account_id=bert.account_id)
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(wrong_account))
    assert refusal(apply_next, space, entry) is Code.SIGNER_UNKNOWN
    anna.add_device("second")
    anna.revoke_device(anna.device_id)
    revoked = Space(anna)
    entry = revoked.entry(LedgerKind.CREATE_SPACE, revoked.genesis_body())
    assert refusal(apply_next, revoked, entry) is Code.SIGNER_UNKNOWN


def test_a_genesis_does_not_hand_its_space_to_another(anna: Person) -> None:
    """Anna's device and identity signed all of it; only the owner's name is Bert's, in terms, header or both."""
    bert, space = Person("bert"), Space(anna)
    for_bert = space.genesis_body(msgspec.structs.replace(space.terms, account_id=bert.account_id))
    for body, author_id in (
        (for_bert, bert.account_id),
        (for_bert, anna.account_id),
        (space.genesis_body(), bert.account_id),
    ):
        entry = space.entry(LedgerKind.CREATE_SPACE, body, author_id=author_id)
        assert refusal(apply_next, space, entry) is Code.SIGNER_UNKNOWN


def test_a_genesis_is_of_the_device_that_the_identity_named(anna: Person) -> None:
    """Another device of the account, stolen perhaps, makes no second space of terms that were signed for the first."""
    device_id, seed = anna.add_device("laptop")
    space = Space(anna)
    laptop = Signer(anna.account_id, device_id, seed)
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(), laptop)
    assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID


def test_a_space_of_a_later_version_asks_for_an_update(anna: Person) -> None:
    """The policy carries the lowest version, so that a server cannot downgrade everyone."""
    space = Space(anna)
    terms = msgspec.structs.replace(space.terms, policy=Policy(2, "view"))
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(terms))
    assert refusal(apply_next, space, entry) is Code.UPDATE_REQUIRED


@pytest.mark.parametrize(
    ("kind", "links", "allowed"),
    [
        ("family", "view", True),
        ("family", "full", False),
        ("work", "full", True),
        ("work", "none", True),
        ("vault", "none", True),
        ("vault", "view", False),
    ],
)
def test_a_spaces_kind_bounds_its_links(anna: Person, kind: str, links: str, allowed: bool) -> None:
    """A family space never hands out originals by a link, a vault nothing at all."""
    space = Space(anna, kind, links)
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body())
    if allowed:
        assert apply_next(space, entry).policy.links == links
    else:
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_an_epoch_has_exactly_one_box_a_reader(anna: Person) -> None:
    """A box too many, too few, twice or of the wrong tier is refused, and so is a wrong number."""
    space = Space(anna)
    me, stranger = (anna.account_id, Tier.FULL), (id_of("stranger"), Tier.FULL)
    for readers in ([], [me, me], [me, stranger], [stranger], [(anna.account_id, Tier.VIEW)]):
        terms = msgspec.structs.replace(space.terms, epoch=space.epoch(1, readers))
        entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(terms))
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    second = msgspec.structs.replace(space.terms, epoch=space.epoch(2, [me]))
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(second))
    assert refusal(apply_next, space, entry) is Code.EPOCH_OLD
    odd = msgspec.structs.replace(space.terms.epoch, full_history=b"history")
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(msgspec.structs.replace(space.terms, epoch=odd)))
    assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    odd = msgspec.structs.replace(space.terms.epoch, view_history=b"history")
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(msgspec.structs.replace(space.terms, epoch=odd)))
    assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_epochs_rotate_by_who_may_manage(space: Space, anna: Person) -> None:
    """An owner begins a new epoch; its number follows; a camera may not."""
    camera = space.camera()
    by_camera = space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch()), camera)
    assert refusal(apply_next, space, by_camera) is Code.RIGHT_MISSING
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    assert space.state.epoch.number == 2
    assert [epoch.number for epoch in space.state.epochs] == [1, 2]
    skipping = ledger_entries.RotateEpochBody(space.epoch(4, [(anna.account_id, Tier.FULL)]))
    assert refusal(apply_next, space, space.entry(LedgerKind.ROTATE_EPOCH, skipping)) is Code.EPOCH_OLD


def test_no_epoch_has_an_inbox_of_any_before(space: Space) -> None:
    """Of thirteen epochs every inbox is known, whichever tier it was of; under one, who was removed would read on."""
    for _ in range(12):
        space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    new = space.next_epoch()
    for old in space.state.epochs:
        for known in (old.full_inbox, old.view_inbox):
            for again in ({"full_inbox": known}, {"view_inbox": known}):
                body = ledger_entries.RotateEpochBody(msgspec.structs.replace(new, **again))
                assert refusal(apply_next, space, space.entry(LedgerKind.ROTATE_EPOCH, body)) is Code.LEDGER_RULE
    assert sum(map(len, space.state.inboxes)) == 26
    assert len(space.state.inboxes) == 3, "many sets would be searched as slowly as many epochs"
    apply_next(space, space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(new)))


def test_ledger_entries_name_the_one_before(space: Space) -> None:
    """Of two entries signed on the same ledger only the first counts; the other's signer signs again."""
    body = ledger_entries.RotateEpochBody(space.next_epoch())
    late = space.entry(LedgerKind.ROTATE_EPOCH, body)
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    assert refusal(apply_next, space, late) is Code.ENTRY_STALE


def test_entries_of_another_space_are_refused(space: Space) -> None:
    """An entry replayed into another space is refused, ledger entry or not."""
    entry = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), space_id=seed_of("other"))
    assert refusal(apply_next, space, entry) is Code.ENTRY_WRONG_SPACE
    assert refusal(ledger_state.authorise, space.state, entry, None) is Code.ENTRY_WRONG_SPACE


def test_a_new_laptop_announces_itself(space: Space, anna: Person) -> None:
    """Any device of the account may post its new head, also one that only the new entries name."""
    device_id, seed = anna.add_device("laptop")
    laptop = Signer(anna.account_id, device_id, seed)
    early = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), laptop)
    assert refusal(apply_next, space, early) is Code.SIGNER_UNKNOWN
    body = ledger_entries.AdvanceAccountBody(anna.account_id, anna.entries[1:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, body, laptop), laptop)
    assert space.state.signing_key(anna.account_id, device_id) == signatures.public_key_of(seed)


def test_nobody_advances_anothers_account(space: Space, anna: Person) -> None:
    """Entries for a stranger's account, or in another author's name, are refused."""
    bert = Person("bert")
    body = ledger_entries.AdvanceAccountBody(bert.account_id, bert.entries, None)
    assert refusal(apply_next, space, space.entry(LedgerKind.ADVANCE_ACCOUNT, body)) is Code.SIGNER_UNKNOWN
    camera = space.camera()
    body = ledger_entries.AdvanceAccountBody(anna.account_id, [anna.entries[0]], None)
    entry = space.entry(LedgerKind.ADVANCE_ACCOUNT, body, camera)
    assert refusal(apply_next, space, entry) is Code.SIGNER_UNKNOWN
    replayed = ledger_entries.AdvanceAccountBody(anna.account_id, [anna.entries[0]], None)
    entry = space.entry(LedgerKind.ADVANCE_ACCOUNT, replayed)
    assert refusal(apply_next, space, entry) is Code.ACCOUNT_LEDGER_CONFLICT


def test_taking_a_device_away_needs_a_new_epoch(space: Space, anna: Person) -> None:
    """A revoked device that could read is one entry together with a new epoch, or nothing."""
    laptop, seed = anna.add_device("laptop")
    space.take(
        space.entry(
            LedgerKind.ADVANCE_ACCOUNT, ledger_entries.AdvanceAccountBody(anna.account_id, anna.entries[1:], None)
        )
    )
    anna.revoke_device(laptop)
    bare = ledger_entries.AdvanceAccountBody(anna.account_id, anna.entries[2:], None)
    assert refusal(apply_next, space, space.entry(LedgerKind.ADVANCE_ACCOUNT, bare)) is Code.EPOCH_REQUIRED
    whole = ledger_entries.AdvanceAccountBody(anna.account_id, anna.entries[2:], space.next_epoch())
    by_itself = space.entry(LedgerKind.ADVANCE_ACCOUNT, whole, Signer(anna.account_id, laptop, seed))
    assert refusal(apply_next, space, by_itself) is Code.SIGNER_UNKNOWN
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, whole))
    assert space.state.signing_key(anna.account_id, laptop) is None
    assert space.state.epoch.number == 2


def test_an_unlocker_needs_no_epoch(space: Space, anna: Person) -> None:
    """A password change takes no reach away here."""
    anna.take(anna.entry(AccountKind.SET_UNLOCKER, SetUnlockerBody("password", seed_of("wrapped"))))
    body = ledger_entries.AdvanceAccountBody(anna.account_id, anna.entries[1:], None)
    assert apply_next(space, space.entry(LedgerKind.ADVANCE_ACCOUNT, body)).epoch.number == 1


def test_unknown_kinds_stop_the_space_only_where_they_are_critical(space: Space, anna: Person) -> None:
    """A later version's ledger entry is passed over in order, or asks for an update."""
    body = ledger_entries.RotateEpochBody(space.next_epoch())
    critical = space.entry("policy.something-new", body)
    assert refusal(apply_next, space, critical) is Code.ENTRY_UNKNOWN_CRITICAL
    assert refusal(ledger.apply, None, critical, 1) is Code.ENTRY_UNKNOWN_CRITICAL
    harmless = space.entry("policy.something-new", body, critical=False)
    stale = space.entry("policy.something-new", body, critical=False, ledger=NO_HEAD)
    assert refusal(apply_next, space, stale) is Code.ENTRY_STALE
    stranger = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))
    by_stranger = space.entry("policy.something-new", body, stranger, critical=False)
    assert refusal(apply_next, space, by_stranger) is Code.SIGNER_UNKNOWN
    space.take(harmless)
    assert space.state.head == Head(2, harmless.id)
    assert space.state.epoch.number == 1


def test_ledger_and_record_kinds_are_told_apart() -> None:
    """Kinds of the families of who belong to the ledger, known or not."""
    assert all(ledger_entries.is_ledger_kind(kind) for kind in (*LedgerKind, "member.join", "grant.add", "hold.set"))
    assert not any(
        ledger_entries.is_ledger_kind(kind) for kind in ("roll.open", "asset.add", "album.add", "link.publish")
    )


def test_a_body_of_another_shape_is_malformed(space: Space) -> None:
    """A known kind with another kind's body."""
    entry = space.entry(LedgerKind.ROTATE_EPOCH, AddDeviceBody(id_of("x"), seed_of("x")))
    assert refusal(apply_next, space, entry) is Code.ENTRY_MALFORMED


def test_an_identity_that_changed_is_lost_reach(space: Space, anna: Person) -> None:
    """Rotation of the identity is judged like a device that was taken away."""
    changed = replace(anna.account, identity=msgspec.structs.replace(anna.identity, sealing=inbox_of("new")))
    assert ledger._lost_reach(anna.account, changed)
    assert not ledger._lost_reach(anna.account, anna.account)


def test_full_implies_view() -> None:
    """Tiers are ordered."""
    assert reads(Tier.FULL, Tier.VIEW)
    assert reads(Tier.VIEW, Tier.VIEW)
    assert not reads(Tier.VIEW, Tier.FULL)
    assert not reads(Tier.NONE, Tier.VIEW)


def test_unmatched_bodies_are_not_taken(space: Space) -> None:
    """The last arm of the table: a body that no rule takes is refused, never passed."""
    entry = space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch()))
    assert refusal(ledger._change, space.state, entry, log.NO_HEAD) is Code.ENTRY_UNKNOWN_CRITICAL
