"""A server whose machine's clock a test sets, while it runs: every way in which it asks for the time."""

from dataclasses import dataclass
from pathlib import Path

DAY_S = 24 * 60 * 60

_CODE = """
import time
_wall, _wall_ns = time.time, time.time_ns
def _moved(at):
    with open({path!r}) as file:
        return int(file.read().split()[at])
time.time = lambda: _wall() + _moved(0)
time.time_ns = lambda: _wall_ns() + _moved(0) * 10**9
from safelight.server.domain import clock
clock.monotonic_ms = lambda: time.monotonic_ns() // 10**6 + _moved(1) * 1000
"""

# The clock as it was: behind its highest it stands still, and a day after a jump whatever looks old goes.
STANDING_CLOCK = """
from safelight.server.domain.clock import ServerClock
def now_ms(self):
    self._said_ms = max(self._said_ms, self._wall())
    return self._said_ms
ServerClock.now_ms = now_ms
"""
HASTY_CLOCK = """
from safelight.server.domain.clock import ServerClock
ServerClock.may_purge = lambda self: True
"""
# A clock that follows the machine's, whichever way it goes.
FALLING_CLOCK = """
from safelight.server.domain.clock import ServerClock
ServerClock.now_ms = lambda self: self._wall()
"""


@dataclass
class MovedClock:
    """How far the server's clocks are from this machine's: the wall's, and the one that only runs."""

    path: Path
    wall_s: int = 0
    running_s: int = 0

    def __post_init__(self) -> None:
        self._write()

    @property
    def code(self) -> str:
        """What runs before the server, and makes it ask here."""
        return _CODE.format(path=str(self.path))

    def jump(self, days: float) -> None:
        """Set the wall's clock wrong, or right again."""
        self.wall_s += int(days * DAY_S)
        self._write()

    def pass_by(self, days: float) -> None:
        """Let so much time really pass."""
        self.running_s += int(days * DAY_S)
        self.jump(days)

    def _write(self) -> None:
        """Both at once: nobody reads one without the other."""
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.wall_s} {self.running_s}")
        new.replace(self.path)
