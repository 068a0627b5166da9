"""A commit as the database takes it: an entry, the facts that must hold, and what changes with it; and the answers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from safelight.server.domain.ports.rows import DeviceRow
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.trash import AboutTrash


@dataclass(frozen=True, slots=True)
class BlobUse:
    """A blob that a commit names: it must be held in the space at this stored size.

    `tier` is view or full, and of what belongs to a link page or made.
    """

    name: bytes
    size_bytes: int
    tier: str
    owner_id: bytes  # the asset or link that it belongs to
    rendition: str


@dataclass(frozen=True, slots=True)
class AssetUse:
    """An asset that a commit adds; its id must be new. `fingerprint` may be empty."""

    asset_id: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class RollUse:
    """A roll that a commit opens (`opens`) or adds `assets` to: the device's own, and of the space's epoch."""

    roll_id: bytes
    opens: bool
    epoch: int
    assets: int
    max_assets: int
    max_age_s: int


@dataclass(frozen=True, slots=True)
class AlbumUse:
    """The next entry of a shared album's own log, and what it adds to the album: blobs that records name, by tier.

    The album's own log must end at `log`, unless that is None: who adds and reads nothing does not follow it. What is
    added under a roll was opened for the same generation of the album; what adds nothing is of none (0).
    """

    album_id: bytes
    generation: int
    log: Head | None
    blobs: Sequence[tuple[bytes, str]] = ()


@dataclass(frozen=True, slots=True)
class GuestUse:
    """What a guest adds by an upload link, which takes so much of all guests together."""

    link_id: bytes
    files: int
    max_files: int
    quota_bytes: int


@dataclass(frozen=True, slots=True)
class NewInbox:
    """An upload link's head for its guests; `number` is higher than that of the one before."""

    link_id: bytes
    number: int
    head: bytes
    head_signature: bytes


@dataclass(frozen=True, slots=True)
class IntoAlbum:
    """Assets that a commit brings into an album, shared or not; they are there, or come with the same commit."""

    album_id: bytes
    asset_ids: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class OutOfAlbum:
    """Assets that a commit takes out of an album, shared or not: all of them are in it."""

    album_id: bytes
    asset_ids: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class AlbumRules:
    """Whether an album's links show approved pictures only, from a commit on."""

    album_id: bytes
    requires_approval: bool


@dataclass(frozen=True, slots=True)
class Approvals:
    """Assets of an album that a commit approves, each with its content, or whose approval it withdraws."""

    album_id: bytes
    approved: bool
    items: Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that a commit publishes."""

    link_id: bytes
    tier: str
    album_id: bytes
    token_hash: bytes
    proof_hash: bytes
    publishing_key: bytes
    head: bytes
    head_signature: bytes
    starts_ms: int
    expires_ms: int
    max_opens: int
    originals: bool
    view_blobs: Sequence[bytes]
    full_blobs: Sequence[bytes]
    pages: Sequence[bytes]
    made_blobs: Sequence[bytes] = ()

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Every blob that the link may fetch, each with what it is to the link: page, made, view or full."""
        kinds = (("page", self.pages), ("made", self.made_blobs), ("view", self.view_blobs), ("full", self.full_blobs))
        return ((kind, name) for kind, names in kinds for name in names)

    def asset_blobs(self) -> list[bytes]:
        """Those that are assets' own."""
        return [*self.view_blobs, *self.full_blobs]


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry, judged by the ledger at `ledger_number`, and all that must hold and change with it, or not at all."""

    space_id: bytes
    entry_id: bytes
    envelope: bytes
    kind: str
    author_id: bytes
    device_id: bytes
    counter: int
    previous_id: bytes
    ledger_number: int
    now_ms: int
    is_ledger: bool = False
    genesis_kind: str = ""  # set for the first entry of a space: it is created by this commit
    quota_bytes: int = 0  # for genesis
    epoch: int = 0  # the epoch after this entry, for ledger entries
    members: Sequence[tuple[bytes, str]] = ()  # account id, role: all members after this entry, for ledger entries
    cameras: Sequence[DeviceRow] = ()  # cameras bound by this entry
    revoked_devices: Sequence[bytes] = ()
    boxes: Sequence[tuple[int, bytes, bytes]] = ()  # epoch, account id, box
    roll: RollUse | None = None
    assets: Sequence[AssetUse] = ()
    blobs: Sequence[BlobUse] = ()
    known_assets: Sequence[bytes] = ()  # assets that must be there (records of albums and of the trash)
    album: AlbumUse | None = None
    into_album: IntoAlbum | None = None
    out_of_album: OutOfAlbum | None = None
    album_rules: AlbumRules | None = None
    approvals: Approvals | None = None
    link: NewLink | None = None
    revoked_link: bytes = b""
    new_upload_link: bytes = b""
    guest: GuestUse | None = None
    inbox: NewInbox | None = None
    trash: AboutTrash | None = None  # what it does to the trash; of its assets one at least must change
    camera_quota_bytes: int = 0  # 0: none
    entry_bytes: int = 0  # what the entry itself takes, counted as used beside its blobs


@dataclass(frozen=True, slots=True)
class Committed:
    """The entry stands at this slot; `repeated` if it did before, with its first answer."""

    number: int
    chain: bytes
    time_ms: int
    blobs: Sequence[bytes]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The entry was refused and nothing of it is written. LEDGER_MOVED is ENTRY_STALE: judge it anew and retry."""

    code: Code
    detail: str = ""


class SomeFailed(Exception):
    """Of a batch some failed for a reason that no check foresaw; `outcomes` has each one's answer, or its failure."""

    def __init__(self, outcomes: Sequence[Committed | Rejected | Exception]) -> None:
        super().__init__("some commits of a batch failed")
        self.outcomes = outcomes


class Joining(Protocol):
    """What has come while a batch waited to be committed, and may be committed with it."""

    def space_ids(self) -> Collection[bytes]:
        """Return the spaces that something has come for."""
        ...

    def take(self, space_ids: Collection[bytes]) -> Sequence[Commit]:
        """Hand over what has come for these spaces, and for no other, in its order."""
        ...
