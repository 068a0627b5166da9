"""Vectors of links: addresses as they arrive in chats, manifests signed and sealed, and the files that they name."""

import hashlib
from dataclasses import asdict
from typing import Any

import msgspec

from safelight.sync_protocol import links, signatures
from safelight.sync_protocol.codes import to_letters
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import key_fingerprint
from safelight.sync_protocol.links import HeadContent, LinkAddress, LinkAsset, LinkRendition, ManifestHead, PageContent
from safelight.sync_protocol.padding import pad, padme
from safelight.sync_protocol.records import PageRef, RenditionName
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import floe, keytree
from safelight.sync_protocol.wire import Sealed, pack
from tools.vector_builder import Cases, seeded
from tools.vector_operations import Values
from tools.vector_operations_links import head_place, page_place

_SEED = seeded("publishing seed")
_PUBLISHING_KEY = signatures.public_key_of(_SEED)
_ADDRESS = LinkAddress(
    link_id=seeded("link id", 16),
    has_password=True,
    secret=seeded("link secret", 16),
    publisher_fingerprint=key_fingerprint(_PUBLISHING_KEY),
)
_HOST = "https://photos.example"


def addresses() -> list[Values]:
    """Return cases for link addresses: whole, repaired, cut, changed, newer."""
    cases = Cases()
    fragment = cases.add("a fragment with a password", "link.fragment", **asdict(_ADDRESS))["fragment_text"]
    open_link = {**asdict(_ADDRESS), "has_password": False}
    cases.add("a fragment without password", "link.fragment", **open_link)
    handed_over = {**asdict(_ADDRESS), "handover": seeded("handover", 16)}
    upload = {**open_link, "is_upload": True}
    taking = cases.add("a fragment of an upload link", "link.fragment", **upload)["fragment_text"]
    longer = cases.add("a fragment with a hand-over token", "link.fragment", **handed_over)["fragment_text"]

    def parse(name: str, text: str, expect: Code | None = None) -> None:
        cases.add(name, "link.parse-fragment", expect, link_id=_ADDRESS.link_id, fragment_text=text)

    parse("whole", fragment)
    parse("with its number sign", "#" + fragment)
    parse("number sign escaped", "%23" + fragment)
    parse("number sign twice", "#%23" + fragment)
    parse("upper case", fragment.upper())
    parse("end of a sentence", fragment + ".")
    parse("in brackets and quotes, with a line break", f'("<{fragment}>"),\r\n')
    parse("between typographic quotes", f"\u201c{fragment}\u201d")
    parse("with a hand-over token", longer)
    parse("of an upload link", taking)
    parse("with half a hand-over token", longer[:-3])
    parse("with something else behind", fragment + "&utm_source=chat")
    parse("empty", "", Code.LINK_ADDRESS_CUT)
    parse("one letter short", fragment[:-1], Code.LINK_ADDRESS_CUT)
    parse("half", fragment[:30], Code.LINK_ADDRESS_CUT)
    parse("one letter changed", ("b" if fragment[20] == "a" else "a").join((fragment[:20], fragment[21:])), _MANGLED)
    parse("a letter that is none", fragment[:20] + "1" + fragment[21:], _MANGLED)
    parse("a space in the middle", fragment[:20] + " " + fragment[20:], _MANGLED)
    parse("letters of another script", "\u0131" * 61, _MANGLED)
    last = fragment[60]
    parse("bits beyond the last byte", fragment[:60] + chr(ord(last) + 1), _MANGLED)
    for name, start in (
        ("version 2", b"\x02\x00"),
        ("version 0", b"\x00\x00"),
        ("unknown flag", b"\x01\x04"),
        ("an upload link with a password", b"\x01\x03"),
    ):
        body = start + _ADDRESS.secret + _ADDRESS.publisher_fingerprint
        checksum = hashlib.sha256(context(Label.LINK_CHECKSUM, _ADDRESS.link_id, body)).digest()[:4]
        parse(name, to_letters(body + checksum), Code.LINK_ADDRESS_VERSION)
    cases.add(
        "another link's fragment", "link.parse-fragment", _MANGLED, link_id=seeded("other", 16), fragment_text=fragment
    )
    _pasted(cases, fragment)
    return cases.cases


_MANGLED = Code.LINK_ADDRESS_MANGLED


def _pasted(cases: Cases, fragment: str) -> None:
    place = f"/s/{_ADDRESS.link_id.hex()}"

    def parse(name: str, text: str, expect: Code | None = None) -> None:
        cases.add(name, "link.parse-address", expect, address_text=text)

    parse("address", f"{_HOST}{place}#{fragment}")
    parse("address in a message", f"Look: <{_HOST}{place}#{fragment}>, the password comes by telephone")
    parse("address, number sign escaped", f"{_HOST}{place}%23{fragment}")
    parse("address shouted", f"{_HOST}{place}#{fragment}".upper())
    parse("address without fragment", f"{_HOST}{place}", Code.LINK_ADDRESS_CUT)
    parse("address with half its fragment", f"{_HOST}{place}#{fragment[:40]}", Code.LINK_ADDRESS_CUT)
    parse("address with half its id", f"{_HOST}{place[:20]}", Code.LINK_ADDRESS_CUT)
    parse("no address", "hello", Code.LINK_ADDRESS_CUT)


def _replayed(name: str, size_bytes: int) -> bytes:
    return seeded(f"{name} {size_bytes}", size_bytes)


def _seal(key: bytes, place: bytes, content: Sealed, name: str) -> bytes:
    return floe.seal_bytes(key, place, pad(pack(content)), random=lambda size: _replayed(name, size))


def _rendition(name: RenditionName, length_bytes: int) -> LinkRendition:
    size_bytes = floe.sealed_size_bytes(padme(length_bytes))
    unique = f"{name.value} {length_bytes}"
    return LinkRendition(
        name=name,
        rendition_id=seeded(f"id of {unique}", 16),
        key=seeded(f"key of {unique}"),
        blob=seeded(f"blob of {unique}"),
        size_bytes=size_bytes,
        header=seeded(f"header of {unique}", floe.HEADER_SIZE_BYTES),
        length_bytes=length_bytes,
        media_type="image/webp",
        width=1600,
        height=1067,
    )


_PAGES = (
    PageContent(
        assets=[
            LinkAsset(
                number=1,
                asset_id=seeded("asset 1", 16),
                kind="photo",
                renditions=[_rendition(RenditionName.PREVIEW, 48_213), _rendition(RenditionName.THUMBNAIL, 3_001)],
                width=4000,
                height=3000,
                thumbhash=seeded("thumbhash", 25),
                caption="Großmutter\u2019s 80th \U0001f382",
                taken_local="2026-05-17T15:04:05",
            ),
            LinkAsset(
                number=2,
                asset_id=seeded("asset 2", 16),
                kind="video",
                renditions=[_rendition(RenditionName.ORIGINAL, 5_000_000_000)],
                duration_ms=61_000,
                name="IMG_0002.MOV",
            ),
        ]
    ),
    PageContent(assets=[]),
)


def manifests() -> list[Values]:
    """Return cases for manifests: verified against the address alone, opened with the link's key."""
    cases = Cases()
    link_key, number = seeded("link key"), 7
    pages = [
        _seal(
            keytree.link_page_key(link_key, index),
            page_place(_ADDRESS.link_id, number, index),
            page,
            f"randomness of page {index}",
        )
        for index, page in enumerate(_PAGES)
    ]
    head = ManifestHead(
        version=1,
        link_id=_ADDRESS.link_id,
        number=number,
        created_ms=1_795_000_000_000,
        pages=[PageRef(hashlib.sha256(page).digest(), len(page)) for page in pages],
        sealed=_seal(
            keytree.link_head_key(link_key),
            head_place(_ADDRESS.link_id, number),
            HeadContent(
                title="Summer \u2600", asset_count=2, tier="full", originals=True, expires_ms=1_796_000_000_000
            ),
            "randomness of the head",
        ),
    )
    _heads(cases, head)
    content = pack(head)
    cases.add("the head's content", "link.open-head", link_key=link_key, content=content)
    other = {"link_key": seeded("other link key"), "content": content}
    cases.add("the head's content under another key", "link.open-head", Code.OPEN_FAILED, **other)
    renumbered = {"link_key": link_key, "content": pack(msgspec.structs.replace(head, number=8))}
    cases.add("the head's content under another number", "link.open-head", Code.OPEN_FAILED, **renumbered)

    def page(name: str, expect: Code | None, index: int, blob: bytes, **changes: Any) -> None:
        inputs = {"link_key": link_key, "content": content, "page_index": index, "blob": blob, **changes}
        cases.add(name, "link.open-page", expect, **inputs)

    page("page 0", None, 0, pages[0])
    page("page 1, empty", None, 1, pages[1])
    page("pages exchanged", Code.MANIFEST_INVALID, 0, pages[1])
    page("page changed", Code.MANIFEST_INVALID, 0, pages[0][:-1] + bytes([pages[0][-1] ^ 1]))
    page("page cut", Code.MANIFEST_INVALID, 0, pages[0][:-1])
    page("page under another key", Code.OPEN_FAILED, 0, pages[0], link_key=seeded("other link key"))
    swapped = pack(msgspec.structs.replace(head, pages=head.pages[::-1]))
    page("page signed at another place", Code.OPEN_FAILED, 0, pages[1], content=swapped)
    return cases.cases


def _heads(cases: Cases, head: ManifestHead) -> None:
    address_text = f"{_HOST}/s/{_ADDRESS.link_id.hex()}#{links.build_fragment(_ADDRESS)}"

    def verify(name: str, content: bytes, expect: Code | None = None, **changes: Any) -> None:
        signature = signatures.sign(_SEED, context(Label.SIGN_MANIFEST, _ADDRESS.link_id, content))
        signed = {"content": content, "signature": signature, "publishing_key": _PUBLISHING_KEY}
        cases.add(name, "link.verify-head", expect, **{"address_text": address_text, **signed, **changes})

    invalid, replace = Code.MANIFEST_INVALID, msgspec.structs.replace
    content, signature = links.sign_head(head, _SEED)
    verify("head", content)
    stranger = seeded("stranger")
    strange = {"publishing_key": signatures.public_key_of(stranger)}
    verify("head by another key", content, invalid, **strange)
    by_stranger = signatures.sign(stranger, context(Label.SIGN_MANIFEST, _ADDRESS.link_id, content))
    verify("head signed by another key", content, invalid, signature=by_stranger)
    verify("head changed after signing", content[:-1] + bytes([content[-1] ^ 1]), invalid, signature=signature)
    other_label = signatures.sign(_SEED, context(Label.SIGN_RECEIPT, _ADDRESS.link_id, content))
    verify("head signed under another label", content, invalid, signature=other_label)
    verify("head of another link", pack(replace(head, link_id=seeded("other", 16))), invalid)
    verify("head of a newer version", pack(replace(head, version=2)), invalid)
    verify("head without pages", pack(replace(head, pages=[])), invalid)
    elements = msgspec.msgpack.decode(content)
    verify("head with one field more", msgspec.msgpack.encode([*elements, 0]), invalid)
    verify("head with one field less", msgspec.msgpack.encode(elements[:-1]), invalid)
    verify("head with a negative number", msgspec.msgpack.encode([*elements[:2], -1, *elements[3:]]), invalid)
    verify("head with a number of 2^53", msgspec.msgpack.encode([*elements[:2], 2**53, *elements[3:]]), invalid)
    verify("head with a fraction", msgspec.msgpack.encode([*elements[:2], 7.5, *elements[3:]]), invalid)
    verify("head as a map", msgspec.msgpack.encode(dict(enumerate(elements))), invalid)
    verify("head with a byte behind", content + b"\0", invalid)
    verify("head cut", content[:-1], invalid)
    verify("head that is empty", b"", invalid)


def files() -> list[Values]:
    """Return cases for files: opened with the signed header and length, padding checked."""
    cases = Cases()
    asset_id, rendition_id = seeded("asset id", 16), seeded("rendition id", 16)
    key = seeded("rendition key")
    place = context(Label.FILE, asset_id, b"preview", rendition_id)

    def seal(plaintext: bytes) -> Values:
        sealed = floe.seal_bytes(key, place, plaintext, random=lambda size: _replayed("file", size))
        return {
            "asset_id": asset_id,
            "name_text": "preview",
            "rendition_id": rendition_id,
            "key": key,
            "header": sealed[: floe.HEADER_SIZE_BYTES],
            "sealed": sealed,
        }

    for size_bytes in (0, 1, 9, 1000):
        file = seal(seeded("file content", size_bytes).ljust(padme(size_bytes), b"\0"))
        cases.add(f"file of {size_bytes} bytes", "file.open", **file, length_bytes=size_bytes)
    honest = seal(seeded("file content", 1000).ljust(padme(1000), b"\0"))
    cases.add("length of another size", "file.open", Code.PADDING_INVALID, **honest, length_bytes=900)
    cases.add("length of the same padded size", "file.open", Code.PADDING_INVALID, **honest, length_bytes=999)
    marked = seal(seeded("file content", 1000).ljust(padme(1000), b"\1"))
    cases.add("padding that is not zero", "file.open", Code.PADDING_INVALID, **marked, length_bytes=1000)
    wire = {**honest, "sealed": bytes(floe.HEADER_SIZE_BYTES) + honest["sealed"][floe.HEADER_SIZE_BYTES :]}
    cases.add("header from the record, not from the wire", "file.open", **wire, length_bytes=1000)
    for name, change in (
        ("another asset", {"asset_id": seeded("other", 16)}),
        ("another rendition", {"name_text": "thumbnail"}),
        ("another rendition id", {"rendition_id": seeded("other", 16)}),
        ("another header", {"header": seeded("other header", floe.HEADER_SIZE_BYTES)[:64] + bytes(10)}),
        ("another key", {"key": seeded("other key")}),
    ):
        expect = Code.FORMAT_UNSUPPORTED if name == "another header" else Code.OPEN_FAILED
        cases.add(name, "file.open", expect, **{**honest, **change}, length_bytes=1000)
    return cases.cases
