"""A bucket: what is asked of it, how it is tried when the server starts, and what its failures mean to us.

Nothing that a bucket says is believed further than it must be: an answer of another length than was asked for is a
failure. "Not there" is only what the store answers with 404; every other failure is a refusal, never an absence.
"""

import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import obstore
import structlog
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from safelight.server.stores.bucket_address import BucketAddress
from safelight.sync_protocol.refusals import Code, Refused

if TYPE_CHECKING:  # obstore gives its types to checkers alone
    from obstore import GetOptions, PutMode
    from obstore.store import S3Config

T = TypeVar("T")

RETRIES = 3
RETRY_TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 5
LIST_PAGE = 1000
PARTS_AT_ONCE = 3
PROBE = b"Safelight tries whether this bucket keeps what it is given.\n"

_log = structlog.get_logger("bucket")
_STATUS = re.compile(r"status code: (\d{3})")
_KIND = re.compile(r"kind: (\w+)")
_KINDS = {"Timeout": "no answer in time", "Connect": "no answer", "Request": "no answer", "Interrupted": "cut off"}
_S3_CODE = re.compile(r"<Code>(\w{1,64})</Code>")


class BucketRefused(Exception):
    """The bucket cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing names it; `modified_ms` is by the store's clock."""

    key: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bytes of an object, how long all of it is, and which version of it they are of."""

    data: bytes
    size_bytes: int
    etag: str | None


class Bucket:
    """Objects under one prefix of one bucket. Credentials come from where AWS's own tools take them."""

    def __init__(self, address: BucketAddress, timeout_s: int) -> None:
        self.address = address
        self.conditional = True
        config: S3Config = {"checksum_algorithm": "SHA256", "conditional_put": "etag"}
        if address.endpoint:
            config["endpoint"] = address.endpoint
        self._store = S3Store(
            address.bucket,
            prefix=address.prefix or None,
            config=config,
            client_options={
                "allow_http": address.endpoint.startswith("http://"),
                "timeout": timedelta(seconds=timeout_s),
                "connect_timeout": timedelta(seconds=min(timeout_s, CONNECT_TIMEOUT_S)),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S)},
        )

    async def put_new(self, key: str, data: bytes) -> bool:
        """Put an object where none is; False, and nothing is written, where there is one.

        A request that is tried again after its answer was lost finds its own object: whoever is told False looks at it.
        """
        if not self.conditional and await self.size_bytes(key) is not None:
            return False
        mode: PutMode = "create" if self.conditional else "overwrite"
        try:
            await obstore.put_async(self._store, key, data, mode=mode, use_multipart=False)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise _refusal("put", error) from error
        return True

    async def put_over(self, key: str, data: bytes) -> None:
        """Put an object in place of whatever is there."""
        await self._done("put", obstore.put_async(self._store, key, data, use_multipart=False))

    async def put_parts(self, key: str, pieces: AsyncIterable[bytes], part_bytes: int) -> None:
        """Put an object in parts. It is there only once *pieces* ended; what they raise is raised, and nothing is."""
        putting = obstore.put_async(
            self._store, key, pieces, use_multipart=True, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE
        )
        await self._done("put", putting)

    async def size_bytes(self, key: str) -> int | None:
        """Return how long an object is; None where there is none."""
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _refusal("head", error) from error

    async def get(self, key: str, start: int, end: int, etag: str | None = None) -> Fetched | None:
        """Fetch the bytes from *start* up to *end*, or to the object's end before it; None where there is no object.

        With *etag*, of that version alone.
        """
        try:
            options: GetOptions = {"range": (start, end)}
            if etag:
                options["if_match"] = etag
            result = await obstore.get_async(self._store, key, options=options)
            size_bytes = int(result.meta["size"])
            data = (await result.bytes_async()).to_bytes()
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            if _status_of(error) == "416" and not start and await self.size_bytes(key) == 0:
                return Fetched(b"", 0, None)  # nothing has no range
            raise _refusal("get", error) from error
        if len(data) != min(end, size_bytes) - start:
            _log.warning("the bucket sent another number of bytes than it was asked for")
            raise Refused(Code.STORAGE_UNAVAILABLE, "the bucket sent another number of bytes than it was asked for")
        return Fetched(data, size_bytes, result.meta["e_tag"])

    async def listing(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield what lies under *prefix*, in the order of the keys. A failure is raised, and is no end."""
        try:
            async for page in obstore.list(self._store, prefix, chunk_size=LIST_PAGE):
                for meta in page:
                    yield Listed(meta["path"], int(meta["size"]), int(meta["last_modified"].timestamp() * 1000))
        except (BaseError, OSError) as error:
            raise _refusal("list", error) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, if they are there."""
        try:
            if keys:
                await obstore.delete_async(self._store, list(keys))
        except FileNotFoundError:
            pass
        except (BaseError, OSError) as error:
            raise _refusal("delete", error) from error

    async def _done(self, what: str, work: Awaitable[T]) -> T:
        try:
            return await work
        except (BaseError, OSError) as error:
            raise _refusal(what, error) from error

    async def try_out(self) -> list[str]:
        """Write, read, list and delete an object; return what the store lacks. Raises BucketRefused with a remedy."""
        key = f"probe/{secrets.token_hex(16)}"
        where = f"bucket {self.address.bucket}" + (f" at {self.address.endpoint}" if self.address.endpoint else "")
        try:
            await obstore.put_async(self._store, key, PROBE, use_multipart=False)
            lacks = await self._conditions(key)
            fetched = await self.get(key, 0, 2 * len(PROBE))
            if fetched is None or fetched.data != PROBE:
                raise BucketRefused(f"{where} does not give back what it was given; it cannot keep photographs")
            if [listed.key async for listed in self.listing("probe") if listed.key == key] != [key]:
                raise BucketRefused(f"{where} does not list what it was given; allow this server to list the bucket")
            await self.delete([key])
            if await self.size_bytes(key) is not None:
                raise BucketRefused(f"{where} still has what was deleted; is it versioned, or held by a policy?")
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BucketRefused(
                f"{where} does not let this server in ({_said(error)}): check AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY, and that they may put, get, list and delete objects"
            ) from error
        except FileNotFoundError as error:
            raise BucketRefused(f"there is no {where}; create it, or name another") from error
        except (Refused, BaseError, OSError) as error:
            why = f"{where} cannot be used ({_said(error)})"
            raise BucketRefused(f"{why}: check its name and SAFELIGHT_S3_ENDPOINT") from error
        return lacks

    async def _conditions(self, key: str) -> list[str]:
        """Whether "only if there is none" is kept: a store that does not know it overwrites, and says all is well."""
        try:
            await obstore.put_async(self._store, key, PROBE, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return []
        except BaseError as error:
            if _status_of(error) not in {"400", "501"}:
                raise
        self.conditional = False
        return ["this store has no conditional writes: only one server process may use it at a time"]


def _refusal(what: str, error: Exception) -> Refused:
    """What a person is told is that the storage does not answer; what the bucket said stands in the log.

    Without address and key of the object: those would say which blob it was.
    """
    said = _said(error)
    _log.warning("the bucket did not do as it was asked", request=what, said=said)
    return Refused(Code.STORAGE_UNAVAILABLE)


def _status_of(error: Exception) -> str:
    found = _STATUS.search(str(error))
    return found[1] if found else ""


def _said(error: Exception) -> str:
    """Status and code of what the store answered, and nothing else of it: answers repeat what they were asked."""
    if isinstance(error, Refused):
        return error.detail or "see the log"
    text = str(error)
    code = _S3_CODE.search(text)
    if said := " ".join(filter(None, (_status_of(error), code[1] if code else ""))):
        return said
    kind = _KIND.search(text)
    return _KINDS.get(kind[1] if kind else "", "no answer of S3")
