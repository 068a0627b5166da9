"""Resumable uploads: draft-ietf-httpbis-resumable-upload, interop version 8. docs/spec/upload.md."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from aiohttp import web

from safelight.server.domain.ports.rows import UploadRow
from safelight.server.domain.uploads import Appending, Interrupted
from safelight.server.routes.call import Call
from safelight.server.routes.interim import Interim
from safelight.server.routes.problems import problem_response
from safelight.server.routes.sending import cut
from safelight.server.routes.structured import boolean, digests, integer
from safelight.server.routes.table import BYTES, Auth, Route, json_response
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import TABLE, Code, Refused

PARTIAL_UPLOAD = "application/partial-upload"
_IANA = "https://iana.org/assignments/http-problem-types#"
_TYPES = {
    Code.UPLOAD_OFFSET_MISMATCH: _IANA + "mismatching-upload-offset",
    Code.UPLOAD_LENGTH_INCONSISTENT: _IANA + "inconsistent-upload-length",
    Code.UPLOAD_COMPLETED: _IANA + "completed-upload",
}
# After these the upload is over: nothing that a client sends later could make it right.
_FINAL = frozenset({Code.UPLOAD_DIGEST_MISMATCH, Code.UPLOAD_TOO_LONG})


async def options(call: Call) -> web.Response:
    """Say that uploads may be resumed here, and within which limits."""
    return web.Response(status=204, headers={"Upload-Limit": _limits(call, None), "Allow": "OPTIONS, POST"})


async def create(call: Call) -> web.StreamResponse:
    """Create an upload, with all of its content, some of it, or none. A repeat creates another upload."""
    call.refuse_coding()
    space = call.query("space").get("space", "")
    if len(space) != 2 * HASH_SIZE_BYTES or not set(space) <= set("0123456789abcdef"):
        raise Refused(Code.BAD_REQUEST, "name the space, in hexadecimal, as ?space=")
    completes = boolean(call.request.headers, "Upload-Complete")
    appending = _appending(call, 0, completes=completes is not False)
    upload = None
    try:
        _check_size(call)
        upload = await call.services.uploads.create(call.who, bytes.fromhex(space), appending)
        interim = Interim(call, {"Location": _location(upload), "Upload-Limit": _limits(call, upload)})
        if completes is not None:
            await interim.announce()
        if appending.completes or appending.content_bytes != 0:
            upload = await _append(call, upload, appending, interim.progress)
    except Refused as refused:
        return _refusal(call, refused, upload)
    if upload.state == "complete":
        return _stored(call, upload)
    return web.Response(status=201, headers={**_state(call, upload), "Location": _location(upload)})


async def append(call: Call) -> web.StreamResponse:
    """Append content at the offset that the upload has. A repeat is refused with the offset to go on from."""
    if call.request.content_type != PARTIAL_UPLOAD:
        raise Refused(Code.UNSUPPORTED_MEDIA, PARTIAL_UPLOAD)
    call.refuse_coding()
    upload_id = call.path_bytes("upload")
    upload = await call.services.uploads.find(call.who, upload_id)
    completes = boolean(call.request.headers, "Upload-Complete")
    offset = integer(call.request.headers, "Upload-Offset")
    try:
        if completes is None or offset is None:
            raise Refused(Code.BAD_REQUEST, "state Upload-Offset and Upload-Complete")
        appending = _appending(call, offset, completes=completes)
        _check_size(call)
        upload = await _append(call, upload, appending, Interim(call, {}).progress)
    except Refused as refused:
        return _refusal(call, refused, await _as_it_stands(call, upload))
    if upload.state == "complete":
        return _stored(call, upload)
    return web.Response(status=204, headers=_state(call, upload))


async def offset(call: Call) -> web.Response:
    """Say how far an upload has come. Whoever is still appending is cut off, so that the answer stays true."""
    upload_id = call.path_bytes("upload")
    await call.services.uploads.find(call.who, upload_id)
    async with call.services.uploads.alone(upload_id, _nothing):
        upload = await call.services.uploads.settled(call.who, upload_id)
    return web.Response(status=204, headers=_state(call, upload))


async def cancel(call: Call) -> web.Response:
    """Forget an upload. A repeat finds nothing."""
    upload_id = call.path_bytes("upload")
    await call.services.uploads.find(call.who, upload_id)
    async with call.services.uploads.alone(upload_id, _nothing):
        await call.services.uploads.cancel(call.who, upload_id)
    return web.Response(status=204)


async def _append(
    call: Call, upload: UploadRow, appending: Appending, progress: Callable[[int], Awaitable[None]]
) -> UploadRow:
    uploads = call.services.uploads
    async with uploads.alone(upload.upload_id, lambda: cut(call.request)):
        # What was created just now has nothing that a store would have to be asked for.
        find = uploads.settled if call.request.method == "PATCH" else uploads.find
        upload = await find(call.who, upload.upload_id)
        if (
            upload.state == "complete"
            and appending.content_bytes == 0
            and appending.offset_bytes == upload.offset_bytes
        ):
            return upload  # the answer to the request that completed it was lost; this is the same answer
        try:
            return await uploads.append(call.who, upload, appending, _content(call), progress)
        except Interrupted:
            raise Refused(Code.TIMED_OUT) from None


async def _content(call: Call) -> AsyncIterator[bytes]:
    """The request's content as it arrives, uncopied: whoever writes it gathers it; Interrupted when it breaks off."""
    while True:
        try:
            async with asyncio.timeout(call.serving.stall_timeout_s):
                piece = await call.request.content.readany()
        except (ConnectionError, TimeoutError, web.RequestPayloadError) as error:
            raise Interrupted from error
        if not piece:
            return
        yield piece


def _appending(call: Call, offset_bytes: int, *, completes: bool) -> Appending:
    headers = call.request.headers
    digest = None
    if "Repr-Digest" in headers:
        digest = (digests(headers, "Repr-Digest") or {}).get("sha-256")
        if digest is None or len(digest) != HASH_SIZE_BYTES:
            raise Refused(Code.UPLOAD_DIGEST_UNSUPPORTED)
    return Appending(
        offset_bytes=offset_bytes,
        completes=completes,
        length_bytes=integer(headers, "Upload-Length"),
        content_bytes=call.request.content_length if call.request.body_exists else 0,
        digest=digest,
    )


def _check_size(call: Call) -> None:
    limit = call.serving.append_size_bytes
    if limit and (call.request.content_length or 0) > limit:
        raise Refused(Code.TOO_LARGE, f"at most {limit} bytes in one request")


async def _as_it_stands(call: Call, upload: UploadRow) -> UploadRow:
    """The upload after a refusal, whose headers say where it is now."""
    try:
        return await call.services.uploads.settled(call.who, upload.upload_id)
    except Refused:
        return upload


def _refusal(call: Call, refused: Refused, upload: UploadRow | None) -> web.Response:
    """Print a refusal with the draft's problem types and headers."""
    if refused.code in {Code.NOT_FOUND, Code.SESSION_REQUIRED, Code.SPACE_UNKNOWN}:
        return problem_response(refused)
    headers = {"Upload-Complete": "?1" if refused.code in _FINAL else "?0"}
    if refused.code in {Code.TOO_LARGE, Code.UPLOAD_TOO_LONG}:
        headers["Upload-Limit"] = _limits(call, upload)
    if upload is not None:
        headers["Upload-Offset"] = str(upload.offset_bytes)
    if refused.code not in _TYPES:
        return problem_response(refused, **headers)
    row = TABLE[refused.code]
    problem: dict[str, str | int] = {
        "type": _TYPES[refused.code],
        "title": row.sentence,
        "status": row.status,
        "code": refused.code.value,
        "detail": refused.detail,
    }
    if refused.code is Code.UPLOAD_OFFSET_MISMATCH and upload is not None:
        problem["expected-offset"] = upload.offset_bytes
        problem["provided-offset"] = integer(call.request.headers, "Upload-Offset") or 0
    return web.Response(
        body=msgspec.json.encode(problem), status=row.status, headers=headers, content_type="application/problem+json"
    )


def _stored(call: Call, upload: UploadRow) -> web.Response:
    response = json_response(BlobStored(upload.blob.hex(), upload.offset_bytes))
    response.headers.update(_state(call, upload))
    response.headers["Location"] = f"/v1/spaces/{upload.space_id.hex()}/blobs/{upload.blob.hex()}"
    return response


def _state(call: Call, upload: UploadRow) -> dict[str, str]:
    complete = upload.state == "complete"
    headers = {
        "Upload-Complete": "?1" if complete else "?0",
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Limit": _limits(call, upload),
    }
    if upload.length_bytes is not None:
        headers["Upload-Length"] = str(upload.length_bytes)
    if complete:
        headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(upload.blob).decode('ascii')}:"
    return headers


def _limits(call: Call, upload: UploadRow | None) -> str:
    """The Upload-Limit dictionary; the age is what is left of it."""
    uploads = call.services.uploads
    limits = [f"max-size={uploads.rules.max_size_bytes}"]
    if call.serving.append_size_bytes:
        limits.append(f"max-append-size={call.serving.append_size_bytes}")
    limits.append(f"max-age={uploads.seconds_left(upload)}")
    return ", ".join(limits)


def _location(upload: UploadRow) -> str:
    return f"/v1/blobs/uploads/{upload.upload_id.hex()}"


def _nothing() -> None:
    """Whoever only asks, or cancels, is done before it could be cut off."""


_CREATING = (
    Code.SPACE_UNKNOWN,
    Code.RIGHT_MISSING,
    Code.QUOTA_EXCEEDED,
    Code.UPLOAD_LENGTH_INCONSISTENT,
    Code.UPLOAD_TOO_LONG,
    Code.UPLOAD_DIGEST_MISMATCH,
    Code.UPLOAD_DIGEST_UNSUPPORTED,
    Code.STORAGE_FULL,
    Code.STORAGE_READ_ONLY,
    Code.TIMED_OUT,
)
_UPLOAD = "/v1/blobs/uploads/{upload:[0-9a-f]{32}}"
_HEADERS = ("Upload-Complete", "Upload-Length", "Repr-Digest", "Upload-Draft-Interop-Version")

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
        statuses=(200, 204),
    ),
    *(
        Route(
            method,
            _UPLOAD,
            offset,
            "How far an upload has come",
            Auth.SESSION,
            refusals=(Code.NOT_FOUND,),
            statuses=(204,),
        )
        for method in ("HEAD", "GET")
    ),
    Route("DELETE", _UPLOAD, cancel, "Cancel an upload", Auth.SESSION, refusals=(Code.NOT_FOUND,), statuses=(204,)),
]
