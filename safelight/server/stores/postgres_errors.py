"""What PostgreSQL's errors mean to whoever asked, and for how long the same is tried again before it is said."""

import asyncio
import logging
from enum import Enum, auto

import asyncpg

from safelight.server.stores.transaction import Overtaken
from safelight.sync_protocol.refusals import Code, Refused

PATIENCE_S = 3.0  # bridges a restart of PostgreSQL; who waits longer is better told to come again
MAX_OVERTAKEN = 6
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5

_LOG = logging.getLogger(__name__)

# Serialization failure, deadlock, a plan of old tables.
_OVERTAKEN_STATES = frozenset({"40001", "40P01", "0A000"})
# Keys that another transaction was first at; if they are still taken when it is over, it was a mistake.
_TAKEN_STATES = frozenset({"23505", "23503"})
# Shutdown, crash, start-up, idle or waiting too long, no connection or memory left. Class 08 is the connection's.
_AWAY_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "57014", "25P03", "55P03", "53000", "53200", "53300"})
# Fails to read or write, finds damage, or takes no writes at all (a standby).
_BROKEN_STATES = frozenset({"58000", "58030", "XX001", "XX002", "25006"})


class Meaning(Enum):
    """What an error says about the one who met it."""

    OVERTAKEN = auto()  # others came in between; the same again succeeds
    TAKEN = auto()  # others came in between, or it was a mistake
    AWAY = auto()  # the database does not answer just now
    FULL = auto()
    BROKEN = auto()
    MISTAKE = auto()


class FateUnknown(Exception):
    """The connection was lost while a transaction was being committed: it may stand or not."""


class DatabaseRefused(Exception):
    """The database cannot be used; the message says why and what to do."""


def meaning(error: BaseException) -> Meaning:
    """What *error*, from a transaction that is now undone or lost, means."""
    if isinstance(error, Overtaken):
        return Meaning.OVERTAKEN
    if isinstance(error, asyncpg.PostgresError):
        return _meaning_of_state(error.sqlstate or "")
    if isinstance(error, FateUnknown | OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return Meaning.AWAY
    return Meaning.BROKEN if isinstance(error, DatabaseRefused) else Meaning.MISTAKE


def _meaning_of_state(state: str) -> Meaning:
    if state in _OVERTAKEN_STATES:
        return Meaning.OVERTAKEN
    if state in _TAKEN_STATES:
        return Meaning.TAKEN
    if state in _AWAY_STATES or state.startswith("08"):
        return Meaning.AWAY
    if state == "53100":
        return Meaning.FULL
    return Meaning.BROKEN if state in _BROKEN_STATES else Meaning.MISTAKE


def refusal_of(error: BaseException) -> Refused | None:
    """The refusal that says what the database did, or None if it was the statement."""
    match meaning(error):
        case Meaning.FULL:
            return Refused(Code.STORAGE_FULL)
        case Meaning.BROKEN:
            return Refused(Code.STORAGE_READ_ONLY, "the database takes no writes")
        case Meaning.AWAY | Meaning.OVERTAKEN:
            return Refused(Code.STORAGE_UNAVAILABLE, "the database")
    return None


class Patience:
    """How often and how long one thing is tried again."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + PATIENCE_S
        self._pause_s = _FIRST_PAUSE_S
        self._overtaken = 0

    async def after(self, error: Exception) -> None:
        """Wait before the next try; where there is none, raise what is to be said of *error*."""
        what = meaning(error)
        if what in {Meaning.OVERTAKEN, Meaning.TAKEN}:
            self._overtaken += 1
            again = self._overtaken < MAX_OVERTAKEN
        else:
            again = what is Meaning.AWAY and self._loop.time() + self._pause_s < self._until
        if not again:
            refusal = refusal_of(error)
            if refusal is None:
                if isinstance(error, asyncpg.PostgresError):
                    error.detail = None  # it quotes rows, and whoever catches the error logs it
                raise error
            _LOG.warning("the database refused: %s", _told(error))
            raise refusal from error
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


def _told(error: Exception) -> str:
    """An error without what it may quote of a statement's values."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state or ''}".strip()
