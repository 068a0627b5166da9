"""What whoever was sent an upload link's address may sign: pictures, and nothing that stops or misleads the members."""

import pytest

from safelight.sync_protocol import record_rules, signatures
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.records import RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.upload_entries import BindGuestBody, OpenUploadLinkBody, UploadTerms, bind_guest_message
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
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
