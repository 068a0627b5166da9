"""Kinds and versions that this one does not know: only who stands and signed can ask everyone for an update."""

import msgspec
import pytest

from safelight.sync_protocol import account_ledger, ledger, record_rules, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import space_id
from safelight.sync_protocol.ledger_entries import is_ledger_kind
from safelight.sync_protocol.log import Entry, Header, build_entry, parse_entry
from safelight.sync_protocol.records import RevokeLinkBody
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of

BODY = RevokeLinkBody(id_of("link"))
RECORDS = [("pick.choose", 1), ("link.revoke", 2), ("pick.choose", 2)]
LEDGER = [("policy.something-new", 1), ("epoch.rotate", 2)]
STRANGER = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))


@pytest.fixture
def space() -> Space:
    """A space with its owner."""
    return Space(Person("anna")).create()


def _forged(space: Space, kind: str, version: int) -> Entry:
    """In a member's name, by somebody else's key."""
    header: Header = space.header(kind, version=version)
    return parse_entry(build_entry(header, BODY, seed_of("forger")))


def _elsewhere(space: Space, kind: str, version: int) -> Entry:
    """By the same member, for another space."""
    return space.entry(kind, BODY, version=version, space_id=space_id(b"another"))


def _judge(space: Space, entry: Entry) -> Code:
    try:
        if is_ledger_kind(entry.header.kind):
            ledger.apply(space.state, entry, space.log.number + 1)
        else:
            record_rules.check_record(space.state, entry)
    except Refused as refusal:
        return refusal.code
    raise AssertionError("it was taken")


@pytest.mark.parametrize(("kind", "version"), RECORDS + LEDGER)
def test_garbage_asks_nobody_for_an_update(space: Space, kind: str, version: int) -> None:
    """*A space stopped by garbage*: a stranger's, a forged and a misplaced entry are refused as what they are."""
    assert _judge(space, space.entry(kind, BODY, STRANGER, version=version)) is Code.SIGNER_UNKNOWN
    assert _judge(space, _forged(space, kind, version)) is Code.SIGNATURE_INVALID
    assert _judge(space, _elsewhere(space, kind, version)) is Code.ENTRY_WRONG_SPACE
    assert _judge(space, space.entry(kind, BODY, version=version)) is Code.ENTRY_UNKNOWN_CRITICAL


@pytest.mark.parametrize(("kind", "version"), LEDGER)
def test_a_camera_stops_no_ledger(space: Space, kind: str, version: int) -> None:
    """A stolen camera's unknown ledger entry is one that cameras do not sign, critical or not."""
    camera = space.camera()
    assert _judge(space, space.entry(kind, BODY, camera, version=version)) is Code.RIGHT_MISSING


def test_garbage_in_an_account_ledger() -> None:
    """The same for accounts: what the identity did not sign is no reason to update."""
    anna = Person("anna")
    header = account_ledger.AccountHeader(1, True, "emergency.contact", anna.account_id, 2, anna.account.head.hash, 1)

    def envelope(seed: bytes) -> bytes:
        content = msgspec.msgpack.encode([header, BODY])
        signature = signatures.sign(seed, context(Label.SIGN_ACCOUNT_ENTRY, content))
        return msgspec.msgpack.encode([content, signature])

    for seed, code in ((seed_of("forger"), Code.SIGNATURE_INVALID), (anna.identity_seed, Code.ENTRY_UNKNOWN_CRITICAL)):
        with pytest.raises(Refused) as refused:
            account_ledger.apply_account_entry(anna.account, envelope(seed))
        assert refused.value.code is code
