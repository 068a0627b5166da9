"""The port of a database, noun by noun.

It judges nothing. It holds rows, and checks in one transaction exactly the facts that a `Commit` names.
"""

from collections.abc import Sequence
from typing import Protocol

from safelight.server.domain.ports.checks import KeepsChecks
from safelight.server.domain.ports.commits import Commit, Committed, Joining, Rejected
from safelight.server.domain.ports.neighbours import Hears
from safelight.server.domain.ports.rows import (
    AccountChange,
    AccountRow,
    AlbumEntryRow,
    DeviceRow,
    EntryRow,
    LinkState,
    Opening,
    SessionRow,
    SpaceRow,
    UnlockerRow,
    UploadLinkRow,
    UploadRow,
)
from safelight.server.domain.ports.state import StoreState
from safelight.server.domain.ports.tables import KeepsTables
from safelight.sync_protocol.log import Head


class KeepsItself(Protocol):
    """What the server keeps of itself."""

    def tell(self, hears: Hears) -> None:
        """From now on tell *hears* what happens here, if other processes may use the same database; else never."""
        ...

    async def get_meta(self, key: str) -> bytes | None:
        """Return a value that the server keeps about itself, or None."""
        ...

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value about the server itself."""
        ...

    async def claim_meta(self, key: str, value: bytes) -> bytes:
        """Keep a value unless one is kept already; returns the one that is kept, the same to all who ask at once."""
        ...

    async def highest_time_ms(self) -> int:
        """The highest time stored, below which server time never falls."""
        ...

    async def note_time(self, now_ms: int) -> None:
        """Keep the server's time, so that no later start is before it; a lower one than is kept changes nothing."""
        ...

    async def state(self) -> StoreState:
        """Say how the database is. It answers a question for it, and writes nothing; asked once a second at most.

        `refusal` is STORAGE_READ_ONLY from the first failed write or sync on, or where the engine takes no writes.
        """
        ...


class KeepsAccounts(Protocol):
    """Invites, accounts, their ledgers, and their keyrings."""

    async def add_invite(self, code_hash: bytes, expires_ms: int) -> None:
        """Keep an invite: the SHA-256 of its code, and when it ends."""
        ...

    async def create_account(self, account: AccountRow, invite_hash: bytes, change: AccountChange, now_ms: int) -> None:
        """Use the invite and create the account, both or neither; raises INVITE_INVALID or NAME_TAKEN."""
        ...

    async def account_by_name(self, name: str) -> AccountRow | None:
        """Return the account of that name, or None."""
        ...

    async def account(self, account_id: bytes) -> AccountRow | None:
        """Return the account, or None."""
        ...

    async def unlocker(self, account_id: bytes, kind: str) -> UnlockerRow | None:
        """Return one way to unlock the account, or None."""
        ...

    async def add_ticket(self, ticket: SessionRow, unlocker: UnlockerRow) -> None:
        """Keep a ticket that *unlocker* gave; raises UNLOCK_FAILED where the account has another by now."""
        ...

    async def change_account(self, change: AccountChange) -> None:
        """Append to an account's ledger, with all that the change brings.

        Raises ACCOUNT_LEDGER_CONFLICT if it is no longer at the expected number, KEYRING_CONFLICT, and SESSION_REQUIRED
        where the session that asks was ended meanwhile.
        Unlockers that are set end the account's tickets.
        """
        ...

    async def account_entries(self, account_id: bytes, after: int) -> list[bytes]:
        """Return the envelopes of the account's ledger after a number, in order."""
        ...

    async def keyring(self, account_id: bytes) -> tuple[int, bytes]:
        """Return version and bytes of the newest keyring; (0, empty) before the first."""
        ...

    async def put_keyring(self, account_id: bytes, token_hash: bytes, version: int, sealed: bytes) -> None:
        """Keep the next version.

        Raises SESSION_REQUIRED unless the session of *token_hash* still stands, and KEYRING_CONFLICT unless *version*
        is one more than the one kept.
        """
        ...


class KeepsDevices(Protocol):
    """Devices, cameras, and their sessions."""

    async def device(self, device_id: bytes) -> DeviceRow | None:
        """Return a device or camera, or None."""
        ...

    async def devices_of(self, owner_id: bytes) -> list[DeviceRow]:
        """Return an account's devices and the cameras that it certified."""
        ...

    async def touch_device(self, device_id: bytes, now_ms: int) -> None:
        """Remember when a device was last heard of."""
        ...

    async def add_session(self, session: SessionRow) -> None:
        """Keep a session or ticket; of one device's sessions, and of one account's tickets, the newest 32 stay."""
        ...

    async def session(self, token_hash: bytes) -> SessionRow | None:
        """The session, if it is there and its device is not revoked (expiry is the domain's to judge)."""
        ...

    async def delete_session(self, token_hash: bytes) -> None:
        """Forget a session."""
        ...

    async def delete_expired(self, now_ms: int) -> None:
        """Delete sessions, tickets, invites and openings' hand-overs whose time is over."""
        ...


class KeepsSpaces(Protocol):
    """Spaces, their logs and members, and what commits change in them."""

    async def space(self, space_id: bytes) -> SpaceRow | None:
        """Return where a space stands, or None."""
        ...

    async def spaces_of(self, account_id: bytes) -> list[tuple[SpaceRow, str]]:
        """Return an account's spaces, each with its role there."""
        ...

    async def newest_ledger_number(self, space_id: bytes) -> int | None:
        """Where a space's ledger stands from now on at least, if other processes may move it on.

        None where only this one writes: what it saw of its own commits is then the newest.
        """
        ...

    async def role_in(self, space_id: bytes, account_id: bytes) -> str | None:
        """Return an account's role in a space, or None."""
        ...

    async def entries(self, space_id: bytes, after: int, limit: int, max_bytes: int) -> list[EntryRow]:
        """Entries after a number, in order, at least one if there is one."""
        ...

    async def entry_ids(self, space_id: bytes, after: int, limit: int) -> list[bytes]:
        """Return the ids of entries after a number, in order: numbers have no gaps."""
        ...

    async def ledger_entries(self, space_id: bytes, after: int, limit: int) -> list[EntryRow]:
        """Return the ledger's entries after a number, in order."""
        ...

    async def entries_at(self, space_id: bytes, numbers: Sequence[int]) -> list[EntryRow]:
        """Return the entries at these slots, in order."""
        ...

    async def committed(self, space_id: bytes, device_id: bytes, counter: int, entry_id: bytes) -> Committed | None:
        """Return the first answer to a device's entry that stands in the space's log (`repeated`), or None."""
        ...

    async def device_position(self, space_id: bytes, device_id: bytes) -> tuple[int, bytes]:
        """Return counter and id of a device's last entry in a space; (0, empty) before the first."""
        ...

    async def box(self, space_id: bytes, epoch: int, account_id: bytes) -> bytes | None:
        """Return an account's box of an epoch, or None."""
        ...

    async def fingerprints(self, space_id: bytes, fingerprints: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """Those of *fingerprints* that are there, each with the slot of its record.

        Not those whose assets' blobs a check found missing or damaged: "have it" is said only of what is whole.
        """
        ...

    async def commit(self, batch: Sequence[Commit], joining: Joining | None = None) -> list[Committed | Rejected]:
        """Commit what waits together in one durable transaction, in order; what one meets does not touch the others.

        Raises SomeFailed where some met what no check foresaw, with the answers of all others, which hold; of a batch
        of one, what that one met. What keeps all from being committed, such as a full disk, is raised once for all.

        An engine that had to wait for its turn takes from *joining* what came meanwhile; that is committed with the
        batch, after it, and answered after it.

        For each: the same entry id again gives the first answer; the space's ledger number must be `ledger_number`
        (ENTRY_STALE); the device's counter and previous id must follow (COUNTER_CONFLICT); every blob must be held in
        the space (BLOB_MISSING) at its size (BLOB_SIZE_MISMATCH); asset ids must be new (ASSET_CONFLICT), and known
        ones there (NOT_FOUND); the roll must be the device's, of the epoch, young and not full (ROLL_UNKNOWN,
        EPOCH_OLD, ROLL_FULL); quota must suffice (QUOTA_EXCEEDED; 0 is no quota); a link's id must be new
        (LEDGER_RULE), its blobs held and named (BLOB_MISSING), and none of the full tier among its pages and view
        blobs (POLICY_FORBIDS); what a shared album shows must be named by records, at its tier (BLOB_MISSING,
        POLICY_FORBIDS), and the album's log end where the commit says (ALBUM_STALE); a camera's id must be new
        (CAMERA_ALREADY_BOUND). Only a genesis makes a space (SPACE_UNKNOWN). Then number, chain, rows and references
        are written; the time is the later of `now_ms` and
        the highest stored.
        """
        ...


class KeepsAlbums(Protocol):
    """Albums: what grantees read of them, and what is approved in them."""

    async def album_head(self, space_id: bytes, album_id: bytes) -> Head:
        """Return where an album's own log ends; (0, empty) before its first entry."""
        ...

    async def album_entries(
        self, space_id: bytes, album_id: bytes, after: int, limit: int, max_bytes: int
    ) -> list[AlbumEntryRow]:
        """Entries of an album's own log after a number, in order, at least one if there is one."""
        ...

    async def albums_showing(self, space_id: bytes, name: bytes) -> list[bytes]:
        """Return the shared albums of a space that show a blob."""
        ...

    async def approval_albums(self, space_id: bytes) -> set[bytes]:
        """Return the albums of a space that require approval."""
        ...

    async def approved(self, space_id: bytes) -> set[tuple[bytes, bytes]]:
        """Return which assets of a space are approved in which album, as album id and asset id."""
        ...

    async def trash_shown(self, space_id: bytes, album_id: bytes, limit: int) -> list[bytes]:
        """Return the assets in the trash that a shared album shows, in the order of their ids."""
        ...


class KeepsTrash(Protocol):
    """Whose blobs are given to members alone. What is in the trash is written by commits."""

    async def is_in_trash(self, space_id: bytes, name: bytes) -> bool:
        """Whether a blob is one of an asset in the trash. What was made for a link never is."""
        ...


class KeepsUploads(Protocol):
    """Uploads, and which blob is held where. The bytes are in `blobs.Blobs`."""

    async def add_upload(
        self, upload: UploadRow, max_open: int, max_uncommitted_bytes: int, max_uncommitted_blobs: int
    ) -> bool:
        """Keep a new upload; raises QUOTA_EXCEEDED when the device has too many open or too much uncommitted.

        True where it states its digest and that is as good as `begin_publishing`: no blob of that name is about to go.

        Uncommitted is what no record names yet, in bytes and in blobs. Of the device's complete uploads the newest
        *max_open* stay (and a few more): whoever made many cannot have their answers lost all at once.
        """
        ...

    async def uncommitted_bytes(self, device_id: bytes) -> int:
        """Return how much a device has uploaded, finished or not, that no record names yet."""
        ...

    async def upload(self, upload_id: bytes) -> UploadRow | None:
        """Return an upload, or None."""
        ...

    async def set_upload_offset(self, upload_id: bytes, offset_bytes: int, length_bytes: int | None) -> None:
        """Remember how much of an upload is durable, and its length once known."""
        ...

    async def begin_publishing(self, upload_id: bytes, blob: bytes) -> None:
        """The upload is about to become *blob*: until it is no longer open, that blob is not forgotten.

        Raises UPLOAD_BUSY where it is forgotten already and its bytes may still be about to go.
        """
        ...

    async def finish_upload(self, upload_id: bytes, blob: bytes, size_bytes: int, now_ms: int) -> None:
        """The upload is complete, and its time begins anew; its blob is held in the upload's space, uncommitted."""
        ...

    async def fail_upload(self, upload_id: bytes) -> None:
        """Forget an open upload that can never be completed; its part may go. A complete one stays."""
        ...

    async def delete_upload(self, upload_id: bytes) -> None:
        """Forget an upload."""
        ...

    async def open_uploads(self) -> int:
        """Return how many uploads are open."""
        ...

    async def expired_uploads(self, now_ms: int, limit: int) -> list[UploadRow]:
        """Return uploads whose time is over, the oldest first: open and complete ones."""
        ...

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
        """Let *space_id* hold blobs that the source holds, as if the device had uploaded them; all or none.

        Raises NOT_FOUND where the source holds one no more, UPLOAD_BUSY for one that is about to go, QUOTA_EXCEEDED
        when the device has too much that no record names.
        """
        ...

    async def blob_in_space(self, space_id: bytes, name: bytes) -> tuple[int, str] | None:
        """Stored size and tier of a blob held in the space: that of the first entry to name it, "" while none has."""
        ...

    async def collectable_blobs(self, before_ms: int, limit: int) -> list[bytes]:
        """Blobs that no record, link or open upload refers to, all held since before *before_ms*."""
        ...

    async def forget_blob(self, name: bytes, before_ms: int) -> bool:
        """Forget a blob if it is still collectable; True if it was, and its bytes may go.

        Until `blob_is_gone`, an upload that ends with the same blob is refused (UPLOAD_BUSY): it could lose its bytes.
        """
        ...

    async def note_orphans(self, names: Sequence[bytes], now_ms: int) -> int:
        """Note when those of *names*, which a store holds, were first seen that no space holds; returns how many."""
        ...

    async def old_orphans(self, before_ms: int, limit: int) -> list[bytes]:
        """Return blobs first seen as orphans before *before_ms*, which may have been named meanwhile."""
        ...

    async def forget_orphan(self, name: bytes) -> bool:
        """Forget a blob that nothing names, as `forget_blob` does; True if so, and its bytes may go."""
        ...

    async def forgotten_blobs(self, limit: int) -> list[bytes]:
        """Return forgotten blobs whose bytes may still be there, because a crash came in between."""
        ...

    async def blob_is_gone(self, name: bytes) -> None:
        """Note that a forgotten blob's bytes are gone; the same blob may come again."""
        ...


class KeepsLeases(Protocol):
    """What one of the processes at a database has to itself for a while; it ends by itself if that process dies."""

    async def take_lease(self, name: bytes, lasts_ms: int) -> int:
        """Have *name* for so long from now, anew if this process has it; returns 0.

        Where another has it, for how many milliseconds it still has; that one hears that it is wanted. An upload's
        lease has its id as its name: once another process took it, this one can no longer change the upload
        (UPLOAD_BUSY). Where only one process is possible it has whatever it asks for.
        """
        ...

    async def renew_lease(self, name: bytes, lasts_ms: int) -> bool:
        """Have *name*, which this process took, for so long from now; False where another took it since, if only once.

        Also where that one has let go: what this process knew of what the lease is for is then not true any more.
        """
        ...

    async def release_lease(self, name: bytes) -> None:
        """Let others have *name*, if this process has it."""
        ...


class KeepsLinks(Protocol):
    """Links, and their openings."""

    async def link(self, link_id: bytes) -> LinkState | None:
        """Return a link, or None."""
        ...

    async def links_of(self, space_id: bytes) -> list[LinkState]:
        """Return a space's links, newest first."""
        ...

    async def link_blob(self, link_id: bytes, name: bytes) -> tuple[int, str] | None:
        """Stored size and tier ("page", "made", "view", "full") of a blob that the link may fetch now.

        None for what it does not name, and for an asset's that its album requires an approval of.
        """
        ...

    async def open_link(self, opening: Opening, max_opens: int) -> bool:
        """Count one opening in one statement; False if all are used up or the link is revoked."""
        ...

    async def known_opening(self, link_id: bytes, opening_id: bytes) -> bool:
        """Whether this opening of the link was counted before."""
        ...

    async def use_handover(self, link_id: bytes, handover_hash: bytes, now_ms: int) -> bytes | None:
        """Use a hand-over token once: the opening that it belongs to, or None."""
        ...

    async def set_handover(self, opening: Opening) -> None:
        """Replace the hand-over token of an opening."""
        ...

    async def count_download(self, link_id: bytes, now_ms: int) -> None:
        """Count a fetched original."""
        ...


class KeepsUploadLinks(Protocol):
    """Upload links: their heads, and what their guests took."""

    async def upload_link(self, link_id: bytes) -> UploadLinkRow | None:
        """Return an upload link, closed or not; None for one that is not there."""
        ...

    async def guests_hold(self, link_id: bytes) -> int:
        """Bytes that a link's guests have sent, or said that they are sending, and that no record names."""
        ...


class Database(
    KeepsItself,
    KeepsAccounts,
    KeepsDevices,
    KeepsSpaces,
    KeepsAlbums,
    KeepsTrash,
    KeepsUploads,
    KeepsLeases,
    KeepsLinks,
    KeepsUploadLinks,
    KeepsChecks,
    KeepsTables,
    Protocol,
):
    """Rows, transactions and nothing else. What a method wrote is durable when it returns.

    Any may raise STORAGE_FULL or, from the first write or sync that failed until the server is started anew,
    STORAGE_READ_ONLY.
    """

    async def close(self) -> None:
        """Release what is held open."""
        ...
