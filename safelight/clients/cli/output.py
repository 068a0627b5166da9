"""What commands print: one JSON document, or lines and tables for people; errors are one line on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import segno
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    right: bool = False
    fold: bool = False


def clean(text: str) -> str:
    """Return *text* without characters that could move a terminal's cursor or turn its writing direction."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document: bytes as hexadecimal, UTF-8 as it is but for what a terminal would obey."""
    lines = json.dumps(document, indent=2, ensure_ascii=False, default=_encode).split("\n")
    sys.stdout.write("\n".join(map(_escaped, lines)) + "\n")
    sys.stdout.flush()


def _escaped(line: str) -> str:
    """Escape the way JSON does what JSON leaves as it is: C1 controls, direction marks, lone surrogates."""
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)


def _encode(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise NotImplementedError(type(value).__name__)


def say(text: str = "") -> None:
    """Print a line for a person; names and what a server said may stand in it."""
    print(clean(text), flush=True)


def note(text: str) -> None:
    """Print a line on stderr that is no error: what a person should know, out of a script's way."""
    print(clean(text), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Print the one line on stderr that says what went wrong."""
    line = " ".join(clean(part) for part in text.splitlines() if part.strip())
    print(f"safelight: {line}", file=sys.stderr, flush=True)


def print_table(columns: Iterable[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns: a table on a terminal, fields parted by tabs elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            print("\t".join(map(clean, row)))
        sys.stdout.flush()
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.title, justify="right" if column.right else "left", overflow="fold" if column.fold else "ellipsis"
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)


def print_qr(text: str) -> None:
    """Draw *text* as a QR code, where there is a terminal to draw it on."""
    if sys.stdout.isatty():
        segno.make(text, error="l").terminal(sys.stdout, compact=True)


def size_text(size_bytes: int) -> str:
    """Return a size as people write it: `3.1 MB`, in powers of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """Return `1 file` or `2 files`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def date_text(time_ms: int) -> str:
    """Return a time as people read it here, to the minute; nothing for 0, which means never."""
    if not time_ms:
        return ""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "?"  # the server's word: a time that no calendar has must not hide the other links
