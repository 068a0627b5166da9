"""Which files this computer sent already, for who adds without the space's dedupe key.

It cannot ask the server: so it remembers by itself, under a key of its own. What another device sent is not known here.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from safelight.clients.camera.known import ADDING
from safelight.clients.engine import durable
from safelight.clients.engine.commits import Committer
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, ID_SIZE_BYTES
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import added_by
from safelight.sync_protocol.wire import Signed, pack

_PAIR_SIZE_BYTES = ID_SIZE_BYTES + HASH_SIZE_BYTES


class SentFiles:
    """The fingerprints of what was committed, one after the other in a file.

    They are noted before the entry that has them counts as settled: *killed in between, the same picture is there
    twice*. So which file each asset of an entry is, is beside them before that entry is sent. It takes part in all
    that *committer* commits from now on.
    """

    def __init__(self, path: Path, committer: Committer) -> None:
        self._path = path
        self._sending_path = path.with_name(f"{path.name}.sending")
        kept = durable.read_file(path) or b""
        whole = len(kept) - len(kept) % HASH_SIZE_BYTES  # a cut one was being written when the power went
        self._known = {kept[at : at + HASH_SIZE_BYTES] for at in range(0, whole, HASH_SIZE_BYTES)}
        if whole != len(kept):
            durable.write_file(path, kept[:whole])
        pairs = durable.read_file(self._sending_path) or b""
        self._sending = dict(_split(pairs[at : at + _PAIR_SIZE_BYTES]) for at in range(0, len(pairs), _PAIR_SIZE_BYTES))
        self._lock = asyncio.Lock()
        self.mostly_new = True
        committer.journal = self

    async def has(self, fingerprint: bytes) -> bool:
        """Whether the file of this *fingerprint* was sent from here."""
        return fingerprint in self._known

    def sends(self, asset_id: bytes, fingerprint: bytes) -> None:
        """Remember which file an asset is that is about to be committed."""
        self._sending[asset_id] = fingerprint

    async def sending(self, kind: str, body: Signed) -> None:
        """Keep durably which files the assets of an entry are, before it is sent."""
        ids = [asset_id for asset_id in _assets(kind, pack(body)) if asset_id in self._sending]
        if ids:
            data = b"".join(asset_id + self._sending[asset_id] for asset_id in ids)
            await asyncio.to_thread(durable.write_file, self._sending_path, data)

    async def stored(self, entry: Entry) -> None:
        """Note the files of an entry that has its receipt."""
        arrived = _assets(entry.header.kind, entry.body)
        new = {self._sending[asset_id] for asset_id in arrived if asset_id in self._sending} - self._known
        if new:
            async with self._lock:
                await asyncio.to_thread(self._append, new)
                self._known |= new
        for asset_id in arrived:
            self._sending.pop(asset_id, None)

    async def stop(self) -> None:
        """Nothing is under way."""

    def _append(self, fingerprints: Iterable[bytes]) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, b"".join(fingerprints))
            os.fsync(handle)
        finally:
            os.close(handle)


def _split(pair: bytes) -> tuple[bytes, bytes]:
    return pair[:ID_SIZE_BYTES], pair[ID_SIZE_BYTES:]


def _assets(kind: str, body: bytes) -> list[bytes]:
    return [asset.asset_id for asset in added_by(kind, body).assets] if kind in ADDING else []
