"""Vectors of upload links: opened, joined by guests, closed, and what those guests sign and are told."""

from collections.abc import Callable
from typing import Literal

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.limits import UPLOAD_LINK_MAX_AGE_S
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.upload_entries import CloseUploadLinkBody
from tests.support.grants import ALBUM
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.members import member, remove_entry
from tests.support.upload_ledgers import (
    GUEST_SEED,
    LINK,
    PUBLISHING_SEED,
    bound,
    guest_body,
    guest_entry,
    guest_of,
    upload_body,
)
from tools.vector_builder import Cases
from tools.vector_cases_guests import guests
from tools.vector_cases_naming import naming
from tools.vector_operations import Values
from tools.vector_shared_albums import add
from tools.vector_upload_links import END_MS, OTHER, SINGLE, Linked, Next, forger, replay_link, terms


def uploads() -> list[Values]:
    """Return the cases."""
    cases = Cases()
    _opened(cases)
    _not_opened(cases)
    _bound(cases)
    _not_bound(cases)
    _closed(cases)
    guests(cases)
    naming(cases)
    return cases.cases


def _opened(cases: Cases) -> None:
    last_ms = NOW_MS + UPLOAD_LINK_MAX_AGE_S * 1000
    for name, make in (
        ("", lambda s: s.open()),
        (" that fills an album", lambda s: s.shared().open(album_id=ALBUM)),
        (" for a year", lambda s: s.open(terms=terms(expires_ms=last_ms))),
        (" as large as may be", lambda s: s.open(terms=terms(max_files=1_000_000, max_guests=1000))),
        (" by a manager", lambda s: s.open(s.with_ella(Role.MANAGER))),
        (" by an editor who makes links", lambda s: s.open(s.with_ella())),
        (" by one who does not organise", lambda s: s.open(s.with_ella(rights=[Right.ADD, Right.LINK]))),
        (" beside another", lambda s: s.opened(link_id=OTHER).open()),
    ):
        replay_link(cases, f"an upload link is opened{name}", make)


def _not_opened(cases: Cases) -> None:
    rights, last_ms = Code.RIGHT_MISSING, NOW_MS + UPLOAD_LINK_MAX_AGE_S * 1000
    alone = [Right.LINK, Right.ORGANISE]
    refused: tuple[tuple[str, Next, Code], ...] = (
        ("by an editor", lambda s: s.open(s.with_ella(rights=None)), rights),
        ("by one who does not add", lambda s: s.open(s.with_ella(rights=alone)), rights),
        ("into an album by one who does not organise", _into_an_album, rights),
        ("by a viewer", lambda s: s.open(s.with_ella(Role.VIEWER)), rights),
        ("by a camera", lambda s: s.open(s.space.camera()), rights),
        ("by a guest", lambda s: s.opened().open(bound(s.space), link_id=OTHER), rights),
        ("by who has not the owner's key", lambda s: s.open(forger(s.space.signer)), Code.SIGNATURE_INVALID),
        ("that is over", lambda s: s.open(terms=terms(expires_ms=NOW_MS)), Code.LEDGER_RULE),
        ("for more than a year", lambda s: s.open(terms=terms(expires_ms=last_ms + 1)), Code.LEDGER_RULE),
        ("for no file", lambda s: s.open(terms=terms(max_files=0)), Code.ENTRY_MALFORMED),
        ("for too many files", lambda s: s.open(terms=terms(max_files=1_000_001)), Code.ENTRY_MALFORMED),
        ("for no guest", lambda s: s.open(terms=terms(max_guests=0)), Code.ENTRY_MALFORMED),
        ("for too many guests", lambda s: s.open(terms=terms(max_guests=1001)), Code.ENTRY_MALFORMED),
        ("into an album that is not shared", lambda s: s.open(album_id=ALBUM), Code.LEDGER_RULE),
        ("into half an album", lambda s: s.shared().open(album_id=ALBUM[:8]), Code.LEDGER_RULE),
        ("under an epoch to come", lambda s: s.open(epoch=2), Code.EPOCH_OLD),
        ("twice", lambda s: s.opened().open(), Code.LEDGER_RULE),
        ("again", lambda s: s.opened().after(s.close()).open(), Code.LEDGER_RULE),
        ("where links are forbidden", _where_forbidden, Code.POLICY_FORBIDS),
        ("with half a guest key", lambda s: s.open(guest_key=bytes(16)), Code.ENTRY_MALFORMED),
    )
    for name, make, expect in refused:
        replay_link(cases, f"no upload link is opened {name}", make, expect)
    vault = Space(Person("anna"), "vault", "none").create()
    entry = vault.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(vault))
    add(cases, "no upload link is opened in a vault", vault, entry, Code.POLICY_FORBIDS)


def _into_an_album(linked: Linked) -> Entry:
    return linked.shared().open(linked.with_ella(rights=[Right.ADD, Right.LINK]), album_id=ALBUM)


def _where_forbidden(linked: Linked) -> Entry:
    return _forbidden(linked).open()


def _forbidden(linked: Linked, links: Literal["none", "view"] = "none") -> Linked:
    return linked.after(linked.space.entry(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, links))))


def _bound(cases: Cases) -> None:
    for name, make in (
        ("", lambda s: s.opened().bind()),
        (" of a link that fills an album", lambda s: s.filling().bind()),
        (" as the last", _second),
        (" at the last moment", lambda s: guest_entry(s.opened().space, guest_of(), END_MS - 1)),
        (" while its maker makes no more links", lambda s: _late(s.hers().no_maker())),
        (" where links are allowed again", lambda s: _forbidden(_forbidden(s.opened()), "view").bind()),
        (" after its maker may add again", lambda s: _late(s.hers().demoted().demoted(Role.EDITOR))),
    ):
        replay_link(cases, f"a guest is bound{name}", make)


def _late(linked: Linked) -> Entry:
    return guest_entry(linked.space, guest_of("late"))


def _second(linked: Linked) -> Entry:
    bound(linked.opened().space)
    return _late(linked)


def _not_bound(cases: Cases) -> None:
    over, unknown, wrong = Code.UPLOAD_LINK_OVER, Code.SIGNER_UNKNOWN, Code.SIGNATURE_INVALID
    refused: tuple[tuple[str, Next, Code], ...] = (
        ("by another secret", lambda s: guest_entry(s.opened().space, guest_of(), seed=seed_of("mallory")), wrong),
        ("by the publishing key", lambda s: guest_entry(s.opened().space, guest_of(), seed=PUBLISHING_SEED), wrong),
        ("for another link", _for_another, wrong),
        ("of no link", lambda s: s.bind(), unknown),
        ("under another key", lambda s: s.opened().bind(device_key=_key("mallory")), wrong),
        ("under another key, by that", lambda s: s.opened().bind(forger(guest_of())), wrong),
        ("under another id", lambda s: s.opened().bind(guest_id=id_of("mallory")), unknown),
        ("by another author", lambda s: s.opened().bind(guest_of("mallory")), unknown),
        ("by a member", lambda s: s.opened().bind(s.space.signer), unknown),
        ("by a device that is not it", _by_a_device, unknown),
        ("for another purpose", _for_another_purpose, wrong),
        ("twice", _twice, Code.LEDGER_RULE),
        ("again, after it was shut out", _after_it_was_shut_out, Code.LEDGER_RULE),
        ("under a member's id", lambda s: _under(s.opened(), s.space.owner.account_id), Code.LEDGER_RULE),
        ("under a camera's id", _under_a_cameras, Code.LEDGER_RULE),
        ("under the id of who was removed", _under_who_left, Code.LEDGER_RULE),
        ("when the link has expired", lambda s: guest_entry(s.opened().space, guest_of(), END_MS), over),
        ("when the link is closed", lambda s: s.opened().after(s.close()).bind(), over),
        ("when the link is full", _when_full, Code.UPLOAD_LINK_FULL),
        ("in place of one who was shut out", _in_place_of_one, Code.UPLOAD_LINK_FULL),
        ("where links are forbidden by now", lambda s: _forbidden(s.opened()).bind(), over),
        ("when its maker adds no more", lambda s: _late(s.hers().demoted()), over),
        ("when its maker was removed", lambda s: _late(s.hers().without_ella()), over),
        ("on top of an old ledger", _on_top_of_an_old, Code.ENTRY_STALE),
    )
    for name, make, expect in refused:
        replay_link(cases, f"no guest is bound {name}", make, expect)


def _key(name: str) -> bytes:
    return signatures.public_key_of(seed_of(name))


def _for_another(linked: Linked) -> Entry:
    linked.opened().opened(link_id=OTHER, guest_key=_key("another"))
    return linked.bind(link_id=OTHER)


def _by_a_device(linked: Linked) -> Entry:
    guest, space = guest_of(), linked.opened().space
    return space.entry(LedgerKind.BIND_GUEST, guest_body(space, guest), guest, device_id=id_of("device"))


def _for_another_purpose(linked: Linked) -> Entry:
    read = signatures.sign(GUEST_SEED, context(Label.SIGN_UPLOAD_READ, LINK))
    return linked.opened().bind(guest_signature=read)


def _twice(linked: Linked) -> Entry:
    return guest_entry(linked.space, bound(linked.opened().space))


def _after_it_was_shut_out(linked: Linked) -> Entry:
    guest = bound(linked.opened().space)
    return guest_entry(linked.revoked(guest).space, guest)


def _under(linked: Linked, taken: bytes) -> Entry:
    return guest_entry(linked.space, Signer(taken, taken, seed_of("mallory")))


def _under_who_left(linked: Linked) -> Entry:
    linked.with_ella()
    return _under(linked.opened().without_ella(), linked.ella.account_id)


def _under_a_cameras(linked: Linked) -> Entry:
    """*A pairing that a guest steals*: the camera is certified, and not bound yet."""
    space = linked.opened().space
    linked.after(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    return _under(linked, space.camera_signer().author_id)


def _when_full(linked: Linked) -> Entry:
    bound(linked.opened(terms=SINGLE).space)
    return _late(linked)


def _in_place_of_one(linked: Linked) -> Entry:
    guest = bound(linked.opened(terms=SINGLE).space)
    return _late(linked.revoked(guest))


def _on_top_of_an_old(linked: Linked) -> Entry:
    head = linked.opened().space.state.head
    guest = guest_of()
    linked.opened(link_id=OTHER)
    return linked.space.entry(LedgerKind.BIND_GUEST, guest_body(linked.space, guest), guest, ledger=head)


def _closed(cases: Cases) -> None:
    rule, rights = Code.LEDGER_RULE, Code.RIGHT_MISSING
    judged: tuple[tuple[str, Next, Code | None], ...] = (
        ("", lambda s: s.opened().close(), None),
        (" with its guests", lambda s: _with_guests(s).close(), None),
        (" by its maker", lambda s: _again(s.hers(), s.close), None),
        (" by its maker, who may add no more", lambda s: _again(s.hers().demoted(), s.close), None),
        (" of another, by who revokes links", lambda s: s.hers().close(), None),
        (" of another, by a viewer who revokes links", _by_a_revoker, None),
        (" after it expired", lambda s: _closed_late(s.opened()), None),
        (" of another, by an editor who makes links", lambda s: s.opened().close(s.with_ella()), rights),
        (" by a guest", lambda s: s.opened().close(bound(s.space)), rights),
        (" by a stranger", lambda s: s.opened().close(guest_of()), Code.SIGNER_UNKNOWN),
        (" that is none", lambda s: s.close(), rule),
        (" twice", lambda s: s.opened().after(s.close()).close(), rule),
        (" whose maker was removed", lambda s: s.hers().without_ella().close(), rule),
    )
    for name, make, expect in judged:
        replay_link(cases, f"{'an' if expect is None else 'no'} upload link is closed{name}", make, expect)
    replay_link(cases, "a maker is removed, with link and guests", lambda s: remove_entry(s.hers().space, s.ella))


def _with_guests(linked: Linked) -> Linked:
    bound(linked.opened().space)
    bound(linked.space, "second")
    return linked


def _again(linked: Linked, sign: Callable[[Signer], Entry]) -> Entry:
    """Sign once more as Ella."""
    who = Signer(linked.ella.account_id, linked.ella.device_id, linked.ella.device_seed)
    position = linked.space.log.devices[who.author_id + who.device_id]
    who.counter, who.last_id = position.counter, position.entry_id
    return sign(who)


def _by_a_revoker(linked: Linked) -> Entry:
    return linked.opened().close(member(linked.space, linked.ella, Role.VIEWER, [Right.REVOKE_LINK]))


def _closed_late(linked: Linked) -> Entry:
    return linked.space.entry(LedgerKind.CLOSE_UPLOAD_LINK, CloseUploadLinkBody(LINK), signed_ms=END_MS)
