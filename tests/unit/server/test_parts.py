"""The server's small parts: time, throttling, addresses, bells, structured fields, ranges."""

import asyncio

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from safelight.server.domain.addresses import network_of, truncated
from safelight.server.domain.bells import Bells
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.throttle import Throttle, TooSoon
from safelight.server.routes.sending import Part, part_of
from safelight.server.routes.structured import boolean, digests, integer

DAY_MS = 24 * 60 * 60 * 1000


class Time:
    """Two clocks that tests move: the wall's, and the one that never goes back."""

    def __init__(self) -> None:
        self.wall_ms = 1_000 * DAY_MS
        self.running_ms = 0

    def pass_by(self, ms: int) -> None:
        """Let time pass."""
        self.wall_ms += ms
        self.running_ms += ms

    def clock(self, highest_ms: int = 0, grace_s: int = 0) -> ServerClock:
        """A server's clock over them."""
        return ServerClock(lambda: self.wall_ms, lambda: self.running_ms, highest_ms, grace_s)


def test_server_time_never_falls() -> None:
    """A clock that is set back, or behind what is stored, does not make server time fall."""
    time = Time()
    clock = time.clock(time.wall_ms + 5)
    assert clock.now_ms() == time.wall_ms + 5
    time.pass_by(10)
    assert clock.now_ms() == time.wall_ms
    highest = clock.now_ms()
    time.wall_ms -= 400 * DAY_MS
    assert clock.now_ms() == highest


def test_what_is_about_now() -> None:
    """By either clock: one that was a year ahead once makes no honest clock wrong for a year."""
    time = Time()
    clock = time.clock(time.wall_ms + 365 * DAY_MS)
    for about_ms in (time.wall_ms, clock.now_ms()):
        assert [clock.is_about_now(about_ms + far_ms, DAY_MS) for far_ms in (-DAY_MS, 0, DAY_MS)] == [True] * 3
        assert [clock.is_about_now(about_ms + far_ms, DAY_MS) for far_ms in (-DAY_MS - 1, DAY_MS + 1)] == [False] * 2


def test_server_time_goes_on_while_the_clock_is_behind() -> None:
    """Corrected after 400 days ahead, or started 400 days behind, time does not stand still: sessions end all the same.

    It goes at half the speed, so that the clock catches up, and smoothly, however often it is asked.
    """
    time = Time()
    ahead, behind = time.clock(), time.clock(time.wall_ms + 400 * DAY_MS)
    time.wall_ms += 400 * DAY_MS
    highest = ahead.now_ms()
    time.wall_ms -= 400 * DAY_MS
    assert [ahead.now_ms(), behind.now_ms()] == [highest, highest]
    for _ in range(2 * 24 * 60):
        time.pass_by(60_001)
        assert ahead.now_ms() == behind.now_ms()
    assert highest + DAY_MS < ahead.now_ms() < highest + DAY_MS + DAY_MS // 1000
    time.pass_by(1000 * DAY_MS)
    assert ahead.now_ms() == behind.now_ms() == time.wall_ms


def test_purging_waits_as_long_as_the_grace() -> None:
    """What is counted in days was unnamed for so long by a clock that can be believed, not by one that jumped."""
    time = Time()
    clock = time.clock(grace_s=7 * DAY_MS // 1000)
    time.wall_ms += 400 * DAY_MS
    assert not clock.may_purge()
    time.wall_ms -= 400 * DAY_MS
    assert not clock.may_purge()
    for _ in range(7):
        time.pass_by(DAY_MS - 1)
        assert not clock.may_purge()
    time.pass_by(DAY_MS)
    assert clock.may_purge()


def test_purging_waits_after_a_jump() -> None:
    """After a jump of more than a day nothing is purged for a day of steady running."""
    time = Time()
    clock = time.clock(time.wall_ms)
    assert clock.may_purge()
    time.wall_ms += 2 * DAY_MS
    assert not clock.may_purge()
    time.pass_by(DAY_MS - 1)
    assert not clock.may_purge()
    time.pass_by(2)
    assert clock.may_purge()
    assert not time.clock(time.wall_ms - 400 * DAY_MS).may_purge()
    assert time.clock().may_purge()  # a new server has stored no time


def test_throttling() -> None:
    """So many at once, one more after a while, and what was right is given back."""
    time = Time()
    throttle = Throttle(2, 10, lambda: time.running_ms)
    throttle.take(b"a")
    throttle.take(b"a")
    with pytest.raises(TooSoon) as refused:
        throttle.take(b"a")
    assert refused.value.wait_s == 11
    throttle.take(b"b")
    time.pass_by(10_000)
    throttle.take(b"a")
    with pytest.raises(TooSoon):
        throttle.take(b"a")
    throttle.give_back(b"a")
    throttle.take(b"a")
    time.pass_by(10**9)
    throttle.take(b"a")
    throttle.give_back(b"a")
    throttle.give_back(b"a")
    throttle.take(b"a")
    throttle.take(b"a")
    with pytest.raises(TooSoon):
        throttle.take(b"a")


def test_addresses() -> None:
    """One household is one address; logs keep the network."""
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("192.0.2.1") == network_of("::ffff:192.0.2.1") != network_of("192.0.2.2")
    assert network_of("nonsense") == network_of("")
    assert truncated("192.0.2.77") == "192.0.2.0/24"
    assert truncated("2001:db8:1:2::1") == "2001:db8:1::/48"
    assert truncated("nonsense") == ""


async def test_rings_become_one() -> None:
    """Rings that nobody took yet become the newest; other spaces are not heard."""
    bells = Bells()
    with bells.listening(b"a") as listener:
        for number in (1, 3, 2):
            bells.ring(b"a", number)
        bells.ring(b"b", 9)
        assert await listener.wait() == 3
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listener.wait(), 0.01)
    bells.ring(b"a", 4)


def fields(*values: str) -> CIMultiDictProxy[str]:
    """Headers with a field X."""
    return CIMultiDictProxy(CIMultiDict([("X", value) for value in values]))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("42", 42),
        (" 7 ", 7),
        ("5;a=1;b", 5),
        ("999999999999999", 10**15 - 1),
        ("1000000000000000", None),
        ("-1", None),
        ("-0", None),
        ("+1", None),
        ("1.0", None),
        ("1,2", None),
        ("", None),
        ("٣", None),
        ("5;", None),
    ],
)
def test_integer_fields(text: str, number: int | None) -> None:
    """Non-negative integers; what is malformed counts as absent."""
    assert integer(fields(text), "x") == number


def test_fields_that_stand_twice() -> None:
    """A field that stands twice is a list, and so no item."""
    assert integer(fields("1", "1"), "X") is None
    assert boolean(fields("?1", "?1"), "X") is None
    assert integer(fields(), "X") is None


@pytest.mark.parametrize(
    ("text", "value"), [("?1", True), ("?0", False), ("?1;x", True), ("1", None), ("true", None), ("?2", None)]
)
def test_boolean_fields(text: str, value: bool | None) -> None:
    """Booleans; what is malformed counts as absent."""
    assert boolean(fields(text), "X") is value


def test_digest_fields() -> None:
    """Byte sequences by algorithm, over several fields; one that is malformed spoils all."""
    assert digests(fields("sha-256=:AAA=:", "sha-512=:AQ==:;q=1"), "X") == {"sha-256": b"\0\0", "sha-512": b"\1"}
    assert digests(fields("sha-256=:AAA=:, sha-256=:AQ==:"), "X") == {"sha-256": b"\1"}
    for text in ("", "sha-256", "sha-256=AAA=", "sha-256=:A:", "SHA-256=:AAA=:", "sha-256=:AAA=:,"):
        assert digests(fields(text), "X") is None


def test_ranges() -> None:
    """The whole, a part, or no such part."""
    whole = Part(0, 10, partial=False)
    assert part_of(10, None, None, '"e"') == whole
    assert part_of(10, "bytes=2-3", None, '"e"') == Part(2, 4, partial=True)
    assert part_of(10, "bytes=2-3", '"e"', '"e"') == Part(2, 4, partial=True)
    assert part_of(10, "bytes=2-3", '"other"', '"e"') == whole
    assert part_of(10, "bytes=2-3", "Sun, 06 Nov 1994 08:49:37 GMT", '"e"') == whole
    assert part_of(10, "bytes=10-", None, '"e"') is None
    assert part_of(0, "bytes=0-", None, '"e"') is None
