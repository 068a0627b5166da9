"""Whether the server lives, and whether traffic may come: two questions with two answers."""

import asyncio
import errno
import signal
from pathlib import Path

import aiohttp
import msgspec
import pytest

from safelight.server.stores import disk
from safelight.sync_protocol.messages.common import Health, Ready
from tests.http.conftest import Owner, Server, StartServer
from tests.http.test_process import running


async def test_ready(server: Server) -> None:
    """Every part says that it is well."""
    answer = await server.api.get("/ready")
    assert answer.as_(Ready).parts == {"server": "ok", "database": "ok", "blobs": "ok"}
    assert (answer.as_(Ready).status, answer.headers["Cache-Control"]) == ("ready", "no-store")


async def test_a_store_that_went_read_only_is_told(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the server lives, and is not ready; it says which part, and no path."""

    def fail(_: int) -> None:
        raise disk.SyncFailure(errno.EIO, "failed")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_file", fail)
        refused = await owner.api.try_upload(owner.writer.space_id, b"x" * 5000, Upload_Complete="?1")
        assert (refused.status, refused.code) == (503, "storage-read-only")
    await asyncio.sleep(1)
    answer = await owner.api.get("/ready")
    assert answer.status == 503
    body = msgspec.json.decode(answer.body, type=Ready)
    assert (body.status, body.parts) == ("not-ready", {"server": "ok", "database": "ok", "blobs": "storage-read-only"})
    assert (await owner.api.get("/health")).as_(Health).status == "ok"
    assert (await owner.api.get(f"{owner.space}/log")).status == 200


async def test_too_little_room(start_server: StartServer) -> None:
    """Less free space than the operator wants is said before the disk is full."""
    server = await start_server(ready_free_bytes=2**60)
    answer = await server.api.get("/ready")
    assert answer.status == 503
    assert msgspec.json.decode(answer.body, type=Ready).parts == {
        "server": "ok",
        "database": "storage-full",
        "blobs": "storage-full",
    }


async def test_a_balancer_has_time_to_notice_the_end(tmp_path: Path) -> None:
    """With --stop-delay-s the server says that it stops, still serves for that long, and then ends."""
    async with running(tmp_path / "data", "--stop-delay-s", "3") as server, aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/ready") as answer:
            assert answer.status == 200
        server.process.send_signal(signal.SIGTERM)
        for _ in range(100):
            async with http.get(f"{server.url}/ready") as answer:
                status, body = answer.status, await answer.json()
            if status == 503:
                break
            await asyncio.sleep(0.02)
        assert body["parts"]["server"] == "stopping"
        async with http.get(f"{server.url}/health") as answer:
            assert answer.status == 200
        assert await asyncio.wait_for(server.process.wait(), 15) == 0
