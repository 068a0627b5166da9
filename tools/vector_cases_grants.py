"""Vectors of grants: albums shared with people who read nothing else of the space, as readers take or refuse them."""

import hashlib
from functools import partial

import msgspec
from msgspec.structs import replace

from safelight.sync_protocol import album_log, log
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.grant_entries import OpenGenerationBody
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.limits import MAX_GRANT_BOX_SIZE_BYTES, MAX_GRANTS
from safelight.sync_protocol.log import NO_HEAD, Entry
from safelight.sync_protocol.records import AddToAlbumBody, AlbumItem, RecordKind, RenditionName
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from tests.support.grants import (
    ALBUM,
    generation_of,
    give_body,
    grant_box,
    open_body,
    share,
    shown,
)
from tests.support.ledgers import NOW_MS, Person, Space, id_of, inbox_of, seed_of
from tests.support.members import joining, member, remove_entry, role_entry
from tools.vector_builder import Cases
from tools.vector_cases_adding import adding
from tools.vector_cases_organising import organising
from tools.vector_cases_pointing import pointing
from tools.vector_operations import Values
from tools.vector_shared_albums import LATER_MS, Next, Shared, add, judge, replay


def grants() -> list[Values]:
    """Return the cases."""
    cases = Cases()
    _begun(cases)
    _generations_against_the_rules(cases)
    _given(cases)
    _not_given(cases)
    _ended(cases)
    _expired(cases)
    _with_the_epoch(cases)
    _shown_in_albums(cases)
    pointing(cases)
    adding(cases)
    organising(cases)
    _albums_logs(cases)
    return cases.cases


def _begun(cases: Cases) -> None:
    for name, make, expect in (
        ("", lambda s: s.open(), None),
        (" by an editor", lambda s: s.open(s.with_chris(Role.EDITOR)), None),
        (" by a viewer", lambda s: s.open(s.with_chris(Role.VIEWER)), Code.RIGHT_MISSING),
        (" by a grantee", lambda s: s.open(s.by_bert), Code.RIGHT_MISSING),
        (" by a camera", lambda s: s.open(s.space.camera()), Code.RIGHT_MISSING),
        (" by who has not the owner's key", lambda s: s.open(s.forger()), Code.SIGNATURE_INVALID),
        (" and another one, with inboxes of the first", _another_album, None),
    ):
        replay(cases, f"an album is shared{name}", make, expect)
    vault = Space(Person("anna"), "vault", "none").create()
    entry = vault.entry(LedgerKind.OPEN_GENERATION, open_body(vault))
    add(cases, "an album of a vault is shared", vault, entry, Code.POLICY_FORBIDS)
    replay(cases, "a generation without need", lambda s: s.given().open())


def _another_album(shared: Shared) -> Entry:
    other, first = bytes(16), shared.begun().space.state.albums[ALBUM].generation
    generation = generation_of(shared.space, album=other, full_inbox=first.full_inbox, view_inbox=first.view_inbox)
    return shared.space.entry(LedgerKind.OPEN_GENERATION, OpenGenerationBody(other, generation))


def _generations_against_the_rules(cases: Cases) -> None:
    """Under each of them a grant that ended could read on, or one that stands no longer could."""
    full, view = (inbox_of(f"{tier} {ALBUM.hex()} 2") for tier in ("full", "view"))
    box = grant_box(Person("bert").account_id)
    whole = grant_box(Person("bert").account_id, Tier.FULL)
    first: tuple[tuple[str, str, object, Code], ...] = (
        ("of number 1", "number", 1, Code.ENTRY_MALFORMED),
        ("of number 3", "number", 3, Code.GENERATION_OLD),
        ("of an epoch to come", "epoch", 2, Code.EPOCH_OLD),
        ("with full keys before it", "full_history", b"some", Code.LEDGER_RULE),
        ("with view keys before it", "view_history", b"some", Code.LEDGER_RULE),
        ("with one inbox for both tiers", "view_inbox", full, Code.LEDGER_RULE),
        ("with a box for nobody's grant", "boxes", [box], Code.LEDGER_RULE),
        ("with as many boxes as may be", "boxes", [box] * MAX_GRANTS, Code.LEDGER_RULE),
        ("with more boxes than may be", "boxes", [box] * (MAX_GRANTS + 1), Code.ENTRY_MALFORMED),
    )
    for name, field, value, expect in first:
        replay(cases, f"the first generation {name}", partial(_opened, field, value), expect)
    following: tuple[tuple[str, str, object, Code], ...] = (
        ("of the same number", "number", 2, Code.GENERATION_OLD),
        ("without the full keys before it", "full_history", b"", Code.LEDGER_RULE),
        ("without the view keys before it", "view_history", b"", Code.LEDGER_RULE),
        ("under the full inbox before", "full_inbox", full, Code.LEDGER_RULE),
        ("under the view inbox before", "view_inbox", view, Code.LEDGER_RULE),
        ("under the view inbox before, for the full tier", "full_inbox", view, Code.LEDGER_RULE),
        ("without the box of a grant", "boxes", [], Code.LEDGER_RULE),
        ("with a box twice", "boxes", [box, box], Code.LEDGER_RULE),
        ("with a box of another tier", "boxes", [whole], Code.LEDGER_RULE),
    )
    for name, field, value, expect in following:
        replay(cases, f"the next generation {name}", partial(_opened_next, field, value), expect)
    replay(cases, "a generation under an inbox of long ago", partial(_opened_later, full), Code.LEDGER_RULE)


def _opened(field: str, value: object, shared: Shared) -> Entry:
    return shared.open(**{field: value})  # type: ignore[arg-type]  # values by name


def _opened_next(field: str, value: object, shared: Shared) -> Entry:
    return _opened(field, value, shared.given())


def _opened_later(inbox: bytes, shared: Shared) -> Entry:
    return shared.begun().after(shared.open()).after(shared.open()).open(view_inbox=inbox)


def _given(cases: Cases) -> None:
    for name, make in (
        ("to a grantee", lambda s: s.begun().give()),
        ("to a grantee, of the full tier", lambda s: s.begun().give(tier=Tier.FULL)),
        ("to a grantee, for a minute", lambda s: s.begun().give(expires_ms=LATER_MS)),
        ("to a previewer, of the full tier", lambda s: _to(s.begun(), Role.PREVIEWER, Tier.FULL)),
        ("to a contributor", lambda s: _to(s.begun(), Role.CONTRIBUTOR, Tier.VIEW)),
        ("to two", lambda s: _to(s.given(), Role.GRANTEE, Tier.FULL)),
        ("by a manager", lambda s: s.begun().give(signer=s.with_chris(Role.MANAGER))),
        ("again as it is", lambda s: s.given().give()),
        ("again, for as long", lambda s: s.given(expires_ms=LATER_MS).give(expires_ms=LATER_MS)),
        ("again, of the full tier", lambda s: s.given().give(tier=Tier.FULL)),
        ("again, for longer", lambda s: s.given(expires_ms=LATER_MS).give(expires_ms=LATER_MS + 1)),
        ("again, without an end", lambda s: s.given(expires_ms=LATER_MS).give(tier=Tier.FULL)),
        ("again, after it ended", lambda s: s.given(Tier.FULL).ended().give()),
        ("under a later generation", lambda s: s.begun().after(s.open()).give()),
    ):
        replay(cases, f"a grant is given {name}", make)


def _to(shared: Shared, role: Role, tier: Tier) -> Entry:
    shared.with_chris(role)
    return shared.give(shared.chris, tier)


def _not_given(cases: Cases) -> None:
    for name, make, expect in (
        ("of an album that is not shared", lambda s: s.give(generation=2), Code.LEDGER_RULE),
        ("to a stranger", lambda s: s.begun().give(s.chris), Code.LEDGER_RULE),
        ("to who joined and was not admitted", _to_who_only_joined, Code.LEDGER_RULE),
        ("to a viewer", lambda s: _to(s.begun(), Role.VIEWER, Tier.FULL), Code.LEDGER_RULE),
        ("to a previewer, of the view tier", lambda s: _to(s.begun(), Role.PREVIEWER, Tier.VIEW), Code.LEDGER_RULE),
        ("to oneself", lambda s: s.begun().give(s.space.owner), Code.LEDGER_RULE),
        ("under a generation to come", lambda s: s.begun().give(generation=3), Code.GENERATION_OLD),
        ("under an old generation", lambda s: s.begun().after(s.open()).give(generation=2), Code.GENERATION_OLD),
        ("that is over already", lambda s: s.begun().give(expires_ms=NOW_MS), Code.LEDGER_RULE),
        ("again, of less than it", lambda s: s.given(Tier.FULL).give(), Code.LEDGER_RULE),
        ("again, for less time", lambda s: s.given(expires_ms=LATER_MS).give(expires_ms=NOW_MS + 1), Code.LEDGER_RULE),
        ("again, with an end", lambda s: s.given().give(tier=Tier.FULL, expires_ms=LATER_MS), Code.LEDGER_RULE),
        ("by an editor", lambda s: s.begun().give(signer=s.with_chris(Role.EDITOR)), Code.RIGHT_MISSING),
        ("by an editor, of what is not shared", _given_by_an_editor, Code.RIGHT_MISSING),
        ("by who has not the owner's key", lambda s: s.begun().give(signer=s.forger()), Code.SIGNATURE_INVALID),
        ("by its own reader", lambda s: s.begun().give(tier=Tier.FULL, signer=s.by_bert), Code.RIGHT_MISSING),
        ("by a manager to a manager", _to_a_manager, Code.RIGHT_MISSING),
        ("of no tier", lambda s: _boxed(s, tier="none"), Code.ENTRY_MALFORMED),
        ("in too large a box", lambda s: _boxed(s, box=bytes(MAX_GRANT_BOX_SIZE_BYTES + 1)), Code.ENTRY_MALFORMED),
    ):
        replay(cases, f"no grant is given {name}", make, expect)


def _to_who_only_joined(shared: Shared) -> Entry:
    joining(shared.begun().space, shared.chris, Role.GRANTEE)
    return shared.give(shared.chris)


def _to_a_manager(shared: Shared) -> Entry:
    by_chris, dora = shared.begun().with_chris(Role.MANAGER), Person("dora")
    member(shared.space, dora, Role.MANAGER)
    return shared.give(dora, signer=by_chris)


def _given_by_an_editor(shared: Shared) -> Entry:
    return shared.give(signer=shared.with_chris(Role.EDITOR), generation=2)


def _boxed(shared: Shared, **changes: object) -> Entry:
    body = give_body(shared.begun().space, shared.bert)
    changed = replace(body, box=replace(body.box, **changes))
    return shared.space.entry(LedgerKind.GIVE_GRANT, changed)


def _ended(cases: Cases) -> None:
    for name, make in (
        ("", lambda s: s.given().end()),
        (", and another goes on", _ended_beside_another),
        (" by a manager that did not give it", lambda s: s.given().end(s.with_chris(Role.MANAGER))),
        (" by who gave it and is no manager any more", partial(_ended_by_its_giver, Role.EDITOR)),
    ):
        replay(cases, f"a grant ends{name}", make)
    boxes = [grant_box(Person("bert").account_id)]
    for name, make, expect in (
        ("twice", lambda s: s.given().ended().end(), Code.LEDGER_RULE),
        ("that nobody gave", lambda s: s.begun().end(), Code.LEDGER_RULE),
        ("of an album that is not shared", lambda s: s.end(), Code.LEDGER_RULE),
        ("with its box in the new generation", lambda s: s.given().end(boxes=boxes), Code.LEDGER_RULE),
        ("without the new generation's number", lambda s: s.given().end(number=2), Code.GENERATION_OLD),
        ("by an editor that did not give it", lambda s: s.given().end(s.with_chris(Role.EDITOR)), Code.RIGHT_MISSING),
        ("by who has not the owner's key", lambda s: s.given().end(s.forger()), Code.SIGNATURE_INVALID),
        ("by its own reader", lambda s: s.given().end(s.by_bert), Code.RIGHT_MISSING),
        ("by who gave it and reads no more", partial(_ended_by_its_giver, Role.PREVIEWER), Code.RIGHT_MISSING),
    ):
        replay(cases, f"no grant ends {name}", make, expect)


def _ended_beside_another(shared: Shared) -> Entry:
    shared.given().with_chris()
    share(shared.space, shared.chris, tier=Tier.FULL)
    return shared.end()


def _ended_by_its_giver(role: Role, shared: Shared) -> Entry:
    """Chris gives it as a manager, and ends it in another role and, where that took reach away, another epoch."""
    by_chris = shared.begun().with_chris(Role.MANAGER)
    shared.space.take(shared.give(signer=by_chris), by_chris)
    shared.space.take(role_entry(shared.space, shared.chris, role))
    return shared.end(by_chris)


def _expired(cases: Cases) -> None:
    """Judged by the signed time, the same for everyone."""
    boxes = [grant_box(Person("bert").account_id)]
    for name, make, expect in (
        ("the next generation is without it", lambda s: s.open(at_ms=LATER_MS), None),
        ("the next generation has its box", lambda s: s.open(at_ms=LATER_MS, boxes=boxes), Code.LEDGER_RULE),
        ("a moment before, the next generation is without it", _opened_before_expiry, Code.LEDGER_RULE),
        ("nobody else is given one", lambda s: _to_chris(s, LATER_MS), Code.GENERATION_OLD),
        ("somebody else was given one before", lambda s: _to_chris(s, LATER_MS - 1), None),
        ("it is not given again", lambda s: s.give(at_ms=LATER_MS), Code.GENERATION_OLD),
        ("it is given again under the next generation", _given_after_expiry, None),
        ("it is ended all the same", lambda s: s.end(at_ms=LATER_MS), None),
        ("it is over when the next generation began", _ended_after_expiry, Code.LEDGER_RULE),
    ):
        replay(cases, f"a grant expires: {name}", partial(_expiring, make), expect)


def _expiring(make: Next, shared: Shared) -> Entry:
    return make(shared.given(expires_ms=LATER_MS))


def _opened_before_expiry(shared: Shared) -> Entry:
    return shared.open(at_ms=LATER_MS - 1, boxes=[])


def _to_chris(shared: Shared, at_ms: int) -> Entry:
    shared.with_chris()
    return shared.give(shared.chris, at_ms=at_ms)


def _given_after_expiry(shared: Shared) -> Entry:
    return shared.after(shared.open(at_ms=LATER_MS)).give(at_ms=LATER_MS)


def _ended_after_expiry(shared: Shared) -> Entry:
    return shared.after(shared.open(at_ms=LATER_MS)).end(at_ms=LATER_MS)


def _with_the_epoch(cases: Cases) -> None:
    """Who left with an epoch had the keys of all albums; grants go on under the next generation."""
    for name, make, expect in (
        ("an epoch ends: no grant is given", lambda s: s.begun().rotated().give(), Code.GENERATION_OLD),
        ("an epoch ends: the next generation", lambda s: s.given().rotated().open(), None),
        ("an epoch ends: a generation of the old one", lambda s: s.given().rotated().open(epoch=1), Code.EPOCH_OLD),
        ("an epoch ends: a grant ends", lambda s: s.given().rotated().end(), None),
        ("a member leaves: its grants are over", lambda s: remove_entry(s.given().space, s.bert), None),
        ("a member leaves: its grant cannot be ended", lambda s: s.given().remove(s.bert).end(), Code.LEDGER_RULE),
        ("a member leaves: the next generation", lambda s: s.given().remove(s.bert).open(), None),
        ("a member leaves: the next generation has its box", _box_of_who_left, Code.LEDGER_RULE),
        ("a member leaves: others' grants go on", _others_go_on, None),
        ("a member rises: its grant goes on", lambda s: role_entry(s.given().space, s.bert, Role.VIEWER), None),
    ):
        replay(cases, name, make, expect)


def _box_of_who_left(shared: Shared) -> Entry:
    return shared.given().remove(shared.bert).open(boxes=[grant_box(shared.bert.account_id)])


def _others_go_on(shared: Shared) -> Entry:
    shared.given().with_chris()
    share(shared.space, shared.chris)
    return shared.remove(shared.bert).open()


def _shown_in_albums(cases: Cases) -> None:
    named = shown(fingerprint=seed_of("fingerprint"))
    small = shown(renditions=[replace(shown().asset.renditions[0], name=RenditionName.PREVIEW)])
    for name, make, expect in (
        ("pictures in a shared album", lambda s: s.begun().show(), None),
        ("pictures, by an editor", lambda s: s.begun().show(s.with_chris(Role.EDITOR)), None),
        ("pictures, by a grantee", lambda s: s.given().show(s.by_bert), Code.RIGHT_MISSING),
        ("pictures, by a camera", lambda s: s.begun().show(s.space.camera()), Code.RIGHT_MISSING),
        ("pictures in an album that is not shared", lambda s: s.show(), Code.GENERATION_OLD),
        ("pictures under an old generation", lambda s: s.begun().after(s.open()).show(), Code.GENERATION_OLD),
        ("pictures under a generation to come", lambda s: s.begun().show(generation=3), Code.GENERATION_OLD),
        ("pictures after the epoch ended", lambda s: s.begun().rotated().show(), Code.GENERATION_OLD),
        ("pictures after a grant ended", lambda s: s.given().ended().show(), Code.GENERATION_OLD),
        ("pictures before a grant expires", lambda s: s.given(expires_ms=LATER_MS).show(at_ms=LATER_MS - 1), None),
        ("pictures after a grant expired", _shown_after_expiry, Code.GENERATION_OLD),
        ("the same picture twice", lambda s: s.begun().show(items=[shown()] * 2), Code.ASSET_CONFLICT),
        ("no pictures", lambda s: s.begun().show(items=[]), Code.ENTRY_MALFORMED),
        ("a picture with its fingerprint", lambda s: s.begun().show(items=[named]), Code.ENTRY_MALFORMED),
        (
            "a picture without its original",
            lambda s: s.begun().show(items=[small]),
            Code.ENTRY_MALFORMED,
        ),
        ("pictures that only members open, in a shared album", lambda s: _added(s, ALBUM), Code.GENERATION_OLD),
        ("pictures that only members open, in another album", lambda s: _added(s, bytes(16)), None),
    ):
        judge(cases, f"shown: {name}" if expect is None else f"set aside: {name}", make, expect)


def _shown_after_expiry(shared: Shared) -> Entry:
    return shared.given(expires_ms=LATER_MS).show(at_ms=LATER_MS)


def _added(shared: Shared, album_id: bytes) -> Entry:
    body = AddToAlbumBody(album_id, 1, [AlbumItem(id_of("asset one"), b"wrap", b"wrap")])
    return shared.begun().space.entry(RecordKind.ADD_TO_ALBUM, body)


def _albums_logs(cases: Cases) -> None:
    """The chain of an album's own log."""
    space_id, good = seed_of("space"), _album_frames(4, 7, 9)
    first, second, third = good

    def chain(name: str, frames: list[AlbumFrame], expect: Code | None = None, album_id: bytes = ALBUM) -> None:
        packed = log.frames_to_bytes(frames)
        cases.add(f"an album's log: {name}", "album.chain", expect, space_id=space_id, album_id=album_id, frames=packed)

    broken = Code.CHAIN_BROKEN
    chain("empty", [])
    chain("whole", good)
    chain("of another album", good, broken, bytes(16))
    chain("one dropped", [first, third], broken)
    chain("two reordered", [first, third, second], broken)
    chain("one repeated", [first, second, second], broken)
    chain("another entry in its place", [first, replace(second, envelope=third.envelope)], broken)
    chain("an entry withheld", [first, replace(second, envelope=b"")], broken)
    chain("another number", [first, replace(second, number=3)], broken)
    chain("another slot", [first, replace(second, slot=8)], broken)
    chain("slots that fall", _album_frames(4, 7, 6), broken)
    chain("two entries of one slot", _album_frames(4, 4), broken)
    inputs: Values = {"space_id": space_id, "album_id": ALBUM, "frames": log.frames_to_bytes(good)[:-1]}
    cases.add("an album's log: cut short", "album.chain", Code.ENTRY_MALFORMED, **inputs)


def _album_frames(*slots: int) -> list[AlbumFrame]:
    head, made = NO_HEAD, []
    for slot in slots:
        envelope = msgspec.msgpack.encode(f"entry {slot}")
        entry_id = hashlib.sha256(envelope).digest()
        head = album_log.next_album_head(seed_of("space"), ALBUM, head, slot, entry_id)
        made.append(AlbumFrame(head.number, slot, NOW_MS, head.hash, entry_id, envelope))
    return made
