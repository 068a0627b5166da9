"""Pushing: every file of a folder that the space does not have yet goes in sealed, several on their way at once.

Each file goes its own way (read, ask, develop, seal, send, commit), so all of these overlap; commits gather by
themselves (`engine.adding`), and so do questions (`known`). What is in memory, and in the spool, has a budget.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from safelight.clients.camera import sealing
from safelight.clients.camera.budget import Budget
from safelight.clients.camera.develop.pool import Developers
from safelight.clients.camera.forgetting import overwrite_freed_keys
from safelight.clients.camera.outcomes import Everything, Listener, Outcome, Selection, Tally
from safelight.clients.camera.reading import digest_of, look_again
from safelight.clients.camera.scan import Found, LeftOut, scan
from safelight.clients.camera.sealing import SealedAsset
from safelight.clients.camera.spool import Spool, Spooled
from safelight.clients.camera.tasks import all_of
from safelight.clients.camera.who_adds import WhoAdds, camera_adds
from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.cameras import open_camera
from safelight.clients.engine.files import MAX_IN_MEMORY_SIZE_BYTES
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.padding import padme
from safelight.sync_protocol.records import RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint
from safelight.sync_protocol.sealing.floe import sealed_size_bytes

FILES_AT_ONCE = 24
UPLOADS_AT_ONCE = 6
MEMORY_SIZE_BYTES = 48 * 1024**2
_TRIES = 4
_PAUSE_S = 0.5

# Another try, from the file anew, can cure these: it changed, or the roll it was sealed under no longer counts. A right
# is missing to a camera only where its roll is of an album that it is not pointed at any more.
_ROLL_GONE = frozenset({Code.EPOCH_OLD, Code.GENERATION_OLD, Code.ROLL_UNKNOWN, Code.ROLL_FULL, Code.RIGHT_MISSING})
_AGAIN = frozenset({Code.FILE_CHANGED, Code.BLOB_MISSING, Code.UPLOAD_DIGEST_MISMATCH}) | _ROLL_GONE
# What is wrong with one file only; everything else would meet the others alike, and ends the push.
_OF_ONE_FILE = _AGAIN | {Code.FILE_UNREADABLE, Code.TOO_LARGE, Code.ASSET_CONFLICT, Code.BLOB_SIZE_MISMATCH}


class Pusher:
    """Pushes files for one who adds. `developers` is None where only originals are wanted."""

    def __init__(self, who: WhoAdds, spool: Spool, developers: Developers | None, listener: Listener) -> None:
        self._who = who
        self._spool = spool
        self._developers = developers
        self._listener = listener
        self._rolls = RollKeeper(who.committer, who.device_id, who.inboxes, not_into_album=who.not_into_album)
        self._adder = AssetAdder(who.committer)
        self._known = who.known
        self._memory = Budget(MEMORY_SIZE_BYTES)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._claims: dict[bytes, asyncio.Future[None]] = {}
        self._resumed: set[bytes] = set()

    async def push(self, folder: Path, selection: Selection | None = None) -> Tally:
        """Upload all of *folder* that is new; first whatever an interrupted push left in the spool.

        One file's failure is counted, and the others go on. Raises what would meet every file alike, such as
        SERVER_UNREACHABLE; then what was committed stays, and another push completes it.
        """
        await self._who.refresh()
        await self._who.committer.settle()
        await self._resume()
        tally, selection = Tally(), selection or Everything()
        self._listener.expect(*await asyncio.to_thread(_count, folder, selection))
        items = (item for item in scan(folder) if isinstance(item, LeftOut) or selection.ready(item))
        await all_of(self._take_files(items, selection, tally) for _ in range(FILES_AT_ONCE))
        return tally

    async def stop(self) -> None:
        """Give up what is under way."""
        await self._adder.stop()
        await self._known.stop()

    def close(self) -> None:
        """Close the roll and forget its keys: from here on this process opens nothing that it added."""
        self._rolls.close()
        overwrite_freed_keys()

    async def _take_files(self, items: Iterator[Found | LeftOut], selection: Selection, tally: Tally) -> None:
        for item in items:  # shared by all tasks: each file is taken once
            size_bytes = 0
            if isinstance(item, LeftOut):
                outcome, reason = (Outcome.FAILED if item.failed else Outcome.SKIPPED), item.reason
            else:
                size_bytes = item.stamp.size_bytes
                outcome, reason = await self.push_file(item)
                if outcome in {Outcome.UPLOADED, Outcome.KNOWN}:
                    selection.done(item)
            tally.add(item.relative, outcome, reason)
            self._listener.settled(item.relative, outcome, reason, size_bytes)
            await asyncio.sleep(0)

    async def push_file(self, found: Found) -> tuple[Outcome, str]:
        """Upload one file unless the space has it; the outcome, and a reason where there is one to give."""
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._attempt(found)
            except Refused as refusal:
                if refusal.code not in _OF_ONE_FILE:
                    raise
                if refusal.code not in _AGAIN or attempt == _TRIES:
                    return Outcome.FAILED, refusal.sentence
                if refusal.code in _ROLL_GONE:
                    self._rolls.drop()
                    await self._who.refresh()
                else:
                    await asyncio.sleep(_PAUSE_S * attempt)
            try:
                found = await asyncio.to_thread(look_again, found)
            except Refused as refusal:
                return Outcome.FAILED, refusal.sentence
        return Outcome.FAILED, ""  # not reached: the last attempt returns or raises

    async def _attempt(self, found: Found) -> tuple[Outcome, str]:
        """Ask first and seal then; or, for small files while most are new, both in one pass over the file."""
        size_bytes = sealed_size_bytes(padme(found.stamp.size_bytes))
        is_large = found.stamp.size_bytes >= MAX_IN_MEMORY_SIZE_BYTES
        if is_large or not self._known.mostly_new:
            fingerprint = self._fingerprint(await asyncio.to_thread(digest_of, found))
            async with self._claim(fingerprint) as is_new:
                if not is_new:
                    return self._seen(fingerprint)
                if is_large:
                    return await self._push_large(found, size_bytes, fingerprint)
                async with self._memory.take(size_bytes):
                    negative = await self._expose(found)
                    self._check_same(negative, fingerprint)
                    sealed = await self._finish_small(negative, fingerprint)
                    del negative
                return await self._commit(sealed, fingerprint)
        return await self._push_unasked(found, size_bytes)

    async def _push_unasked(self, found: Found, size_bytes: int) -> tuple[Outcome, str]:
        """Seal a small file that is probably new, and only then ask."""
        async with contextlib.AsyncExitStack() as memory:
            await memory.enter_async_context(self._memory.take(size_bytes))
            negative = await self._expose(found)
            fingerprint = self._fingerprint(negative.original.sha256)
            if fingerprint not in self._claims:
                async with self._claim(fingerprint) as is_new:
                    if not is_new:
                        return self._seen(fingerprint)
                    sealed = await self._finish_small(negative, fingerprint)
                    del negative
                    await memory.aclose()
                    return await self._commit(sealed, fingerprint)
        # The same bytes are on their way already. Nobody waits for others while holding memory: they may need it.
        async with self._claim(fingerprint) as is_new:
            if not is_new:
                return self._seen(fingerprint)
        raise Refused(Code.FILE_CHANGED, found.relative)  # the other one failed: this one tries from the start

    async def _expose(self, found: Found, spool: Path | None = None) -> sealing.Negative:
        asset = (await self._rolls.roll()).new_asset()
        return await asyncio.to_thread(sealing.expose, found, asset, spool)

    def _check_same(self, negative: sealing.Negative, fingerprint: bytes) -> None:
        """What was sealed must be what was asked for."""
        if self._fingerprint(negative.original.sha256) != fingerprint:
            raise Refused(Code.FILE_CHANGED, negative.found.relative)

    async def _finish_small(self, negative: sealing.Negative, fingerprint: bytes) -> SealedAsset:
        """Develop and send; what comes back holds none of the files any more, and waits only for its commit."""
        sealed = await sealing.develop(negative, self._told(fingerprint), self._developers)
        await all_of(self._upload(file.source, file.ref) for file in sealed.files)
        return dataclasses.replace(sealed, files=[])

    async def _commit(self, sealed: SealedAsset, fingerprint: bytes) -> tuple[Outcome, str]:
        self._known.sends(sealed.body.asset_id, fingerprint)
        await self._adder.add(sealed.roll, sealed.body)
        return Outcome.UPLOADED, sealed.note

    async def _push_large(self, found: Found, size_bytes: int, fingerprint: bytes) -> tuple[Outcome, str]:
        """Seal into the spool and send from there, so that a restart need not begin again."""
        async with self._spool.room(size_bytes) as room:
            negative = await self._expose(found, room / RenditionName.ORIGINAL.value)
            self._check_same(negative, fingerprint)
            sealed = await sealing.develop(negative, self._told(fingerprint), self._developers)
            spooled = await asyncio.to_thread(_keep, room, sealed, fingerprint)
            await self._send(spooled)
        return Outcome.UPLOADED, sealed.note

    async def _send(self, spooled: Spooled) -> None:
        """Send and commit what is in the spool; it leaves the spool unless another try can use it."""
        try:
            for ref in spooled.asset.renditions:
                await self._upload(
                    spooled.blob(ref),
                    ref,
                    resume=spooled.uploads.get(ref.rendition_id),
                    on_created=functools.partial(spooled.note_upload, ref),
                )
            self._known.sends(spooled.asset.asset_id, spooled.fingerprint)
            await self._adder.add(spooled.roll, spooled.asset)
        except Refused as refusal:
            if refusal.code in _OF_ONE_FILE:
                await asyncio.to_thread(spooled.remove)
            raise
        await asyncio.to_thread(spooled.remove)

    async def _upload(
        self,
        source: bytes | bytearray | Path,
        ref: RenditionRef,
        *,
        resume: str | None = None,
        on_created: Callable[[str], None] | None = None,
    ) -> None:
        async with self._uploads:
            await upload_blob(
                self._who.connection,
                self._who.space_id,
                source,
                digest=ref.blob,
                size_bytes=ref.size_bytes,
                on_progress=self._listener.sent if isinstance(source, Path) else None,
                resume=resume,
                on_created=on_created,
            )

    async def _resume(self) -> None:
        """Finish what an earlier process had sealed; what no longer counts is sealed anew at its file's turn."""
        for spooled in self._spool.entries():
            fingerprint = spooled.fingerprint
            if await self._known.has(fingerprint):
                spooled.remove()
                continue
            try:
                await self._send(spooled)
            except Refused as refusal:
                if refusal.code not in _OF_ONE_FILE:
                    raise
            else:
                self._resumed.add(fingerprint)

    @contextlib.asynccontextmanager
    async def _claim(self, fingerprint: bytes) -> AsyncIterator[bool]:
        """Whether the file is new, to the space and in this push; another file with the same bytes waits meanwhile."""
        while (other := self._claims.get(fingerprint)) is not None:
            await asyncio.wait([other])
        mine = self._claims[fingerprint] = asyncio.get_running_loop().create_future()
        try:
            yield not await self._known.has(fingerprint)
        finally:
            del self._claims[fingerprint]
            mine.set_result(None)

    def _seen(self, fingerprint: bytes) -> tuple[Outcome, str]:
        """Known; or uploaded just now, if it was this file that an interrupted push had left in the spool."""
        if fingerprint in self._resumed:
            self._resumed.discard(fingerprint)
            return Outcome.UPLOADED, ""
        return Outcome.KNOWN, ""

    def _fingerprint(self, sha256: bytes) -> bytes:
        return content_fingerprint(self._who.dedupe_key, self._who.space_id, sha256)

    def _told(self, fingerprint: bytes) -> bytes:
        """What the record says of it: nothing, where only this computer knows the key."""
        return fingerprint if self._who.tells_fingerprints else b""


def _keep(room: Path, sealed: SealedAsset, fingerprint: bytes) -> Spooled:
    """Write the small renditions and the entry beside the original that is in *room* already."""
    spooled = Spooled(room, sealed.roll, sealed.body, {}, fingerprint)
    for file in sealed.files:
        if not isinstance(file.source, Path):
            spooled.blob(file.ref).write_bytes(file.source)
    spooled.save()
    return spooled


def _count(folder: Path, selection: Selection) -> tuple[int, int]:
    files = size_bytes = 0
    for item in scan(folder):
        if isinstance(item, Found) and selection.ready(item):
            files += 1
            size_bytes += item.stamp.size_bytes
    return files, size_bytes


@contextlib.asynccontextmanager
async def open_pusher(held: ProfileFolder, developers: Developers | None, listener: Listener) -> AsyncIterator[Pusher]:
    """Open the camera of the profile *held*, ready to push; afterwards its roll is closed and its keys forgotten."""
    async with open_camera(held) as session:
        spool = held.space_folder(session.profile.space_id) / "spool"
        async with pushing(camera_adds(session), spool, developers, listener) as pusher:
            yield pusher


@contextlib.asynccontextmanager
async def pushing(
    who: WhoAdds, spool: Path, developers: Developers | None, listener: Listener
) -> AsyncIterator[Pusher]:
    """Push for *who* adds; afterwards the roll is closed and its keys forgotten. *spool* is a folder of its own."""
    pusher = Pusher(who, Spool(spool), developers, listener)
    try:
        yield pusher
    finally:
        await pusher.stop()
        pusher.close()
