"""What an engine gives to the classes that hold the rows of one noun each, and which together are its `Database`."""

from abc import ABC, abstractmethod
from typing import TypeVar

from safelight.server.stores.transaction import Reading, Transaction, Work

T = TypeVar("T")


class Engine(ABC):
    """Something that runs portable statements."""

    @property
    @abstractmethod
    def _reading(self) -> Reading:
        """Statements that read what is committed, each for itself."""

    @abstractmethod
    async def _check_lease(self, tx: Transaction, name: bytes) -> None:
        """Raise UPLOAD_BUSY where another process has *name*, or had it last; it has not until *tx* has ended."""

    @abstractmethod
    async def _write(self, work: Work[T]) -> T:
        """Run *work* in a transaction, which it may share with others that wait; durable when this returns."""
