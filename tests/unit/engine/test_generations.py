"""A shared album's keys: what one opened must be what the ledger shows to everyone, at each tier and back in time."""

import dataclasses

import msgspec
import pytest

from safelight.clients.engine.epochs import EpochSecrets
from safelight.clients.engine.generations import (
    AlbumKeys,
    Place,
    grant_box,
    make_generation,
    open_all_generations,
    open_for_members,
    open_grant_box,
    open_title,
)
from safelight.sync_protocol.account_ledger import Identity
from safelight.sync_protocol.grant_entries import Generation, GrantBox
from safelight.sync_protocol.ledger_state import Grant, Member
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from tests.support.ledgers import Person, id_of, seed_of
from tests.support.refusing import refuses

PLACE = Place(seed_of("space"), id_of("album"))
FULL = seed_of("epoch")
EPOCH = EpochSecrets(3, keytree.view_secret(FULL), FULL)
SEEDS = {tier: seed_of(f"sealing {tier}") for tier in (Tier.VIEW, Tier.FULL)}
TIERS = pytest.mark.parametrize("tier", [Tier.VIEW, Tier.FULL])


def _member(tier: Tier) -> Member:
    """A grantee whose identity can really be sealed to."""
    account = Person(f"grantee {tier}").account
    identity = Identity(account.identity.signing, hpke.public_key(SEEDS[tier]))
    return Member.usual(Role.GRANTEE, dataclasses.replace(account, identity=identity))


MEMBERS = {member.account.account_id: member for member in map(_member, SEEDS)}
IDS = {tier: _member(tier).account.account_id for tier in SEEDS}
GRANTS = {IDS[tier]: Grant(tier, 0, id_of("anna"), 1) for tier in SEEDS}


def made(number: int = 2, previous: AlbumKeys | None = None) -> tuple[Generation, AlbumKeys]:
    """Make a generation for both grantees."""
    return make_generation(PLACE, number, "Sea", EPOCH, GRANTS, MEMBERS, previous)


def opened(generation: Generation, tier: Tier, *more_seeds: bytes) -> AlbumKeys:
    """Open it as the grantee of *tier*."""
    return open_grant_box(PLACE, generation, IDS[tier], [*more_seeds, SEEDS[tier]])


def boxed_as(generation: Generation, tier: Tier, box: GrantBox) -> Generation:
    """The generation with another box for the grantee of *tier*."""
    others = [kept for kept in generation.boxes if kept.account_id != IDS[tier]]
    return msgspec.structs.replace(generation, boxes=[*others, box])


@TIERS
def test_a_grantee_opens_its_tier_and_no_more(tier: Tier) -> None:
    """Also where the box is sealed to a former identity of theirs; the title is of the view tier."""
    generation, keys = made()
    got = opened(generation, tier, seed_of("a newer identity"))
    assert (got.view, got.full) == (keys.view, keys.full if tier is Tier.FULL else None)
    assert open_title(PLACE, generation, got) == "Sea"
    assert repr(got) == "AlbumKeys(number=2)"
    if tier is Tier.VIEW:
        with refuses(Code.FORBIDDEN):
            got.require_full()


@TIERS
def test_different_keys_to_different_grantees(tier: Tier) -> None:
    """A box with other keys than the ledger's inboxes, with none, for another place or tier, or none at all."""
    generation, keys = made()
    _, others = made()
    member = MEMBERS[IDS[tier]]
    moved = [
        grant_box(Place(PLACE.space_id, id_of("other")), keys, member, tier),
        grant_box(Place(seed_of("other"), PLACE.album_id), keys, member, tier),
        grant_box(PLACE, dataclasses.replace(keys, number=3), member, tier),
    ]
    short = hpke.seal(hpke.public_key(SEEDS[tier]), PLACE.box(2, IDS[tier], tier), b"short")
    for box in (
        grant_box(PLACE, others, member, tier),
        *moved,
        GrantBox(IDS[tier], "full" if tier is Tier.FULL else "view", short),
        GrantBox(IDS[tier], "view" if tier is Tier.FULL else "full", next(iter(generation.boxes)).box),
    ):
        with refuses(Code.EPOCH_MISMATCH):
            opened(boxed_as(generation, tier, box), tier)
    with refuses(Code.EPOCH_MISMATCH):
        opened(msgspec.structs.replace(generation, boxes=[]), tier)


def test_one_inbox_that_is_another() -> None:
    """Each tier's inbox is recomputed: nothing is read by keys to which others would not seal."""
    generation, _ = made()
    other, _ = made()
    for field, tiers in (("view_inbox", (Tier.VIEW, Tier.FULL)), ("full_inbox", (Tier.FULL,))):
        false = msgspec.structs.replace(generation, **{field: getattr(other, field)})
        for tier in tiers:
            with refuses(Code.EPOCH_MISMATCH):
                opened(false, tier)
        with refuses(Code.EPOCH_MISMATCH):
            open_for_members(PLACE, false, EPOCH)


def test_members_open_it_by_their_epoch() -> None:
    """At their own tier; a view key that does not come from the album key is another's."""
    generation, keys = made()
    assert open_for_members(PLACE, generation, EPOCH) == keys
    previewing = EpochSecrets(EPOCH.number, EPOCH.view)
    assert open_for_members(PLACE, generation, previewing) == AlbumKeys(2, keys.view)
    _, others = made()
    place = PLACE.key(2, EPOCH.number, Tier.VIEW)
    split = seal_box(EPOCH.view_metadata_key, place, others.view, nonce=random_nonce())
    with refuses(Code.EPOCH_MISMATCH):
        open_for_members(PLACE, msgspec.structs.replace(generation, key_view=split), EPOCH)


@TIERS
def test_what_was_shown_before_opens_by_what_is_handed_down(tier: Tier) -> None:
    """Generation by generation, at one's tier."""
    first, one = made()
    second, two = made(3, one)
    third, three = made(4, two)
    got = open_all_generations(PLACE, [first, second, third], opened(third, tier))
    assert {number: keys.view for number, keys in got.items()} == {2: one.view, 3: two.view, 4: three.view}
    assert [keys.full is not None for keys in got.values()] == [tier is Tier.FULL] * 3


@TIERS
def test_what_hands_down_other_keys_hands_down_none(tier: Tier) -> None:
    """The newest keys still count; what was shown under keys that do not verify is out of reach."""
    first, _ = made()
    _, others = made()
    second, _ = made(3, others)
    assert set(open_all_generations(PLACE, [first, second], opened(second, tier))) == {3}


def test_a_view_key_handed_down_that_is_anothers() -> None:
    """Full readers check both: else they would show pictures under a view key that view readers do not have."""
    first, one = made()
    _, others = made()
    second, two = made(3, one)
    place = PLACE.history(3, Tier.VIEW)
    split = seal_box(keytree.album_view_history_key(two.view), place, others.view, nonce=random_nonce())
    false = msgspec.structs.replace(second, view_history=split)
    for tier in SEEDS:
        assert set(open_all_generations(PLACE, [first, false], opened(false, tier))) == {3}


def test_a_key_that_is_no_key_stops_nobody() -> None:
    """A grantee to whom nothing can be sealed gets noise, and everyone else their keys."""
    broken = dataclasses.replace(_member(Tier.VIEW).account, identity=Identity(bytes(32), bytes(1216)))
    members = {**MEMBERS, IDS[Tier.VIEW]: Member.usual(Role.GRANTEE, broken)}
    generation, keys = make_generation(PLACE, 2, "Sea", EPOCH, GRANTS, members, None)
    assert opened(generation, Tier.FULL) == keys
    with refuses(Code.EPOCH_MISMATCH):
        opened(generation, Tier.VIEW)
