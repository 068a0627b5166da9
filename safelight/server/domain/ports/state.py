"""What a store says of itself when it is asked how it is: the same few facts of a database and of a place for blobs."""

from dataclasses import dataclass

from safelight.sync_protocol.refusals import Code


@dataclass(frozen=True, slots=True)
class StoreState:
    """A store that answers. One that does not raises STORAGE_UNAVAILABLE instead.

    `refusal` is what everything that is written would be refused with now, for instance STORAGE_READ_ONLY. Sizes are in
    bytes, and None where the store has no such number: `size_bytes` of what it holds itself, `free_bytes` and
    `total_bytes` of the disk under it. Little room is for the domain to judge.
    """

    refusal: Code | None = None
    size_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
