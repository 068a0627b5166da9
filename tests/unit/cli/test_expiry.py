"""When a link ends, as people write it."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.expiry import parse_expiry

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("7d", timedelta(days=7)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        (" 2W ", timedelta(weeks=2)),
        ("365d", timedelta(days=365)),
    ],
)
def test_a_span_counts_from_now(text: str, after: timedelta) -> None:
    """Minutes, hours, days and weeks, from the moment the link is made."""
    assert parse_expiry(text, NOW) == int((NOW + after).timestamp() * 1000)


def test_a_date_ends_with_that_day_where_the_maker_is() -> None:
    """A link until the 31st still opens on the evening of the 31st, by the maker's clock."""
    vienna, auckland = timezone(timedelta(hours=1)), ZoneInfo("Pacific/Auckland")
    assert parse_expiry("2026-03-31", NOW, vienna) == _ms(datetime(2026, 3, 31, 23, 0, tzinfo=UTC))
    assert parse_expiry("2026-03-31", NOW, auckland) == _ms(datetime(2026, 3, 31, 11, 0, tzinfo=UTC))


def test_a_day_on_which_the_clock_changes() -> None:
    """The day ends at its own midnight, also when it has 23 hours."""
    vienna = ZoneInfo("Europe/Vienna")
    assert parse_expiry("2026-03-29", NOW, vienna) == _ms(datetime(2026, 3, 29, 22, 0, tzinfo=UTC))


def test_a_moment_counts_as_it_is() -> None:
    """A date with a time is that time: in its own zone, or else in the maker's."""
    vienna = timezone(timedelta(hours=1))
    assert parse_expiry("2026-03-31T18:00", NOW, vienna) == _ms(datetime(2026, 3, 31, 17, 0, tzinfo=UTC))
    assert parse_expiry("2026-03-31T18:00+09:00", NOW, vienna) == _ms(datetime(2026, 3, 31, 9, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    ["", "7", "d", "7y", "-7d", "0d", "tomorrow", "2026-02-30", "2026-03-09", "1999-01-01", "99999w", "9999-12-31"],
)
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    """Nonsense, the past, and a time so far away that it means never."""
    with pytest.raises(Misuse):
        parse_expiry(text, NOW, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
