"""What a process hears of the others at the same database."""

from typing import Protocol


class Hears(Protocol):
    """Takes what other processes, and this one, did. Called in the event loop; must not wait.

    These are hints, each heard once, oftener, or not at all: the rows are the truth.
    """

    def log_grew(self, space_id: bytes, number: int) -> None:
        """A space's log has reached *number*."""
        ...

    def wanted(self, name: bytes) -> None:
        """Another process wants the lease of *name*, which this one has."""
        ...

    def missed_something(self) -> None:
        """Nothing was heard for a while, or ever before: whatever could have been said meanwhile may have been."""
        ...
