"""Small rules of the network: stalls, pauses, what a server says, and what an address may be."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from safelight.clients.engine.answers import ConnectionCut, check_server_url, decode, printable
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.stalls import Moving, unless_stalled
from safelight.sync_protocol.messages.common import Health
from safelight.sync_protocol.refusals import Code, Refused


async def _pieces(count: int, pause_s: float) -> AsyncIterator[bytes | memoryview]:
    for _ in range(count):
        await asyncio.sleep(pause_s)
        yield b"piece"


async def _send(body: Moving, *, takes: int, then_s: float = 0) -> int:
    taken = 0
    async for _ in body.pieces():
        taken += 1
        if taken == takes:
            await asyncio.sleep(60)
    await asyncio.sleep(then_s)
    return taken


async def test_a_body_that_moves_is_left_alone() -> None:
    """Slow is not stalled, and waiting for the answer after the last byte is not either."""
    body = Moving(_pieces(5, 0.03))
    assert await unless_stalled(_send(body, takes=-1, then_s=0.2), body, 0.1) == 5


async def test_a_body_that_stands_still_is_cut() -> None:
    """A network that takes no more ends the attempt, and nothing goes on behind it."""
    body = Moving(_pieces(5, 0))
    before = len(asyncio.all_tasks())
    with pytest.raises(ConnectionCut):
        await unless_stalled(_send(body, takes=2), body, 0.05)
    assert len(asyncio.all_tasks()) == before


async def test_cancelling_an_upload_stops_it() -> None:
    """Whoever stops waiting stops the sending."""
    body = Moving(_pieces(5, 0))
    waiting = asyncio.create_task(unless_stalled(_send(body, takes=2), body, 30))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1


async def test_pauses_grow_and_end() -> None:
    """Doubling up to a ceiling, spread by chance, at most what the server may wish; a bounded number of attempts."""
    retries = Retries(attempts=3, first_pause_s=0.001, max_pause_s=0.004)
    assert [attempt async for attempt in retries.pauses()] == [1, 2, 3]
    for failures, full in ((1, 0.001), (2, 0.002), (3, 0.004), (9, 0.004), (5000, 0.004)):
        assert full / 2 <= retries.pause_s(failures) <= full
    assert retries.pause_s(1, wished_s=7) == 7
    assert retries.pause_s(1, wished_s=1e9) == 60


@pytest.mark.parametrize(
    "url",
    ["https://photos.example", "https://h:8443/prefix/", "http://localhost:1", "http://127.0.0.7:80", "http://[::1]:9"],
)
def test_addresses_that_are_safe(url: str) -> None:
    """Https anywhere, plain http on this machine."""
    assert check_server_url(url).host


@pytest.mark.parametrize(
    "url",
    [
        "http://photos.example",
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "http://a.localhost",
        "https://a:b@h",
        "https://h/?q",
        f"https://{'a' * 64}.example",
        "https://xn--",
        "http://[::zz]:1",
        "https://h:99999999",
        "h",
        "",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    """No plain http to others, no password in an address, nothing that is no address."""
    with pytest.raises(Refused) as refused:
        check_server_url(url)
    assert refused.value.code is Code.INSECURE_SERVER


def test_what_a_server_says_cannot_steer_a_terminal() -> None:
    """Control characters go, and length is bounded."""
    assert printable("a\x1b[2Jb\nc\u0085d") == "a [2Jb c d"
    assert len(printable("x" * 5000)) == 300


def test_answers_of_no_server_of_ours() -> None:
    """Anything but the expected shape counts as unreachable; fields that are not known are passed over."""
    assert decode(b'{"status":"ok","version":"1","more":1}', Health) == Health("ok", "1")
    for data in (b"", b"<html>", b"[]", b'{"status":1}', b"\xff"):
        with pytest.raises(Refused) as refused:
            decode(data, Health)
        assert refused.value.code is Code.SERVER_UNREACHABLE
