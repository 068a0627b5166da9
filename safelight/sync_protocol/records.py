"""Records: what changed in a space. Header ‖ view part ‖ full part, one signature over all of it, wraps included.

docs/spec/records.md. The bodies here are what the server must read; what only members read stands in `ViewPart` and
`FullPart` and travels sealed.
"""

from enum import StrEnum, unique
from typing import Annotated, Literal, TypeAlias

import msgspec

from safelight.sync_protocol.account_ledger import InboxKey, PublicKey
from safelight.sync_protocol.ids import Hash, Id, OptionalHash
from safelight.sync_protocol.limits import (
    MAX_ASSETS_PER_RECORD,
    MAX_BLOB_SIZE_BYTES,
    MAX_LINK_BLOBS,
    MAX_MANIFEST_PAGES,
    MAX_NOTE_BOX_SIZE_BYTES,
    MAX_RENDITIONS_PER_ASSET,
    MAX_TITLE_BOX_SIZE_BYTES,
)
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.wire import (
    Count,
    Sealed,
    SealedField,
    SignatureBytes,
    Signed,
    SizeBytes,
    TimeMs,
    WideInteger,
    unpack,
)


@unique
class RecordKind(StrEnum):
    """What a record does."""

    OPEN_ROLL = "roll.open"
    ADD_ASSETS = "asset.add"
    OPEN_ALBUM_ROLL = "roll.open-album"
    ADD_ALBUM_ASSETS = "asset.add-album"
    CREATE_ALBUM = "album.create"
    ADD_TO_ALBUM = "album.add"
    SHOW_IN_ALBUM = "album.show"
    REMOVE_FROM_ALBUM = "album.remove"
    RENAME_ALBUM = "album.rename"
    SET_ALBUM_RULES = "album.rules"
    APPROVE_ASSETS = "asset.approve"
    PUBLISH_LINK = "link.publish"
    REVOKE_LINK = "link.revoke"
    PUBLISH_INBOX = "link.inbox"
    TRASH_ASSETS = "asset.trash"
    RESTORE_ASSETS = "asset.restore"
    PROPOSE_DELETION = "deletion.propose"
    DECIDE_DELETION = "deletion.decide"


@unique
class RenditionName(StrEnum):
    """One file of an asset. The first four are of the full tier, the others of the view tier."""

    ORIGINAL = "original"
    MOTION = "motion"
    RAW = "raw"
    SIDECAR = "sidecar"
    PREVIEW = "preview"
    THUMBNAIL = "thumbnail"


VIEW_RENDITIONS = frozenset({RenditionName.PREVIEW, RenditionName.THUMBNAIL})


def tier_of_rendition(name: RenditionName) -> Tier:
    """The tier whose key opens the rendition."""
    return Tier.VIEW if name in VIEW_RENDITIONS else Tier.FULL


FloeHeader = Annotated[bytes, msgspec.Meta(min_length=74, max_length=74)]


class OpenRollBody(Signed, frozen=True):
    """A roll: its key sealed to the epoch's full inbox, its view key to the view inbox (HPKE).

    HPKE info is `context(ROLL_FULL | ROLL_VIEW, space id, epoch, roll id, device id)`.
    """

    roll_id: Id
    epoch: Count
    full: Annotated[bytes, msgspec.Meta(max_length=2048)]
    view: Annotated[bytes, msgspec.Meta(max_length=2048)]


class RenditionRef(Signed, frozen=True):
    """A rendition's blob: name (SHA-256 of the stored bytes), stored size, and the FLOE header that readers use."""

    name: RenditionName
    rendition_id: Id
    blob: Hash
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOB_SIZE_BYTES)]
    header: FloeHeader


class AssetBody(Signed, frozen=True):
    """One asset. `fingerprint` is empty where the adder holds no dedupe key.

    `wrap_full` boxes the asset key under the roll's wrap key, `wrap_view` the asset view key under the roll's view
    wrap key (associated data `context(ROLL_WRAP, space id, roll id, asset id, tier)`). `view` and `full` box the packed
    `ViewPart` and `FullPart` under the asset's metadata keys (`context(ASSET_FIELD, space id, roll id, asset id,
    tier)`).
    """

    asset_id: Id
    fingerprint: OptionalHash
    renditions: Annotated[list[RenditionRef], msgspec.Meta(min_length=1, max_length=MAX_RENDITIONS_PER_ASSET)]
    wrap_full: SealedField
    wrap_view: SealedField
    view: SealedField
    full: SealedField


class AddAssetsBody(Signed, frozen=True):
    """Assets added under one roll; the first rendition of each is its original."""

    roll_id: Id
    assets: Annotated[list[AssetBody], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


class OpenAlbumRollBody(Signed, frozen=True):
    """A roll whose assets are in a shared album as well: its keys sealed to the inboxes of both.

    `full` and `view` as in `OpenRollBody`; `album_full` and `album_view` are sealed to the inboxes of the album's
    newest generation (HPKE info `context(ALBUM_ROLL_FULL | ALBUM_ROLL_VIEW, space id, album id, generation, roll id,
    device id)`).
    """

    roll_id: Id
    epoch: Count
    full: Annotated[bytes, msgspec.Meta(max_length=2048)]
    view: Annotated[bytes, msgspec.Meta(max_length=2048)]
    album_id: Id
    generation: Count
    album_full: Annotated[bytes, msgspec.Meta(max_length=2048)]
    album_view: Annotated[bytes, msgspec.Meta(max_length=2048)]


class AddAlbumAssetsBody(Signed, frozen=True):
    """Assets added under one roll of a shared album, to the space and to the album; else as in `AddAssetsBody`."""

    roll_id: Id
    album_id: Id
    generation: Count
    assets: Annotated[list[AssetBody], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


class CreateAlbumBody(Signed, frozen=True):
    """An album and its first generation of keys.

    `key_full` boxes the album key under the epoch's full metadata key, `key_view` the album view key under the epoch's
    view metadata key (`context(ALBUM_KEY, space id, album id, generation, epoch, tier)`); `title` is boxed under the
    album's metadata key (`context(ALBUM_FIELD, space id, album id, generation, "title")`).
    """

    album_id: Id
    generation: Count
    epoch: Count
    full_inbox: InboxKey
    view_inbox: InboxKey
    key_full: SealedField
    key_view: SealedField
    title: SealedField


class AlbumItem(Signed, frozen=True):
    """An asset in an album: its keys wrapped again, tier by tier.

    Associated data: `context(ALBUM_WRAP, space id, album id, generation, asset id, tier)`.
    """

    asset_id: Id
    wrap_full: SealedField
    wrap_view: SealedField


class AddToAlbumBody(Signed, frozen=True):
    """Assets added to an album that its space's members alone see, in order."""

    album_id: Id
    generation: Count
    items: Annotated[list[AlbumItem], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


class ShownItem(Signed, frozen=True):
    """An asset in a shared album, whole, as the album's log has no other record of it.

    `asset` is that of its own record, added under `roll_id`, but for its wraps, which are the album's (as in
    `AlbumItem`), and its fingerprint, which says nothing to who reads the album alone and is empty.
    """

    roll_id: Id
    asset: AssetBody


class ShowInAlbumBody(Signed, frozen=True):
    """Assets added to a shared album, in order, under its newest generation; `log` is where the album's log ended."""

    album_id: Id
    generation: Count
    log: Head
    items: Annotated[list[ShownItem], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


AssetIds = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


class RemoveFromAlbumBody(Signed, frozen=True):
    """Assets taken out of an album, each once. They stay in the space, and may be added to the album again.

    `log` is where the album's own log ended, (0, empty) as long as it is not shared.
    """

    album_id: Id
    log: Head
    asset_ids: AssetIds


class RenameAlbumBody(Signed, frozen=True):
    """An album's title from now on; the newest that opens counts.

    `generation` is the newest of a shared album, else 1. `title` is boxed under the album's metadata key of it
    (`context(ALBUM_FIELD, space id, album id, generation, "renamed", author id, u64(log's number), log's hash)`), with
    `log` as in `RemoveFromAlbumBody`.
    """

    album_id: Id
    generation: Count
    log: Head
    title: Annotated[bytes, msgspec.Meta(max_length=MAX_TITLE_BOX_SIZE_BYTES)]


Added: TypeAlias = AddAssetsBody | AddAlbumAssetsBody


def added_by(kind: str, body: bytes) -> Added:
    """Return what a record that adds assets says, of either kind; raises ENTRY_MALFORMED."""
    if kind == RecordKind.ADD_ALBUM_ASSETS:
        return unpack(body, AddAlbumAssetsBody)
    return unpack(body, AddAssetsBody)


def opened_by(kind: str, body: bytes) -> OpenRollBody | OpenAlbumRollBody:
    """Return what a record that opens a roll says, of either kind; raises ENTRY_MALFORMED."""
    if kind == RecordKind.OPEN_ALBUM_ROLL:
        return unpack(body, OpenAlbumRollBody)
    return unpack(body, OpenRollBody)


def is_the_same(item: ShownItem, roll_id: bytes, own: AssetBody) -> bool:
    """Whether an item shows the asset that the space's own record added: its files and metadata, under other wraps."""
    shown = item.asset
    return (item.roll_id, shown.asset_id, shown.renditions, shown.view, shown.full) == (
        roll_id,
        own.asset_id,
        own.renditions,
        own.view,
        own.full,
    )


class PageRef(Signed, frozen=True):
    """A blob made for one link, by name and stored size: a page of its manifest, or a picture that it alone shows."""

    blob: Hash
    size_bytes: SizeBytes


class LinkPolicy(Signed, frozen=True):
    """What the server holds a link to. 0 means no limit; `originals` says whether originals may be fetched."""

    starts_ms: TimeMs
    expires_ms: TimeMs
    max_opens: Count
    originals: bool


class PublishLinkBody(Signed, frozen=True):
    """A link and its first manifest.

    `token_hash` is the SHA-256 of the access token, `proof_hash` that of the password proof (empty without a password).
    `head` is the packed `links.ManifestHead`, `head_signature` its signature by `publishing_key`. `view_blobs` and
    `full_blobs` are the assets' blobs that the link's sessions may fetch; `made_blobs`, which stands in place of both,
    are blobs made for this link alone (watermarked pictures). `makers` boxes a packed `links.MakersCopy` under the
    epoch's full metadata key (`context(LINK_MAKERS, space id, link id, epoch)`).
    """

    link_id: Id
    album_id: Id
    tier: Literal["view", "full"]
    epoch: Count
    token_hash: Hash
    proof_hash: OptionalHash
    publishing_key: PublicKey
    head: Annotated[bytes, msgspec.Meta(max_length=128 * 1024)]
    head_signature: SignatureBytes
    pages: Annotated[list[PageRef], msgspec.Meta(min_length=1, max_length=MAX_MANIFEST_PAGES)]
    view_blobs: Annotated[list[Hash], msgspec.Meta(max_length=MAX_LINK_BLOBS)]
    full_blobs: Annotated[list[Hash], msgspec.Meta(max_length=MAX_LINK_BLOBS)]
    made_blobs: Annotated[list[PageRef], msgspec.Meta(max_length=MAX_LINK_BLOBS)]
    policy: LinkPolicy
    makers: SealedField


class RevokeLinkBody(Signed, frozen=True):
    """The link opens no more."""

    link_id: Id


class PublishInboxBody(Signed, frozen=True):
    """An upload link's head, as its guests are given it: a packed `upload_links.UploadHead`, and its signature."""

    link_id: Id
    head: Annotated[bytes, msgspec.Meta(max_length=16 * 1024)]
    head_signature: SignatureBytes


class TrashAssetsBody(Signed, frozen=True):
    """Assets put into the trash, each once. Nothing of them goes away: see `trash.py`."""

    asset_ids: AssetIds


class RestoreAssetsBody(Signed, frozen=True):
    """Assets taken out of the trash, each once."""

    asset_ids: AssetIds


class ProposeDeletionBody(Signed, frozen=True):
    """Assets proposed for the trash, each once, and why.

    `note` boxes the padded text, which may be empty, under the epoch's full metadata key (`context(DELETION_NOTE,
    space id, epoch, author id, asset ids …)`).
    """

    epoch: Count
    asset_ids: AssetIds
    note: Annotated[bytes, msgspec.Meta(max_length=MAX_NOTE_BOX_SIZE_BYTES)]


class DecideDeletionBody(Signed, frozen=True):
    """What becomes of assets that are proposed for the trash: they go there, or stay and are proposed no more."""

    asset_ids: AssetIds
    confirmed: bool


class RenditionInfo(Sealed, frozen=True):
    """What only readers know of a rendition: its true length, media type and pixels."""

    length_bytes: SizeBytes
    media_type: str
    width: Count = 0
    height: Count = 0


class ViewPart(Sealed, frozen=True):
    """Display metadata, open to the view tier.

    `taken_local` is ISO 8601 without a zone, `taken_offset_min` the minutes east of UTC where they are known.
    """

    kind: Literal["photo", "video", "file"]
    width: Count = 0
    height: Count = 0
    duration_ms: Count = 0
    thumbhash: bytes = b""
    caption: str = ""
    taken_local: str = ""
    taken_offset_min: Annotated[int, msgspec.Meta(ge=-1440, le=1440)] | None = None
    renditions: dict[str, RenditionInfo] = {}


class Place(Sealed, frozen=True):
    """Where a picture was taken: WGS 84 degrees, metres above the sea."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    altitude_m: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] | None = None


class FullPart(Sealed, frozen=True):
    """All other metadata, open to the full tier. `modified_ns` is the file's modification time since 1970 UTC."""

    name: str
    sha256: Hash
    size_bytes: SizeBytes
    media_type: str
    modified_ns: WideInteger
    place: Place | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    keywords: list[str] = []
    rights: str = ""
    exif: dict[str, str] = {}
    renditions: dict[str, RenditionInfo] = {}
