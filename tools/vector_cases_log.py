"""Vectors of the log: entries and their signatures, the chain, the feed, receipts."""

import hashlib
from typing import Any

import msgspec

from safelight.sync_protocol import log, receipts, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.records import RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.wire import pack
from tools.vector_builder import Cases, seeded
from tools.vector_operations import Values

_SEED = seeded("device seed")
_DEVICE_KEY = signatures.public_key_of(_SEED)
_SPACE_ID = seeded("space id")
_MALFORMED = Code.ENTRY_MALFORMED


def _header(counter: int = 1, previous_id: bytes = b"", **changes: Any) -> log.Header:
    fields: dict[str, Any] = {
        "version": 1,
        "critical": True,
        "kind": RecordKind.REVOKE_LINK.value,
        "space_id": _SPACE_ID,
        "author_id": seeded("account id", 16),
        "device_id": seeded("device id", 16),
        "counter": counter,
        "previous_id": previous_id,
        "ledger": log.Head(3, seeded("ledger head")),
        "log": log.Head(40, seeded("log head")),
        "signed_ms": 1_795_000_000_000 + counter,
    }
    return log.Header(**{**fields, **changes})


def _entry(counter: int = 1, previous_id: bytes = b"", **changes: Any) -> bytes:
    return log.build_entry(_header(counter, previous_id, **changes), RevokeLinkBody(seeded("link", 16)), _SEED)


def _entries(amount: int) -> list[bytes]:
    envelopes: list[bytes] = []
    for counter in range(1, amount + 1):
        previous_id = hashlib.sha256(envelopes[-1]).digest() if envelopes else b""
        envelopes.append(_entry(counter, previous_id))
    return envelopes


def _signed(content: bytes) -> bytes:
    signature = signatures.sign(_SEED, context(Label.SIGN_ENTRY, content))
    return msgspec.msgpack.encode([content, signature])


def entries() -> list[Values]:
    """Return cases for single entries, their signatures and what they say of the history before them."""
    cases = Cases()
    envelope = _entry()
    cases.add("the id of the space that an entry creates", "space-id", genesis=envelope)
    cases.add("entry", "log.parse-entry", envelope=envelope)
    cases.add("entry of a later version that may be passed over", "log.parse-entry", envelope=_entry(**_later(False)))
    later = Code.ENTRY_UNKNOWN_CRITICAL
    cases.add("entry of a later version that must be known", "log.parse-entry", later, envelope=_entry(**_later(True)))
    _malformed(cases, envelope)

    def verify(name: str, expect: Code | None, changed: bytes, device_key: bytes = _DEVICE_KEY) -> None:
        cases.add(name, "log.verify-entry", expect, envelope=changed, device_key=device_key)

    verify("signature", None, envelope)
    verify("another device's key", Code.SIGNATURE_INVALID, envelope, signatures.public_key_of(seeded("other seed")))
    content, signature = msgspec.msgpack.decode(envelope)
    other_content, _ = msgspec.msgpack.decode(_entry(2, seeded("other")))
    verify("another content", Code.SIGNATURE_INVALID, msgspec.msgpack.encode([other_content, signature]))
    bare = signatures.sign(_SEED, content)
    verify("signature without its context", Code.SIGNATURE_INVALID, msgspec.msgpack.encode([content, bare]))
    _history(cases)
    return cases.cases


def _later(critical: bool) -> dict[str, Any]:
    return {"version": 2, "critical": critical}


def _malformed(cases: Cases, envelope: bytes) -> None:
    def parse(name: str, changed: bytes, expect: Code = _MALFORMED) -> None:
        cases.add(name, "log.parse-entry", expect, envelope=changed)

    content, signature = msgspec.msgpack.decode(envelope)
    header, body = msgspec.msgpack.decode(content)

    def with_field(index: int, value: Any) -> bytes:
        return _signed(msgspec.msgpack.encode([[*header[:index], value, *header[index + 1 :]], body]))

    parse("entry that is empty", b"")
    parse("entry cut", envelope[:-1])
    parse("entry with a byte behind", envelope + b"\0")
    parse("envelope with one field more", msgspec.msgpack.encode([content, signature, 0]))
    parse("envelope with a short signature", msgspec.msgpack.encode([content, signature[1:]]))
    parse("content without a body", _signed(msgspec.msgpack.encode([header])))
    parse("header with one field less", _signed(msgspec.msgpack.encode([header[:-1], body])))
    parse("header with a counter of 0", with_field(6, 0))
    parse("header with a negative counter", with_field(6, -1))
    parse("header with a counter of 2^53", with_field(6, 2**53))
    parse("header with a fraction", with_field(6, 1.5))
    parse("header with text for bytes", with_field(4, "a" * 16))
    parse("header with a short device id", with_field(5, bytes(15)))
    parse("header with a kind in capitals", with_field(2, "Link.revoke"))
    parse("header with a kind too long", with_field(2, "a." + "b" * 39))
    parse("header with a number for the mark", with_field(1, 1))
    cases.add(
        "entry too large",
        "log.parse-entry",
        Code.TOO_LARGE,
        envelope={"repeat": "00", "size_bytes": MAX_ENTRY_SIZE_BYTES + 1},
    )


def _history(cases: Cases) -> None:
    first, second, third = _entries(3)

    def positions(name: str, expect: Code | None, *envelopes: bytes) -> None:
        cases.add(name, "log.check-positions", expect, envelopes=list(envelopes))

    positions("a device's entries in order", None, first, second, third)
    positions("two devices' entries", None, first, _entry(device_id=seeded("other device", 16)), second)
    conflict = Code.COUNTER_CONFLICT
    positions("an entry dropped", conflict, first, third)
    positions("an entry repeated", conflict, first, first)
    positions("the first entry dropped", conflict, second)
    positions("the same number after another entry", conflict, first, _entry(2, seeded("other entry")))

    known = {"known_chain": seeded("log head"), "known_ledger": seeded("ledger head")}

    def heads(name: str, expect: Code | None, slot_number: int, **changes: bytes) -> None:
        cases.add(name, "log.check-heads", expect, envelope=first, slot_number=slot_number, **{**known, **changes})

    forked = Code.HISTORY_FORKED
    heads("heads that I know, too", None, 41)
    heads("heads of which I kept none", None, 41, known_chain=b"", known_ledger=b"")
    heads("another chain than mine", forked, 41, known_chain=seeded("other head"))
    heads("another ledger than mine", forked, 41, known_ledger=seeded("other head"))
    heads("a log beyond its own slot", forked, 40)


def chains() -> list[Values]:
    """Return cases for the chain and the feed's frames."""
    cases = Cases()
    envelopes = _entries(3)
    entry_ids = [hashlib.sha256(envelope).digest() for envelope in envelopes]
    chain, frames = b"", []
    for number, (envelope, entry_id) in enumerate(zip(envelopes, entry_ids, strict=True), 1):
        name = f"the chain at slot {number}"
        before, chain = chain, log.next_chain(chain, number, entry_id)
        cases.add(name, "log.chain", chain=before, slot_number=number, entry_id=entry_id)
        frames.append(log.Frame(number, 1_795_000_000_000 + number, chain, entry_id, envelope))
    first, second, third = frames
    replace = msgspec.structs.replace

    def read(name: str, expect: Code | None, *given: log.Frame, after: log.Frame | None = None) -> None:
        start = {"start_number": after.number if after else 0, "start_chain": after.chain if after else b""}
        cases.add(name, "log.read-feed", expect, **start, feed=log.frames_to_bytes(given))

    read("no frames", None)
    read("three frames", None, first, second, third)
    read("frames from a place on", None, second, third, after=first)
    _, signature = msgspec.msgpack.decode(second.envelope)
    purged = replace(second, envelope=b"", signature=signature)
    read("a purged entry", None, first, purged, third)
    broken = Code.CHAIN_BROKEN
    read("a frame dropped", broken, first, third)
    read("a frame dropped and the rest renumbered", broken, first, replace(third, number=2))
    read("frames exchanged", broken, second, first)
    read("a frame repeated", broken, first, first)
    read("an envelope changed", broken, first, replace(second, envelope=third.envelope))
    read("a chain changed", broken, replace(first, chain=third.chain))
    read("a purged entry under another id", broken, first, replace(purged, entry_id=third.entry_id))
    read("another history before", broken, second, after=replace(first, chain=third.chain))
    whole = log.frames_to_bytes(frames)
    for name, feed in (
        ("a feed cut in a frame", whole[:-1]),
        ("a feed cut in a length", whole + b"\0\0"),
        ("a frame that is none", b"\0\0\0\1\0"),
        ("a frame without a hash", log.frames_to_bytes([replace(first, chain=b"")])),
    ):
        cases.add(name, "log.read-feed", _MALFORMED, start_number=0, start_chain=b"", feed=feed)
    return cases.cases


def receipts_of_commits() -> list[Values]:
    """Return cases for receipts: for this entry and these blobs, signed by this server."""
    cases = Cases()
    seed, blobs = seeded("server seed"), [seeded("blob 1"), seeded("blob 2")]
    receipt = receipts.Receipt(1, _SPACE_ID, seeded("entry id"), 41, seeded("chain"), 1_795_000_000_000, blobs)
    server_key = signatures.public_key_of(seed)
    replace = msgspec.structs.replace

    def verify(name: str, given: receipts.Receipt, expect: Code | None = None, **changes: Any) -> None:
        content, signature = receipts.sign_receipt(given, seed)
        asked = {"space_id": _SPACE_ID, "entry_id": seeded("entry id"), "blobs": blobs}
        inputs = {"content": content, "signature": signature, "server_key": server_key, **asked, **changes}
        cases.add(name, "receipt.verify", expect, **inputs)

    invalid = Code.RECEIPT_INVALID
    verify("receipt", receipt)
    verify("receipt that names more blobs", receipt, blobs=blobs[:1])
    verify("receipt that leaves out a blob", receipt, invalid, blobs=[*blobs, seeded("blob 3")])
    verify("receipt for another entry", receipt, invalid, entry_id=seeded("other"))
    verify("receipt for another space", receipt, invalid, space_id=seeded("other"))
    verify("receipt of another server", receipt, invalid, server_key=signatures.public_key_of(seeded("other seed")))
    verify("receipt of a later version", replace(receipt, version=2), invalid)
    content, _ = receipts.sign_receipt(receipt, seed)
    under_other_label = signatures.sign(seed, context(Label.SIGN_MANIFEST, content))
    verify("receipt signed under another label", receipt, invalid, signature=under_other_label)
    cut = pack(receipt)[:-1]
    cut_signature = signatures.sign(seed, context(Label.SIGN_RECEIPT, cut))
    verify("receipt that is cut", receipt, invalid, content=cut, signature=cut_signature)
    return cases.cases
