"""What the routes of uploads answer, in the version of the draft that they were asked in."""

import base64

import msgspec
from aiohttp import web

from safelight.server.domain.ports.rows import UploadRow
from safelight.server.routes.call import Call
from safelight.server.routes.problems import problem_response, problem_type
from safelight.server.routes.structured import integer
from safelight.server.routes.table import json_response
from safelight.server.routes.upload_dialects import INCONSISTENT_LENGTH, MISMATCHING_OFFSET, Dialect
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import TABLE, Code, Refused

# These say nothing of an upload: to who is refused so there is none.
_SILENT = frozenset(
    {Code.NOT_FOUND, Code.SESSION_REQUIRED, Code.SESSION_EXPIRED, Code.SPACE_UNKNOWN, Code.RIGHT_MISSING}
)
# After these an upload that is not there any more will never be.
_FINAL = frozenset({Code.UPLOAD_DIGEST_MISMATCH, Code.UPLOAD_TOO_LONG})


class Answers:
    """Prints answers to one request."""

    def __init__(self, call: Call, dialect: Dialect) -> None:
        self._call = call
        self._dialect = dialect

    def options(self) -> web.Response:
        """Uploads can be resumed here, and these are the limits."""
        headers = {"Allow": "OPTIONS, POST", "Accept-Patch": "application/partial-upload", **self.limits(None)}
        return web.Response(status=204, headers=headers)

    def announcement(self, upload: UploadRow) -> dict[str, str]:
        """What the first 104 says."""
        return {"Location": location(upload), **self.limits(upload)}

    def offset(self, upload: UploadRow) -> web.Response:
        """How far an upload has come."""
        return web.Response(status=204, headers=self._state(upload))

    def created(self, upload: UploadRow) -> web.Response:
        """An upload was created, and more is to come or nothing is missing."""
        if upload.state == "complete":
            return self._stored(upload, names_upload=self._dialect.keeps_location)
        return web.Response(status=201, headers={**self._state(upload), "Location": location(upload)})

    def appended(self, upload: UploadRow) -> web.Response:
        """Content was appended, and more is to come or nothing is missing."""
        if upload.state == "complete":
            return self._stored(upload, names_upload=False)
        return web.Response(status=self._dialect.partial_status, headers=self._state(upload))

    def refusal(self, refused: Refused, upload: UploadRow | None, *, created: bool = False) -> web.Response:
        """Print a refusal with the draft's problem types and headers; *upload* as it stands now, None if it is gone."""
        if refused.code in _SILENT:
            return problem_response(refused)
        code = self._code(refused.code, upload)
        headers = self._dialect.completeness_field(complete=upload is None and refused.code in _FINAL)
        if code in {Code.TOO_LARGE, Code.UPLOAD_TOO_LONG}:
            headers.update(self.limits(upload))
        if upload is not None:
            headers["Upload-Offset"] = str(upload.offset_bytes)
            if created and upload.state == "open":
                headers["Location"] = location(upload)
        types = {
            Code.UPLOAD_OFFSET_MISMATCH: MISMATCHING_OFFSET,
            Code.UPLOAD_LENGTH_INCONSISTENT: INCONSISTENT_LENGTH,
            Code.UPLOAD_COMPLETED: self._dialect.completed_type,
        }
        row = TABLE[code]
        problem: dict[str, str | int] = {
            "type": types.get(code) or problem_type(code),
            "title": row.sentence,
            "status": row.status,
            "code": code.value,
            "detail": refused.detail,
        }
        if code is Code.UPLOAD_OFFSET_MISMATCH and upload is not None:
            problem["expected-offset"] = upload.offset_bytes
            problem["provided-offset"] = self._stated_offset() or 0
        body = msgspec.json.encode(problem)
        return web.Response(body=body, status=row.status, headers=headers, content_type="application/problem+json")

    def limits(self, upload: UploadRow | None) -> dict[str, str]:
        """The Upload-Limit field, where this version has it; the age is what is left of it."""
        if not self._dialect.age_key:
            return {}
        uploads = self._call.services.uploads
        limits = [f"max-size={uploads.rules.max_size_bytes}"]
        if self._call.serving.append_size_bytes:
            limits.append(f"max-append-size={self._call.serving.append_size_bytes}")
        limits.append(f"{self._dialect.age_key}={uploads.seconds_left(upload)}")
        return {"Upload-Limit": ", ".join(limits)}

    def _code(self, code: Code, upload: UploadRow | None) -> Code:
        """As what this version has a refusal told."""
        stands_elsewhere = upload is not None and self._stated_offset() != upload.offset_bytes
        if code is Code.UPLOAD_COMPLETED and self._dialect.offset_before_complete and stands_elsewhere:
            return Code.UPLOAD_OFFSET_MISMATCH
        # Its own length did not suffice, not the server's largest.
        runs_over = self._call.request.method == "PATCH" and (upload is None or upload.length_bytes is not None)
        return self._dialect.overlong if code is Code.UPLOAD_TOO_LONG and runs_over else code

    def _stated_offset(self) -> int | None:
        return integer(self._call.request.headers, "Upload-Offset")

    def _stored(self, upload: UploadRow, *, names_upload: bool) -> web.Response:
        response = json_response(BlobStored(upload.blob.hex(), upload.offset_bytes), self._dialect.complete_status)
        response.headers.update(self._state(upload))
        blob = f"/v1/spaces/{upload.space_id.hex()}/blobs/{upload.blob.hex()}"
        response.headers["Location"] = location(upload) if names_upload else blob
        return response

    def _state(self, upload: UploadRow) -> dict[str, str]:
        complete = upload.state == "complete"
        headers = {
            **self._dialect.completeness_field(complete=complete),
            "Upload-Offset": str(upload.offset_bytes),
            **self.limits(upload),
        }
        if upload.length_bytes is not None:
            headers["Upload-Length"] = str(upload.length_bytes)
        if complete:
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(upload.blob).decode('ascii')}:"
        return headers


def location(upload: UploadRow) -> str:
    """The address of an upload."""
    return f"/v1/blobs/uploads/{upload.upload_id.hex()}"
