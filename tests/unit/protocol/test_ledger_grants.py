"""Grants in the space ledger: who reads one album and not its space, for how long, and under which keys."""

import pytest
from msgspec.structs import replace

from safelight.sync_protocol import ledger_grants
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from tests.support.grants import ALBUM, end_body, generation_of, give_body, grant_box, open_body, share
from tests.support.ledgers import NOW_MS, Person, Space, apply_next, inbox_of
from tests.support.members import joining, member, remove_entry, role_entry, signer_of
from tests.support.refusing import refusal

LATER_MS = NOW_MS + 60_000


@pytest.fixture
def space() -> Space:
    """Anna's work space."""
    return Space(Person("anna"), "work", "full").create()


@pytest.fixture
def bert(space: Space) -> Person:
    """Who is to be granted an album, and reads nothing else."""
    person = Person("bert")
    member(space, person, Role.GRANTEE)
    return person


def test_a_grantee_reads_what_it_is_granted(space: Space, bert: Person) -> None:
    """One album, at one tier, and nothing of the space."""
    share(space, bert, tier=Tier.FULL)
    state = space.state
    assert state.tier_of(bert.account_id) is Tier.NONE
    assert not state.rights_of(bert.account_id)
    grant = state.grant_of(bert.account_id, ALBUM, NOW_MS)
    assert grant is not None
    assert (grant.tier, grant.given_by, grant.given_ms) == (Tier.FULL, space.owner.account_id, NOW_MS)
    assert state.grant_of(bert.account_id, bytes(16), NOW_MS) is None
    assert state.grant_of(space.owner.account_id, ALBUM, NOW_MS) is None
    assert state.generation_stands(ALBUM, NOW_MS)
    assert [box.account_id for box in state.albums[ALBUM].generation.boxes] == [bert.account_id]


def test_a_grant_expires_by_itself(space: Space, bert: Person) -> None:
    """From then on nobody adds under keys that it has; the next generation has no box for it."""
    share(space, bert, expires_ms=LATER_MS)
    assert space.state.grant_of(bert.account_id, ALBUM, LATER_MS - 1) is not None
    assert space.state.grant_of(bert.account_id, ALBUM, LATER_MS) is None
    assert space.state.generation_stands(ALBUM, LATER_MS - 1)
    assert not space.state.generation_stands(ALBUM, LATER_MS)
    with_box = open_body(space, at_ms=LATER_MS - 1)
    entry = space.entry(LedgerKind.OPEN_GENERATION, with_box, signed_ms=LATER_MS)
    assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    entry = space.entry(LedgerKind.OPEN_GENERATION, open_body(space, at_ms=LATER_MS), signed_ms=LATER_MS)
    space.take(entry)
    assert not space.state.albums[ALBUM].grants
    assert space.state.generation_stands(ALBUM, LATER_MS)
    assert space.state.grant_of(bert.account_id, ALBUM, NOW_MS) is None


def test_an_ended_grant_comes_with_new_keys(space: Space, bert: Person) -> None:
    """They have a box for everyone else, and none for who is out."""
    chris = Person("chris")
    member(space, chris, Role.PREVIEWER)
    share(space, bert)
    share(space, chris, tier=Tier.FULL)
    space.take(space.entry(LedgerKind.END_GRANT, end_body(space, bert)))
    album = space.state.albums[ALBUM]
    assert album.generation.number == 3
    assert [(box.account_id, box.tier) for box in album.generation.boxes] == [(chris.account_id, "full")]
    assert not album.generations[0].boxes
    assert set(album.grants) == {chris.account_id}
    again = space.entry(LedgerKind.END_GRANT, end_body(space, bert))
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE


def test_who_leaves_the_space_loses_its_albums(space: Space, bert: Person) -> None:
    """The epoch ends, and with it what was sealed to its members; back in, they have no grant."""
    share(space, bert)
    space.take(remove_entry(space, bert))
    assert space.state.grant_of(bert.account_id, ALBUM, NOW_MS) is None
    assert not space.state.albums[ALBUM].grants
    assert not space.state.generation_stands(ALBUM, NOW_MS)
    other = Person("dora")
    member(space, other, Role.GRANTEE)
    late = space.entry(LedgerKind.GIVE_GRANT, give_body(space, other))
    assert refusal(apply_next, space, late) is Code.GENERATION_OLD
    space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
    share(space, other)
    assert space.state.grant_of(other.account_id, ALBUM, NOW_MS) is not None
    space.take(remove_entry(space, other))


def test_a_removal_touches_no_other_album(space: Space, bert: Person) -> None:
    """Who has no grant takes none along."""
    chris = Person("chris")
    member(space, chris, Role.GRANTEE)
    share(space, bert)
    assert ledger_grants.without_grants_of(space.state, chris.account_id) is space.state


def test_a_grant_that_stands_is_only_widened(space: Space, bert: Person) -> None:
    """Less needs new keys, and so an end before it."""
    share(space, bert, expires_ms=LATER_MS)
    for tier, expires_ms, fits in (
        (Tier.VIEW, LATER_MS - 1, False),
        (Tier.VIEW, LATER_MS, True),
        (Tier.FULL, LATER_MS - 1, False),
        (Tier.FULL, LATER_MS, True),
        (Tier.VIEW, LATER_MS + 1, True),
        (Tier.FULL, 0, True),
    ):
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, tier, expires_ms=expires_ms))
        if not fits:
            assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
            continue
        grants = apply_next(space, entry).albums[ALBUM].grants
        assert (grants[bert.account_id].tier, grants[bert.account_id].expires_ms) == (tier, expires_ms)
    share(space, bert, tier=Tier.FULL)
    assert len(space.state.albums[ALBUM].generation.boxes) == 1
    for tier, expires_ms in ((Tier.VIEW, 0), (Tier.FULL, LATER_MS)):
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, tier, expires_ms=expires_ms))
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_what_a_grant_may_not_be(space: Space, bert: Person) -> None:
    """Of an album that is not shared, to a stranger, under other keys, over already, or of nothing new."""
    not_shared = space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, generation=2))
    assert refusal(apply_next, space, not_shared) is Code.LEDGER_RULE
    share(space)
    viewer = Person("vera")
    member(space, viewer, Role.VIEWER)
    for person, tier, changes, code in (
        (Person("stranger"), Tier.VIEW, {}, Code.LEDGER_RULE),
        (bert, Tier.VIEW, {"generation": 3}, Code.GENERATION_OLD),
        (bert, Tier.VIEW, {"expires_ms": NOW_MS}, Code.LEDGER_RULE),
        (viewer, Tier.FULL, {}, Code.LEDGER_RULE),
        (viewer, Tier.VIEW, {}, Code.LEDGER_RULE),
    ):
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, tier, **changes))  # type: ignore[arg-type]  # values by name
        assert refusal(apply_next, space, entry) is code


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_who_may_share(space: Space, bert: Person, role: Role) -> None:
    """Managers give and end grants; who organises and reads all begins keys."""
    other = Person("otto")
    signer = member(space, other, role)
    gives = Right.MEMBERS in RIGHTS[role]
    for kind, body, may in (
        (LedgerKind.OPEN_GENERATION, open_body, Right.ORGANISE in RIGHTS[role]),
        (LedgerKind.GIVE_GRANT, lambda space: give_body(space, bert), gives),
        (LedgerKind.END_GRANT, lambda space: end_body(space, bert), gives),
    ):
        entry = space.entry(kind, body(space), signer)
        if may:
            apply_next(space, entry)
        else:
            assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING
        share(space, *([] if kind is LedgerKind.OPEN_GENERATION else [bert]))


def test_who_may_not_give_what_it_could(space: Space, bert: Person) -> None:
    """A manager gives nothing to managers; whoever gave a grant ends it, also as no manager any more."""
    max_, other = Person("max"), Person("mia")
    by_max = member(space, max_, Role.MANAGER)
    member(space, other, Role.MANAGER)
    share(space)
    to_manager = space.entry(LedgerKind.GIVE_GRANT, give_body(space, other), by_max)
    assert refusal(apply_next, space, to_manager) is Code.RIGHT_MISSING
    space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert), by_max), by_max)
    space.take(role_entry(space, max_, Role.EDITOR))
    apply_next(space, space.entry(LedgerKind.END_GRANT, end_body(space, bert), by_max))
    space.take(role_entry(space, max_, Role.PREVIEWER))
    ended = space.entry(LedgerKind.END_GRANT, end_body(space, bert), by_max)
    assert refusal(apply_next, space, ended) is Code.RIGHT_MISSING


def test_organising_alone_makes_no_keys(space: Space) -> None:
    """*A previewer that makes itself a reader*: keys are their maker's."""
    paula = Person("paula")
    by_paula = member(space, paula, Role.EDITOR)
    previewing = replace(space.state.members[paula.account_id], role=Role.PREVIEWER)
    space.ledger = replace(space.state, members={**space.state.members, paula.account_id: previewing})
    entry = space.entry(LedgerKind.OPEN_GENERATION, open_body(space), by_paula)
    assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


def test_a_vaults_albums_are_not_shared() -> None:
    """Vault spaces allow no links and no grants."""
    vault = Space(Person("anna"), "vault", "none").create()
    entry = vault.entry(LedgerKind.OPEN_GENERATION, open_body(vault))
    assert refusal(apply_next, vault, entry) is Code.POLICY_FORBIDS


def test_what_a_generation_may_not_be(space: Space, bert: Person) -> None:
    """Of another number or epoch, with keys that were there before, with boxes too many or too few."""
    first = generation_of(space)
    unfit: tuple[tuple[dict[str, object], Code], ...] = (
        ({"number": 3}, Code.GENERATION_OLD),
        ({"epoch": 2}, Code.EPOCH_OLD),
        ({"full_history": b"some"}, Code.LEDGER_RULE),
        ({"view_history": b"some"}, Code.LEDGER_RULE),
        ({"view_inbox": first.full_inbox}, Code.LEDGER_RULE),
        ({"boxes": [grant_box(bert.account_id)]}, Code.LEDGER_RULE),
    )
    for changes, code in unfit:
        entry = space.entry(LedgerKind.OPEN_GENERATION, open_body(space, **changes))  # type: ignore[arg-type]  # values by name
        assert refusal(apply_next, space, entry) is code
    share(space, bert)
    box = grant_box(bert.account_id)
    wrong: tuple[tuple[dict[str, object], Code], ...] = (
        ({"number": 2}, Code.GENERATION_OLD),
        ({"full_history": b""}, Code.LEDGER_RULE),
        ({"view_history": b""}, Code.LEDGER_RULE),
        ({"full_inbox": first.view_inbox}, Code.LEDGER_RULE),
        ({"view_inbox": first.full_inbox}, Code.LEDGER_RULE),
        ({"boxes": []}, Code.LEDGER_RULE),
        ({"boxes": [box, box]}, Code.LEDGER_RULE),
        ({"boxes": [grant_box(bert.account_id, Tier.FULL)]}, Code.LEDGER_RULE),
    )
    for changes, code in wrong:
        entry = space.entry(LedgerKind.OPEN_GENERATION, open_body(space, **changes))  # type: ignore[arg-type]  # values by name
        assert refusal(apply_next, space, entry) is code


def test_an_epoch_ends_every_generation(space: Space, bert: Person) -> None:
    """Who left with the epoch had the keys of all albums; grants go on under the next generation."""
    share(space, bert)
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
    assert not space.state.generation_stands(ALBUM, NOW_MS)
    assert space.state.grant_of(bert.account_id, ALBUM, NOW_MS) is not None
    space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
    assert space.state.generation_stands(ALBUM, NOW_MS)
    assert [box.account_id for box in space.state.albums[ALBUM].generation.boxes] == [bert.account_id]


def test_no_more_than_the_limits(space: Space, bert: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither albums nor grants without end."""
    share(space, bert)
    monkeypatch.setattr(ledger_grants, "MAX_SHARED_ALBUMS", 1)
    monkeypatch.setattr(ledger_grants, "MAX_GRANTS", 1)
    another = replace(open_body(space), album_id=bytes(16))
    another = replace(another, generation=generation_of(space, album=bytes(16)))
    assert refusal(apply_next, space, space.entry(LedgerKind.OPEN_GENERATION, another)) is Code.LEDGER_RULE
    chris = Person("chris")
    member(space, chris, Role.GRANTEE)
    given = space.entry(LedgerKind.GIVE_GRANT, give_body(space, chris))
    assert refusal(apply_next, space, given) is Code.LEDGER_RULE
    apply_next(space, space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, Tier.FULL)))


def test_who_only_joined_has_no_grant(space: Space) -> None:
    """Keys are sealed to members, whose own keys were confirmed."""
    share(space)
    chris = Person("chris")
    joining(space, chris, Role.GRANTEE)
    entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, chris))
    assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_inboxes_of_other_albums_are_their_own(space: Space) -> None:
    """What must be new is new within its album."""
    share(space)
    other = replace(open_body(space), album_id=bytes(16), generation=generation_of(space, album=bytes(16)))
    space.take(space.entry(LedgerKind.OPEN_GENERATION, other))
    assert space.state.albums[bytes(16)].generation.full_inbox == inbox_of(f"full {bytes(16).hex()} 2")


def test_a_grant_may_let_its_member_add(space: Space, bert: Person) -> None:
    """To the album and so to the space, for as long as it stands, and to no other album."""
    share(space)
    body = give_body(space, bert, expires_ms=LATER_MS, can_add=True)
    space.take(space.entry(LedgerKind.GIVE_GRANT, body))
    state = space.state
    assert state.may_add_to(bert.account_id, ALBUM, LATER_MS - 1)
    assert not state.may_add_to(bert.account_id, ALBUM, LATER_MS)
    assert not state.may_add_to(bert.account_id, bytes(16), NOW_MS)
    assert state.adds_by_grant(bert.account_id, NOW_MS)
    assert not state.adds_by_grant(bert.account_id, LATER_MS)
    assert not state.adds_by_grant(space.owner.account_id, NOW_MS)
    assert not state.rights_of(bert.account_id)
    space.take(space.entry(LedgerKind.END_GRANT, end_body(space, bert)))
    assert not space.state.may_add_to(bert.account_id, ALBUM, NOW_MS)


def test_adding_is_never_taken_from_a_grant_that_stands(space: Space, bert: Person) -> None:
    """It is given to one that does not let its member add; a later one has it again, or is no widening."""
    share(space, bert)
    assert not space.state.may_add_to(bert.account_id, ALBUM, NOW_MS)
    assert not space.state.adds_by_grant(bert.account_id, NOW_MS)
    space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, can_add=True)))
    assert space.state.may_add_to(bert.account_id, ALBUM, NOW_MS)
    narrowed = space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, Tier.FULL))
    assert refusal(apply_next, space, narrowed) is Code.LEDGER_RULE
    apply_next(space, space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, Tier.FULL, can_add=True)))


def test_who_lets_others_add_adds_itself(space: Space, bert: Person) -> None:
    """*A manager that lets a friend do what it may not*: adding is given by who adds and organises."""
    share(space)
    for name, missing in (("max", Right.ADD), ("mia", Right.ORGANISE)):
        by_manager = member(space, Person(name), Role.MANAGER, RIGHTS[Role.MANAGER] - {missing})
        apply_next(space, space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert), by_manager))
        adding = space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, can_add=True), by_manager)
        assert refusal(apply_next, space, adding) is Code.RIGHT_MISSING
    by_whole = member(space, Person("moe"), Role.MANAGER)
    apply_next(space, space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, can_add=True), by_whole))


def test_who_reads_all_may_be_let_add(space: Space) -> None:
    """A viewer, and not an editor, who adds already; a contributor adds to the space, and not to the album yet."""
    share(space)
    for name, role, code in (
        ("vera", Role.VIEWER, None),
        ("paul", Role.PREVIEWER, None),
        ("carl", Role.CONTRIBUTOR, None),
        ("eve", Role.EDITOR, Code.LEDGER_RULE),
    ):
        person = Person(name)
        member(space, person, role)
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, can_add=True))
        if code:
            assert refusal(apply_next, space, entry) is code
        else:
            assert apply_next(space, entry).may_add_to(person.account_id, ALBUM, NOW_MS)


def test_a_grant_to_add_certifies_no_camera(space: Space, bert: Person) -> None:
    """*A grantee whose phones go on adding* after its grant ended, or to the rest of the space."""
    share(space)
    space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, bert, can_add=True)))
    by_bert = signer_of(bert)
    position = space.log.devices[by_bert.author_id + by_bert.device_id]
    by_bert.counter, by_bert.last_id = position.counter, position.entry_id
    entry = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), by_bert)
    assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING
