"""Exact sizes of what goes into the primitives."""

from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused


def require_size(value: bytes, size_bytes: int, what: str) -> None:
    """Refuse with LENGTH_MISMATCH unless *value* has exactly *size_bytes*; *what* names it in the detail."""
    if len(value) != size_bytes:
        raise Refused(Code.LENGTH_MISMATCH, f"{what} has {size_bytes} bytes, not {len(value)}")


def require_key(key: bytes, what: str = "a key") -> None:
    """Refuse with LENGTH_MISMATCH unless *key* has 32 bytes."""
    require_size(key, KEY_SIZE_BYTES, what)
