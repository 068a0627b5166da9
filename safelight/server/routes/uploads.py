"""Resumable uploads: draft-ietf-httpbis-resumable-upload in the versions that phones speak. docs/spec/upload.md."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from safelight.server.domain.content_checks import ALGORITHMS
from safelight.server.domain.ports.rows import UploadRow
from safelight.server.domain.uploads import Appending, Chunk, Coming, Interrupted
from safelight.server.routes.call import Call
from safelight.server.routes.interim import Interim
from safelight.server.routes.receiving import content
from safelight.server.routes.sending import cut
from safelight.server.routes.structured import digests, integer
from safelight.server.routes.table import BYTES, Auth, Route
from safelight.server.routes.upload_answers import Answers
from safelight.server.routes.upload_dialects import dialect_of
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import Code, Refused

PARTIAL_UPLOAD = "application/partial-upload"


async def options(call: Call) -> web.Response:
    """Say that uploads may be resumed here, and within which limits."""
    return Answers(call, dialect_of(call.request)).options()


async def create(call: Call) -> web.StreamResponse:
    """Create an upload, with all of its content, some of it, or none. A repeat creates another upload."""
    call.refuse_coding()
    space = call.query("space").get("space", "")
    if len(space) != 2 * HASH_SIZE_BYTES or not set(space) <= set("0123456789abcdef"):
        raise Refused(Code.BAD_REQUEST, "name the space, in hexadecimal, as ?space=")
    dialect = dialect_of(call.request)
    answers, interim = Answers(call, dialect), Interim(call, dialect)
    completes = dialect.completes(call.request)
    if integer(call.request.headers, "Upload-Offset"):
        raise Refused(Code.BAD_REQUEST, "an upload begins at 0")
    upload = None
    try:
        appending = _appending(call, 0, completes=completes is not False)
        _check_size(call, appending.content_bytes)
        upload, declared = await call.services.uploads.create(call.who, bytes.fromhex(space), appending)
        if completes is None:
            interim.keep_silent()
        await interim.announce(answers.announcement(upload))
        if appending.completes or appending.content_bytes != 0:
            upload = await _append(call, upload, appending, interim, declared=declared)
    except Refused as refused:
        return answers.refusal(refused, await _as_it_stands(call, upload), created=True)
    return answers.created(upload)


async def append(call: Call) -> web.StreamResponse:
    """Append content at the offset that the upload has. A repeat is refused with the offset to go on from."""
    dialect = dialect_of(call.request)
    upload = await call.services.uploads.find(call.who, call.path_bytes("upload"))
    answers = Answers(call, dialect)
    try:
        if dialect.names_media and call.request.content_type != PARTIAL_UPLOAD:
            raise Refused(Code.UNSUPPORTED_MEDIA, PARTIAL_UPLOAD)
        call.refuse_coding()
        completes = dialect.append_completes(call.request)
        offset = integer(call.request.headers, "Upload-Offset")
        if offset is None:
            raise Refused(Code.BAD_REQUEST, "state Upload-Offset")
        appending = _appending(call, offset, completes=completes)
        _check_size(call, appending.content_bytes)
        upload = await _append(call, upload, appending, Interim(call, dialect))
    except Refused as refused:
        return answers.refusal(refused, await _as_it_stands(call, upload))
    return answers.appended(upload)


async def offset(call: Call) -> web.Response:
    """Say how far an upload has come. Whoever is still appending is cut off, so that the answer stays true."""
    dialect = dialect_of(call.request)
    dialect.check_question(call.request)
    upload_id = call.path_bytes("upload")
    await call.services.uploads.find(call.who, upload_id)
    async with call.services.uploads.alone(upload_id, None):
        upload = await call.services.uploads.settled(call.who, upload_id)
    return Answers(call, dialect).offset(upload)


async def cancel(call: Call) -> web.Response:
    """Forget an upload, and cut off whoever is appending to it. A repeat finds nothing."""
    dialect_of(call.request).check_question(call.request)
    upload_id = call.path_bytes("upload")
    await call.services.uploads.find(call.who, upload_id)
    async with call.services.uploads.alone(upload_id, None):
        await call.services.uploads.cancel(call.who, upload_id)
    return web.Response(status=204)


async def _append(
    call: Call, upload: UploadRow, appending: Appending, interim: Interim, *, declared: bool = False
) -> UploadRow:
    uploads = call.services.uploads
    try:
        async with (
            aclosing(_content(call)) as chunks,
            uploads.alone(upload.upload_id, lambda: cut(call.request)),
        ):
            if call.request.method == "PATCH":
                upload = await uploads.settled(call.who, upload.upload_id)
            elif interim.told:  # where it is; so someone else may have been there meanwhile, but no store knows more
                upload = await uploads.find(call.who, upload.upload_id)
            if (
                upload.state == "complete"
                and appending.content_bytes == 0
                and appending.offset_bytes == upload.offset_bytes
            ):
                return upload  # the answer to the request that completed it was lost; this is the same answer
            coming = Coming(chunks, interim.progress, call.check_session)
            return await uploads.append(call.who, upload, appending, coming, declared=declared)
    except Interrupted:
        raise Refused(Code.TIMED_OUT) from None


async def _content(call: Call) -> AsyncGenerator[Chunk, None]:
    """The request's content as it arrives, no more than one request may bring."""
    size_bytes = 0
    async with aclosing(content(call.request, call.serving.stall_timeout_s)) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk.data)
            _check_size(call, size_bytes)
            yield chunk


def _appending(call: Call, offset_bytes: int, *, completes: bool) -> Appending:
    return Appending(
        offset_bytes=offset_bytes,
        completes=completes,
        length_bytes=integer(call.request.headers, "Upload-Length"),
        content_bytes=call.request.content_length if call.request.body_exists else 0,
        digest=_digests(call, "Repr-Digest").get("sha-256"),
        content_digests=_digests(call, "Content-Digest"),
    )


def _digests(call: Call, name: str) -> dict[str, bytes]:
    """What a request states of digests; algorithms that we have not are passed over (RFC 9530 §2)."""
    stated = digests(call.request.headers, name)
    if stated is None:
        raise Refused(Code.UPLOAD_DIGEST_UNSUPPORTED, f"{name} is malformed")
    known = {algorithm: digest for algorithm, digest in stated.items() if algorithm in ALGORITHMS}
    for algorithm, digest in known.items():
        if len(digest) != len(ALGORITHMS[algorithm]().digest()):
            raise Refused(Code.UPLOAD_DIGEST_UNSUPPORTED, f"{name}: this is no {algorithm}")
    return known


def _check_size(call: Call, size_bytes: int | None) -> None:
    limit = call.serving.append_size_bytes
    if limit and (size_bytes or 0) > limit:
        raise Refused(Code.TOO_LARGE, f"at most {limit} bytes in one request")


async def _as_it_stands(call: Call, upload: UploadRow | None) -> UploadRow | None:
    """The upload after a refusal, whose headers say where it is now; None where it is no more."""
    if upload is None:
        return None
    try:
        return await call.services.uploads.settled(call.who, upload.upload_id)
    except Refused as refused:
        return None if refused.code is Code.NOT_FOUND else upload


_CREATING = (
    Code.SPACE_UNKNOWN,
    Code.RIGHT_MISSING,
    Code.QUOTA_EXCEEDED,
    Code.UPLOAD_LINK_OVER,
    Code.UPLOAD_LINK_FULL,
    Code.UPLOAD_LENGTH_INCONSISTENT,
    Code.UPLOAD_TOO_LONG,
    Code.UPLOAD_DIGEST_MISMATCH,
    Code.UPLOAD_DIGEST_UNSUPPORTED,
    Code.STORAGE_FULL,
    Code.STORAGE_READ_ONLY,
    Code.TIMED_OUT,
)
_UPLOAD = "/v1/blobs/uploads/{upload:[0-9a-f]{32}}"
_HEADERS = (
    "Upload-Complete",
    "Upload-Incomplete",
    "Upload-Length",
    "Repr-Digest",
    "Want-Repr-Digest",
    "Content-Digest",
    "Upload-Draft-Interop-Version",
)

ROUTES = [
    Route("OPTIONS", "/v1/blobs", options, "The limits of uploads", Auth.NONE, statuses=(204,)),
    Route(
        "POST",
        "/v1/blobs",
        create,
        "Create an upload",
        Auth.SESSION,
        response=BlobStored,
        refusals=_CREATING,
        query=("space",),
        headers=_HEADERS,
        request_media=BYTES,
        statuses=(200, 201),
    ),
    Route(
        "PATCH",
        _UPLOAD,
        append,
        "Append to an upload",
        Auth.SESSION,
        response=BlobStored,
        refusals=(*_CREATING, Code.NOT_FOUND, Code.UPLOAD_OFFSET_MISMATCH, Code.UPLOAD_COMPLETED),
        headers=("Upload-Offset", *_HEADERS),
        request_media=PARTIAL_UPLOAD,
        statuses=(200, 201, 204),
    ),
    *(
        Route(
            method,
            _UPLOAD,
            offset,
            "How far an upload has come",
            Auth.SESSION,
            refusals=(Code.NOT_FOUND, Code.SPACE_UNKNOWN, Code.RIGHT_MISSING, Code.UPLOAD_LINK_OVER),
            headers=("Upload-Draft-Interop-Version",),
            statuses=(204,),
        )
        for method in ("HEAD", "GET")
    ),
    Route("DELETE", _UPLOAD, cancel, "Cancel an upload", Auth.SESSION, refusals=(Code.NOT_FOUND,), statuses=(204,)),
]
