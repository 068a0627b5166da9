"""Attacks on entries, logs and ledgers, each tried before it was stopped: what is refused, and by which code."""

import msgspec
import pytest

from safelight.sync_protocol import account_ledger, ids, ledger, ledger_entries, log, signatures
from safelight.sync_protocol.account_ledger import MAX_UNLOCKERS, AccountKind, AddDeviceBody, SetUnlockerBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    OpenRollBody,
    RecordKind,
    RevokeLinkBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.wire import pack
from tests.support.ledgers import Person, Space, id_of, seed_of
from tests.support.refusing import refuses


def reencoded(envelope: bytes) -> list[bytes]:
    """The same content and signature in other MessagePack: longer lengths, as anyone on the way could write them."""
    content, signature = msgspec.msgpack.decode(envelope)
    long_content = b"\xc6" + len(content).to_bytes(4, "big") + content
    short_signature = b"\xc4\x40" + signature
    return [
        b"\xdc\x00\x02" + envelope[1:],
        b"\xdd\x00\x00\x00\x02" + envelope[1:],
        b"\x92" + long_content + short_signature,
        b"\x92" + envelope[1 : -len(short_signature)] + b"\xc5\x00\x40" + signature,
    ]


def test_an_entry_cannot_be_given_a_second_id(space: Space) -> None:
    """The envelope is not signed: rewritten, one entry would have two hashes, and a genesis would make two spaces."""
    for other in reencoded(space.frames[0].envelope):
        assert ids.space_id(other) != space.state.space_id
        with refuses(Code.ENTRY_MALFORMED):
            log.parse_entry(other)


def test_an_account_entry_cannot_be_given_a_second_hash() -> None:
    """Two members could otherwise be shown two heads of one account, both rightly signed."""
    for other in reencoded(Person("anna").entries[0]):
        with refuses(Code.ENTRY_MALFORMED):
            account_ledger.apply_account_entry(None, other)


@pytest.mark.parametrize(
    "head",
    [b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02"],
)
def test_a_signer_cannot_split_readers_by_an_odd_encoding(space: Space, head: bytes) -> None:
    """Decoders differ in what they take beside the shortest form: what is signed has no other."""
    good = log.parse_entry(space.entry(RecordKind.REVOKE_LINK, RevokeLinkBody(id_of("link"))).envelope)
    content = head + good.content[1:]
    signature = signatures.sign(space.owner.device_seed, context(Label.SIGN_ENTRY, content))
    with refuses(Code.ENTRY_MALFORMED):
        log.parse_entry(msgspec.msgpack.encode([content, signature]))


def test_a_body_has_one_encoding(space: Space) -> None:
    """The same for what stands in an entry: here an epoch's number in nine bytes."""
    body = pack(OpenRollBody(id_of("roll"), 1, b"full", b"view"))
    longer = body.replace(b"\x01\xc4\x04full", b"\xcf\x00\x00\x00\x00\x00\x00\x00\x01\xc4\x04full")
    assert len(longer) == len(body) + 8
    content = b"\x92" + pack(space.header(RecordKind.OPEN_ROLL)) + longer
    signature = signatures.sign(space.owner.device_seed, context(Label.SIGN_ENTRY, content))
    with refuses(Code.ENTRY_MALFORMED):
        check_record(space.state, log.parse_entry(msgspec.msgpack.encode([content, signature])))


def test_an_entry_is_not_hidden_as_purged(space: Space) -> None:
    """An empty envelope keeps the chain whole, so a server could blank a revocation with one."""
    camera = space.camera()
    body = ledger_entries.RevokeCameraBody(camera.device_id, space.next_epoch())
    frame = space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    state = log.LogState()
    for good in space.frames[:-1]:
        state = log.step(state, good)
    blanked = msgspec.structs.replace(frame, envelope=b"", signature=b"kept")
    with refuses(Code.CHAIN_BROKEN):
        log.step(state, blanked)
    assert log.step(state, blanked, may_be_purged=True).chain == frame.chain


@pytest.mark.parametrize("field", ["log", "ledger"])
@pytest.mark.parametrize("head", [Head(0, b"x"), Head(0, seed_of("x")), Head(1, b""), Head(1, b"short")])
def test_a_head_that_is_none_contradicts_every_history(space: Space, field: str, head: Head) -> None:
    """A hash before the first entry, or a place without a whole hash, says nothing that a reader could compare."""
    heads = {"log": space.log.head, "ledger": space.state.head, field: head}
    body = RevokeLinkBody(id_of("link"))
    entry = space.entry(RecordKind.REVOKE_LINK, body, log=heads["log"], ledger=heads["ledger"])
    with refuses(Code.HISTORY_FORKED):
        log.check_heads(entry, 9, lambda _: None, lambda _: None)


def test_nobody_moves_anothers_counter(space: Space) -> None:
    """A malicious member names its own device like another's, to make that one's next entry look like a dropped one."""
    mallory = Person("mallory")
    victim = space.owner.device_id
    mallory.take(mallory.entry(AccountKind.ADD_DEVICE, AddDeviceBody(victim, seed_of("key"))))
    body = RevokeLinkBody(id_of("link"))
    forged = space.entry(RecordKind.REVOKE_LINK, body, author_id=mallory.account_id, device_id=victim)
    with refuses(Code.COUNTER_CONFLICT):
        log.check_position(space.log, forged)
    first = space.entry(RecordKind.REVOKE_LINK, body, author_id=mallory.account_id, counter=1, previous_id=b"")
    log.check_position(space.log, first)
    log.check_position(log.place(space.log, first), space.entry(RecordKind.REVOKE_LINK, body))


@pytest.mark.parametrize("old_inbox", ["full_inbox", "view_inbox"])
@pytest.mark.parametrize("inbox", ["full_inbox", "view_inbox"])
def test_a_new_epoch_has_new_inboxes(space: Space, inbox: str, old_inbox: str) -> None:
    """An epoch that goes on under an old inbox, of either tier, is one by name only: who was removed reads on."""
    first = space.state.epoch
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    for old in (first, space.state.epoch):
        again = msgspec.structs.replace(space.next_epoch(), **{inbox: getattr(old, old_inbox)})
        with refuses(Code.LEDGER_RULE):
            ledger.apply(space.state, space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(again)), 3)


def test_the_two_inboxes_of_an_epoch_differ(space: Space) -> None:
    """With one inbox for both tiers, whoever reads the view tier would read what is sealed to the full one."""
    epoch = space.next_epoch()
    same = msgspec.structs.replace(epoch, view_inbox=epoch.full_inbox)
    with refuses(Code.LEDGER_RULE):
        ledger.apply(space.state, space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(same)), 2)


def test_a_ledger_entry_of_a_later_version_is_not_read_as_this_one(space: Space) -> None:
    """What its fields mean then is not known now: passed over if it says so, never half understood."""
    entry = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), version=2, critical=False)
    after = ledger.apply(space.state, entry, 2)
    assert not after.cameras
    assert after.head == Head(2, entry.id)


def test_a_record_of_a_later_version_is_not_read_as_this_one(space: Space) -> None:
    """The same for records."""
    body = OpenRollBody(id_of("roll"), 1, b"full", b"view")
    assert check_record(space.state, space.entry(RecordKind.OPEN_ROLL, body, version=2, critical=False)) is None


def test_a_genesis_is_the_creators_alone(space: Space) -> None:
    """A device key without the identity's signature over these very terms makes no space."""
    terms = msgspec.structs.replace(space.terms, nonce=seed_of("other nonce"))
    body = ledger_entries.CreateSpaceBody(pack(terms), space.genesis_body().identity_signature)
    fresh = Space(space.owner)
    with refuses(Code.SIGNATURE_INVALID):
        ledger.apply(None, fresh.entry(LedgerKind.CREATE_SPACE, body), 1)


def test_an_account_has_few_unlockers() -> None:
    """Its ledger is carried by every space: it does not grow by names that no one unlocks with."""
    person = Person("anna")
    for number in range(MAX_UNLOCKERS):
        name = "kind-" + chr(97 + number // 26) + chr(97 + number % 26)
        person.take(person.entry(AccountKind.SET_UNLOCKER, SetUnlockerBody(name, seed_of(name))))
    person.take(person.entry(AccountKind.SET_UNLOCKER, SetUnlockerBody("kind-aa", seed_of("again"))))
    with refuses(Code.LEDGER_RULE):
        person.take(person.entry(AccountKind.SET_UNLOCKER, SetUnlockerBody("one-more", seed_of("more"))))


def test_a_signature_serves_one_purpose(space: Space) -> None:
    """What a device signed as one thing does not verify as another."""
    entry = space.entry(RecordKind.REVOKE_LINK, RevokeLinkBody(id_of("link")))
    key = signatures.public_key_of(space.owner.device_seed)
    for label in Label:
        if label is not Label.SIGN_ENTRY:
            with refuses(Code.SIGNATURE_INVALID):
                signatures.verify(key, entry.signature, context(label, entry.content))
