"""A disk that is full at the very end of an upload: what has arrived stays, and is completed when there is room."""

import os
from collections.abc import Awaitable, Callable

import pytest

from safelight.server.stores.blobs_directory import DirectoryAppender
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.refusals import Code, Refused
from tests.http.conftest import Owner
from tests.support.protocol import sha256

DATA = os.urandom(300_000)


async def full(*_arguments: object) -> None:
    """Stand for whatever writes last."""
    raise Refused(Code.STORAGE_FULL)


async def append(owner: Owner, path: str, offset: int, body: bytes) -> tuple[int, str]:
    """Append the rest and complete; the status and the refusal's code."""
    headers = {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1",
    }
    answer = await owner.api.send("PATCH", path, body, headers)
    return answer.status, "" if answer.status == 200 else answer.code


async def test_a_full_disk_at_the_end_loses_no_upload(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """507, then the same upload goes on from the offset that the server states."""
    start = await owner.api.try_upload(owner.writer.space_id, DATA[:200_000], Upload_Complete="?0")
    path = start.headers["Location"]
    with monkeypatch.context() as patch:
        patch.setattr(DirectoryAppender, "finish", full)
        assert await append(owner, path, 200_000, DATA[200_000:]) == (507, Code.STORAGE_FULL)
    stated = await owner.api.send("HEAD", path)
    offset = int(stated.headers["Upload-Offset"])
    assert offset >= 200_000
    assert (await append(owner, path, offset, DATA[offset:]))[0] == 200


async def test_a_row_that_finds_no_room_is_never_half_an_upload(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published bytes without their row: the upload is over, nothing is held, and sending anew succeeds."""
    start = await owner.api.try_upload(owner.writer.space_id, DATA[:1000], Upload_Complete="?0")
    path = start.headers["Location"]
    held: Callable[..., Awaitable[None]] = SqliteDatabase.finish_upload
    monkeypatch.setattr(SqliteDatabase, "finish_upload", full)
    assert await append(owner, path, 1000, DATA[1000:]) == (507, Code.STORAGE_FULL)
    monkeypatch.setattr(SqliteDatabase, "finish_upload", held)
    assert (await owner.api.send("HEAD", path)).status == 404
    again = await owner.api.try_upload(owner.writer.space_id, DATA, Upload_Complete="?1")
    assert again.as_(BlobStored).name == sha256(DATA).hex()
