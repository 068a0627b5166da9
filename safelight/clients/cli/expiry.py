"""When a link or a grant ends: `7d`, `12h`, `30m`, `2w`, or a date, which ends with that day where the maker is."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from safelight.clients.cli.asking import Misuse

_AFTER = re.compile(r"^(\d{1,5})\s*([mhdw])$")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MAX = timedelta(days=36525)


def parse_expiry(text: str, now: datetime, zone: tzinfo | None = None) -> int:
    """Return the end in milliseconds since 1970 UTC.

    *zone* is the maker's (None: this computer's). Raises `Misuse` for what is no time, or is over already.
    """
    end = _end(text.strip().lower(), now, zone)
    if end <= now:
        raise Misuse(f"--expires {text} is over already")
    if end - now > _MAX:
        raise Misuse(f"--expires {text} is too far away; leave it out for what does not expire")
    return int(end.timestamp() * 1000)


def _end(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    after = _AFTER.match(text)
    if after:
        return now + int(after[1]) * _UNITS[after[2]]
    try:
        day = date.fromisoformat(text)
        # The day's last moment is the next day's first; a clock change in between is the zone's to know.
        return _local(datetime.combine(day + timedelta(days=1), time(0)), zone)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(f"--expires takes 7d, 12h, 30m, 2w or a date like 2027-01-31, not {text!r}") from None
    return moment if moment.tzinfo else _local(moment, zone)


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    """The moment in the maker's zone; one without zone means this computer's."""
    return (moment.replace(tzinfo=zone) if zone else moment).astimezone(UTC)
