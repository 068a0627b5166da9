"""Digests of one request's content (RFC 9530 Content-Digest): checked before a byte of it counts."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

from safelight.sync_protocol.refusals import Code, Refused


class _Hasher(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


# By the names of the registry; others are passed over, as the RFC asks.
ALGORITHMS: Mapping[str, Callable[[], _Hasher]] = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class ContentCheck:
    """The digests that a request stated of its content, and those of what arrived."""

    def __init__(self, stated: Mapping[str, bytes]) -> None:
        self._stated = {name: digest for name, digest in stated.items() if name in ALGORITHMS}
        self._hashers = {name: ALGORITHMS[name]() for name in self._stated}

    def __bool__(self) -> bool:
        """Whether there is anything to check, so that nothing counts before the end."""
        return bool(self._stated)

    def update(self, data: bytes | memoryview) -> None:
        """Take content as it arrives."""
        for hasher in self._hashers.values():
            hasher.update(data)

    def verify(self) -> None:
        """Raise UPLOAD_DIGEST_MISMATCH where the content is not what was said."""
        for name, hasher in self._hashers.items():
            if hasher.digest() != self._stated[name]:
                raise Refused(Code.UPLOAD_DIGEST_MISMATCH, f"the {name} of this request's content is another")
