"""500 slow clients at once, of every kind: each is closed in time, and the others hardly notice."""

import asyncio
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.machine import served

CROWD = 500
_PROBES = 400
_SILENT = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


@dataclass(frozen=True)
class Slow:
    """What one client sends at once, and what it drips afterwards."""

    sent: bytes
    dripped: bytes = b""


KINDS = {
    "no bytes": Slow(b""),
    "half a header": Slow(b"GET /health HTTP/1.1\r\nX: "),
    "a dripped header": Slow(b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "a body that stays out": Slow(b"POST /v1/unlock/start HTTP/1.1\r\n" + _SILENT.encode() + b"{"),
    "no second request": Slow(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
}


async def _until_closed(url: str, kind: Slow) -> float:
    """Be one of the crowd; returns after how long the server closed the connection."""
    split = urlsplit(url)
    started_s = time.monotonic()
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection(split.hostname, split.port)
        try:
            writer.write(kind.sent)

            async def drip() -> None:
                while kind.dripped:
                    await asyncio.sleep(1)
                    writer.write(kind.dripped)

            dripping = asyncio.create_task(drip())
            try:
                while await reader.read(65536):
                    pass
            finally:
                dripping.cancel()
        finally:
            writer.transport.abort()
    return time.monotonic() - started_s


async def _p99_s(url: str) -> float:
    """How long a request takes that others make one after the other, on connections of their own."""
    split, took = urlsplit(url), []
    for _ in range(_PROBES):
        started_s = time.perf_counter()
        reader, writer = await asyncio.open_connection(split.hostname, split.port)
        writer.write(b"GET /v1/server HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await reader.readline()
        await reader.read()
        writer.close()
        took.append(time.perf_counter() - started_s)
    return statistics.quantiles(took, n=100)[-1]


async def crowd(url: str, within_s: float) -> tuple[float, float, float]:
    """Let the crowd in; returns the slowest closing, and the others' p99 before and meanwhile."""
    before_s = min([await _p99_s(url) for _ in range(3)])
    kinds = [list(KINDS.values())[number % len(KINDS)] for number in range(CROWD)]
    closing = [asyncio.create_task(_until_closed(url, kind)) for kind in kinds]
    await asyncio.sleep(0.5)
    # The machine that runs the tests has other work, too: the best of three is what the crowd costs.
    meanwhile_s = min([await _p99_s(url) for _ in range(3)])
    async with asyncio.timeout(within_s + 10):
        slowest_s = max(await asyncio.gather(*closing))
    return slowest_s, before_s, meanwhile_s


def check(slowest_s: float, before_s: float, meanwhile_s: float, within_s: float) -> None:
    """Check the bar. Two milliseconds are what a machine's scheduler makes of nothing."""
    assert slowest_s <= within_s
    assert meanwhile_s <= 2 * before_s + 0.002


@pytest.mark.alone
async def test_a_crowd_of_slow_clients(tmp_path: Path) -> None:
    """With deadlines of four seconds, and three to take a refusal in, all are gone; the others' p99 is not doubled."""
    options = ("--header-timeout-s", "4", "--stall-timeout-s", "4")
    async with served(tmp_path / "data", *options) as server:
        check(*await crowd(server.url, 9), 9)


@pytest.mark.battery
async def test_a_crowd_at_a_server_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the settings that a server has by default: within 30 seconds."""
    async with served(tmp_path / "data") as server:
        seen = await crowd(server.url, 30)
    with capsys.disabled():
        told = f"closed by {seen[0]:.1f} s, p99 {seen[1] * 1000:.1f} ms before, {seen[2] * 1000:.1f} ms meanwhile"
        sys.stdout.write(f"\n{CROWD} slow clients: {told}\n")
    check(*seen, 30)


NO_DEADLINE = """
from safelight.server.routes.call import Call
async def read(self):
    return await self.request.content.read()
Call._read = read
"""


async def test_a_server_without_a_deadline_is_caught(tmp_path: Path) -> None:
    """A server that waits for a body for ever does not pass."""
    options = ("--header-timeout-s", "2", "--stall-timeout-s", "2")
    async with served(tmp_path / "data", *options, mutant=NO_DEADLINE) as server:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_until_closed(server.url, KINDS["a body that stays out"]), 6)
