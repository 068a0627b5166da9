"""The spool: large files that are sealed and not yet committed; an upload cut by a restart goes on without any key.

An entry holds ciphertext, finished wraps and sealed metadata, nothing that opens them, and it is never the only copy:
what cannot be used any more is dropped and sealed anew from its file (docs/spec/records.md).
"""

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from safelight.clients.camera.budget import Budget
from safelight.clients.engine import durable
from safelight.clients.engine.rolls import RollRef
from safelight.sync_protocol import ids
from safelight.sync_protocol.ids import Id, OptionalHash, OptionalId
from safelight.sync_protocol.records import AssetBody, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused

# All entries together; a single larger file goes through alone.
SPOOL_SIZE_BYTES = 16 * 1024**3
# What is left free on the disk, whatever the file's size.
_KEEP_FREE_BYTES = 256 * 1024**2
_ENTRY_FILE = "entry"
_ENTRY_VERSION = 2


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content. `uploads` are the paths of uploads begun, by rendition id.

    `fingerprint` tells the file from others on this computer, whether or not the asset says it.
    """

    version: int
    roll_id: Id
    asset: AssetBody
    uploads: dict[bytes, str] = {}
    album_id: OptionalId = b""
    generation: int = 0
    fingerprint: OptionalHash = b""


@dataclass(slots=True)
class Spooled:
    """An asset in the spool: sealed, and ready to send and commit."""

    folder: Path
    roll: RollRef
    asset: AssetBody
    uploads: dict[bytes, str]
    fingerprint: bytes

    def blob(self, ref: RenditionRef) -> Path:
        """Return the file that holds a rendition's blob."""
        return self.folder / ref.name.value

    def note_upload(self, ref: RenditionRef, path: str) -> None:
        """Remember durably where the upload of a rendition goes on."""
        self.uploads[ref.rendition_id] = path
        self.save()

    def save(self) -> None:
        """Write the entry durably; from then on it survives this process."""
        roll = self.roll
        roll_parts = (roll.album_id, roll.generation)
        entry = _Entry(_ENTRY_VERSION, roll.roll_id, self.asset, self.uploads, *roll_parts, self.fingerprint)
        durable.write_file(self.folder / _ENTRY_FILE, msgspec.msgpack.encode(entry))

    def remove(self) -> None:
        """Drop the entry: it was committed, or can no longer be."""
        # The entry's own file goes first: a folder without it is swept away at the next start.
        (self.folder / _ENTRY_FILE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Spool:
    """The spool's folder; one process at a time uses it, since one holds the profile."""

    def __init__(self, folder: Path, *, size_bytes: int = SPOOL_SIZE_BYTES) -> None:
        self._folder = folder
        self._budget = Budget(size_bytes)

    def entries(self) -> Iterator[Spooled]:
        """Yield what an earlier process left that can be used; what cannot is removed."""
        if not self._folder.is_dir():
            return
        for folder in sorted(self._folder.iterdir()):
            spooled = _read(folder)
            if spooled is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                yield spooled

    @contextlib.asynccontextmanager
    async def room(self, size_bytes: int) -> AsyncIterator[Path]:
        """Hold room for *size_bytes* inside the block, in a folder that is gone after it unless an entry was saved.

        Waits while other files fill the spool. Raises FILE_UNREADABLE where the disk has no room for it.
        """
        async with self._budget.take(size_bytes):
            folder = durable.make_folder(self._folder / ids.new_id().hex())
            try:
                if shutil.disk_usage(folder).free < size_bytes + _KEEP_FREE_BYTES:
                    raise Refused(Code.FILE_UNREADABLE, "this disk has no room to seal a file of that size")
                yield folder
            finally:
                if not (folder / _ENTRY_FILE).exists():
                    shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> Spooled | None:
    try:
        data = durable.read_file(folder / _ENTRY_FILE)
        if data is None:
            return None
        entry = msgspec.msgpack.decode(data, type=_Entry)
    except (OSError, msgspec.DecodeError):
        return None
    roll = RollRef(entry.roll_id, entry.album_id, entry.generation)
    spooled = Spooled(folder, roll, entry.asset, dict(entry.uploads), entry.fingerprint)
    for ref in entry.asset.renditions:
        blob = spooled.blob(ref)
        if not blob.is_file() or blob.stat().st_size != ref.size_bytes:
            return None
    return spooled if entry.version == _ENTRY_VERSION else None
