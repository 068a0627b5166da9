"""How a push goes on: a bar on a terminal, a plain line a file elsewhere; with --json failures on stderr alone."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.cli.output import clean, count_text
from safelight.sync_protocol.refusals import Refused

_SIGNS = {Outcome.UPLOADED: "+", Outcome.KNOWN: "=", Outcome.SKIPPED: "-", Outcome.FAILED: "!"}
_LARGE_SHARE = 0.999


class PushProgress:
    """Shows one push, or many while watching. A context manager.

    *quiet* shows nothing on stdout; failures are said on stderr in any case. Plain lines name every file that was
    uploaded, skipped or failed; on a terminal the bar stands for those that were uploaded.
    """

    def __init__(self, *, quiet: bool = False, watching: bool = False) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(highlight=False, soft_wrap=True, stderr=True)
        self._quiet = quiet
        self._watching = watching
        self._said: set[tuple[str, str]] = set()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._settled_bytes = 0

    def __enter__(self) -> Self:
        if self._out.is_terminal and not self._quiet and not self._watching:
            self._progress = Progress(
                TextColumn("{task.fields[files]}"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=self._out,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def expect(self, files: int, size_bytes: int) -> None:
        """So many files were found."""
        self._settled_bytes = 0
        if self._progress is not None:
            self._task = self._progress.add_task("", total=max(size_bytes, 1), files=count_text(files, "file"))

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """One file is done."""
        self._settled_bytes += size_bytes
        self._advance(self._settled_bytes)
        if outcome is Outcome.FAILED:
            self._line(self._err, relative, outcome, reason)
        elif self._quiet or (outcome is Outcome.KNOWN):
            return
        elif outcome is Outcome.SKIPPED or self._progress is None:
            self._line(self._out, relative, outcome, reason)

    def sent(self, size_bytes: int) -> None:
        """The server has so many bytes of the large file on its way: the bar moves, and stops short of its end."""
        if self._progress is not None and self._task is not None:
            total = self._progress.tasks[self._task].total or 1
            self._advance(min(self._settled_bytes + size_bytes, int(total * _LARGE_SHARE)))

    def _advance(self, completed: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=completed)

    def _line(self, console: Console, relative: str, outcome: Outcome, reason: str) -> None:
        if self._watching and outcome is not Outcome.UPLOADED:
            # The same is found again at every look; it is said once.
            if (relative, reason) in self._said:
                return
            self._said.add((relative, reason))
        what = f"{outcome.value}: {clean(reason)}" if reason else outcome.value
        line = Text(
            f"{_SIGNS[outcome]} {clean(relative)}  ({what})" if reason else f"{_SIGNS[outcome]} {clean(relative)}"
        )
        console.print(line)

    def waiting(self, refusal: Refused, pause_s: float) -> None:
        """Something is in the way of watching."""
        self._err.print(Text(f"{clean(refusal.sentence)} The next try comes in {pause_s:.0f} s."))

    def rested(self) -> None:
        """All is up, and the folder is watched."""
        if not self._quiet:
            self._out.print(Text("All is up; watching."))


class CountProgress:
    """Shows on a terminal how many of something are done; elsewhere nothing. A context manager.

    It is on stderr, since stdout may be a script's, and gone when it is over.
    """

    def __init__(self, what: str) -> None:
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress.live.is_started:  # else it would print an empty line
            self._progress.stop()

    def reached(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._progress.update(self._task, completed=done, total=total)


def summary(tally: Tally) -> str:
    """Return what became of the files, in one line."""
    counts = tally.counts
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in (Outcome.UPLOADED, Outcome.KNOWN)]
    parts += [f"{counts[outcome]} {outcome.value}" for outcome in (Outcome.SKIPPED, Outcome.FAILED) if counts[outcome]]
    return ", ".join(parts) + "."
