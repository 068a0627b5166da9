"""What a server's answers mean where they say little."""

from types import SimpleNamespace

import pytest

from safelight.clients.engine.answers import read_refusal
from safelight.sync_protocol.refusals import TABLE, Code

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, Code.SESSION_REQUIRED),
        (404, Code.NOT_FOUND),
        (409, Code.UPLOAD_BUSY),
        (429, Code.RATE_LIMITED),
        (500, Code.SERVER_FAULT),
        (503, Code.STORAGE_UNAVAILABLE),
        (507, Code.STORAGE_FULL),
    ],
)
def test_a_refusal_without_a_body_is_read_by_its_status(status: int, code: Code) -> None:
    """The answer to HEAD has no body, and what passes by itself is not called the server's mistake.

    *A week of ten cameras*: one asked how far its upload was while PostgreSQL was away, and was told of a mistake.
    """
    refusal = read_refusal(SimpleNamespace(status=status, content_type=PROBLEM), b"")  # type: ignore[arg-type]  # all that is asked of it
    assert refusal.code is code
    assert TABLE[code].status == status


def test_an_answer_of_something_on_the_way_is_no_refusal() -> None:
    """A proxy's own page says that the server is not reached."""
    refusal = read_refusal(SimpleNamespace(status=503, content_type="text/html"), b"busy")  # type: ignore[arg-type]  # likewise
    assert refusal.code is Code.SERVER_UNREACHABLE
