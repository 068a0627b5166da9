"""Metrics: what they count, that they name nobody, and that only their own listener has them."""

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from safelight.server.app import EXPIRY
from safelight.server.metrics import Metrics
from tests.http.conftest import Server, StartServer
from tests.http.test_process import run, running
from tests.support.ports import free_port
from tests.support.protocol import Blob
from tests.support.raw_http import raw


class Scraped:
    """What the second listener says, by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rows = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        }

    def __getitem__(self, name: str) -> float:
        return self.rows.get(f"safelight_{name}", 0.0)


@pytest.fixture
def port() -> int:
    """A free port for metrics."""
    return free_port()


@pytest.fixture
async def metered(start_server: StartServer, port: int) -> Server:
    """A server with metrics."""
    return await start_server(metrics_listen=f"127.0.0.1:{port}")


async def scrape(server: Server) -> Scraped:
    """Ask the second listener."""
    async with server.api.http.get(f"http://{server.settings.metrics_listen}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return Scraped(await answer.text())


async def test_what_is_counted(metered: Server) -> None:
    """Requests, bytes in both directions, commits and their groups, syncs, uploads, bells, stores and the process."""
    owner = await metered.owner()
    blob = Blob(os.urandom(3_000_000))
    await owner.api.add_photo(owner.writer, blob)
    assert (await owner.api.get(f"{owner.space}/blobs/{blob.name.hex()}")).body == blob.data
    begun = await owner.api.try_upload(owner.writer.space_id, b"x" * 1000, Upload_Complete="?0")
    assert begun.status == 201
    assert (await owner.api.get(f"{owner.space}/blobs/{'0' * 64}")).status == 404
    headers = {"Authorization": f"Bearer {owner.api.token}"}
    async with owner.api.http.ws_connect(f"{owner.api.url}{owner.space}/bell", headers=headers) as bell:
        await bell.receive()
        seen = await scrape(metered)
    assert seen['requests_total{method="POST",route="/v1/accounts",status="200"}'] == 1
    assert seen['request_seconds_count{method="POST",route="/v1/accounts"}'] == 1
    assert seen['requests_total{method="GET",route="/v1/spaces/{space}/blobs/{name}",status="404"}'] == 1
    assert seen['refusals_total{code="not-found"}'] == 1
    assert seen["upload_bytes_total"] >= 3_001_000
    assert seen["download_bytes_total"] == 3_000_000
    assert seen["commit_entries_total"] == seen["commit_group_entries_sum"] >= 3
    assert 0 < seen["commit_seconds_sum"] < 10
    assert seen["upload_sync_seconds_count"] >= 2
    assert (seen["uploads_open"], seen["uploads_appending"], seen["bell_sockets"]) == (1, 0, 1)
    assert seen['storage_size_bytes{store="database"}'] > 10_000
    assert seen['storage_total_bytes{store="blobs"}'] > seen['storage_free_bytes{store="blobs"}'] > 0
    assert all(seen[f'ready{{part="{part}"}}'] == 1 for part in ("server", "database", "blobs"))
    assert seen.rows["process_resident_memory_bytes"] > 2**20


async def test_the_public_port_has_none(metered: Server, server: Server) -> None:
    """Not where they are on, and not where they are off; and the metrics' port has nothing else."""
    for one in (metered, server):
        for path in ("/metrics", "/v1/metrics", "/metrics/"):
            assert (await one.api.get(path)).status == 404
    for path in ("/health", "/v1/server", "/"):
        async with server.api.http.get(f"http://{metered.settings.metrics_listen}{path}") as answer:
            assert answer.status == 404


async def test_no_rows_of_a_strangers_making(metered: Server) -> None:
    """Whatever methods and paths someone sends, the rows stay few: each row is kept for ever."""
    for number in range(30):
        await metered.api.send(f"CANARY{number}", f"/canary/{number}", None, {})
        await metered.api.get(f"/s/canary{number}")
        await metered.api.send(f"CANARY{number}", "/v1/server", None, {})
    seen = await scrape(metered)
    rows = [name for name in seen.rows if name.startswith("safelight_requests_total")]
    assert len(rows) <= 4, rows
    assert "canary" not in seen.text.lower()


async def test_nobody_is_named(metered: Server) -> None:
    """No id, name, token or address stands in what is told."""
    owner = await metered.owner()
    blob = Blob(os.urandom(5000))
    await owner.api.add_photo(owner.writer, blob)
    await owner.api.get(f"{owner.space}/blobs/{blob.name.hex()}")
    text = (await scrape(metered)).text
    ids = (owner.person.account_id, owner.writer.space_id, owner.signer.device_id, blob.name)
    for secret in (owner.person.name, owner.api.token, "127.0.0.1", *(one.hex() for one in ids)):
        assert secret not in text


async def test_a_request_that_was_cut_off(metered: Server) -> None:
    """It counts as cut, not as answered."""
    owner = await metered.owner()
    blob = Blob(os.urandom(40_000_000))
    await owner.api.add_photo(owner.writer, blob)
    async with raw(owner.api.url, owner.api.token) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{blob.name.hex()}", {})
        await connection.reader.read(1000)
    name = 'requests_total{method="GET",route="/v1/spaces/{space}/blobs/{name}",status="cut"}'
    for _ in range(100):
        seen = await scrape(metered)
        if seen[name]:
            break
        await asyncio.sleep(0.05)
    assert seen[name] == 1
    assert seen["download_bytes_total"] < 40_000_000


async def test_jobs(start_server: StartServer, port: int) -> None:
    """When the clearing away last ended well, and how often it failed."""
    server = await start_server(metrics_listen=f"127.0.0.1:{port}", jobs_interval_s=0)
    for _ in range(100):
        seen = await scrape(server)
        if seen['job_last_success_timestamp_seconds{job="expiry"}']:
            break
        await asyncio.sleep(0.02)
    assert seen['job_last_success_timestamp_seconds{job="expiry"}'] > 1.7e9
    assert seen['job_failures_total{job="expiry"}'] == 0
    assert server.app[EXPIRY].interval_s == 0


def test_failures_of_jobs() -> None:
    """A failure counts, and moves no time."""
    metrics = Metrics("1")
    metrics.job_ended("expiry", 2.5, well=False)
    seen = Scraped(metrics.text().decode())
    assert seen['job_failures_total{job="expiry"}'] == 1
    assert seen['job_last_seconds{job="expiry"}'] == 2.5
    assert "safelight_job_last_success_timestamp_seconds{" not in seen.text


async def test_the_command(tmp_path: Path, port: int) -> None:
    """`--metrics-listen` says where on stderr; a port in use ends the start in one line; off, nothing listens."""
    async with running(tmp_path / "data", "--metrics-listen", f"127.0.0.1:{port}") as server:
        assert server.process.stderr is not None
        told = (await asyncio.wait_for(server.process.stderr.readline(), 5)).decode()
        assert told == f"metrics at http://127.0.0.1:{port}/metrics\n"
        async with aiohttp.ClientSession() as http, http.get(told.split()[-1]) as answer:
            assert answer.status == 200
        flags = ("--data", str(tmp_path / "b"), "--listen", "127.0.0.1:0", "--metrics-listen", f"127.0.0.1:{port}")
        second = await asyncio.to_thread(run, "run", *flags)
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == f"safelight-server: cannot listen at 127.0.0.1, port {port}: Address already in use\n"


async def test_metrics_of_two_servers_do_not_mix(start_server: StartServer) -> None:
    """Each has a registry of its own."""
    first = await start_server(metrics_listen=f"127.0.0.1:{free_port()}")
    second = await start_server(metrics_listen=f"127.0.0.1:{free_port()}")
    await first.owner()
    assert (await scrape(first))["commit_entries_total"] == 1
    assert (await scrape(second))["commit_entries_total"] == 0
