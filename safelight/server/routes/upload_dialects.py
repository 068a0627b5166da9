"""The versions of the upload draft that clients speak, told apart by Upload-Draft-Interop-Version, in one table.

What each row follows stands in docs/spec/upload.md. Beyond this table no code asks for a version.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import HttpVersion11, web

from safelight.server.routes.structured import boolean, integer
from safelight.sync_protocol.refusals import Code, Refused

_IANA = "https://iana.org/assignments/http-problem-types#"
MISMATCHING_OFFSET = _IANA + "mismatching-upload-offset"
INCONSISTENT_LENGTH = _IANA + "inconsistent-upload-length"
COMPLETED = _IANA + "completed-upload"
_COMPLETENESS_FIELDS = ("Upload-Complete", "Upload-Incomplete")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one version says things. `version` is what its 104s carry; None where there must be none."""

    version: int | None
    # Which field says whether that is all, in one version the other way round; and whether an append without it is.
    completeness: str = "Upload-Complete"
    append_ends_unless_said: bool = False
    # Whether an append must be application/partial-upload.
    names_media: bool = True
    # Which fields a question for the offset and a cancellation must not have.
    not_when_asking: tuple[str, ...] = ()
    # 104s: of progress, and limits in the first one.
    tells_progress: bool = True
    # Under which key Upload-Limit has the upload's remaining life; "" where there is no such field.
    age_key: str = "max-age"
    partial_status: int = 204
    complete_status: int = 200
    # Whether a creation that completed names the upload, or what became of it.
    keeps_location: bool = False
    # To a complete upload: whether a wrong offset is told before that it is complete, and of which type the latter is.
    offset_before_complete: bool = True
    completed_type: str = COMPLETED
    # As what bytes beyond the stated length are refused: with 413, or 400.
    overlong: Code = Code.UPLOAD_TOO_LONG

    def completes(self, request: web.Request) -> bool | None:
        """Whether a request says that it ends the upload; None where it does not say, or not in a way that counts.

        What says it in another version's words alone is refused: read as saying nothing it would mean the opposite.
        """
        said = boolean(request.headers, self.completeness)
        if said is not None:
            return said is (self.completeness == "Upload-Complete")
        others = [name for name in _COMPLETENESS_FIELDS if name != self.completeness and name in request.headers]
        if others and self.completeness not in request.headers:
            raise Refused(Code.BAD_REQUEST, f"in this version of the draft, say {self.completeness}")
        return None

    def append_completes(self, request: web.Request) -> bool:
        """Whether an append says that it ends the upload; raises BAD_REQUEST where it must say so and does not."""
        said = self.completes(request)
        if said is None and (self.completeness in request.headers or not self.append_ends_unless_said):
            raise Refused(Code.BAD_REQUEST, f"state {self.completeness}")
        return said is not False

    def completeness_field(self, *, complete: bool) -> dict[str, str]:
        """Say whether an upload is complete."""
        return {self.completeness: "?1" if complete is (self.completeness == "Upload-Complete") else "?0"}

    def check_question(self, request: web.Request) -> None:
        """Refuse a question for the offset, or a cancellation, with fields that it must not have."""
        for name in self.not_when_asking:
            if name in request.headers:
                raise Refused(Code.BAD_REQUEST, f"without {name}")


_V3 = Dialect(
    3,
    completeness="Upload-Incomplete",
    append_ends_unless_said=True,
    names_media=False,
    not_when_asking=("Upload-Offset", "Upload-Incomplete"),
    tells_progress=False,
    age_key="",
    partial_status=201,
    complete_status=201,
    keeps_location=True,
    overlong=Code.UPLOAD_LENGTH_INCONSISTENT,
)
_V5 = Dialect(
    5,
    append_ends_unless_said=True,
    names_media=False,
    not_when_asking=("Upload-Offset", "Upload-Complete"),
    age_key="",
    partial_status=201,
    complete_status=201,
    keeps_location=True,
    overlong=Code.UPLOAD_LENGTH_INCONSISTENT,
)
_V6 = Dialect(
    6,
    append_ends_unless_said=True,
    not_when_asking=("Upload-Offset", "Upload-Complete", "Upload-Length"),
    age_key="expires",
    partial_status=201,
    complete_status=201,
    keeps_location=True,
    offset_before_complete=False,
    overlong=Code.UPLOAD_LENGTH_INCONSISTENT,
)
_V8 = Dialect(8, completed_type=INCONSISTENT_LENGTH)
# Who names no version, or one that is not here, gets the newest one's answers, and no 104 (drafts: MUST NOT).
_UNKNOWN = Dialect(None, completed_type=INCONSISTENT_LENGTH)
DIALECTS: Mapping[int | None, Dialect] = {dialect.version: dialect for dialect in (_V3, _V5, _V6, _V8)}


def dialect_of(request: web.Request) -> Dialect:
    """In which version of the draft a request is."""
    return DIALECTS.get(integer(request.headers, "Upload-Draft-Interop-Version"), _UNKNOWN)


def takes_interim(request: web.Request, dialect: Dialect) -> bool:
    """Whether a request may be answered with 104s before its answer."""
    return dialect.version is not None and request.version >= HttpVersion11
