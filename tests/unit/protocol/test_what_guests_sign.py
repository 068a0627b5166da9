"""What whoever was sent an upload link's address may sign: pictures, and nothing that stops or misleads the members."""

import pytest

from safelight.sync_protocol import record_rules, signatures
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.records import AddAssetsBody, RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.upload_entries import BindGuestBody, OpenUploadLinkBody, UploadTerms, bind_guest_message
from tests.support.grants import album_assets, give_body, open_body, shown
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tests.support.refusing import refusal

LINK = id_of("upload link")


@pytest.fixture
def space() -> Space:
    """Anna's space, with an upload link."""
    space = Space(Person("anna")).create()
    key = signatures.public_key_of(seed_of("link"))
    terms = UploadTerms(expires_ms=NOW_MS + 60_000, max_files=10, quota_bytes=10**6, max_guests=2)
    opened = OpenUploadLinkBody(LINK, key, key, terms, b"", space.state.epoch.number, b"sealed")
    space.take(space.entry(LedgerKind.OPEN_UPLOAD_LINK, opened))
    return space


@pytest.fixture
def guest(space: Space) -> Signer:
    """Who was sent its address."""
    guest = Signer(id_of("guest"), id_of("guest"), seed_of("guest"))
    key = signatures.public_key_of(guest.seed)
    signature = signatures.sign(seed_of("link"), bind_guest_message(space.state.space_id, LINK, guest.author_id, key))
    bound = BindGuestBody(LINK, guest.author_id, key, signature)
    space.take(space.entry(LedgerKind.BIND_GUEST, bound, guest), guest)
    return guest


@pytest.mark.parametrize(("kind", "version"), [("pick.choose", 1), ("asset.add", 2)])
@pytest.mark.parametrize("critical", [True, False])
def test_a_guest_stops_no_space(space: Space, guest: Signer, kind: str, version: int, *, critical: bool) -> None:
    """*A space stopped by garbage*: a stranger with the address and a server that lets it by ask nobody to update."""
    entry = space.entry(kind, RevokeLinkBody(LINK), guest, version=version, critical=critical)
    assert refusal(record_rules.check_record, space.state, entry) is Code.RIGHT_MISSING


def _added(**changes: object) -> AddAssetsBody:
    return AddAssetsBody(id_of("roll"), [shown(**changes).asset])  # type: ignore[arg-type]  # values by name


def _judge(space: Space, signer: Signer, **changes: object) -> Code | None:
    try:
        record_rules.check_record(space.state, space.entry(RecordKind.ADD_ASSETS, _added(**changes), signer))
    except Refused as refused:
        return refused.code
    return None


def test_only_who_holds_the_dedupe_key_names_fingerprints(space: Space, guest: Signer) -> None:
    """*A poisoned fingerprint makes a phone skip a photograph*: a guest's could only be one that the server told it."""
    by_editor = member(space, Person("eve"), Role.EDITOR)
    by_contributor = member(space, Person("carl"), Role.CONTRIBUTOR)
    for signer, code in (
        (by_editor, None),
        (space.camera(), None),
        (by_contributor, Code.ENTRY_MALFORMED),
        (guest, Code.ENTRY_MALFORMED),
    ):
        assert _judge(space, signer) is None
        assert _judge(space, signer, fingerprint=seed_of("of a phone's")) is code


@pytest.mark.parametrize(
    ("role", "code"),
    [(Role.GRANTEE, Code.ENTRY_MALFORMED), (Role.PREVIEWER, Code.ENTRY_MALFORMED), (Role.VIEWER, None)],
)
def test_nor_does_who_adds_by_a_grant_and_does_not_read_all(space: Space, role: Role, code: Code | None) -> None:
    """They see fingerprints in their album, and put nothing of their own under one that a phone has yet to send."""
    person = Person("bert")
    signer = member(space, person, role)
    space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
    space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, can_add=True)))
    record_rules.check_record(space.state, space.entry(RecordKind.ADD_ALBUM_ASSETS, album_assets(), signer))
    body = album_assets(assets=[shown(fingerprint=seed_of("of a phone's")).asset])
    named = space.entry(RecordKind.ADD_ALBUM_ASSETS, body, signer)
    if code is None:
        record_rules.check_record(space.state, named)
    else:
        assert refusal(record_rules.check_record, space.state, named) is code
