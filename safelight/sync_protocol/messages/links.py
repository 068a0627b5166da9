"""Links: opening one with its access token, and the maker's view of all of them."""

from typing import Annotated

import msgspec

from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.messages.common import Request, Response

Key = Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)]


class OpenLink(Request, frozen=True):
    """The access token, the proof where there is a password, the hand-over token where the address has one."""

    token: Key
    proof: Key | None = None
    handover: Annotated[bytes, msgspec.Meta(max_length=16)] = b""


class LinkOpened(Response, frozen=True):
    """The signed manifest head; the session is an HttpOnly cookie. `handover` lets the same person's other browser in.

    `expires_ms` is the session's end; renewing it (the same request again) costs no opening.
    """

    head: bytes
    head_signature: bytes
    publishing_key: bytes
    expires_ms: int
    handover: bytes


class UploadLinkOpened(Response, frozen=True):
    """An upload link's signed head, where the space's ledger ends, and what all guests together took so far."""

    head: bytes
    head_signature: bytes
    publishing_key: bytes
    ledger_number: int
    ledger_hash: bytes
    files: int
    used_bytes: int


class LinkRow(Response, frozen=True):
    """A link as its makers see it. `state` is live, waiting, expired, exhausted or revoked."""

    link_id: str
    number: int
    state: str
    tier: str
    created_ms: int
    expires_ms: int
    max_opens: int
    opens: int
    last_opened_ms: int
    downloads: int


class Links(Response, frozen=True):
    """All links of a space, newest first."""

    links: list[LinkRow]
