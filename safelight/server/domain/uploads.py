"""Uploads: bytes arrive, are hashed and kept, and become a blob of a space. docs/spec/upload.md.

Every offset that is stated was made durable first, so it never decreases. One request appends to an upload at a time: a
new one cuts the older off, because a client that comes again has given its last connection up.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from safelight.server.domain.access import Who, check_guest, space_for
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.content_checks import ContentCheck
from safelight.server.domain.leases import Leases
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.blobs import Appender, Blobs, Taken
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import UploadRow
from safelight.server.domain.turns import CutOff, Turns
from safelight.sync_protocol.ids import new_id
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right

FLUSH_SIZE_BYTES = 8 * 1024 * 1024
FLUSH_INTERVAL_S = 5.0


_LEASE_S = 15.0  # for so long nobody goes on with the uploads of a process that died
_LEASE_WAIT_S = 20.0


class Interrupted(Exception):
    """The request's body broke off, stood still, or was cut off by a newer request. What had arrived is kept."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """How long uploads live, and how much a device may have under way."""

    lifetime_s: int
    max_size_bytes: int
    max_open: int
    max_uncommitted_bytes: int
    max_uncommitted_blobs: int


@dataclass(frozen=True, slots=True)
class Appending:
    """What one request says: where its content goes, how long the whole is, and whether it ends with this request.

    `content_bytes` is the length of this request's content where it is known, `digest` the SHA-256 of the whole,
    `content_digests` those of the content by algorithm.
    """

    offset_bytes: int
    completes: bool
    length_bytes: int | None
    content_bytes: int | None
    digest: bytes | None
    content_digests: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some content. Its memory stays as it is until `taken` is called; without that, for ever."""

    data: bytes | memoryview
    taken: Taken | None = None


@dataclass(frozen=True, slots=True)
class Coming:
    """Content on its way: its pieces, who is told each durable offset, and who asks again whether it may come."""

    chunks: AsyncIterator[Chunk]
    progress: Callable[[int], Awaitable[None]]
    check_session: Callable[[], Awaitable[None]]


class Uploads:
    """Creates, continues, completes and cancels uploads."""

    def __init__(
        self, database: Database, blobs: Blobs, ledgers: Ledgers, clock: ServerClock, rules: UploadRules
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._ledgers = ledgers
        self._clock = clock
        self.rules = rules
        self._turns = Turns()
        self._leases = Leases(database, _LEASE_S)

    async def create(self, who: Who, space_id: bytes, appending: Appending) -> tuple[UploadRow, bool]:
        """Make an upload for *space_id*, and say whether its blob is declared, for an `append` in the same request.

        Raises RIGHT_MISSING, SPACE_UNKNOWN, QUOTA_EXCEEDED or UPLOAD_TOO_LONG; of a guest UPLOAD_LINK_OVER and
        UPLOAD_LINK_FULL, too.
        """
        state = await self._check_right(who, space_id)
        length = self._length(None, appending)
        await self._check_guest_room(state, who, length)
        space = await self._database.space(space_id)
        if space is None:
            raise Refused(Code.SPACE_UNKNOWN)
        if space.quota_bytes and space.used_bytes + (length or 0) > space.quota_bytes:
            raise Refused(Code.QUOTA_EXCEEDED)
        now_ms = self._clock.now_ms()
        upload = UploadRow(
            upload_id=new_id(secrets.token_bytes),
            device_id=who.device_id,
            account_id=who.account_id,
            space_id=space_id,
            created_ms=now_ms,
            expires_ms=now_ms + self.rules.lifetime_s * 1000,
            length_bytes=length,
            digest=appending.digest,
        )
        rules = self.rules
        declared = await self._database.add_upload(
            upload, rules.max_open, rules.max_uncommitted_bytes, rules.max_uncommitted_blobs
        )
        try:
            # Again, now that it counts itself: *a hundred guests who all begin before any of them is counted*.
            await self._check_guest_room(state, who, 0)
        except Refused:
            await self._database.delete_upload(upload.upload_id)
            raise
        return upload, declared

    async def find(self, who: Who, upload_id: bytes) -> UploadRow:
        """Return the device's own upload as it stands; raises NOT_FOUND for others and expired ones."""
        upload = await self._database.upload(upload_id)
        if upload is None or upload.device_id != who.device_id:
            raise Refused(Code.NOT_FOUND)
        if upload.state == "open" and self._clock.now_ms() >= upload.expires_ms:
            raise Refused(Code.NOT_FOUND, "the upload has expired")
        return upload

    async def settled(self, who: Who, upload_id: bytes) -> UploadRow:
        """Return an upload as `find` does, but with what is durable of it, even where nobody was told yet.

        Raises SPACE_UNKNOWN or RIGHT_MISSING, too: *who was removed is told that what they sent since then was kept*.
        """
        upload = await self.find(who, upload_id)
        await self._check_right(who, upload.space_id)
        if upload.state != "open":
            return upload
        durable_bytes = await self._blobs.durable_bytes(upload_id, upload.offset_bytes)
        if durable_bytes > upload.offset_bytes:
            await self._database.set_upload_offset(upload_id, durable_bytes, upload.length_bytes)
        return replace(upload, offset_bytes=durable_bytes)

    @asynccontextmanager
    async def alone(self, upload_id: bytes, cut: Callable[[], None] | None) -> AsyncIterator[None]:
        """Be the only request at an upload, after cutting off older ones; *cut* cuts this one off for a newer one.

        None as *cut*: it is quick, and a newer one waits for it. Raises Interrupted where that came before this began,
        and UPLOAD_BUSY where another process does not let go.
        """
        try:
            async with self._turns.taken(upload_id, cut), self._leases.held(upload_id, wait_s=_LEASE_WAIT_S):
                yield
        except CutOff:
            raise Interrupted from None

    def give_way(self, upload_id: bytes) -> None:
        """Cut off whoever is at an upload here: a newer request is at another process."""
        self._turns.give_way(upload_id)

    async def append(
        self, who: Who, upload: UploadRow, appending: Appending, coming: Coming, *, declared: bool = False
    ) -> UploadRow:
        """Take one request's content, while `alone`, and return the upload as it then stands.

        Raises UPLOAD_OFFSET_MISMATCH, UPLOAD_COMPLETED, UPLOAD_LENGTH_INCONSISTENT, UPLOAD_TOO_LONG,
        UPLOAD_DIGEST_MISMATCH, and Interrupted after keeping what arrived. Where digests of the content were stated,
        nothing of it counts until they were verified.
        """
        await self._check_right(who, upload.space_id)
        if upload.state == "complete":
            raise Refused(Code.UPLOAD_COMPLETED)
        if appending.offset_bytes != upload.offset_bytes:
            raise Refused(Code.UPLOAD_OFFSET_MISMATCH, f"it is at {upload.offset_bytes}, not {appending.offset_bytes}")
        if appending.digest and upload.digest and appending.digest != upload.digest:
            raise Refused(Code.UPLOAD_DIGEST_MISMATCH, "another digest was stated before")
        stated = upload.length_bytes is not None
        upload = replace(upload, length_bytes=self._length(upload, appending))
        self._check_content(upload, appending)
        if not stated:
            await self._check_room(upload, upload.length_bytes or upload.offset_bytes)
        if appending.digest and not upload.digest:
            await self._database.begin_publishing(upload.upload_id, appending.digest)
            upload = replace(upload, digest=appending.digest)
        check = ContentCheck(appending.content_digests)
        appender = await self._open(upload, hold_back=bool(check))
        try:
            upload = await self._receive(who, upload, appender, coming, check)
            check.verify()
            whole = upload.length_bytes in {None, appender.offset_bytes}
            await self._check_again(who, upload, coming, appender.offset_bytes)
            if appending.completes and whole:
                return await self._complete(who, upload, appender, coming, declared=declared)
            upload = await self._flush(upload, appender)
            if not whole and appending.completes:
                raise Refused(Code.UPLOAD_LENGTH_INCONSISTENT, f"complete at {upload.offset_bytes} bytes")
            return upload
        except (Refused, Interrupted):
            if check:
                await self._take_back(upload, appender)
            raise
        except BaseException:  # the server's end, too: a bucket keeps what came, and would count it at the next start
            if check:
                with suppress(Refused):
                    await asyncio.shield(self._take_back(upload, appender))
            raise
        finally:
            await appender.close()

    async def cancel(self, who: Who, upload_id: bytes) -> None:
        """Forget an upload, while `alone`; a completed one only as an upload, its blob stays. Raises NOT_FOUND."""
        upload = await self.find(who, upload_id)
        await self._blobs.discard(upload.upload_id)
        await self._database.delete_upload(upload.upload_id)

    def seconds_left(self, upload: UploadRow | None) -> int:
        """How long an upload will still be kept; of none yet, how long a new one would be."""
        if upload is None:
            return self.rules.lifetime_s
        return max(0, (upload.expires_ms - self._clock.now_ms()) // 1000)

    async def _check_right(self, who: Who, space_id: bytes) -> LedgerState:
        """Who may add needs somewhere to put it, and so does who publishes a link's pages."""
        state = await space_for(self._ledgers, who, space_id, guests=True)
        now_ms = self._clock.now_ms()
        if not state.rights_of(who.author_id) & {Right.ADD, Right.LINK} and not state.adds_by_grant(
            who.author_id, now_ms
        ):
            raise Refused(Code.RIGHT_MISSING, Right.ADD.value)
        check_guest(state, who.author_id, now_ms)
        return state

    async def _check_guest_room(self, state: LedgerState, who: Who, length: int | None) -> None:
        """Hold all guests of an upload link together to its quota, with what they have sent and not committed.

        *A disk filled by a hundred guests*, each of whom keeps to the cap of a device. Raises UPLOAD_LINK_FULL.
        """
        link_id = state.guest_link(who.author_id)
        if not link_id:
            return
        if length is None:
            raise Refused(Code.BAD_REQUEST, "a guest's upload says how long it is")
        link = await self._database.upload_link(link_id)
        held_bytes = await self._database.guests_hold(link_id) + (link.used_bytes if link else 0)
        quota_bytes = state.upload_links[link_id].terms.quota_bytes
        if held_bytes + length > quota_bytes:
            raise Refused(Code.UPLOAD_LINK_FULL, f"{held_bytes} of {quota_bytes} bytes are taken")

    async def _check_again(self, who: Who, upload: UploadRow, coming: Coming, size_bytes: int) -> None:
        """What held when the upload began may be over: session, right, time and quota are asked for once more.

        Raises SESSION_REQUIRED, SESSION_EXPIRED, SPACE_UNKNOWN, RIGHT_MISSING, NOT_FOUND or QUOTA_EXCEEDED.
        """
        room = self._check_room if upload.length_bytes is None else self._check_quota
        # Together, since both wait for the database.
        no_session, no_room = await asyncio.gather(
            coming.check_session(), room(upload, size_bytes), return_exceptions=True
        )
        if no_session is not None:
            raise no_session
        await self._check_right(who, upload.space_id)
        if self._clock.now_ms() >= upload.expires_ms:
            raise Refused(Code.NOT_FOUND, "the upload has expired")
        if no_room is not None:
            raise no_room

    async def _check_who(self, who: Who, upload: UploadRow, coming: Coming) -> None:
        """Ask for session and right once the blob is published, which takes its time.

        *Who was removed meanwhile is told that it is stored*. Raises what `_check_again` does of these.
        """
        await coming.check_session()
        await self._check_right(who, upload.space_id)

    def _length(self, upload: UploadRow | None, appending: Appending) -> int | None:
        """The upload's length from all that was ever said of it, which must agree."""
        said = {upload.length_bytes if upload else None, appending.length_bytes}
        if appending.completes and appending.content_bytes is not None:
            said.add(appending.offset_bytes + appending.content_bytes)
        said.discard(None)
        if len(said) > 1:
            raise Refused(Code.UPLOAD_LENGTH_INCONSISTENT, " and ".join(map(str, sorted(filter(None, said)))))
        length = next(iter(said), None)
        if length is not None and length > self.rules.max_size_bytes:
            raise Refused(Code.UPLOAD_TOO_LONG, f"at most {self.rules.max_size_bytes} bytes")
        return length

    def _check_content(self, upload: UploadRow, appending: Appending) -> None:
        """Refuse an overlong body by its stated length, before any of it is taken."""
        end = upload.offset_bytes + (appending.content_bytes or 0)
        if end > self._limit(upload):
            raise Refused(Code.UPLOAD_TOO_LONG, f"{end} bytes")

    async def _check_room(self, upload: UploadRow, size_bytes: int) -> None:
        """Hold an upload whose length was not said when it was created to the same caps; raises QUOTA_EXCEEDED.

        Asked again whenever more of it is durable: who leaves the length open could else fill the disk.
        """
        await self._check_quota(upload, size_bytes)
        others_bytes = await self._database.uncommitted_bytes(upload.device_id) - upload.offset_bytes
        if others_bytes + size_bytes > self.rules.max_uncommitted_bytes:
            raise Refused(Code.QUOTA_EXCEEDED, f"this device has {others_bytes} bytes that no record names besides")

    async def _check_quota(self, upload: UploadRow, size_bytes: int) -> None:
        space = await self._database.space(upload.space_id)
        if space and space.quota_bytes and space.used_bytes + size_bytes > space.quota_bytes:
            raise Refused(Code.QUOTA_EXCEEDED)

    def _limit(self, upload: UploadRow) -> int:
        return self.rules.max_size_bytes if upload.length_bytes is None else upload.length_bytes

    async def _receive(
        self, who: Who, upload: UploadRow, appender: Appender, coming: Coming, check: ContentCheck
    ) -> UploadRow:
        """Write what arrives, made durable now and then; a body that is too long spoils the upload for good."""
        loop = asyncio.get_running_loop()
        flushed_at = loop.time()
        asked_at_bytes = upload.offset_bytes
        try:
            async for chunk in coming.chunks:
                if appender.offset_bytes + len(chunk.data) > self._limit(upload):
                    await self._spoil(upload)
                    raise Refused(Code.UPLOAD_TOO_LONG, f"more than {self._limit(upload)} bytes")
                check.update(chunk.data)
                await appender.write(chunk.data, chunk.taken)
                pending = appender.offset_bytes - asked_at_bytes
                if pending < FLUSH_SIZE_BYTES and not (pending and loop.time() - flushed_at >= FLUSH_INTERVAL_S):
                    continue
                await self._check_again(who, upload, coming, appender.offset_bytes)
                if not check:
                    upload = await self._flush(upload, appender)
                    await coming.progress(upload.offset_bytes)
                asked_at_bytes, flushed_at = appender.offset_bytes, loop.time()
        except (Interrupted, asyncio.CancelledError):
            if not check:
                await asyncio.shield(self._flush(upload, appender))
            raise
        return upload

    async def _open(self, upload: UploadRow, *, hold_back: bool) -> Appender:
        """Open the upload's part; raises NOT_FOUND, now and for good, where bytes that were acknowledged are lost."""
        try:
            appender = await self._blobs.append(upload.upload_id, upload.offset_bytes)
            if hold_back:  # *damaged bytes that a crash makes good*: a bucket counts what lies in it
                appender.hold_back()
            return appender
        except Refused as refused:
            if refused.code is not Code.UPLOAD_OFFSET_MISMATCH:
                raise
            if await self._blobs.part_size_bytes(upload.upload_id) < upload.offset_bytes:
                await self._spoil(upload)
                raise Refused(Code.NOT_FOUND, "what had arrived of the upload is lost") from None
            raise

    async def _flush(self, upload: UploadRow, appender: Appender) -> UploadRow:
        offset = await appender.flush()
        await self._database.set_upload_offset(upload.upload_id, offset, upload.length_bytes)
        return replace(upload, offset_bytes=offset)

    async def _take_back(self, upload: UploadRow, appender: Appender) -> None:
        """Drop content that did not verify, and that a store may have put away already.

        Not where another process goes on with the upload meanwhile, which may have counted it: the database knows.
        """
        await appender.close()
        await self._database.set_upload_offset(upload.upload_id, upload.offset_bytes, None)
        await self._blobs.cut_back(upload.upload_id, upload.offset_bytes)

    async def _complete(
        self, who: Who, upload: UploadRow, appender: Appender, coming: Coming, *, declared: bool
    ) -> UploadRow:
        try:
            # Named before it is published: else a collector could take what it had found of the same blob before.
            name = upload.digest or await appender.name()
            if not declared:
                await self._database.begin_publishing(upload.upload_id, name)
            blob, size_bytes = await appender.finish(name)
            await self._check_who(who, upload, coming)
            await self._database.finish_upload(upload.upload_id, blob, size_bytes, self._clock.now_ms())
        except Refused as refusal:
            # A full disk at the last moment loses nothing: what is still there is completed when there is room again.
            if refusal.code is Code.STORAGE_UNAVAILABLE:
                raise  # what is there cannot be told now
            kept_bytes = await self._blobs.part_size_bytes(upload.upload_id)
            if refusal.code is Code.UPLOAD_DIGEST_MISMATCH or kept_bytes < upload.offset_bytes or not kept_bytes:
                await self._spoil(upload)
            raise
        return replace(upload, state="complete", blob=blob, offset_bytes=size_bytes, length_bytes=size_bytes)

    async def _spoil(self, upload: UploadRow) -> None:
        """The upload can never be completed: its part goes, and so does its address."""
        await self._database.fail_upload(upload.upload_id)
        await self._blobs.discard(upload.upload_id)
