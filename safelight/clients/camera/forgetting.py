"""Forgetting keys: what Python let go of is not left lying in memory.

Dropping the last reference to a key frees its block and leaves the bytes there until something else happens to use the
block. A camera must open nothing that it uploaded (docs/spec/records.md), whoever takes its memory afterwards: so when
a roll is closed, every free block of the sizes in which keys lie is used once, for zeros.
"""

import gc

# Keys are 32 bytes, FLOE's message keys 48. More blocks than are ever free at once; some 20 MB, and let go of at once.
_KEY_SIZES_BYTES = (32, 48)
_BLOCKS = 120_000


def overwrite_freed_keys() -> None:
    """Use all free memory blocks of the sizes of keys once, so that no key that was let go of remains in one."""
    gc.collect()
    for size_bytes in _KEY_SIZES_BYTES:
        _use_and_free(size_bytes)


def _use_and_free(size_bytes: int) -> int:
    return len([bytes(size_bytes) for _ in range(_BLOCKS)])
