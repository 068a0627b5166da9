"""Attacks by what stands in records, links and requests, each tried before it was stopped."""

from typing import Any

import msgspec
import pytest

from safelight.sync_protocol import links, signatures
from safelight.sync_protocol.account_ledger import AccountKind, SetUnlockerBody
from safelight.sync_protocol.messages.accounts import CreateAccount, StartUnlock
from safelight.sync_protocol.messages.sessions import AskChallenge
from safelight.sync_protocol.messages.spaces import AskFingerprints
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    FullPart,
    LinkPolicy,
    PageRef,
    Place,
    PublishLinkBody,
    RecordKind,
    RenditionInfo,
    RenditionName,
    RenditionRef,
    RevokeLinkBody,
    ViewPart,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.wire import pack, parse_request, unpack
from tests.support.ledgers import NOW_MS, Person, Space, id_of, seed_of
from tests.support.refusing import refuses


def asset(*renditions: RenditionRef, fingerprint: bytes = b"") -> AssetBody:
    """An asset with these renditions."""
    return AssetBody(id_of("asset"), fingerprint, list(renditions), b"wrap", b"wrap", b"view", b"full")


def rendition(name: RenditionName, which: str) -> RenditionRef:
    """A rendition's reference."""
    return RenditionRef(name, id_of(which), seed_of(which), 4096, bytes(74))


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


def test_a_page_that_the_head_does_not_name_is_refused() -> None:
    """A guest asks for pages by number; there is no page before the first or after the last."""
    head = links.ManifestHead(1, id_of("link"), 1, NOW_MS, [PageRef(seed_of("page"), 10)], b"")
    for page in (-1, 1, 200):
        with refuses(Code.MANIFEST_INVALID):
            links.check_page(head, page, b"page")


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
