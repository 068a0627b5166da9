"""Which files this computer sent already, for who adds without the space's dedupe key.

It cannot ask the server: so it remembers by itself, under a key of its own. What another device sent is not known here.
"""

import asyncio
import os
from pathlib import Path

from safelight.clients.engine import durable
from safelight.sync_protocol.limits import HASH_SIZE_BYTES


class SentFiles:
    """The fingerprints of what was committed, one after the other in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = durable.read_file(path) or b""
        whole = len(kept) - len(kept) % HASH_SIZE_BYTES  # a cut one was being written when the power went
        self._known = {kept[at : at + HASH_SIZE_BYTES] for at in range(0, whole, HASH_SIZE_BYTES)}
        if whole != len(kept):
            durable.write_file(path, kept[:whole])
        self._lock = asyncio.Lock()
        self.mostly_new = True

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the file of this *fingerprint* was sent from here."""
        return fingerprint in self._known

    async def note(self, fingerprint: bytes) -> None:
        """Remember durably that it was."""
        async with self._lock:
            if fingerprint not in self._known:
                await asyncio.to_thread(self._append, fingerprint)
                self._known.add(fingerprint)

    async def stop(self) -> None:
        """Nothing is under way."""

    def _append(self, fingerprint: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, fingerprint)
            os.fsync(handle)
        finally:
            os.close(handle)
