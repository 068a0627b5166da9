"""What the database keeps of each noun, as plain values; times are milliseconds since 1970 UTC."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account; `ledger_number` and `ledger_hash` are its ledger's head."""

    account_id: bytes
    name: str
    created_ms: int
    ledger_number: int
    ledger_hash: bytes


@dataclass(frozen=True, slots=True)
class UnlockerRow:
    """One way to unlock an account: the SHA-256 of the auth key, and the wrapped account secret."""

    kind: str
    auth_hash: bytes
    wrapped: bytes
    salt: bytes
    memory_kib: int
    passes: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """Something that signs: a device of an account (`space_id` empty) or a camera.

    A camera's `owner_id` is its certifier; a guest's is its upload link.
    """

    device_id: bytes
    owner_id: bytes
    space_id: bytes
    kind: str
    key: bytes
    created_ms: int
    last_seen_ms: int = 0
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Account-ledger entries that follow `expected_number`, with what they change, in one transaction."""

    account_id: bytes
    expected_number: int
    entries: Sequence[tuple[int, bytes, bytes]]  # number, id, envelope
    now_ms: int
    devices: Sequence[DeviceRow] = ()
    revoked_devices: Sequence[bytes] = ()
    unlockers: Sequence[UnlockerRow] = ()
    keyring: tuple[int, bytes] | None = None  # version, sealed
    token_hash: bytes = b""  # of the session or ticket that asks, which must still stand; empty where none does


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A bearer token (its SHA-256): a device's session, or (`purpose` "ticket") what unlocking gave a new device."""

    token_hash: bytes
    purpose: str
    account_id: bytes
    device_id: bytes
    space_id: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """Where a space stands. Locked by every commit."""

    space_id: bytes
    kind: str
    number: int
    chain: bytes
    ledger_number: int
    ledger_hash: bytes
    epoch: int
    used_bytes: int
    quota_bytes: int


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One slot of a log."""

    number: int
    time_ms: int
    chain: bytes
    entry_id: bytes
    envelope: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class AlbumEntryRow:
    """One entry of a shared album's own log: its number there, and its slot in the space's."""

    number: int
    slot: int
    time_ms: int
    chain: bytes
    entry_id: bytes
    envelope: bytes


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A resumable upload. `length_bytes` and `digest` are None until known; `offset_bytes` is durable."""

    upload_id: bytes
    device_id: bytes
    account_id: bytes
    space_id: bytes
    created_ms: int
    expires_ms: int
    offset_bytes: int = 0
    length_bytes: int | None = None
    digest: bytes | None = None
    state: str = "open"  # open or complete
    blob: bytes = b""


@dataclass(frozen=True, slots=True)
class LinkState:
    """A link as the server knows it. `opens` counts openings."""

    link_id: bytes
    space_id: bytes
    number: int
    tier: str
    token_hash: bytes
    proof_hash: bytes
    publishing_key: bytes
    head: bytes
    head_signature: bytes
    created_ms: int
    starts_ms: int
    expires_ms: int
    max_opens: int
    originals: bool
    revoked: bool
    opens: int
    last_opened_ms: int
    downloads: int


@dataclass(frozen=True, slots=True)
class UploadLinkRow:
    """An upload link: its newest head, empty before the first, and what all its guests together took."""

    link_id: bytes
    space_id: bytes
    head: bytes
    head_signature: bytes
    files: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Opening:
    """One browser's opening of a link: the hashes of its cookie token and of its current hand-over token."""

    link_id: bytes
    opening_id: bytes
    handover_hash: bytes
    handover_expires_ms: int
    now_ms: int
