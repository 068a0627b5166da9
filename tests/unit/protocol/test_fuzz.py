"""Bytes that an attacker controls: whatever they are, parsers and judges return or refuse, and do nothing else."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.sync_protocol import (
    account_ledger,
    ledger,
    ledger_entries,
    links,
    log,
    pairing,
    receipts,
    signatures,
    upload_links,
)
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.log import Entry, Head
from safelight.sync_protocol.messages.accounts import AppendAccountEntries, CreateAccount
from safelight.sync_protocol.messages.links import OpenLink
from safelight.sync_protocol.messages.sessions import OpenSession
from safelight.sync_protocol.messages.spaces import AskFingerprints, CommitEntry
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    FullPart,
    OpenRollBody,
    PublishInboxBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    ViewPart,
)
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.roles import Role, Tier
from safelight.sync_protocol.sealing import boxes, floe, hpke, passwords
from safelight.sync_protocol.wire import parse_request, unpack
from tests.support.grants import (
    ALBUM,
    album_assets,
    album_roll,
    end_body,
    give_body,
    open_body,
    remove_body,
    renaming_body,
    share,
    show_body,
)
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member, signer_of
from tests.support.upload_ledgers import (
    LINK,
    PUBLISHING_SEED,
    bound,
    close_entry,
    guest_entry,
    guest_of,
    inbox_entry,
    upload_body,
    upload_head,
    upload_link,
)

REQUESTS: tuple[type[msgspec.Struct], ...] = (
    AppendAccountEntries,
    AskFingerprints,
    CommitEntry,
    CreateAccount,
    OpenLink,
    OpenSession,
)
SEALED: tuple[type[msgspec.Struct], ...] = (
    FullPart,
    ViewPart,
    links.HeadContent,
    links.MakersCopy,
    links.PageContent,
    upload_links.HeadContent,
    upload_links.MakersCopy,
)
# MessagePack's own troublemakers: ends of ranges, declared lengths far beyond the data, extensions, maps, deep nesting.
TROUBLE = (
    b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\xcb" + bytes(8), b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7),
    b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\xd6\xff\x00\x00\x00\x01", b"\xc9\xff\xff\xff\xff\x01", b"\x81\xa0\x80", b"\xa1\xff", b"\x91" * 3000,
)  # fmt: skip
JSON_TROUBLE = (
    b'"\\ud800"', b"1e400", b"-0", b"9" * 5000, b"[" * 3000, b"NaN", b"\xff", b"\x00", b'"a":1,"a":2', b"null", b"{}",
)  # fmt: skip

pieces = st.one_of(st.sampled_from(TROUBLE), st.binary(max_size=12))
places = st.integers(0, 999)
cuts = st.tuples(st.integers(0, 10_000), st.integers(0, 40))


@cache
def grown() -> Space:
    """A space with a camera, a roll, an asset, and an album that was shared with one who may still add.

    The camera fills the album as well, and so does a guest of an upload link.
    """
    space = Space(Person("anna")).create()
    camera = space.camera()
    space.take(space.entry(RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view"), camera), camera)
    original = RenditionRef(RenditionName.ORIGINAL, id_of("one"), seed_of("one"), 4096, bytes(74))
    asset = AssetBody(id_of("asset"), b"", [original], b"wrap", b"wrap", b"view", b"full")
    space.take(space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset]), camera), camera)
    space.take(space.entry(ledger_entries.LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    space.owner.add_device("laptop")
    advance = ledger_entries.AdvanceAccountBody(space.owner.account_id, space.owner.entries[1:], None)
    space.take(space.entry(ledger_entries.LedgerKind.ADVANCE_ACCOUNT, advance))
    bert = Person("bert")
    member(space, bert, Role.CONTRIBUTOR)
    share(space, bert)
    space.take(space.entry(RecordKind.SHOW_IN_ALBUM, show_body()))
    point = ledger_entries.PointCameraBody(camera.device_id, ALBUM)
    space.take(space.entry(ledger_entries.LedgerKind.POINT_CAMERA, point))
    space.take(space.entry(RecordKind.OPEN_ALBUM_ROLL, album_roll(epoch=2), camera), camera)
    space.take(space.entry(RecordKind.ADD_ALBUM_ASSETS, album_assets(), camera), camera)
    upload_link(space, album_id=ALBUM)
    space.take(inbox_entry(space))
    guest = bound(space)
    space.take(space.entry(RecordKind.OPEN_ALBUM_ROLL, album_roll(epoch=2), guest), guest)
    return space


@cache
def known() -> list[Entry]:
    """Every entry of the space, and those of its album that could come next, so that their rules are reached."""
    space, kinds = grown(), ledger_entries.LedgerKind
    bert, away = Person("bert"), ledger_entries.PointCameraBody(space.camera_signer().device_id, b"")
    return [
        *(log.parse_entry(frame.envelope) for frame in space.frames),
        space.entry(kinds.OPEN_GENERATION, open_body(space)),
        space.entry(kinds.GIVE_GRANT, give_body(space, bert, Tier.FULL)),
        space.entry(kinds.END_GRANT, end_body(space, bert)),
        space.entry(kinds.POINT_CAMERA, away),
        space.entry(RecordKind.REMOVE_FROM_ALBUM, remove_body()),
        space.entry(RecordKind.RENAME_ALBUM, renaming_body()),
        space.entry(RecordKind.SET_ALBUM_RULES, AlbumRulesBody(ALBUM, requires_approval=True)),
        space.entry(
            RecordKind.APPROVE_ASSETS, ApproveAssetsBody(ALBUM, True, [ApprovalItem(id_of("asset"), bytes(32))])
        ),
        space.entry(kinds.OPEN_UPLOAD_LINK, upload_body(space, link_id=id_of("another"), album_id=ALBUM)),
        guest_entry(space, guest_of("second")),
        close_entry(space),
        inbox_entry(space),
        space.entry(RecordKind.ADD_ALBUM_ASSETS, album_assets(), guest_of()),
    ]


def signer_of_known(entry: Entry) -> Signer:
    """Who signed an entry, and could sign the next."""
    space, bert = grown(), Person("bert")
    for signer in (space.signer, space.camera_signer(), signer_of(bert), guest_of(), guest_of("second")):
        if entry.header.author_id == signer.author_id:
            return signer
    raise LookupError(entry.header.author_id.hex())


def damaged(data: bytes, changes: list[tuple[tuple[int, int], bytes]]) -> bytes:
    """*data* with each (place, length) replaced by a piece."""
    for (place, length), piece in changes:
        start = place % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    return data


changes = st.lists(st.tuples(cuts, pieces), min_size=1, max_size=3)


def only_refuses(attempt: Callable[..., object], *arguments: Any) -> None:
    """Pass if *attempt* returns or refuses; any other exception is the attacker's success."""
    with suppress(Refused):
        attempt(*arguments)


def judge(entry: Entry) -> None:
    """Do all that a reader does with an entry at the next slot."""
    space = grown()
    number = space.log.number + 1
    if ledger_entries.is_ledger_kind(entry.header.kind):
        only_refuses(ledger.apply, space.state, entry, number)
        only_refuses(ledger.apply, None, entry, 1)
    else:
        only_refuses(check_record, space.state, entry)
    only_refuses(log.check_position, space.log, entry)
    only_refuses(log.check_heads, entry, number, lambda _: None, lambda _: None)


@settings(max_examples=300, deadline=None)
@given(which=places, changes=changes)
def test_damaged_envelopes(which: int, changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """By the network or the server, who cannot sign."""
    envelope = damaged(known()[which % len(known())].envelope, changes)
    try:
        entry = log.parse_entry(envelope)
    except Refused:
        return
    judge(entry)


@settings(max_examples=500, deadline=None)
@given(which=places, changes=changes)
def test_damaged_contents_that_are_signed(which: int, changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """By a member or a camera, who signs what it likes."""
    good = known()[which % len(known())]
    content = damaged(good.content, changes)
    signature = signatures.sign(signer_of_known(good).seed, context(Label.SIGN_ENTRY, content))
    try:
        entry = log.parse_entry(msgspec.msgpack.encode([content, signature]))
    except Refused:
        return
    judge(entry)


@settings(max_examples=500, deadline=None)
@given(which=places, changes=changes)
def test_damaged_bodies_under_good_headers(which: int, changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """The same, with a header that is in its place, so that the rule of each kind is reached."""
    good = known()[which % len(known())]
    signer = signer_of_known(good)
    header = msgspec.msgpack.encode(grown().header(good.header.kind, signer))
    content = b"\x92" + header + damaged(good.body, changes)
    signature = signatures.sign(signer.seed, context(Label.SIGN_ENTRY, content))
    try:
        entry = log.parse_entry(msgspec.msgpack.encode([content, signature]))
    except Refused:
        return
    judge(entry)


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 1), changes=changes, signed=st.booleans())
def test_damaged_account_entries(which: int, changes: list[tuple[tuple[int, int], bytes]], signed: bool) -> None:
    """By a server, or by the account itself."""
    owner = grown().owner
    envelope = owner.entries[which]
    if signed:
        content = damaged(msgspec.msgpack.decode(envelope)[0], changes)
        signature = signatures.sign(owner.identity_seed, context(Label.SIGN_ACCOUNT_ENTRY, content))
        envelope = msgspec.msgpack.encode([content, signature])
    else:
        envelope = damaged(envelope, changes)
    before = account_ledger.apply_account_entries(None, owner.entries[:which]) if which else None
    only_refuses(account_ledger.apply_account_entry, before, envelope)


@settings(max_examples=300, deadline=None)
@given(changes=changes, signed=st.booleans())
def test_damaged_heads_of_upload_links(changes: list[tuple[tuple[int, int], bytes]], signed: bool) -> None:
    """By the server, or by an insider who has the publishing key: what guests parse, and what readers judge."""
    space, key = grown(), signatures.public_key_of(PUBLISHING_SEED)
    content, signature = upload_links.sign_upload_head(upload_head(space), PUBLISHING_SEED)
    content = damaged(content, changes)
    if signed:
        signature = signatures.sign(PUBLISHING_SEED, context(Label.SIGN_UPLOAD_HEAD, LINK, content))
    only_refuses(upload_links.read_upload_head, LINK, content, signature, key)
    judge(space.entry(RecordKind.PUBLISH_INBOX, PublishInboxBody(LINK, content, signature)))


@settings(max_examples=200, deadline=None)
@given(changes=changes)
def test_damaged_feeds(changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """A page of the feed, split and stepped through."""

    def follow(data: bytes) -> None:
        state = log.LogState()
        for frame in log.frames_from_bytes(data):
            state = log.step(state, frame)

    only_refuses(follow, damaged(log.frames_to_bytes(grown().frames), changes))


@settings(max_examples=200, deadline=None)
@given(data=st.one_of(pieces, st.recursive(st.none() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40)
       | st.text(max_size=9) | st.floats(), lambda inner: st.lists(inner, max_size=9)
       | st.dictionaries(st.text(max_size=9), inner, max_size=9)).map(msgspec.msgpack.encode)))  # fmt: skip
def test_any_messagepack(data: bytes) -> None:
    """Where a signed or sealed value is expected."""
    for parse in (log.parse_entry, lambda each: list(log.frames_from_bytes(each))):
        only_refuses(parse, data)
    only_refuses(account_ledger.apply_account_entry, None, data)
    for shape in (*SEALED, receipts.Receipt, links.ManifestHead, upload_links.UploadHead, log.Frame, AlbumFrame):
        only_refuses(unpack, data, shape)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["entry", "token", "name"]), inner),
)


@settings(max_examples=300, deadline=None)
@given(document=json_values, changes=st.lists(st.tuples(cuts, st.sampled_from(JSON_TROUBLE)), max_size=2))
def test_any_request(document: object, changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """Where JSON is expected."""
    data = damaged(msgspec.json.encode(document), changes)
    for shape in REQUESTS:
        only_refuses(parse_request, data, shape)


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=120), st.text("abcdefgh234567=#%\u017f\u0131\u212a\ud800", min_size=50, max_size=300)
    )
)
def test_any_text(text: str) -> None:
    """Where a link's address, its fragment, a pairing code or recovery words are expected."""
    only_refuses(links.parse_fragment, bytes(16), text)
    only_refuses(links.parse_address, f"https://host.example/s/{'0' * 32}#{text}")
    only_refuses(links.parse_address, text)
    only_refuses(pairing.parse_pairing_uri, text)
    only_refuses(pairing.parse_pairing_uri, f"safelight:pair#{text}")
    only_refuses(passwords.words_to_entropy, text)


@cache
def sealed_values() -> tuple[bytes, bytes, bytes]:
    """A FLOE value, a box and an HPKE value."""
    nonce, public = bytes(boxes.NONCE_SIZE_BYTES), hpke.public_key(bytes(32))
    return (
        floe.seal_bytes(bytes(32), b"", b"plaintext" * 9),
        boxes.seal_box(bytes(32), b"", b"plaintext", nonce=nonce),
        hpke.seal(public, b"", b"plaintext"),
    )


@settings(max_examples=300, deadline=None)
@given(changes=changes)
def test_damaged_sealed_values(changes: list[tuple[tuple[int, int], bytes]]) -> None:
    """Blobs, boxes, sealed keys, and public keys to seal to."""
    blob, box, sealed = sealed_values()
    only_refuses(floe.open_bytes, bytes(32), b"", damaged(blob, changes))
    only_refuses(boxes.open_box, bytes(32), b"", damaged(box, changes))
    only_refuses(hpke.open_sealed, bytes(32), b"", damaged(sealed, changes))
    only_refuses(hpke.seal, damaged(hpke.public_key(bytes(32)), changes), b"", b"x")
    padded = damaged(hpke.public_key(bytes(32)), changes)[:1216].ljust(1216, b"\xff")
    only_refuses(hpke.seal, padded, b"", b"x")


def test_the_harness_sees_what_is_not_a_refusal() -> None:
    """A fuzz test that could not fail would be none."""
    only_refuses(log.check_position, log.LogState(), log.parse_entry(grown().frames[1].envelope))
    try:
        only_refuses(lambda: Head(1, b"").missing)  # type: ignore[attr-defined]  # the attribute error is the point
    except AttributeError:
        return
    raise AssertionError("an exception that is no refusal was swallowed")
