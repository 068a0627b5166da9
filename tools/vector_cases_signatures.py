"""Vectors of strict signatures: among them those that other verifiers accept, and ours must not."""

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.signatures import public_key_of, sign
from tools import edwards25519 as curve
from tools.vector_builder import Cases, seeded
from tools.vector_operations import Values

_SECRET = int.from_bytes(seeded("secret scalar"), "little") % curve.GROUP_ORDER
_NONCE = int.from_bytes(seeded("nonce scalar"), "little") % curve.GROUP_ORDER
_SIGN_BIT = 1 << 255


def signatures() -> list[Values]:
    """Return cases for Ed25519: honest ones, damaged ones, and those that split a ledger."""
    cases = Cases()
    seed, message = seeded("signing seed"), context(Label.SIGN_ENTRY, seeded("entry", 100))
    public_key = cases.add("public key", "signature.public-key", seed=seed)["public_key"]
    for size_bytes in (0, 1, 100, 5000):
        text = context(Label.SIGN_ENTRY, seeded(f"entry {size_bytes}", size_bytes))
        signature = cases.add(f"sign {size_bytes} bytes", "signature.sign", seed=seed, message=text)["signature"]
        signed = {"public_key": public_key, "signature": signature, "message": text}
        cases.add(f"verify {size_bytes} bytes", "signature.verify", **signed)
    _damaged(cases, {"public_key": public_key, "signature": sign(seed, message), "message": message})
    _torsion(cases)
    _small_order(cases)
    return cases.cases


def _refuse(cases: Cases, name: str, public_key: bytes, signature: bytes, message: bytes) -> None:
    inputs = {"public_key": public_key, "signature": signature, "message": message}
    cases.add(name, "signature.verify", Code.SIGNATURE_INVALID, **inputs)


def _damaged(cases: Cases, honest: dict[str, bytes]) -> None:
    key, signature, message = honest["public_key"], honest["signature"], honest["message"]
    s = int.from_bytes(signature[32:], "little")
    _refuse(cases, "another message", key, signature, message + b"\0")
    other_label = context(Label.SIGN_ACCOUNT_ENTRY, seeded("entry", 100))
    _refuse(cases, "the same entry under another label", key, signature, other_label)
    _refuse(cases, "another key", public_key_of(seeded("another seed")), signature, message)
    _refuse(cases, "R changed", key, bytes([signature[0] ^ 1]) + signature[1:], message)
    _refuse(cases, "S changed", key, signature[:32] + bytes([signature[32] ^ 1]) + signature[33:], message)
    _refuse(cases, "S plus the order", key, signature[:32] + (s + curve.GROUP_ORDER).to_bytes(32, "little"), message)
    _refuse(cases, "S with its highest bit", key, signature[:-1] + bytes([signature[-1] | 0x80]), message)
    _refuse(cases, "S negated", key, signature[:32] + (curve.GROUP_ORDER - s).to_bytes(32, "little"), message)
    _refuse(cases, "S is the order", key, signature[:32] + curve.GROUP_ORDER.to_bytes(32, "little"), message)
    _refuse(cases, "all zeros", key, bytes(64), message)
    _refuse(cases, "63 bytes", key, signature[:-1], message)
    _refuse(cases, "65 bytes", key, signature + b"\0", message)
    _refuse(cases, "no signature", key, b"", message)
    _refuse(cases, "key of 31 bytes", key[:-1], signature, message)
    _refuse(cases, "key of 33 bytes", key + b"\0", signature, message)
    no_point = next(y for y in range(2, 100) if curve.from_y(y) is None).to_bytes(32, "little")
    _refuse(cases, "key is no point", no_point, signature, message)
    _refuse(cases, "R is no point", key, no_point + signature[32:], message)


def _torsion(cases: Cases) -> None:
    """Add signatures with a torsion part: true with the cofactor, false without, so verifiers would disagree."""
    key_point, r_point = curve.multiply(_SECRET, curve.BASE), curve.multiply(_NONCE, curve.BASE)
    key, r = curve.encode(key_point), curve.encode(r_point)
    message = context(Label.SIGN_ENTRY, b"torsion")
    plain = curve.answer(_NONCE, _SECRET, r, key, message)
    inputs = {"public_key": key, "signature": plain, "message": message}
    cases.add("made by plain arithmetic", "signature.verify", **inputs)
    for multiple in (1, 2, 4):
        added = curve.multiply(multiple, curve.ORDER_8)
        r_mixed = curve.encode(curve.add(r_point, added))
        signature = curve.answer(_NONCE, _SECRET, r_mixed, key, message)
        _refuse(cases, f"torsion of order {8 // multiple} added to R", key, signature, message)
    key_mixed = curve.encode(curve.add(key_point, curve.ORDER_8))
    numbered = [context(Label.SIGN_ENTRY, number.to_bytes(2, "big")) for number in range(200)]
    splitting = next(text for text in numbered if curve.challenge(r, key_mixed, text) % 8)
    _refuse(cases, "torsion in the key", key_mixed, curve.answer(_NONCE, _SECRET, r, key_mixed, splitting), splitting)
    agreeing = next(text for text in numbered if curve.challenge(r, key_mixed, text) % 8 == 0)
    signature = curve.answer(_NONCE, _SECRET, r, key_mixed, agreeing)
    inputs = {"public_key": key_mixed, "signature": signature, "message": agreeing}
    cases.add("torsion in the key that the message cancels: every verifier agrees", "signature.verify", **inputs)


def _small_order(cases: Cases) -> None:
    """Add keys and R of small order, for which the equation holds: anyone, or a cheat, can make these."""
    r = curve.encode(curve.multiply(_NONCE, curve.BASE))
    numbered = [context(Label.SIGN_ENTRY, number.to_bytes(2, "big")) for number in range(200)]
    for multiple in range(8):
        key = curve.encode(curve.multiply(multiple, curve.ORDER_8))
        message = next(text for text in numbered if curve.challenge(r, key, text) * multiple % 8 == 0)
        _refuse(
            cases,
            f"key is {multiple} times the point of order 8",
            key,
            curve.answer(_NONCE, 0, r, key, message),
            message,
        )
    message = numbered[0]
    for name, encoded in (
        ("the neutral point, y plus p", 1 + curve.FIELD_PRIME),
        ("the neutral point with a sign", 1 | _SIGN_BIT),
        ("y is p", curve.FIELD_PRIME),
        ("y of all ones", _SIGN_BIT - 1),
    ):
        key = encoded.to_bytes(32, "little")
        _refuse(cases, f"key: {name}", key, curve.answer(_NONCE, 0, r, key, message), message)
    key = curve.encode(curve.multiply(_SECRET, curve.BASE))
    for name, encoded in (
        ("the neutral point", 1),
        ("the neutral point, y plus p", 1 + curve.FIELD_PRIME),
        ("the neutral point with a sign", 1 | _SIGN_BIT),
    ):
        r_small = encoded.to_bytes(32, "little")
        _refuse(cases, f"R: {name}", key, curve.answer(0, _SECRET, r_small, key, message), message)
