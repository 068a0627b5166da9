"""Attacks on the protocol's pure functions, each tried before it was stopped: what is refused, and by which code."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from safelight.sync_protocol import account_ledger, ids, ledger, ledger_entries, links, log, signatures
from safelight.sync_protocol.account_ledger import MAX_UNLOCKERS, AccountKind, AddDeviceBody, SetUnlockerBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import CreateAccount, StartUnlock
from safelight.sync_protocol.messages.sessions import AskChallenge
from safelight.sync_protocol.messages.spaces import AskFingerprints
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    FullPart,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    Place,
    PublishLinkBody,
    RecordKind,
    RenditionInfo,
    RenditionName,
    RenditionRef,
    RevokeLinkBody,
    ViewPart,
    check_record,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.wire import pack, parse_request, unpack
from tests.support.ledgers import NOW_MS, Person, Space, id_of, seed_of
from tests.support.refusing import refuses


@pytest.fixture
def space() -> Space:
    """A space of one owner."""
    return Space(Person("anna")).create()


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


# One signed entry, two ids


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


@pytest.mark.parametrize("size_bytes", [1, 31])
def test_a_links_password_is_whole_or_absent(space: Space, size_bytes: int) -> None:
    """Part of a proof's hash would make a link that says it has a password and that nobody opens."""
    policy = LinkPolicy(0, 0, 0, originals=False)
    page, key = PageRef(seed_of("page"), 10), signatures.public_key_of(seed_of("publisher"))
    body = PublishLinkBody(
        id_of("link"), id_of("album"), "view", 1, bytes(32), bytes(size_bytes), key, b"head", bytes(64), [page], [], [],
        [], policy, b"makers",
    )  # fmt: skip
    with refuses(Code.ENTRY_MALFORMED):
        check_record(space.state, space.entry(RecordKind.PUBLISH_LINK, body))


# A hidden revocation


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


# Somebody else's name


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


# Ledger rules


def with_role(state: LedgerState, account_id: bytes, role: Role) -> LedgerState:
    """The state in which the member has another role."""
    member = replace(state.members[account_id], role=role)
    return replace(state, members={**state.members, account_id: member})


@pytest.mark.parametrize("inbox", ["full_inbox", "view_inbox"])
def test_a_new_epoch_has_new_inboxes(space: Space, inbox: str) -> None:
    """An epoch that goes on under an old inbox is one by name only: who was removed reads on."""
    first = space.state.epoch
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    for old in (first, space.state.epoch):
        again = msgspec.structs.replace(space.next_epoch(), **{inbox: getattr(old, inbox)})
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


def test_a_camera_signs_no_ledger_entry_of_an_unknown_kind(space: Space) -> None:
    """Each would move the ledger's head, and a stolen phone could make everyone's next ledger entry stale for ever."""
    camera = space.camera()
    body = RevokeLinkBody(id_of("anything"))
    with refuses(Code.RIGHT_MISSING):
        ledger.apply(space.state, space.entry("camera.noise", body, camera, critical=False), 4)
    ledger.apply(space.state, space.entry("camera.noise", body, critical=False), 4)


def test_a_camera_has_no_right_that_its_certifier_lost(space: Space) -> None:
    """Neither a bound camera nor a pairing code outlives the right to add of whoever made it."""
    camera = space.camera()
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body("tablet")))
    lowered = with_role(space.state, space.owner.account_id, Role.VIEWER)
    assert space.state.rights_of(camera.author_id) == {Right.ADD}
    assert lowered.rights_of(camera.author_id) == frozenset()
    assert lowered.signing_key(camera.author_id, camera.device_id) is None
    tablet = space.camera_signer("tablet")
    with refuses(Code.SIGNER_UNKNOWN):
        ledger.apply(lowered, space.entry(LedgerKind.BIND_CAMERA, space.bind_body("tablet"), tablet), 5)


def test_a_bind_is_of_no_use_in_another_space(space: Space) -> None:
    """What the pairing key signed names its space: the same certificate elsewhere accepts nothing of it."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    other = Space(space.owner, links="none").create()
    other.take(other.entry(LedgerKind.CERTIFY_CAMERA, other.certify_body()))
    phone = other.camera_signer()
    with refuses(Code.SIGNATURE_INVALID):
        ledger.apply(other.state, other.entry(LedgerKind.BIND_CAMERA, space.bind_body(), phone), 3)


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


# Records


def asset(*renditions: RenditionRef, fingerprint: bytes = b"") -> AssetBody:
    """An asset with these renditions."""
    return AssetBody(id_of("asset"), fingerprint, list(renditions), b"wrap", b"wrap", b"view", b"full")


def rendition(name: RenditionName, which: str) -> RenditionRef:
    """A rendition's reference."""
    return RenditionRef(name, id_of(which), seed_of(which), 4096, bytes(74))


def test_an_asset_has_one_rendition_of_a_name(space: Space) -> None:
    """With two previews, one reader takes the first and another the last: two members see two pictures."""
    original = rendition(RenditionName.ORIGINAL, "one")
    previews = [rendition(RenditionName.PREVIEW, which) for which in ("two", "three")]
    body = AddAssetsBody(id_of("roll"), [asset(original, *previews)])
    with refuses(Code.ENTRY_MALFORMED):
        check_record(space.state, space.entry(RecordKind.ADD_ASSETS, body))


@pytest.mark.parametrize("size_bytes", [1, 31])
def test_a_fingerprint_is_whole_or_absent(space: Space, size_bytes: int) -> None:
    """A part of one matches nothing, and hides the photograph from those who ask."""
    body = AddAssetsBody(
        id_of("roll"), [asset(rendition(RenditionName.ORIGINAL, "one"), fingerprint=bytes(size_bytes))]
    )
    with refuses(Code.ENTRY_MALFORMED):
        check_record(space.state, space.entry(RecordKind.ADD_ASSETS, body))


FULL: dict[str, Any] = {"name": "a.jpg", "sha256": bytes(32), "size_bytes": 1, "media_type": "", "modified_ns": 0}


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        (FullPart, {**FULL, "modified_ns": 2**63}),
        (FullPart, {**FULL, "size_bytes": -1}),
        (FullPart, {**FULL, "size_bytes": 2**64 - 1}),
        (FullPart, {**FULL, "sha256": bytes(31)}),
        (FullPart, {**FULL, "place": {"latitude": float("nan"), "longitude": 0.0}}),
        (FullPart, {**FULL, "place": {"latitude": 0.0, "longitude": 181.0}}),
        (FullPart, {**FULL, "place": {"latitude": 0.0, "longitude": 0.0, "altitude_m": float("inf")}}),
        (ViewPart, {"kind": "photo", "width": -1}),
        (ViewPart, {"kind": "photo", "duration_ms": 2**63}),
        (ViewPart, {"kind": "photo", "taken_offset_min": 2**63}),
        (ViewPart, {"kind": "photo", "renditions": {"preview": {"length_bytes": -1, "media_type": ""}}}),
        (links.HeadContent, {"title": "", "asset_count": -1, "tier": "view"}),
        (links.MakersCopy, {"secret": b"", "publishing_seed": bytes(32), "has_password": False}),
    ],
)
def test_no_number_inside_a_sealed_part_breaks_its_reader(shape: type, fields: dict[str, Any]) -> None:
    """A camera seals what it likes: a number that no database or calendar takes would stop every reader."""
    with refuses(Code.ENTRY_MALFORMED):
        unpack(msgspec.msgpack.encode(fields), shape)


def test_honest_sealed_parts_pass() -> None:
    """The bounds keep nothing out that is."""
    info = {"preview": RenditionInfo(1, "image/webp", 3, 4)}
    place = Place(-33.9, 151.2, -3.5)
    full = FullPart("a.jpg", bytes(32), 0, "image/jpeg", -1, place=place, renditions=info)
    assert unpack(pack(full), FullPart) == full
    view = ViewPart("video", 1, 2, 3, taken_offset_min=-570, renditions=info)
    assert unpack(pack(view), ViewPart) == view


# Links


def test_a_page_that_the_head_does_not_name_is_refused() -> None:
    """A guest asks for pages by number; there is no page before the first or after the last."""
    head = links.ManifestHead(1, id_of("link"), 1, NOW_MS, [PageRef(seed_of("page"), 10)], b"")
    for page in (-1, 1, 200):
        with refuses(Code.MANIFEST_INVALID):
            links.check_page(head, page, b"page")


# Requests


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "utf-8-sig"])
def test_json_is_utf_8(encoding: str) -> None:
    """A proxy that filters requests and a server that guesses their encoding would read two different things."""
    with refuses(Code.BAD_REQUEST):
        parse_request('{"fingerprints": []}'.encode(encoding), AskFingerprints)


@pytest.mark.parametrize("escape", [r"\ud800", r"\uDFFF", r"x\udc00\ud800"])
def test_text_in_json_is_text(escape: str) -> None:
    """Half a character has no UTF-8: hashing or storing such an invite would be a fault of the server's."""
    request = {"invite": "X", "name": "anna", "entries": [], "unlockers": []}
    data = msgspec.json.encode(request).replace(b"X", escape.encode())
    with refuses(Code.BAD_REQUEST):
        parse_request(data, CreateAccount)


def test_whole_characters_pass_as_escapes() -> None:
    """A pair of surrogates is one character."""
    data = rb'{"name": "a\u00e9", "kind": "password"}'
    assert parse_request(data, StartUnlock).name == "a\u00e9"

    class Text(msgspec.Struct):
        text: str

    assert parse_request(rb'{"text": "\ud83d\ude00"}', Text).text == "\U0001f600"


def test_integers_in_lists_have_the_same_limit() -> None:
    """2^53 or more is refused wherever it stands."""

    class Numbers(msgspec.Struct):
        numbers: list[int]

    assert parse_request(b'{"numbers": [9007199254740991]}', Numbers).numbers == [2**53 - 1]
    for text in (b"9007199254740992", b"-9007199254740992"):
        with refuses(Code.BAD_REQUEST):
            parse_request(b'{"numbers": [[' + text + b"]]}", Numbers)
        with refuses(Code.BAD_REQUEST):
            parse_request(b'{"numbers": [' + text + b"]}", Numbers)


def test_names_and_ids_end_where_they_end(space: Space) -> None:
    """`$` also matches before a last line break: the same name or id would stand in the tables twice."""
    with refuses(Code.BAD_REQUEST):
        parse_request(rb'{"name": "anna\n", "kind": "password"}', StartUnlock)
    with refuses(Code.BAD_REQUEST):
        parse_request(b'{"device_id": "' + b"0" * 32 + rb'\n"}', AskChallenge)
    with refuses(Code.ENTRY_MALFORMED):
        space.entry("link.revoke\n", RevokeLinkBody(id_of("link")))
    person = Person("anna")
    with refuses(Code.ENTRY_MALFORMED):
        person.take(person.entry(AccountKind.SET_UNLOCKER, SetUnlockerBody("password\n", seed_of("x"))))


def test_a_signature_serves_one_purpose(space: Space) -> None:
    """What a device signed as one thing does not verify as another."""
    entry = space.entry(RecordKind.REVOKE_LINK, RevokeLinkBody(id_of("link")))
    key = signatures.public_key_of(space.owner.device_seed)
    for label in Label:
        if label is not Label.SIGN_ENTRY:
            with refuses(Code.SIGNATURE_INVALID):
                signatures.verify(key, entry.signature, context(label, entry.content))
