"""The curve edwards25519 in plain arithmetic, to make the signatures that a strict verifier must refuse (RFC 8032).

Neither fast nor constant-time: only vectors and tests use it, with keys that protect nothing.
"""

import hashlib

FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, FIELD_PRIME) % FIELD_PRIME

Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(left: Point, right: Point) -> Point:
    """Return the sum of two points."""
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2 % FIELD_PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, FIELD_PRIME) % FIELD_PRIME
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, FIELD_PRIME) % FIELD_PRIME
    return x, y


def multiply(scalar: int, point: Point) -> Point:
    """Return *scalar* times *point*."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point: Point) -> bytes:
    """Return the canonical 32 bytes of *point*."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def from_y(y: int) -> Point | None:
    """Return the point with an even x at height *y*, or None if the curve has none there."""
    squared = (y * y - 1) * pow(_D * y * y + 1, -1, FIELD_PRIME) % FIELD_PRIME
    x = pow(squared, (FIELD_PRIME + 3) // 8, FIELD_PRIME)
    if (x * x - squared) % FIELD_PRIME:
        x = x * pow(2, (FIELD_PRIME - 1) // 4, FIELD_PRIME) % FIELD_PRIME
    if (x * x - squared) % FIELD_PRIME:
        return None
    return (x if x % 2 == 0 else FIELD_PRIME - x), y


def _find_torsion() -> Point:
    for y in range(2, 100):
        point = from_y(y)
        if point is not None:
            torsion = multiply(GROUP_ORDER, point)
            if multiply(4, torsion) != IDENTITY:
                return torsion
    raise AssertionError("one point in two has a torsion part of order 8")


def _find_base() -> Point:
    point = from_y(4 * pow(5, -1, FIELD_PRIME) % FIELD_PRIME)
    if point is None:
        raise AssertionError("the base point is on the curve")
    return point


BASE = _find_base()
ORDER_8 = _find_torsion()


def challenge(r_encoded: bytes, key_encoded: bytes, message: bytes) -> int:
    """Return the number that a signature answers: SHA-512 of R, key and message, reduced by the group's order."""
    digest = hashlib.sha512(r_encoded + key_encoded + message).digest()
    return int.from_bytes(digest, "little") % GROUP_ORDER


def answer(nonce: int, secret: int, r_encoded: bytes, key_encoded: bytes, message: bytes) -> bytes:
    """Return R ‖ S for a *nonce* and a *secret* scalar, whatever R and the key look like."""
    s = (nonce + challenge(r_encoded, key_encoded, message) * secret) % GROUP_ORDER
    return r_encoded + s.to_bytes(32, "little")
