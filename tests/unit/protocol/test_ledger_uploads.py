"""Upload links in the space ledger: opened, joined by guests who only add, closed."""

import msgspec
import pytest
from msgspec.structs import replace

from safelight.sync_protocol import ledger_uploads, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import (
    LedgerKind,
    Policy,
    RevokeCameraBody,
    RotateEpochBody,
    SetPolicyBody,
    bind_message,
)
from safelight.sync_protocol.limits import UPLOAD_LINK_MAX_AGE_S
from safelight.sync_protocol.records import RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from tests.support.grants import ALBUM, share
from tests.support.ledgers import NOW_MS, Person, Signer, Space, apply_next, id_of, seed_of
from tests.support.members import member, remove_entry, role_entry
from tests.support.refusing import refusal
from tests.support.upload_ledgers import (
    GUEST_SEED,
    LINK,
    PUBLISHING_SEED,
    TERMS,
    bound,
    close_entry,
    guest_body,
    guest_entry,
    guest_of,
    upload_body,
    upload_link,
)

LINKING = [*RIGHTS[Role.EDITOR], Right.LINK]


def test_a_guest_adds_and_nothing_else(space: Space) -> None:
    """Bound, it has the one right to add, reads nothing, and is not pointed elsewhere."""
    upload_link(space)
    guest = bound(space)
    state = space.state
    assert state.rights_of(guest.author_id) == {Right.ADD}
    assert state.tier_of(guest.author_id) is Tier.NONE
    assert state.signing_key(guest.author_id, guest.device_id) == signatures.public_key_of(guest.seed)
    assert state.guest_link(guest.author_id) == LINK
    assert not state.guest_link(space.owner.account_id)
    assert not state.guest_link(space.camera().author_id)
    assert state.cameras[guest.author_id].dedupe == b""
    assert state.upload_links[LINK].guests == 1
    assert not state.may_add_to(guest.author_id, ALBUM, NOW_MS)


def test_who_may_open_a_link(space: Space) -> None:
    """A full reader who adds and makes links, and organises if it fills an album: *an editor who was not asked*."""
    share(space)
    for name, role, rights, code, code_with_album in (
        ("max", Role.MANAGER, None, None, None),
        ("eve", Role.EDITOR, None, Code.RIGHT_MISSING, Code.RIGHT_MISSING),
        ("ella", Role.EDITOR, LINKING, None, None),
        ("emil", Role.EDITOR, [Right.ADD, Right.LINK], None, Code.RIGHT_MISSING),
        ("erik", Role.EDITOR, [Right.LINK, Right.ORGANISE], Code.RIGHT_MISSING, Code.RIGHT_MISSING),
        ("vera", Role.VIEWER, None, Code.RIGHT_MISSING, Code.RIGHT_MISSING),
        ("carl", Role.CONTRIBUTOR, None, Code.RIGHT_MISSING, Code.RIGHT_MISSING),
    ):
        signer = member(space, Person(name), role, rights)
        for album, expect in ((b"", code), (ALBUM, code_with_album)):
            entry = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space, album_id=album), signer)
            if expect is None:
                assert apply_next(space, entry).upload_links[LINK].made_by == signer.author_id
            else:
                assert refusal(apply_next, space, entry) is expect, (name, album)
    camera = space.camera()
    entry = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space), camera)
    assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


def test_who_reads_previews_opens_no_link(space: Space) -> None:
    """Whatever rights it has: it could not keep the link's keys, nor sign its head anew."""
    by_paul = member(space, paul := Person("paul"), Role.EDITOR, LINKING)
    previewing = replace(space.state.members[paul.account_id], role=Role.PREVIEWER)
    space.ledger = replace(space.state, members={**space.state.members, paul.account_id: previewing})
    entry = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space), by_paul)
    assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


def test_what_a_link_may_not_be(space: Space) -> None:
    """Over already, without an end, under an old epoch, into an album that is not shared, or under a taken id."""
    last_ms = NOW_MS + UPLOAD_LINK_MAX_AGE_S * 1000
    unfit: tuple[tuple[dict[str, object], Code], ...] = (
        ({"terms": replace(TERMS, expires_ms=NOW_MS)}, Code.LEDGER_RULE),
        ({"terms": replace(TERMS, expires_ms=last_ms + 1)}, Code.LEDGER_RULE),
        ({"terms": replace(TERMS, max_files=0)}, Code.ENTRY_MALFORMED),
        ({"terms": replace(TERMS, max_guests=1001)}, Code.ENTRY_MALFORMED),
        ({"epoch": 2}, Code.EPOCH_OLD),
        ({"album_id": ALBUM}, Code.LEDGER_RULE),
    )
    for changes, code in unfit:
        entry = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space, **changes))
        assert refusal(apply_next, space, entry) is code, changes
    fits = upload_body(space, terms=replace(TERMS, expires_ms=last_ms))
    apply_next(space, space.entry(LedgerKind.OPEN_UPLOAD_LINK, fits))
    upload_link(space)
    again = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space))
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE
    space.take(close_entry(space))
    again = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space))
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE


def test_where_links_are_not_allowed_there_are_none(space: Space) -> None:
    """*A vault that strangers fill*, and a space whose owner forbade links."""
    vault = Space(Person("anna"), "vault", "none").create()
    entry = vault.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(vault))
    assert refusal(apply_next, vault, entry) is Code.POLICY_FORBIDS
    space.take(space.entry(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "none"))))
    entry = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space))
    assert refusal(apply_next, space, entry) is Code.POLICY_FORBIDS


def test_links_are_not_without_end(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed ones do not count, nor expired ones: *links that nobody closes, so that nobody makes another*."""
    monkeypatch.setattr(ledger_uploads, "MAX_OPEN_UPLOAD_LINKS", 1)
    upload_link(space)
    another = space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space, link_id=id_of("another")))
    assert refusal(apply_next, space, another) is Code.LEDGER_RULE
    body = upload_body(space, link_id=id_of("another"))
    ends_ms = space.state.upload_links[next(iter(space.state.upload_links))].terms.expires_ms
    later = msgspec.structs.replace(body, terms=msgspec.structs.replace(body.terms, expires_ms=ends_ms + 1000))
    apply_next(space, space.entry(LedgerKind.OPEN_UPLOAD_LINK, later, signed_ms=ends_ms))
    space.take(close_entry(space))
    upload_link(space, link_id=id_of("another"))


def test_who_has_not_the_secret_binds_nothing(space: Space) -> None:
    """Another's secret, another link's, another guest's binding, another space's: *a binding overheard*."""
    upload_link(space)
    upload_link(space, link_id=id_of("another"), guest_key=signatures.public_key_of(seed_of("another")))
    guest, mallory = guest_of(), guest_of("mallory")
    assert refusal(apply_next, space, guest_entry(space, guest, link=bytes(16))) is Code.SIGNER_UNKNOWN
    for wrong in (
        guest_body(space, guest, seed=seed_of("another")),
        guest_body(space, guest, seed=PUBLISHING_SEED),
        guest_body(space, guest, link=id_of("another")),
        guest_body(space, guest, link_id=id_of("another")),
        guest_body(space, guest, device_key=signatures.public_key_of(mallory.seed)),
    ):
        entry = space.entry(LedgerKind.BIND_GUEST, wrong, guest)
        assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID
    theirs = guest_body(space, guest)
    for signer, code in (
        (mallory, Code.SIGNER_UNKNOWN),
        (replace_seed(guest, "mallory"), Code.SIGNATURE_INVALID),
        (space.signer, Code.SIGNER_UNKNOWN),
    ):
        assert refusal(apply_next, space, space.entry(LedgerKind.BIND_GUEST, theirs, signer)) is code
    entry = space.entry(LedgerKind.BIND_GUEST, theirs, guest, device_id=mallory.device_id)
    assert refusal(apply_next, space, entry) is Code.SIGNER_UNKNOWN
    other = Space(Person("otto")).create()
    upload_link(other)
    assert refusal(apply_next, other, other.entry(LedgerKind.BIND_GUEST, theirs, guest)) is Code.SIGNATURE_INVALID
    entry = space.entry(LedgerKind.BIND_GUEST, theirs, guest, space_id=other.state.space_id)
    assert refusal(apply_next, space, entry) is Code.ENTRY_WRONG_SPACE
    apply_next(space, space.entry(LedgerKind.BIND_GUEST, theirs, guest))


def replace_seed(signer: Signer, name: str) -> Signer:
    """Who signs in another's name with a key of their own."""
    return Signer(signer.author_id, signer.device_id, seed_of(name))


def test_a_guest_takes_nobodys_id(space: Space) -> None:
    """*A guest in the name of a member*, of one who left, of a camera, or of another guest, also of one shut out."""
    upload_link(space)
    guest = bound(space)
    gone = Person("gone")
    member(space, gone, Role.VIEWER)
    space.take(remove_entry(space, gone))
    for taken in (space.owner.account_id, gone.account_id, space.camera().author_id, guest.author_id):
        signer = Signer(taken, taken, seed_of("mallory"))
        assert refusal(apply_next, space, guest_entry(space, signer)) is Code.LEDGER_RULE
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(guest.author_id, space.next_epoch())))
    assert refusal(apply_next, space, guest_entry(space, guest)) is Code.LEDGER_RULE


def test_who_is_admitted_is_no_guest(space: Space) -> None:
    """*A guest keeps someone out for good* by a binding under their id: their membership ends it."""
    upload_link(space)
    bert = Person("bert")
    space.take(guest_entry(space, squatter := Signer(bert.account_id, bert.account_id, seed_of("mallory"))), squatter)
    assert space.state.guest_link(bert.account_id) == LINK
    member(space, bert, Role.CONTRIBUTOR)
    assert not space.state.guest_link(bert.account_id)
    assert space.state.signing_key(bert.account_id, squatter.device_id) is None
    space.take(remove_entry(space, bert))
    assert space.state.rights_of(bert.account_id) == frozenset()


def test_a_guests_key_is_bound_once(space: Space) -> None:
    """*A pairing in a guest's place*: who knows the link's secret binds no second key to the same guest."""
    upload_link(space)
    guest, mallory = bound(space), Signer(guest_of().author_id, guest_of().device_id, seed_of("mallory"))
    key = signatures.public_key_of(mallory.seed)
    message = bind_message(space.state.space_id, guest.author_id, key)
    body = replace(space.bind_body(), camera_id=guest.author_id, device_key=key)
    body = replace(body, pairing_signature=signatures.sign(GUEST_SEED, message))
    entry = space.entry(LedgerKind.BIND_CAMERA, body, mallory)
    assert refusal(apply_next, space, entry) is Code.CAMERA_ALREADY_BOUND


def test_a_link_takes_so_many_guests(space: Space) -> None:
    """*A thousand guests of one address*: who was shut out counts on, or would come again and again."""
    upload_link(space)
    guest = bound(space)
    bound(space, "second")
    assert refusal(apply_next, space, guest_entry(space, guest_of("third"))) is Code.UPLOAD_LINK_FULL
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(guest.author_id, space.next_epoch())))
    assert space.state.rights_of(guest.author_id) == frozenset()
    assert refusal(apply_next, space, guest_entry(space, guest_of("third"))) is Code.UPLOAD_LINK_FULL


def test_a_link_expires_by_itself(space: Space) -> None:
    """The last moment is before its end."""
    upload_link(space)
    guest = guest_of()
    end_ms = TERMS.expires_ms
    assert space.state.upload_link_stands(LINK, end_ms - 1)
    assert not space.state.upload_link_stands(LINK, end_ms)
    assert not space.state.upload_link_stands(bytes(16), NOW_MS)
    apply_next(space, guest_entry(space, guest, end_ms - 1))
    assert refusal(apply_next, space, guest_entry(space, guest, end_ms)) is Code.UPLOAD_LINK_OVER


def test_a_closed_link_takes_nothing(space: Space) -> None:
    """*Guests who stay after the party*: they sign nothing, no others come, and it never opens again."""
    upload_link(space)
    upload_link(space, link_id=id_of("another"))
    guest, camera = bound(space), space.camera()
    theirs = bound(space, "theirs", link=id_of("another"))
    epoch = space.state.epoch.number
    space.take(close_entry(space))
    assert space.state.epoch.number == epoch
    assert space.state.signing_key(guest.author_id, guest.device_id) is None
    assert space.state.rights_of(theirs.author_id) == space.state.rights_of(camera.author_id) == {Right.ADD}
    assert refusal(apply_next, space, guest_entry(space, guest_of("late"))) is Code.UPLOAD_LINK_OVER
    assert refusal(apply_next, space, close_entry(space)) is Code.LEDGER_RULE
    assert refusal(apply_next, space, close_entry(space, link=bytes(16))) is Code.LEDGER_RULE


def test_who_may_close_a_link(space: Space) -> None:
    """Its maker, also as no maker of links any more, and who revokes links: no guest, and no editor besides."""
    ella = Person("ella")
    by_ella = member(space, ella, Role.EDITOR, LINKING)
    by_eve = member(space, Person("eve"), Role.EDITOR, LINKING)
    by_vera = member(space, Person("vera"), Role.VIEWER, [Right.REVOKE_LINK])
    upload_link(space, by_ella)
    guest = bound(space)
    for signer in (by_eve, guest, space.camera()):
        assert refusal(apply_next, space, close_entry(space, signer)) is Code.RIGHT_MISSING
    assert refusal(apply_next, space, close_entry(space, guest_of("stranger"))) is Code.SIGNER_UNKNOWN
    space.take(role_entry(space, ella, Role.VIEWER))
    for signer in (by_ella, by_vera, space.signer):
        assert apply_next(space, close_entry(space, signer)).upload_links[LINK].closed


def test_a_link_has_no_right_that_its_maker_lost(space: Space) -> None:
    """*A maker who adds no more, by a friend with the address*: the link stands again if the maker may again."""
    ella = Person("ella")
    upload_link(space, member(space, ella, Role.EDITOR, LINKING))
    guest = bound(space)
    space.take(role_entry(space, ella, Role.VIEWER))
    assert not space.state.upload_link_stands(LINK, NOW_MS)
    assert space.state.signing_key(guest.author_id, guest.device_id) is None
    assert refusal(apply_next, space, guest_entry(space, guest_of("late"))) is Code.UPLOAD_LINK_OVER
    space.take(role_entry(space, ella, Role.EDITOR))
    assert space.state.upload_link_stands(LINK, NOW_MS)
    assert space.state.rights_of(guest.author_id) == {Right.ADD}


def test_a_guest_holds_no_key_and_signs_nothing_else(space: Space) -> None:
    """*A camera of a guest's own*, noise that makes everyone's next entry stale, and its own revocation."""
    upload_link(space)
    guest = bound(space)
    for entry in (
        space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), guest),
        space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space, link_id=id_of("another")), guest),
        space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch()), guest),
        space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(guest.author_id, None), guest),
        space.entry("upload.noise", RevokeLinkBody(LINK), guest, critical=False),
        space.entry("upload.noise", RevokeLinkBody(LINK), guest),
    ):
        assert refusal(apply_next, space, entry) is Code.RIGHT_MISSING


def test_what_a_guest_shows_to_read_the_head_binds_nothing(space: Space) -> None:
    """*A signature for another purpose*: the same key signs both, under labels of their own."""
    upload_link(space)
    guest = guest_of()
    for message in (
        context(Label.SIGN_UPLOAD_READ, LINK),
        bind_message(space.state.space_id, guest.author_id, signatures.public_key_of(guest.seed)),
    ):
        wrong = guest_body(space, guest, guest_signature=signatures.sign(GUEST_SEED, message))
        entry = space.entry(LedgerKind.BIND_GUEST, wrong, guest)
        assert refusal(apply_next, space, entry) is Code.SIGNATURE_INVALID
