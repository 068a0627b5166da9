"""Vectors of boxes, HPKE and FLOE: what opens, and how everything else fails."""

from typing import Any

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha20poly1305

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.padding import pad, padme
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import floe, hpke
from tools.vector_builder import Cases, repeated, seeded
from tools.vector_operations import VECTORS, Values, edit, load

_PER_SEGMENT = floe.PLAINTEXT_SEGMENT_SIZE_BYTES
_KEY = {"key": seeded("key")}
_PLACE = {"associated_data": context(Label.FILE, seeded("asset id", 16), b"original", seeded("rendition id", 16))}


def boxes() -> list[Values]:
    """Return cases for boxes: every way in which one can be wrong, with its class."""
    cases = Cases()
    nonce = seeded("nonce", 24)
    place = context(Label.ASSET_FIELD, seeded("space id"), seeded("asset id", 16), b"view")
    bound: Values = {**_KEY, "associated_data": place}
    for size_bytes in (0, 1, 32, 1000):
        plaintext = seeded(f"box {size_bytes}", size_bytes)
        sealed = cases.add(f"seal {size_bytes} bytes", "box.seal", **bound, plaintext=plaintext, nonce=nonce)["sealed"]
        cases.add(f"open {size_bytes} bytes", "box.open", **bound, sealed=sealed)

    refused = Code.OPEN_FAILED
    cases.add("another key", "box.open", refused, **{**bound, "key": seeded("another key")}, sealed=sealed)
    moved = context(Label.ASSET_FIELD, seeded("space id"), seeded("another asset", 16), b"view")
    cases.add("another place", "box.open", refused, **{**bound, "associated_data": moved}, sealed=sealed)
    cases.add("no place", "box.open", refused, **{**bound, "associated_data": b""}, sealed=sealed)
    for name, changed in (
        ("nonce changed", edit(sealed, [{"flip_at": 0}])),
        ("ciphertext changed", edit(sealed, [{"flip_at": 24}])),
        ("tag changed", edit(sealed, [{"flip_at": -1}])),
        ("cut by a byte", sealed[:-1]),
        ("a byte appended", sealed + b"\0"),
        ("cut to nonce and half a tag", sealed[:32]),
        ("cut inside the nonce", sealed[:23]),
        ("empty", b""),
    ):
        cases.add(name, "box.open", refused, **bound, sealed=changed)

    for name, padded in (
        ("nothing padded, not even a length", b""),
        ("no padding", pad(bytes(29))[:33]),
        ("padding is not zero", pad(bytes(29))[:-1] + b"\x80"),
        ("length beyond the end", b"\0\0\0\x40" + bytes(28)),
        ("padded to more than the Padmé size", pad(b"x").ljust(padme(64), b"\0")),
    ):
        sealed = nonce + xchacha20poly1305(padded, place, nonce, _KEY["key"])
        cases.add(f"sealed with bad padding: {name}", "box.open", Code.PADDING_INVALID, **bound, sealed=sealed)
    return cases.cases


def _kept(name: str, public_key: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Return the sealed value that the file has had since it was first made: sealing to a public key is random."""
    path = VECTORS / "hpke.json"
    for case in load(path) if path.exists() else []:
        if case["name"] == name:
            return bytes.fromhex(case["inputs"]["sealed"])
    return hpke.seal(public_key, info, plaintext)


def sealing_to_keys() -> list[Values]:
    """Return cases for HPKE; the sealed values were made once and are kept."""
    cases = Cases()
    seed = seeded("sealing seed")
    public_key = cases.add("public key", "hpke.public-key", seed=seed)["public_key"]
    cases.add("public key of zeros", "hpke.public-key", seed=bytes(32))
    info = context(Label.EPOCH_BOX, seeded("space id"), bytes(8), seeded("account id", 16), b"full")
    for size_bytes in (0, 1, 32, 500):
        plaintext, name = seeded(f"hpke {size_bytes}", size_bytes), f"open {size_bytes} bytes"
        sealed = _kept(name, public_key, info, plaintext)
        opened = cases.add(name, "hpke.open", seed=seed, info=info, sealed=sealed)["plaintext"]
        if opened != plaintext:
            raise AssertionError(f"{name}: another plaintext than was sealed")

    refused = Code.OPEN_FAILED
    bound: Values = {"seed": seed, "info": info}
    cases.add("another seed", "hpke.open", refused, **{**bound, "seed": seeded("another seed")}, sealed=sealed)
    moved = context(Label.EPOCH_BOX, seeded("space id"), bytes(8), seeded("account id", 16), b"view")
    cases.add("another tier in info", "hpke.open", refused, **{**bound, "info": moved}, sealed=sealed)
    for name, changed in (
        ("ML-KEM part changed", edit(sealed, [{"flip_at": 0}])),
        ("X25519 part changed", edit(sealed, [{"flip_at": 1088}])),
        ("X25519 part of small order", sealed[:1088] + bytes(32) + sealed[1120:]),
        ("ciphertext changed", edit(sealed, [{"flip_at": 1120}])),
        ("tag changed", edit(sealed, [{"flip_at": -1}])),
        ("cut by a byte", sealed[:-1]),
        ("a byte appended", sealed + b"\0"),
        ("cut inside the tag", sealed[:1135]),
        ("cut inside the encapsulated key", sealed[:1119]),
        ("empty", b""),
    ):
        cases.add(name, "hpke.open", refused, **bound, sealed=changed)

    to = {"info": info, "plaintext": b"for nobody"}
    unfit = Code.FORMAT_UNSUPPORTED
    cases.add("key cut by a byte", "hpke.seal", unfit, **to, public_key=public_key[:-1])
    cases.add("key of another kind", "hpke.seal", unfit, **to, public_key=seeded("signing key"))
    cases.add("key out of range", "hpke.seal", unfit, **to, public_key=b"\xff" * 1184 + public_key[1184:])
    cases.add("key of small order", "hpke.seal", unfit, **to, public_key=public_key[:1184] + bytes(32))
    return cases.cases


def files() -> list[Values]:
    """Return cases for FLOE: sizes, sealed values, damage to one segment, and damage between segments."""
    cases = Cases()
    for size_bytes in (0, 1, _PER_SEGMENT - 1, _PER_SEGMENT, _PER_SEGMENT + 1, 2 * _PER_SEGMENT, 10**9):
        cases.add(f"size of {size_bytes}", "floe.sizes", plaintext_size_bytes=size_bytes)
    full = floe.HEADER_SIZE_BYTES + floe.SEGMENT_SIZE_BYTES
    for size_bytes in (106, full - 1, full, full + 32, full + 33):
        cases.add(f"segments of {size_bytes}", "floe.segment-count", sealed_size_bytes=size_bytes)
    for size_bytes in (0, 73, 74, 75, 105, full + 1, full + 31):
        name = f"no value has the size {size_bytes}"
        cases.add(name, "floe.segment-count", Code.LENGTH_MISMATCH, sealed_size_bytes=size_bytes)
    bound: Values = {**_KEY, **_PLACE}
    for size_bytes in (0, 1, 1000):
        random, plaintext = seeded(f"floe random {size_bytes}", 44), seeded(f"floe {size_bytes}", size_bytes)
        sealing = {**bound, "plaintext": plaintext, "random": random}
        sealed: bytes = cases.add(f"seal {size_bytes} bytes", "floe.seal", **sealing)["sealed"]
        cases.add(f"open {size_bytes} bytes", "floe.open", **bound, sealed=sealed)
    for size_bytes in (_PER_SEGMENT - 1, _PER_SEGMENT, _PER_SEGMENT + 1):
        random = seeded(f"floe random {size_bytes}", 32 + 12 * (1 + size_bytes // (_PER_SEGMENT + 1)))
        cases.add(f"seal {size_bytes} bytes", "floe.seal", **bound, plaintext=repeated(size_bytes), random=random)
    _damage_one(cases, bound, sealed)
    _damage_segments(cases, bound)
    return cases.cases


def _damage_one(cases: Cases, bound: Values, sealed: bytes) -> None:
    """Add what is wrong with a value of one segment: *sealed* has header 74 ‖ length 4 ‖ nonce 12 ‖ 1000 ‖ tag 16."""
    refused, length = Code.OPEN_FAILED, len(sealed) - floe.HEADER_SIZE_BYTES
    cases.add("another key", "floe.open", refused, **{**bound, "key": seeded("another key")}, sealed=sealed)
    moved = context(Label.FILE, seeded("asset id", 16), b"original", seeded("another id", 16))
    cases.add("another place", "floe.open", refused, **{**bound, "associated_data": moved}, sealed=sealed)
    for name, changed in (
        ("iv changed", edit(sealed, [{"flip_at": 10}])),
        ("header tag changed", edit(sealed, [{"flip_at": 73}])),
        ("length changed", edit(sealed, [{"flip_at": 77}])),
        ("last segment marked as not last", sealed[:74] + b"\xff\xff\xff\xff" + sealed[78:]),
        ("nonce changed", edit(sealed, [{"flip_at": 78}])),
        ("ciphertext changed", edit(sealed, [{"flip_at": 90}])),
        ("tag changed", edit(sealed, [{"flip_at": -1}])),
        ("cut by a byte", sealed[:-1]),
        ("cut, and its length made to fit", sealed[:74] + (length - 1).to_bytes(4, "big") + sealed[78:-1]),
        ("a byte appended", sealed + b"\0"),
        ("cut inside the header", sealed[:73]),
        ("empty", b""),
    ):
        cases.add(name, "floe.open", refused, **bound, sealed=changed)
    cases.add("header alone", "floe.open", Code.LENGTH_MISMATCH, **bound, sealed=sealed[:74])
    cases.add("less than a segment", "floe.open", Code.LENGTH_MISMATCH, **bound, sealed=sealed[:105])
    for name, parameters in (
        ("another AEAD", "01000004000000000020"),
        ("another KDF", "00010004000000000020"),
        ("segments of 4 KiB", "00000000100000000020"),
        ("segments of 1 MiB", "00000010000000000020"),
        ("an iv of 16 bytes", "00000004000000000010"),
    ):
        changed = bytes.fromhex(parameters) + sealed[10:]
        cases.add(f"parameters: {name}", "floe.open", Code.FORMAT_UNSUPPORTED, **bound, sealed=changed)
    segment: Values = {**bound, "header": sealed[:74], "ciphertext": sealed[74:], "segment_index": 0, "final": True}
    cases.add("one segment", "floe.open-segment", **segment)
    for name, fields in (
        ("as another index", {"segment_index": 1}),
        ("as one that is not last", {"final": False}),
        ("cut below a segment", {"ciphertext": sealed[74:105]}),
        ("one that is none", {"ciphertext": b""}),
    ):
        altered: dict[str, Any] = {**segment, **fields}
        cases.add(f"one segment {name}", "floe.open-segment", refused, **altered)


def _damage_segments(cases: Cases, bound: Values) -> None:
    """Add what is wrong between segments of a value of three full ones and a rest of 100 bytes."""
    operation, size = "floe.open-edited", floe.SEGMENT_SIZE_BYTES
    for size_bytes in (_PER_SEGMENT - 1, _PER_SEGMENT, _PER_SEGMENT + 1, 2 * _PER_SEGMENT):
        cases.add(f"open {size_bytes} bytes", operation, **bound, plaintext=repeated(size_bytes), edits=[])
    value: Values = {**bound, "plaintext": repeated(3 * _PER_SEGMENT + 100)}
    cases.add("three full segments and a rest", operation, **value, edits=[])
    rest = 74 + 3 * size
    for name, code, edits in (
        ("cut at a segment's end", Code.OPEN_FAILED, [{"cut_to_bytes": rest}]),
        ("cut after one segment", Code.OPEN_FAILED, [{"cut_to_bytes": 74 + size}]),
        ("cut inside a segment", Code.OPEN_FAILED, [{"cut_to_bytes": 74 + size + 1000}]),
        ("cut inside the rest", Code.OPEN_FAILED, [{"cut_to_bytes": rest + 131}]),
        ("cut to less than a segment", Code.LENGTH_MISMATCH, [{"cut_to_bytes": rest + 31}]),
        ("cut to the header", Code.LENGTH_MISMATCH, [{"cut_to_bytes": 74}]),
        ("segments exchanged", Code.OPEN_FAILED, [{"swap_segments": [0, 1]}]),
        ("segments exchanged, far apart", Code.OPEN_FAILED, [{"swap_segments": [0, 2]}]),
        ("first segment dropped", Code.OPEN_FAILED, [{"drop_segment": 0}]),
        ("segment before the rest dropped", Code.OPEN_FAILED, [{"drop_segment": 2}]),
        ("bytes appended to the rest", Code.OPEN_FAILED, [{"append": "00" * 32}]),
        ("first segment changed", Code.OPEN_FAILED, [{"flip_at": 1000}]),
        ("last segment changed", Code.OPEN_FAILED, [{"flip_at": -1}]),
        ("changed and changed back", None, [{"flip_at": 1000}, {"flip_at": 1000}]),
    ):
        cases.add(f"between segments: {name}", operation, code, **value, edits=edits)
    exact: Values = {**bound, "plaintext": repeated(_PER_SEGMENT)}
    after = [{"append": "00000020" + "00" * 28}]
    cases.add("an empty segment appended", operation, Code.OPEN_FAILED, **exact, edits=after)
    cases.add("a stray byte appended", operation, Code.LENGTH_MISMATCH, **exact, edits=[{"append": "00"}])
