"""Links and pairing codes: what chat programs do to them, and what a server could substitute."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from safelight.sync_protocol import codes, links, pairing, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import key_fingerprint, new_id, space_id
from safelight.sync_protocol.limits import MAX_INTEGER
from safelight.sync_protocol.links import HeadContent, LinkAddress, ManifestHead
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import PutKeyring
from safelight.sync_protocol.messages.spaces import AskFingerprints
from safelight.sync_protocol.pairing import Pairing
from safelight.sync_protocol.records import PageRef
from safelight.sync_protocol.refusals import TABLE, Code, Refused
from safelight.sync_protocol.wire import pack, parse_request, unpack
from tests.support.ledgers import NOW_MS, id_of, seed_of
from tests.support.refusing import refusal

PUBLISHER = seed_of("publisher")
ADDRESS = LinkAddress(
    link_id=id_of("link"),
    has_password=True,
    secret=id_of("secret"),
    publisher_fingerprint=key_fingerprint(signatures.public_key_of(PUBLISHER)),
)


def test_an_address_comes_back_as_it_was() -> None:
    """61 letters and digits, or 87 with a hand-over token; nothing that a chat program would break at."""
    fragment = links.build_fragment(ADDRESS)
    assert len(fragment) == 61
    assert fragment.isalnum()
    assert links.parse_fragment(ADDRESS.link_id, fragment) == ADDRESS
    open_link = replace(ADDRESS, has_password=False, handover=id_of("hand-over"))
    long = links.build_fragment(open_link)
    assert len(long) == 87
    assert links.parse_fragment(ADDRESS.link_id, long) == open_link
    upload = replace(open_link, is_upload=True)
    assert links.parse_fragment(ADDRESS.link_id, links.build_fragment(upload)) == upload


@pytest.mark.parametrize(
    "mend",
    ["#{}", "%23{}", " {} \n", "{}.", "({})", "<{}>", "\u201c{}\u201d", "##{}", "{}\u200b"],
)
def test_what_is_put_around_an_address_is_taken_off(mend: str) -> None:
    """Brackets, quotes, full stops and an escaped number sign do no harm."""
    text = mend.format(links.build_fragment(ADDRESS))
    assert links.parse_fragment(ADDRESS.link_id, text) == ADDRESS
    assert links.parse_fragment(ADDRESS.link_id, text.upper()) == ADDRESS


def test_a_whole_address_can_be_pasted() -> None:
    """With what stands before and after it."""
    fragment = links.build_fragment(ADDRESS)
    for sign in ("#", "%23"):
        url = f"https://photos.example/s/{ADDRESS.link_id.hex()}{sign}{fragment}"
        assert links.parse_address(f"See: <{url}>.") == ADDRESS
    assert refusal(links.parse_address, "https://photos.example/") is Code.LINK_ADDRESS_CUT
    bare = f"https://photos.example/s/{ADDRESS.link_id.hex()}"
    assert refusal(links.parse_address, bare) is Code.LINK_ADDRESS_CUT


def test_every_cut_is_told_from_every_change() -> None:
    """Each shorter address is cut; each changed letter, another link's id and a swap are mangled."""
    fragment = links.build_fragment(ADDRESS)
    for length in range(61):
        assert refusal(links.parse_fragment, ADDRESS.link_id, fragment[:length]) is Code.LINK_ADDRESS_CUT
    for place in range(61):
        changed = fragment[:place] + ("a" if fragment[place] != "a" else "b") + fragment[place + 1 :]
        assert refusal(links.parse_fragment, ADDRESS.link_id, changed) is Code.LINK_ADDRESS_MANGLED
    assert refusal(links.parse_fragment, id_of("other"), fragment) is Code.LINK_ADDRESS_MANGLED
    assert refusal(links.parse_fragment, ADDRESS.link_id, "1" * 61) is Code.LINK_ADDRESS_MANGLED


def test_a_later_version_is_told_from_damage() -> None:
    """With a right checksum, another version, an unknown flag or both known ones are a newer Safelight's."""
    for start in (b"\x02\x00", b"\x01\x04", b"\x01\x03"):
        body = start + ADDRESS.secret + ADDRESS.publisher_fingerprint
        text = codes.to_letters(body + links._checksum(ADDRESS.link_id, body))
        assert refusal(links.parse_fragment, ADDRESS.link_id, text) is Code.LINK_ADDRESS_VERSION


@pytest.mark.parametrize("tail", ["a", "1" * 26, "a" * 25, "a" * 27])
def test_a_damaged_hand_over_token_is_passed_over(tail: str) -> None:
    """The link still opens; it may cost an opening."""
    assert links.parse_fragment(ADDRESS.link_id, links.build_fragment(ADDRESS) + tail) == ADDRESS


def test_a_manifest_is_the_makers_or_nothing() -> None:
    """A substituted key, signature, link, version or page is refused by the address alone."""
    page = b"a page's sealed bytes"
    ref = PageRef(hashlib.sha256(page).digest(), len(page))
    head = ManifestHead(1, ADDRESS.link_id, 1, NOW_MS, [ref], b"sealed")
    content, signature = links.sign_head(head, PUBLISHER)
    key = signatures.public_key_of(PUBLISHER)
    assert links.verify_head(ADDRESS, content, signature, key) == head
    links.check_page(head, 0, page)
    assert refusal(links.check_page, head, 0, page[:-1]) is Code.MANIFEST_INVALID

    server = seed_of("server")
    by_server = links.sign_head(head, server)
    other_link = links.sign_head(msgspec.structs.replace(head, link_id=id_of("other")), PUBLISHER)
    later = links.sign_head(msgspec.structs.replace(head, version=2), PUBLISHER)
    replayed = msgspec.structs.replace(head, link_id=id_of("other"))
    resigned = signatures.sign(PUBLISHER, context(Label.SIGN_MANIFEST, ADDRESS.link_id, pack(replayed)))
    garbage = signatures.sign(PUBLISHER, context(Label.SIGN_MANIFEST, ADDRESS.link_id, b"\xc1"))
    for wrong in (
        (*by_server, signatures.public_key_of(server)),
        (*by_server, key),
        (*other_link, key),
        (*later, key),
        (pack(replayed), resigned, key),
        (b"\xc1", garbage, key),
    ):
        assert refusal(links.verify_head, ADDRESS, *wrong) is Code.MANIFEST_INVALID


def test_what_later_versions_add_inside_sealed_parts_is_passed_over() -> None:
    """Sealed parts are maps: an older page shows what it knows."""
    content = msgspec.msgpack.encode({"title": "Summer", "asset_count": 3, "tier": "view", "mood": "sunny"})
    assert unpack(content, HeadContent) == HeadContent("Summer", 3, "view")


def test_pairing_codes_come_back_and_damage_is_found() -> None:
    """Every changed letter, a cut, another version and other text are refused before anything is sent."""
    code = Pairing(
        "https://photos.example:8443",
        id_of("server"),
        seed_of("space"),
        Head(9, seed_of("x")),
        id_of("cam"),
        seed_of("s"),
    )
    uri = pairing.build_pairing_uri(code)
    assert pairing.parse_pairing_uri(f" {uri}\n") == code
    assert pairing.parse_pairing_uri(uri.upper()) == code
    start = len("safelight:pair#")
    for place in range(start, len(uri)):
        changed = uri[:place] + ("a" if uri[place] != "a" else "b") + uri[place + 1 :]
        assert refusal(pairing.parse_pairing_uri, changed) is Code.PAIRING_INVALID
    for text in ("", "https://photos.example", uri[:60], "safelight:pair#", uri + "a" * 2000):
        assert refusal(pairing.parse_pairing_uri, text) is Code.PAIRING_INVALID


def test_pairing_codes_of_later_versions_and_odd_bytes() -> None:
    """With a right checksum: another version, a number beyond all logs, a URL that is no text."""
    uri = pairing.build_pairing_uri(
        Pairing("https://a", id_of("server"), seed_of("space"), Head(9, seed_of("x")), id_of("cam"), seed_of("s"))
    )
    body = (codes.from_letters(uri.partition("#")[2]) or b"")[:-4]
    for odd in (
        b"\x02" + body[1:],
        body[:49] + (MAX_INTEGER + 1).to_bytes(8, "big") + body[57:],
        body[:-1] + b"\xff",
    ):
        text = "safelight:pair#" + codes.to_letters(odd + pairing._checksum(odd))
        assert refusal(pairing.parse_pairing_uri, text) is Code.PAIRING_INVALID


def test_letters_are_canonical() -> None:
    """One text for one value: padding bits and foreign letters are refused."""
    assert codes.from_letters(codes.to_letters(b"safelight")) == b"safelight"
    assert codes.from_letters("aa") == b"\x00"
    for text in ("ab", "a", "a1", "a=", "ä" * 8):
        assert codes.from_letters(text) is None


REFUSED_REQUESTS = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b'{"fingerprints": 1}',
    b'{"fingerprints": [1.5]}',
    b'{"fingerprints": [], "more": 1}',
    b'{"fingerprints": [], "fingerprints": []}',
    b'{"fingerprints": NaN}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("data", REFUSED_REQUESTS)
def test_requests_are_strict(data: bytes) -> None:
    """Unknown and repeated keys, wrong types, floats and garbage are bad requests."""
    assert refusal(parse_request, data, AskFingerprints) is Code.BAD_REQUEST
    assert parse_request(b'{"fingerprints": []}', AskFingerprints) == AskFingerprints([])


def test_integers_end_below_2_to_the_53() -> None:
    """What a browser could not hold exactly is refused, wherever it stands."""
    good = b'{"version": 9007199254740991, "sealed": ""}'
    assert parse_request(good, PutKeyring).version == MAX_INTEGER
    assert refusal(parse_request, good.replace(b"1,", b"2,"), PutKeyring) is Code.BAD_REQUEST
    assert refusal(parse_request, b'{"a": {"b": 9007199254740992}}', PutKeyring) is Code.BAD_REQUEST


def test_ids_are_random_or_hashes() -> None:
    """Ids are 16 bytes of the generator given; a space's id is the hash of its genesis."""
    assert new_id(lambda size: b"\x07" * size) == b"\x07" * 16
    assert new_id() != new_id()
    assert len(space_id(b"genesis")) == 32
    assert space_id(b"genesis") != space_id(b"genesis ")


def test_every_refusal_has_a_row_and_a_sentence() -> None:
    """One table: no code without a status and a sentence that ends as one."""
    assert set(TABLE) == set(Code)
    for code, row in TABLE.items():
        assert 400 <= row.status < 600, code
        assert row.sentence.endswith("."), code
    refused = Refused(Code.NOT_FOUND, "the album")
    assert refused.status == 404
    assert str(refused) == f"{TABLE[Code.NOT_FOUND].sentence} (the album) [not-found]"
    assert Refused(Code.NOT_FOUND).sentence == TABLE[Code.NOT_FOUND].sentence
