"""Portable SQL: one file a noun in `sql/`, each statement under a `-- name:` line, with `:names` for its values.

Every engine runs the same text: SQLite as `?1`, PostgreSQL as `$1`. Where a statement asks for any of several values it
says `IN (:each)`, after all other names; `expanded` turns it into as many places as there are values. Where rows have
to be locked it ends in `FOR UPDATE`, which is left out for SQLite: its one writer has the whole database to itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

Value = bytes | str | int | None
Row = tuple[Value, ...]

EACH_SIZES = (1, 4, 16, 64, 256)

_NAME_LINE = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)
_COMMENT = re.compile(r"--.*$", re.MULTILINE)
_PLACE = re.compile(r"(?<!:):([a-z][a-z0-9_]*)")
_LOCKING = " FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its name (`noun.verb`), its text with `:names`, and these names in the order they first stand."""

    name: str
    text: str
    names: tuple[str, ...]

    def values(self, named: Mapping[str, Value]) -> Row:
        """Return *named* in the order of `names`; raises KeyError where one is missing."""
        return tuple([named[name] for name in self.names if name != "each"])


def statement(name: str, text: str) -> Statement:
    """Make a statement of *text*."""
    return Statement(name, text, tuple(dict.fromkeys(_PLACE.findall(text))))


@lru_cache(maxsize=1024)
def numbered(portable: Statement, sign: str) -> str:
    """Return the text with each name as *sign* (`?` or `$`) and its place in `names`, counted from 1."""
    text = portable.text.removesuffix(_LOCKING) if sign == "?" else portable.text
    return _PLACE.sub(lambda found: f"{sign}{portable.names.index(found.group(1)) + 1}", text)


@lru_cache(maxsize=256)
def expanded(portable: Statement, size: int) -> Statement:
    """Return the statement with room for *size* values where it says `:each`."""
    places = ", ".join(f":each{index}" for index in range(size))
    return statement(portable.name, portable.text.replace(":each", places))


def in_runs(values: Sequence[bytes]) -> list[list[bytes]]:
    """Cut *values* into runs of few different lengths, padded by repeating, so that few statements are prepared."""
    runs = []
    for start in range(0, len(values), EACH_SIZES[-1]):
        run = list(values[start : start + EACH_SIZES[-1]])
        size = next(size for size in EACH_SIZES if size >= len(run))
        runs.append(run + [run[-1]] * (size - len(run)))
    return runs


def load(noun: str) -> dict[str, Statement]:
    """Load `sql/<noun>.sql`."""
    text = files("safelight.server.stores").joinpath("sql", f"{noun}.sql").read_text(encoding="utf-8")
    pieces = _NAME_LINE.split(text)[1:]
    return {
        name: statement(f"{noun}.{name}", _COMMENT.sub("", body).strip().rstrip(";"))
        for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def load_all() -> list[Statement]:
    """Load every statement of every noun, for those who prepare them all on an engine."""
    folder = files("safelight.server.stores").joinpath("sql")
    nouns = sorted(item.name.removesuffix(".sql") for item in folder.iterdir() if item.name.endswith(".sql"))
    return [item for noun in nouns for item in load(noun).values()]
