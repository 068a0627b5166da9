"""The port of whoever counts what the server does. Told numbers, patterns and codes; no id, no name, no address."""

from typing import Protocol


class Meter(Protocol):
    """Takes each fact as it happens, at once and from any thread."""

    def answered(self, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """A request was answered, as *code* says where it was refused; status 0 if it was cut off."""
        ...

    def committed(self, entries: int, seconds: float) -> None:
        """A group of entries was committed together."""
        ...

    def received(self, size_bytes: int) -> None:
        """Bytes of an upload arrived."""
        ...

    def sent(self, size_bytes: int) -> None:
        """Bytes of a blob went out."""
        ...

    def synced(self, seconds: float) -> None:
        """Bytes of an upload were made durable."""
        ...

    def appending(self, change: int) -> None:
        """A request began (1) or ended (-1) to append to an upload."""
        ...

    def job_ended(self, job: str, seconds: float, *, well: bool) -> None:
        """A job that runs now and then came to its end."""
        ...


class Unmetered:
    """Nobody counts."""

    def answered(self, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """Pass over it."""

    def committed(self, entries: int, seconds: float) -> None:
        """Pass over it."""

    def received(self, size_bytes: int) -> None:
        """Pass over it."""

    def sent(self, size_bytes: int) -> None:
        """Pass over it."""

    def synced(self, seconds: float) -> None:
        """Pass over it."""

    def appending(self, change: int) -> None:
        """Pass over it."""

    def job_ended(self, job: str, seconds: float, *, well: bool) -> None:
        """Pass over it."""
