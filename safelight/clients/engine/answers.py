"""What a server answers: whole answers, refusals read from problem documents, and failures of the network."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from safelight.sync_protocol.messages.common import Problem
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

MAX_ANSWER_SIZE_BYTES = 16 * 1024 * 1024
MAX_URL_LENGTH = 1024
# Answers that are given without looking at what was asked, whatever became of an earlier asking.
_UNJUDGED_STATUSES = frozenset({401, 408, 429})
_SPACES = re.compile(" {2,}")
# What an answer to HEAD, which has no body, can mean.
_BY_STATUS = {
    401: Code.SESSION_REQUIRED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    408: Code.TIMED_OUT,
    409: Code.UPLOAD_BUSY,
    410: Code.NOT_FOUND,
    429: Code.RATE_LIMITED,
    503: Code.STORAGE_UNAVAILABLE,
    507: Code.STORAGE_FULL,
}


class ConnectionCut(Exception):
    """The network failed before a whole answer came; whether the server acted is unknown."""


class NotSent(ConnectionCut):
    """No connection came about, so the server certainly did nothing."""


class Busy(Refused):
    """A refusal that passes: too many requests, or a server that is just starting."""

    def __init__(self, refusal: Refused, wished_s: float) -> None:
        super().__init__(refusal.code, refusal.detail)
        self.refusal = refusal
        self.wished_s = wished_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the server that is no refusal."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check_server_url(text: str) -> URL:
    """Return the server's address; INSECURE_SERVER unless it is https, or http on this machine."""
    if len(text) > MAX_URL_LENGTH:
        raise Refused(Code.INSECURE_SERVER, "this is not an address")
    try:
        url = URL(text.rstrip("/"))
        host = url.host
        (url.raw_host or "").encode("idna")  # *a name that only fails once it is looked up*, with no sentence
    except ValueError:
        raise Refused(Code.INSECURE_SERVER, "this is not an address") from None
    if host is None or url.query_string or url.fragment or url.user or url.password:
        raise Refused(Code.INSECURE_SERVER, "write it as https://HOST, or http://localhost:PORT")
    if url.scheme == "https" or (url.scheme == "http" and _is_loopback(host)):
        return url
    raise Refused(Code.INSECURE_SERVER, f"{url.scheme}://{host}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":  # names below it are left to the resolver by many systems, and so to the network
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_refusal(response: aiohttp.ClientResponse, body: bytes) -> Refused:
    """What the server refused; an answer that is no problem document of ours counts as unreachable."""
    if response.status == 413:  # a proxy's own, too: smaller pieces may pass it
        return Refused(Code.TOO_LARGE, "something on the way to the server takes no bodies of this size")
    if response.content_type != "application/problem+json":
        return Refused(Code.SERVER_UNREACHABLE, f"it answered with status {response.status}")
    if not body:
        return Refused(_BY_STATUS.get(response.status, Code.SERVER_FAULT), f"status {response.status}")
    problem = decode(body, Problem)
    detail = printable(problem.detail)
    try:
        return Refused(Code(problem.code), detail)
    except ValueError:
        return Refused(Code.SERVER_FAULT, f"{printable(problem.code)} {detail}".strip())


def is_settled(refusal: Refused) -> bool:
    """Whether a refusal says that what was asked for is not done: done before, it would have been answered as then.

    After a lost answer, "too many requests" and a server's own fault say nothing of the kind. *A link made twice*: an
    entry forgotten on such a word was perhaps committed, and its author makes another.
    """
    if refusal.code is Code.QUOTA_EXCEEDED:
        return True
    return refusal.status < 500 and refusal.status not in _UNJUDGED_STATUSES


def printable(text: str) -> str:
    """Return at most 300 characters of *text* without control or direction characters: a terminal may show them."""
    kept = (character if character.isprintable() else " " for character in text[:1000])
    return _SPACES.sub(" ", "".join(kept))[:300]


def retry_after_s(response: aiohttp.ClientResponse) -> float:
    """The pause in seconds that the server wishes for; 0 where it says none."""
    wished = response.headers.get("Retry-After", "")
    return float(wished) if wished.isdecimal() and len(wished) < 6 else 0.0


def reason(error: Exception) -> str:
    """What failed, in words that may be shown."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        failure = error.os_error
        why = os.strerror(failure.errno) if failure.errno and failure.errno > 0 else failure.strerror
        return printable(f"{error.host}:{error.port}: {why or failure}")
    return printable(str(error)) or type(error).__name__


async def read_limited(response: aiohttp.ClientResponse, on_size: Callable[[int], None]) -> bytes:
    """Return the whole body; TOO_LARGE beyond 16 MiB, which no answer of this kind has.

    *on_size* hears how many bytes there are, at first 0.
    """
    pieces: list[bytes] = []
    size_bytes = 0
    on_size(size_bytes)
    async for piece in response.content.iter_any():
        size_bytes += len(piece)
        on_size(size_bytes)
        if size_bytes > MAX_ANSWER_SIZE_BYTES:
            raise Refused(Code.TOO_LARGE, "the server's answer is longer than any it should give")
        pieces.append(piece)
    return b"".join(pieces)


def decode(data: bytes, shape: type[T]) -> T:
    """Read lenient JSON as *shape*; an answer that is none of ours counts as unreachable."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(Code.SERVER_UNREACHABLE, f"it does not answer as a Safelight server does: {error}") from None


def stay_here() -> aiohttp.TraceConfig:
    """No redirect is followed, not even by a WebSocket's handshake, which has no setting for it."""

    async def refuse(*_: object) -> None:
        raise aiohttp.ClientConnectionError("the server sends to another address")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
