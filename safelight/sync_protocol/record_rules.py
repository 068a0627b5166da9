"""What a record may say, by the ledger at its slot: the right that its kind needs, and rules of its content.

docs/spec/records.md. The server refuses by it, and every reader judges again.
"""

from safelight.sync_protocol.ledger_state import LedgerState, authorise
from safelight.sync_protocol.limits import HASH_SIZE_BYTES
from safelight.sync_protocol.log import ENTRY_VERSION, Entry
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AddToAlbumBody,
    CreateAlbumBody,
    OpenRollBody,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RevokeLinkBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.wire import Signed, unpack

BODIES: dict[str, type[Signed]] = {
    RecordKind.OPEN_ROLL: OpenRollBody,
    RecordKind.ADD_ASSETS: AddAssetsBody,
    RecordKind.CREATE_ALBUM: CreateAlbumBody,
    RecordKind.ADD_TO_ALBUM: AddToAlbumBody,
    RecordKind.PUBLISH_LINK: PublishLinkBody,
    RecordKind.REVOKE_LINK: RevokeLinkBody,
}

RIGHT_FOR: dict[str, Right] = {
    RecordKind.OPEN_ROLL: Right.ADD,
    RecordKind.ADD_ASSETS: Right.ADD,
    RecordKind.CREATE_ALBUM: Right.ORGANISE,
    RecordKind.ADD_TO_ALBUM: Right.ORGANISE,
    RecordKind.PUBLISH_LINK: Right.LINK,
    RecordKind.REVOKE_LINK: Right.REVOKE_LINK,
}


def check_record(state: LedgerState, entry: Entry) -> Signed | None:
    """Judge a record by the ledger at its slot and return its body; None for an unknown kind that is not critical.

    Raises ENTRY_UNKNOWN_CRITICAL, ENTRY_MALFORMED, SIGNER_UNKNOWN, SIGNATURE_INVALID, RIGHT_MISSING, EPOCH_OLD,
    POLICY_FORBIDS or ASSET_CONFLICT.
    """
    shape = BODIES.get(entry.header.kind)
    if shape is None or entry.header.version != ENTRY_VERSION:
        # *A space stopped by garbage*: only who stands in it, and signed this, can ask everyone for an update.
        authorise(state, entry, None)
        if entry.header.critical:
            raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, f"{entry.header.kind}, version {entry.header.version}")
        return None
    authorise(state, entry, RIGHT_FOR[entry.header.kind])
    body = unpack(entry.body, shape)
    match body:
        case OpenRollBody() | CreateAlbumBody():
            _check_epoch(state, body.epoch)
        case AddAssetsBody():
            _check_assets(body)
        case PublishLinkBody():
            _check_epoch(state, body.epoch)
            _check_link(state, body)
    return body


def _check_epoch(state: LedgerState, epoch: int) -> None:
    if epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD, f"epoch {epoch}, now {state.epoch.number}")


def _check_assets(body: AddAssetsBody) -> None:
    """Each asset once, each rendition's name and id once, a whole fingerprint or none, and an original first.

    The original is the one file that is never left out.
    """
    if len({asset.asset_id for asset in body.assets}) != len(body.assets):
        raise Refused(Code.ASSET_CONFLICT, "an asset stands twice in one record")
    for asset in body.assets:
        if asset.renditions[0].name is not RenditionName.ORIGINAL:
            raise Refused(Code.ENTRY_MALFORMED, "an asset's first rendition is its original")
        if len(asset.fingerprint) not in (0, HASH_SIZE_BYTES):
            raise Refused(Code.ENTRY_MALFORMED, "a fingerprint is whole or absent")
        if len({rendition.name for rendition in asset.renditions}) != len(asset.renditions):
            # Of two previews one reader would take the first and another the last.
            raise Refused(Code.ENTRY_MALFORMED, "a rendition's name stands twice in one asset")
        if len({rendition.rendition_id for rendition in asset.renditions}) != len(asset.renditions):
            raise Refused(Code.ENTRY_MALFORMED, "a rendition id stands twice in one asset")


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
