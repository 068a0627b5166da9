"""What a push is asked, and what it tells: which files, how it goes on, and what became of each."""

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Protocol

from safelight.clients.camera.scan import Found


@unique
class Outcome(StrEnum):
    """What became of one file."""

    UPLOADED = "uploaded"
    KNOWN = "known"
    SKIPPED = "skipped"
    FAILED = "failed"


class Listener(Protocol):
    """Whoever shows how a push goes on."""

    def expect(self, files: int, size_bytes: int) -> None:
        """So many files, of so many bytes together, were found."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """One file is done; *reason* says why it was skipped or failed, or why it has no preview."""

    def sent(self, size_bytes: int) -> None:
        """The server has so many bytes of the large file on its way."""


@dataclass(slots=True)
class Tally:
    """How many files were uploaded, known, skipped and failed, and why."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    reasons: list[tuple[str, Outcome, str]] = field(default_factory=list)

    def add(self, relative: str, outcome: Outcome, reason: str) -> None:
        """Count one file."""
        self.counts[outcome] += 1
        if outcome in {Outcome.SKIPPED, Outcome.FAILED}:
            self.reasons.append((relative, outcome, reason))


class Selection(Protocol):
    """Which of the files that were found are pushed now."""

    def ready(self, found: Found) -> bool:
        """Whether to push *found* now; the others are not even counted."""

    def done(self, found: Found) -> None:
        """*found* is in the space."""


class Everything:
    """Every file, each time."""

    def ready(self, found: Found) -> bool:  # noqa: ARG002 - the answer is the same for all
        """All of them."""
        return True

    def done(self, found: Found) -> None:
        """Nothing to remember."""
