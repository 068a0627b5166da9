"""Blobs held in spaces, and the uploads that bring them: rows only, the bytes lie in a blob store."""

from collections.abc import Sequence

from safelight.server.domain.ports.rows import UploadRow
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction
from safelight.server.stores.uncommitted import SQL as UNCOMMITTED
from safelight.server.stores.uncommitted import note_held, uncommitted
from safelight.sync_protocol.refusals import Code, Refused

SQL = load("blobs")

_PAGE = 200


class BlobRows(Engine):
    """Which blob is held where, and what is on its way."""

    async def add_upload(
        self, upload: UploadRow, max_open: int, max_uncommitted_bytes: int, max_uncommitted_blobs: int
    ) -> bool:
        """Keep a new upload; raises QUOTA_EXCEEDED when the device has too many open or too much uncommitted.

        True where it states its digest and that is as good as `begin_publishing`: no blob of that name is about to go.

        Of its complete uploads the newest *max_open* stay: it can have asked for no more at once than were open.
        """

        async def work(tx: Transaction) -> str | bool:
            await tx.take_turns(b"uploads of " + upload.device_id)
            count, open_bytes = (await tx.rows(SQL["open_uploads"], device_id=upload.device_id))[0]
            if count >= max_open:
                return f"this device has {count} uploads open"
            begun_bytes = int(open_bytes) + (upload.length_bytes or 0)
            room = max_uncommitted_blobs - count, max_uncommitted_bytes - begun_bytes
            held = await uncommitted(tx, upload.device_id, *room, upload.created_ms)
            if not held.fits(*room):
                blobs, size_bytes = count + held.blobs, int(open_bytes) + held.size_bytes
                return f"this device has {blobs} blobs of {size_bytes} bytes that no record names"
            await tx.rows(SQL["drop_complete"], device_id=upload.device_id, keep=max_open, page=_PAGE)
            await _add(tx, upload)
            if upload.digest is None:
                return False
            await tx.take_turns(b"blob " + upload.digest)
            return not await tx.rows(SQL["is_forgotten"], name=upload.digest)

        # Raised only here: what was counted stays noted, else who is refused would have it counted each time.
        declared = await self._write(work)
        if isinstance(declared, str):
            raise Refused(Code.QUOTA_EXCEEDED, declared)
        return declared

    async def uncommitted_bytes(self, device_id: bytes) -> int:
        """Return how much a device has uploaded, finished or not, that no record names yet."""
        _, open_bytes = (await self._reading.rows(SQL["open_uploads"], device_id=device_id))[0]
        [(_, held_bytes)] = await self._reading.rows(UNCOMMITTED["count"], device_id=device_id)
        return int(open_bytes) + int(held_bytes)

    async def upload(self, upload_id: bytes) -> UploadRow | None:
        """Return an upload, complete ones included until they expire."""
        rows = await self._reading.rows(SQL["upload"], upload_id=upload_id)
        return UploadRow(*rows[0]) if rows else None

    async def set_upload_offset(self, upload_id: bytes, offset_bytes: int, length_bytes: int | None) -> None:
        """Keep a durable offset, which never decreases, and the length once it is known."""

        async def work(tx: Transaction) -> None:
            await self._check_lease(tx, upload_id)
            await tx.rows(SQL["set_offset"], upload_id=upload_id, offset_bytes=offset_bytes, length_bytes=length_bytes)

        await self._write(work)

    async def begin_publishing(self, upload_id: bytes, blob: bytes) -> None:
        """Note that an open upload is about to become *blob*, which from now on is neither collectable nor an orphan.

        Raises UPLOAD_BUSY while the bytes of a forgotten blob of that name may still be about to go.
        """

        async def work(tx: Transaction) -> None:
            await self._check_lease(tx, upload_id)
            await tx.take_turns(b"blob " + blob)
            if await tx.rows(SQL["is_forgotten"], name=blob):
                raise Refused(Code.UPLOAD_BUSY, "an older copy of the blob is being removed")
            await tx.rows(SQL["declare"], upload_id=upload_id, name=blob)

        await self._write(work)

    async def finish_upload(self, upload_id: bytes, blob: bytes, size_bytes: int, now_ms: int) -> None:
        """Hold the blob in the upload's space, uncommitted; the upload is complete.

        The same again changes nothing. Raises NOT_FOUND, UPLOAD_COMPLETED if it is no longer open, and UPLOAD_BUSY
        while the bytes of a forgotten blob of that name may still be about to go: the upload has to be made anew.
        """

        async def work(tx: Transaction) -> None:
            await self._check_lease(tx, upload_id)
            await tx.take_turns(b"blob " + blob)
            if await tx.rows(SQL["is_forgotten"], name=blob):
                raise Refused(Code.UPLOAD_BUSY, "an older copy of the blob is being removed")
            completed = await tx.rows(
                SQL["complete"], upload_id=upload_id, blob=blob, size_bytes=size_bytes, now_ms=now_ms
            )
            if completed:
                space_id, device_id = completed[0]
                await tx.rows(
                    SQL["hold"],
                    name=blob,
                    space_id=space_id,
                    size_bytes=size_bytes,
                    device_id=device_id,
                    held_ms=now_ms,
                )
                await note_held(tx, device_id, size_bytes)
                return
            rows = await tx.rows(SQL["upload"], upload_id=upload_id)
            if not rows:
                raise Refused(Code.NOT_FOUND)
            if UploadRow(*rows[0]).blob != blob:
                raise Refused(Code.UPLOAD_COMPLETED)

        await self._write(work)

    async def hold_blobs(
        self,
        device_id: bytes,
        space_id: bytes,
        source_id: bytes,
        names: Sequence[bytes],
        max_uncommitted_bytes: int,
        max_uncommitted_blobs: int,
        now_ms: int,
    ) -> None:
        """Hold blobs of another space in this one, uncommitted; each is kept from being collected while it is done.

        What keeps them are the source's rows, which whoever forgets a blob locks, too. To take turns for each would
        fill PostgreSQL's table of locks, which all share: *a few who hold thousands, and nobody else gets on*.
        """
        ordered = sorted(set(names))

        async def work(tx: Transaction) -> str:
            sizes: dict[bytes, dict[bytes, int]] = {}
            for each_id in sorted({space_id, source_id}):  # in the order in which commits lock them
                sizes[each_id] = dict(await tx.rows_in(SQL["lock_in_space"], ordered, space_id=each_id))
            for name in ordered:
                if name not in sizes[source_id]:
                    if await tx.rows(SQL["is_forgotten"], name=name):
                        raise Refused(Code.UPLOAD_BUSY, "the blob is being removed")
                    raise Refused(Code.NOT_FOUND, name.hex())
            added = [sizes[source_id][name] for name in ordered if name not in sizes[space_id]]
            if added:
                room = max_uncommitted_blobs - len(added) + 1, max_uncommitted_bytes - sum(added)
                held = await uncommitted(tx, device_id, *room, now_ms)
                if not held.fits(*room):
                    return f"this device has {held.blobs} blobs of {held.size_bytes} bytes that no record names"
            rows = [(name, space_id, sizes[source_id][name], device_id, now_ms) for name in ordered]
            await tx.run_many(SQL["hold"], rows)
            await note_held(tx, device_id, sum(added), blobs=len(added))
            return ""

        if refused := await self._write(work):
            raise Refused(Code.QUOTA_EXCEEDED, refused)

    async def fail_upload(self, upload_id: bytes) -> None:
        """Forget an open upload that can never be completed; a complete one stays."""

        async def work(tx: Transaction) -> None:
            await self._check_lease(tx, upload_id)
            await tx.rows(SQL["fail"], upload_id=upload_id)

        await self._write(work)

    async def delete_upload(self, upload_id: bytes) -> None:
        """Forget an upload; a blob that it completed stays."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["delete_upload"], upload_id=upload_id)

        await self._write(work)

    async def open_uploads(self) -> int:
        """Return how many uploads are open."""
        count: int = (await self._reading.rows(SQL["all_open_uploads"]))[0][0]
        return count

    async def expired_uploads(self, now_ms: int, limit: int) -> list[UploadRow]:
        """Return uploads whose time is over, the oldest first."""
        rows = await self._reading.rows(SQL["expired_uploads"], now_ms=now_ms, page=limit)
        return [UploadRow(*row) for row in rows]

    async def blob_in_space(self, space_id: bytes, name: bytes) -> tuple[int, str] | None:
        """Return stored size and tier ("" while uncommitted) of a blob held in the space."""
        rows = await self._reading.rows(SQL["in_space"], name=name, space_id=space_id)
        return (rows[0][0], rows[0][1]) if rows else None

    async def collectable_blobs(self, before_ms: int, limit: int) -> list[bytes]:
        """Return blobs that no record, link or open upload refers to, all held since before *before_ms*."""
        rows = await self._reading.rows(SQL["collectable"], before_ms=before_ms, page=limit)
        return list(dict.fromkeys(name for (name,) in rows))  # held in several spaces, a blob is found as often

    async def forget_blob(self, name: bytes, before_ms: int) -> bool:
        """Forget a blob if it is still collectable; True if it was, and its bytes may go."""

        async def work(tx: Transaction) -> bool:
            await tx.take_turns(b"blob " + name)
            await tx.rows(SQL["lock_held"], name=name)  # a commit that names it comes before this, or finds it gone
            if not await tx.rows(SQL["is_collectable"], name=name, before_ms=before_ms):
                return False
            await tx.rows(SQL["forget"], name=name)
            await tx.rows(SQL["add_forgotten"], name=name)
            return True

        return await self._write(work)

    async def note_orphans(self, names: Sequence[bytes], now_ms: int) -> int:
        """Note when those of *names* that no space holds were first seen; returns how many they are."""
        known = {name for (name,) in await self._reading.rows_in(SQL["known_blobs"], names)}
        orphans = [name for name in names if name not in known]

        async def work(tx: Transaction) -> None:
            for name in orphans:
                await tx.rows(SQL["note_orphan"], name=name, seen_ms=now_ms)

        if orphans:
            await self._write(work)
        return len(orphans)

    async def old_orphans(self, before_ms: int, limit: int) -> list[bytes]:
        """Return orphans that were first seen before *before_ms*, the oldest first."""
        return [name for (name,) in await self._reading.rows(SQL["old_orphans"], before_ms=before_ms, page=limit)]

    async def forget_orphan(self, name: bytes) -> bool:
        """Forget an orphan; True if nothing names it even now, and its bytes may go."""

        async def work(tx: Transaction) -> bool:
            await tx.take_turns(b"blob " + name)
            await tx.rows(SQL["delete_orphan"], name=name)
            if await tx.rows(SQL["is_named"], name=name):
                return False
            await tx.rows(SQL["add_forgotten"], name=name)
            return True

        return await self._write(work)

    async def forgotten_blobs(self, limit: int) -> list[bytes]:
        """Return forgotten blobs whose bytes may still be there."""
        return [name for (name,) in await self._reading.rows(SQL["forgotten"], page=limit)]

    async def blob_is_gone(self, name: bytes) -> None:
        """Note that a forgotten blob's bytes are gone: the same blob may be uploaded again."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["delete_forgotten"], name=name)

        await self._write(work)


async def _add(tx: Transaction, upload: UploadRow) -> None:
    await tx.rows(
        SQL["add_upload"],
        upload_id=upload.upload_id,
        device_id=upload.device_id,
        account_id=upload.account_id,
        space_id=upload.space_id,
        created_ms=upload.created_ms,
        expires_ms=upload.expires_ms,
        offset_bytes=upload.offset_bytes,
        length_bytes=upload.length_bytes,
        digest=upload.digest,
        state=upload.state,
        blob=upload.blob,
    )
