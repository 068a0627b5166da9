"""The few structured fields (RFC 9651) that uploads use. What is malformed counts as absent, as the drafts ask."""

import base64
import binascii
import re

from multidict import CIMultiDictProxy

_PARAMETERS = r"(?:[ ]*;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:-?[0-9]+|\?[01]|\"[^\"\\]*\"|[A-Za-z*][A-Za-z0-9:/._*-]*))?)*"
_INTEGER = re.compile(r"(-?[0-9]{1,15})" + _PARAMETERS)
_BOOLEAN = re.compile(r"\?([01])" + _PARAMETERS)
_DIGEST = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):" + _PARAMETERS)


def integer(headers: CIMultiDictProxy[str], name: str) -> int | None:
    """Return a non-negative integer item, or None."""
    found = _INTEGER.fullmatch(_single(headers, name))
    return int(found[1]) if found and int(found[1]) >= 0 and not found[1].startswith("-") else None


def boolean(headers: CIMultiDictProxy[str], name: str) -> bool | None:
    """Return a boolean item, or None."""
    found = _BOOLEAN.fullmatch(_single(headers, name))
    return found[1] == "1" if found else None


def digests(headers: CIMultiDictProxy[str], name: str) -> dict[str, bytes] | None:
    """Return a dictionary of byte sequences (RFC 9530), the last of each key; empty if absent, None if malformed."""
    found: dict[str, bytes] = {}
    members = ",".join(headers.getall(name, []))
    for member in members.split(",") if name in headers else ():
        match = _DIGEST.fullmatch(member.strip(" \t"))
        if match is None:
            return None
        try:
            found[match[1]] = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            return None
    return found


def _single(headers: CIMultiDictProxy[str], name: str) -> str:
    values = headers.getall(name, [])
    return values[0].strip(" \t") if len(values) == 1 else ""
