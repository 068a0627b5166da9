"""The port of checking: what a database says of itself, when each blob was last hashed, and counts put right."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """A blob that rows hold, in however many spaces; its sizes there are equal unless a row is damaged."""

    name: bytes
    min_size_bytes: int
    max_size_bytes: int


@dataclass(frozen=True, slots=True)
class DueBlob:
    """A blob that is to be hashed, and the size that its row says."""

    name: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedBlob:
    """What hashing a blob found: nothing (""), "missing" or "damaged"."""

    name: bytes
    found: str


@dataclass(frozen=True, slots=True)
class BlobHolder:
    """A space that holds a blob, and how many assets or links there have it."""

    space_id: bytes
    owners: int


@dataclass(frozen=True, slots=True)
class AccountHead:
    """An account as its row says it stands."""

    account_id: bytes
    ledger_number: int
    ledger_hash: bytes


@dataclass(frozen=True, slots=True)
class SpaceSums:
    """What a space's row says is used, its devices' rows together, and what its entries, boxes and blobs add up to."""

    used_bytes: int
    by_device_bytes: int
    added_up_bytes: int


class KeepsChecks(Protocol):
    """What a check reads, notes and corrects. Each reading is one statement, and so of one moment."""

    async def integrity(self) -> list[str]:
        """Return what the engine itself finds wrong with its files and indexes; empty where it cannot tell."""
        ...

    async def held_between(self, first: bytes, end: bytes) -> list[HeldBlob]:
        """Return the blobs that rows hold, from the name *first* up to, not including, *end*, in order."""
        ...

    async def nobodys(self, names: Sequence[bytes]) -> list[bytes]:
        """Return those of *names* that no space, link or open upload names, and that are not forgotten already."""
        ...

    async def orphans_seen_ms(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """When those of *names* that were noted as orphans were first seen."""
        ...

    async def holders(self, name: bytes) -> list[BlobHolder]:
        """Return the spaces that hold a blob."""
        ...

    async def bad_blobs(self, after: bytes, limit: int) -> list[DueBlob]:
        """Return held blobs that the last check found missing or damaged, in order of their names."""
        ...

    async def unchecked_blobs(self, after: bytes, limit: int) -> list[DueBlob]:
        """Return held blobs that were never checked, in order of their names."""
        ...

    async def long_unchecked_blobs(self, before_ms: int, limit: int) -> list[DueBlob]:
        """Return blobs that were last checked before *before_ms*, the longest ago first."""
        ...

    async def note_checks(self, blobs: Sequence[CheckedBlob], now_ms: int) -> None:
        """Note what was found now of each blob; of those that nothing holds any more nothing is kept."""
        ...

    async def space_ids(self, after: bytes, limit: int) -> list[bytes]:
        """Return the ids of spaces, in order."""
        ...

    async def account_heads(self, after: bytes, limit: int) -> list[AccountHead]:
        """Return where accounts stand, in order of their ids."""
        ...

    async def trashed_assets(self, space_id: bytes) -> set[bytes]:
        """Return the assets of a space that rows have in the trash."""
        ...

    async def proposed_assets(self, space_id: bytes) -> set[bytes]:
        """Return the assets of a space that rows have as proposed for the trash."""
        ...

    async def wrong_trash(self, space_id: bytes) -> list[bytes]:
        """Return assets of which other blobs are in the trash than their record names."""
        ...

    async def correct_trash(
        self, space_id: bytes, number: int, in_trash: Collection[bytes], proposed: Collection[bytes]
    ) -> bool:
        """Have exactly these assets in the trash, and these proposed for it; whether it is so.

        Not where the log went on beyond the slot *number*.
        """
        ...

    async def members(self, space_id: bytes) -> dict[bytes, str]:
        """Return a space's members and their roles."""
        ...

    async def sums(self, space_id: bytes) -> SpaceSums | None:
        """Return what a space's rows say is used and what they add up to, or None."""
        ...

    async def wrong_refs(self, space_id: bytes, first: bytes, end: bytes) -> list[tuple[bytes, int, int]]:
        """Blobs whose number of references is not how many records name them: name, number kept, number counted."""
        ...

    async def unheld_refs(self, space_id: bytes, limit: int) -> list[tuple[bytes, int]]:
        """Blobs that a record names and the space does not hold, each with a slot that names it."""
        ...

    async def correct_refs(self, space_id: bytes, name: bytes) -> None:
        """Count a blob's references anew, in a transaction that no commit comes into."""
        ...

    async def correct_sums(self, space_id: bytes) -> None:
        """Add up anew what is used in a space, likewise."""
        ...

    async def correct_size(self, name: bytes, size_bytes: int) -> None:
        """Keep another size of a blob, whose bytes were hashed and are that long."""
        ...
