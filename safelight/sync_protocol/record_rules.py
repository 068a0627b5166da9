"""What a record may say, by the ledger at its slot: the right that its kind needs, and rules of its content.

docs/spec/records.md. The server refuses by it, and every reader judges again.
"""

from collections.abc import Sequence

from safelight.sync_protocol.approvals import AlbumRulesBody, ApproveAssetsBody, check_about_approval
from safelight.sync_protocol.grant_entries import FIRST_SHARED_GENERATION
from safelight.sync_protocol.ledger_state import LedgerState, authorise
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.log import ENTRY_VERSION, NO_HEAD, Entry
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddAssetsBody,
    AddToAlbumBody,
    AssetBody,
    CreateAlbumBody,
    DecideDeletionBody,
    OpenAlbumRollBody,
    OpenRollBody,
    ProposeDeletionBody,
    PublishInboxBody,
    PublishLinkBody,
    RecordKind,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RenditionName,
    RestoreAssetsBody,
    RevokeLinkBody,
    ShowInAlbumBody,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.upload_links import check_upload_head, read_upload_head
from safelight.sync_protocol.wire import Signed, unpack

BODIES: dict[str, type[Signed]] = {
    RecordKind.OPEN_ROLL: OpenRollBody,
    RecordKind.ADD_ASSETS: AddAssetsBody,
    RecordKind.OPEN_ALBUM_ROLL: OpenAlbumRollBody,
    RecordKind.ADD_ALBUM_ASSETS: AddAlbumAssetsBody,
    RecordKind.CREATE_ALBUM: CreateAlbumBody,
    RecordKind.ADD_TO_ALBUM: AddToAlbumBody,
    RecordKind.SHOW_IN_ALBUM: ShowInAlbumBody,
    RecordKind.REMOVE_FROM_ALBUM: RemoveFromAlbumBody,
    RecordKind.RENAME_ALBUM: RenameAlbumBody,
    RecordKind.SET_ALBUM_RULES: AlbumRulesBody,
    RecordKind.APPROVE_ASSETS: ApproveAssetsBody,
    RecordKind.PUBLISH_LINK: PublishLinkBody,
    RecordKind.REVOKE_LINK: RevokeLinkBody,
    RecordKind.PUBLISH_INBOX: PublishInboxBody,
    RecordKind.TRASH_ASSETS: TrashAssetsBody,
    RecordKind.RESTORE_ASSETS: RestoreAssetsBody,
    RecordKind.PROPOSE_DELETION: ProposeDeletionBody,
    RecordKind.DECIDE_DELETION: DecideDeletionBody,
}

# None: what it needs depends on the album (`LedgerState.may_add_to` and `may_organise`), or on what is said
# (`approvals.py`).
RIGHT_FOR: dict[str, Right | None] = {
    RecordKind.OPEN_ROLL: Right.ADD,
    RecordKind.ADD_ASSETS: Right.ADD,
    RecordKind.OPEN_ALBUM_ROLL: None,
    RecordKind.ADD_ALBUM_ASSETS: None,
    RecordKind.CREATE_ALBUM: Right.ORGANISE,
    RecordKind.ADD_TO_ALBUM: Right.ORGANISE,
    RecordKind.SHOW_IN_ALBUM: Right.ORGANISE,
    RecordKind.REMOVE_FROM_ALBUM: None,
    RecordKind.RENAME_ALBUM: None,
    RecordKind.SET_ALBUM_RULES: None,
    RecordKind.APPROVE_ASSETS: Right.APPROVE,
    RecordKind.PUBLISH_LINK: Right.LINK,
    RecordKind.REVOKE_LINK: Right.REVOKE_LINK,
    RecordKind.PUBLISH_INBOX: Right.LINK,
    RecordKind.TRASH_ASSETS: Right.TRASH,
    RecordKind.RESTORE_ASSETS: Right.TRASH,
    RecordKind.PROPOSE_DELETION: Right.PROPOSE_DELETION,
    RecordKind.DECIDE_DELETION: Right.APPROVE,  # and that to trash
}


def check_record(state: LedgerState, entry: Entry) -> Signed | None:
    """Judge a record by the ledger at its slot and return its body; None for an unknown kind that is not critical.

    Raises ENTRY_UNKNOWN_CRITICAL, ENTRY_MALFORMED, SIGNER_UNKNOWN, SIGNATURE_INVALID, RIGHT_MISSING, EPOCH_OLD,
    GENERATION_OLD, ALBUM_STALE, POLICY_FORBIDS, ASSET_CONFLICT, UPLOAD_LINK_OVER or MANIFEST_INVALID.
    """
    shape = BODIES.get(entry.header.kind)
    if shape is None or entry.header.version != ENTRY_VERSION:
        _check_unknown(state, entry)
        return None
    authorise(state, entry, RIGHT_FOR[entry.header.kind])
    _check_guest(state, entry)
    body = unpack(entry.body, shape)
    match body:
        case OpenRollBody() | CreateAlbumBody():
            _check_epoch(state, body.epoch)
        case AddAssetsBody():
            check_added(state, entry, body)
        case OpenAlbumRollBody() | AddAlbumAssetsBody() | AddToAlbumBody() | ShowInAlbumBody():
            _check_into_album(state, entry, body)
        case RemoveFromAlbumBody() | RenameAlbumBody():
            _check_organised(state, entry, body)
        case AlbumRulesBody() | ApproveAssetsBody():
            check_about_approval(state, entry, body)
        case PublishLinkBody():
            _check_epoch(state, body.epoch)
            _check_link(state, body)
        case PublishInboxBody():
            _check_inbox(state, entry, body)
        case TrashAssetsBody() | RestoreAssetsBody() | ProposeDeletionBody() | DecideDeletionBody():
            _check_trash(state, entry, body)
    return body


def _check_into_album(
    state: LedgerState,
    entry: Entry,
    body: OpenAlbumRollBody | AddAlbumAssetsBody | AddToAlbumBody | ShowInAlbumBody,
) -> None:
    match body:
        case OpenAlbumRollBody():
            _check_adds(state, entry, body)
            _check_epoch(state, body.epoch)
            _check_generation(state, entry, body)
        case AddAlbumAssetsBody():
            _check_adds(state, entry, body)
            _check_generation(state, entry, body)
            check_added(state, entry, body)
        case AddToAlbumBody():
            if body.album_id in state.albums:
                # What only members open would be missing in what grantees see.
                raise Refused(Code.GENERATION_OLD, "the album is shared by now")
        case _:
            _check_shown(state, entry, body)


def _check_organised(state: LedgerState, entry: Entry, body: RemoveFromAlbumBody | RenameAlbumBody) -> None:
    """Who takes pictures out of an album, or renames it, organises, or was let by a grant of this very album.

    An album that is not shared has no log of its own.
    """
    if not state.may_organise(entry.header.author_id, body.album_id, entry.header.signed_ms):
        raise Refused(Code.RIGHT_MISSING, "to organise this album")
    is_shared = body.album_id in state.albums
    if not is_shared and body.log != NO_HEAD:
        raise Refused(Code.ALBUM_STALE, "the album is not shared")
    if isinstance(body, RemoveFromAlbumBody):
        _check_each_once(body.asset_ids)
    elif is_shared or body.generation != FIRST_SHARED_GENERATION - 1:
        _check_generation(state, entry, body)


def _check_unknown(state: LedgerState, entry: Entry) -> None:
    """*A space stopped by garbage*: only who stands in it, and signed this, can ask everyone for an update.

    Nor does whoever has an upload link's address stop it, or fill it with what no quota counts.
    """
    authorise(state, entry, None)
    if state.guest_link(entry.header.author_id):
        raise Refused(Code.RIGHT_MISSING, "a guest signs nothing but what it adds")
    if entry.header.critical:
        raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, f"{entry.header.kind}, version {entry.header.version}")


def _check_guest(state: LedgerState, entry: Entry) -> None:
    """What came by an upload link was signed while the link stood: *a guest who adds for ever*."""
    link_id = state.guest_link(entry.header.author_id)
    if link_id and not state.upload_link_stands(link_id, entry.header.signed_ms):
        raise Refused(Code.UPLOAD_LINK_OVER)


def _check_inbox(state: LedgerState, entry: Entry, body: PublishInboxBody) -> None:
    """What guests are told to seal to is what the ledger says, and where both logs end what its signer knew."""
    link = state.upload_links.get(body.link_id)
    if link is None or not state.upload_link_stands(body.link_id, entry.header.signed_ms):
        raise Refused(Code.UPLOAD_LINK_OVER)
    head = read_upload_head(body.link_id, body.head, body.head_signature, link.publishing_key)
    if (head.ledger, head.log) != (entry.header.ledger, entry.header.log):
        raise Refused(Code.MANIFEST_INVALID, "it names other heads than its record")
    check_upload_head(state, head)


def _check_epoch(state: LedgerState, epoch: int) -> None:
    if epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD, f"epoch {epoch}, now {state.epoch.number}")


def _check_adds(state: LedgerState, entry: Entry, body: OpenAlbumRollBody | AddAlbumAssetsBody) -> None:
    if not state.may_add_to(entry.header.author_id, body.album_id, entry.header.signed_ms):
        raise Refused(Code.RIGHT_MISSING, "to add to this album")


def check_added(state: LedgerState, entry: Entry, body: AddAssetsBody | AddAlbumAssetsBody) -> None:
    """Check what is added, and that who holds no dedupe key names no fingerprint; ENTRY_MALFORMED, ASSET_CONFLICT.

    *A poisoned fingerprint makes a phone skip a photograph*: who cannot make one has it from somebody else.
    """
    _check_assets(body.assets)
    if any(asset.fingerprint for asset in body.assets) and not state.holds_dedupe_key(entry.header.author_id):
        raise Refused(Code.ENTRY_MALFORMED, "who holds no dedupe key names no fingerprint")


def _check_generation(
    state: LedgerState, entry: Entry, body: OpenAlbumRollBody | AddAlbumAssetsBody | ShowInAlbumBody | RenameAlbumBody
) -> None:
    """*An ended grant reads what is added later*: not under keys that it, or whoever left the space, still has.

    When a grant has expired the signer says by its own clock, so that everyone judges alike.
    """
    album = state.albums.get(body.album_id)
    if album is None:
        raise Refused(Code.GENERATION_OLD, "the album is not shared")
    stands = state.generation_stands(body.album_id, entry.header.signed_ms)
    if body.generation != album.generation.number or not stands:
        raise Refused(Code.GENERATION_OLD, f"generation {body.generation}")


def _check_shown(state: LedgerState, entry: Entry, body: ShowInAlbumBody) -> None:
    _check_generation(state, entry, body)
    _check_assets([item.asset for item in body.items])
    if any(item.asset.fingerprint for item in body.items):
        raise Refused(Code.ENTRY_MALFORMED, "a fingerprint is nothing to who reads the album alone")


def _check_assets(assets: Sequence[AssetBody]) -> None:
    """Each asset once, each rendition's name and id once, a whole fingerprint or none, and an original first.

    The original is the one file that is never left out.
    """
    _check_each_once([asset.asset_id for asset in assets])
    for asset in assets:
        if asset.renditions[0].name is not RenditionName.ORIGINAL:
            raise Refused(Code.ENTRY_MALFORMED, "an asset's first rendition is its original")
        if len(asset.fingerprint) not in (0, HASH_SIZE_BYTES):
            raise Refused(Code.ENTRY_MALFORMED, "a fingerprint is whole or absent")
        if len({rendition.name for rendition in asset.renditions}) != len(asset.renditions):
            # Of two previews one reader would take the first and another the last.
            raise Refused(Code.ENTRY_MALFORMED, "a rendition's name stands twice in one asset")
        if len({rendition.rendition_id for rendition in asset.renditions}) != len(asset.renditions):
            raise Refused(Code.ENTRY_MALFORMED, "a rendition id stands twice in one asset")


def _check_trash(
    state: LedgerState,
    entry: Entry,
    body: TrashAssetsBody | RestoreAssetsBody | ProposeDeletionBody | DecideDeletionBody,
) -> None:
    """Who decides for others puts nothing into the trash that they could not have put there themselves."""
    if isinstance(body, ProposeDeletionBody):
        _check_epoch(state, body.epoch)
    elif isinstance(body, DecideDeletionBody) and Right.TRASH not in state.rights_of(entry.header.author_id):
        raise Refused(Code.RIGHT_MISSING, Right.TRASH.value)
    _check_each_once(body.asset_ids)


def _check_each_once(asset_ids: Sequence[bytes]) -> None:
    if len(set(asset_ids)) != len(asset_ids):
        raise Refused(Code.ASSET_CONFLICT, "an asset stands twice in one record")


def _check_link(state: LedgerState, body: PublishLinkBody) -> None:
    if len(body.proof_hash) not in (0, HASH_SIZE_BYTES):
        raise Refused(Code.ENTRY_MALFORMED, "a password proof's hash is whole or absent")
    allowed = state.policy.links
    if allowed == "none" or (allowed == "view" and body.tier == "full"):
        raise Refused(Code.POLICY_FORBIDS, f"links of the {body.tier} tier are not allowed in this space")
    if body.tier == "view" and (body.full_blobs or body.policy.originals):
        raise Refused(Code.ENTRY_MALFORMED, "a link of the view tier names no blob of the full tier")
    if body.made_blobs and (body.tier == "full" or body.view_blobs):
        # *The clean preview asked for through a watermarked link*: it is not among what the link may fetch.
        raise Refused(Code.ENTRY_MALFORMED, "a link shows pictures made for it or the assets' own, never both")
