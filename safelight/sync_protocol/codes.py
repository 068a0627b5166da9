"""Codes that people copy: RFC 4648 base32 in lower case without padding, so letters and digits only."""

import base64
import binascii


def to_letters(data: bytes) -> str:
    """Encode *data*: 8 characters for each 5 bytes, rounded up."""
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def from_letters(text: str) -> bytes | None:
    """Decode *text* in either case; None if it is not canonical base32 of whole bytes."""
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return None
    return data if to_letters(data) == text.lower() else None
