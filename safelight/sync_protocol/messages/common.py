"""What every resource's messages share: strict requests, lenient responses, and the problem document."""

from typing import Annotated

import msgspec

from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES, MAX_ENTRY_SIZE_BYTES, SIGNATURE_SIZE_BYTES

EntryBytes = Annotated[bytes, msgspec.Meta(max_length=MAX_ENTRY_SIZE_BYTES, description="an entry's exact bytes")]
BoxBytes = Annotated[bytes, msgspec.Meta(max_length=2 * INBOX_KEY_SIZE_BYTES)]
Signature = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_SIZE_BYTES, max_length=SIGNATURE_SIZE_BYTES)]


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Base of requests: unknown fields are refused. Bytes stand in JSON as base64."""


class Response(msgspec.Struct, frozen=True):
    """Base of responses: a reader passes over fields that it does not know."""


class Problem(Response, frozen=True):
    """A refusal (RFC 9457, `application/problem+json`); `code` is its stable name in the table of refusals."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


class Health(Response, frozen=True):
    """The process lives: `ok`."""

    status: str
    version: str


class Ready(Response, frozen=True):
    """Whether traffic may come: `ready` or `not-ready`, and for `server`, `database` and `blobs` `ok` or why not.

    Why not is `stopping`, or the refusal's code that whatever is written now would meet.
    """

    status: str
    version: str
    parts: dict[str, str]


class ServerInfo(Response, frozen=True):
    """What a client must know before it trusts: the server's signing key, public address and limits."""

    version: str
    protocol_version: int
    public_url: str
    server_key: bytes
    upload_append_size_bytes: int
    max_entry_size_bytes: int
    warning: str = ""
