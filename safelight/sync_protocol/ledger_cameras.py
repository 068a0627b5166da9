"""Cameras in the space ledger: certified, bound once, pointed at an album, revoked. docs/spec/log.md §5."""

from msgspec.structs import replace

from safelight.sync_protocol import signatures
from safelight.sync_protocol.ledger_entries import (
    BindCameraBody,
    CertifyCameraBody,
    PointCameraBody,
    RevokeCameraBody,
    bind_message,
)
from safelight.sync_protocol.ledger_epochs import after_loss
from safelight.sync_protocol.ledger_state import Camera, LedgerState, authorise
from safelight.sync_protocol.limits import PAIRING_MAX_AGE_S
from safelight.sync_protocol.log import Entry, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right


def change_cameras(
    state: LedgerState, entry: Entry, body: CertifyCameraBody | BindCameraBody | RevokeCameraBody | PointCameraBody
) -> LedgerState:
    """Take an entry about a camera; raises what the ledger raises."""
    match body:
        case CertifyCameraBody():
            return _certify_camera(state, entry, body)
        case BindCameraBody():
            return _bind_camera(state, entry, body)
        case RevokeCameraBody():
            return _revoke_camera(state, entry, body)
        case _:
            return _point_camera(state, entry, body)


def _certify_camera(state: LedgerState, entry: Entry, body: CertifyCameraBody) -> LedgerState:
    authorise(state, entry, Right.ADD)
    if entry.header.author_id not in state.members:
        raise Refused(Code.RIGHT_MISSING, "a camera certifies no cameras")
    if body.camera_id in state.cameras or body.camera_id in state.members:
        raise Refused(Code.LEDGER_RULE, "the camera's id is taken")
    if body.expires_ms > entry.header.signed_ms + PAIRING_MAX_AGE_S * 1000:
        raise Refused(Code.LEDGER_RULE, "a pairing code lives at most a day")
    if body.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD)
    camera = Camera(
        certified_by=entry.header.author_id,
        pairing_key=body.pairing_key,
        expires_ms=body.expires_ms,
        quota_bytes=body.quota_bytes,
        name=body.name,
        name_epoch=body.epoch,
        dedupe=body.dedupe,
    )
    return replace(state, cameras={**state.cameras, body.camera_id: camera})


def _bind_camera(state: LedgerState, entry: Entry, body: BindCameraBody) -> LedgerState:
    """The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides."""
    camera = state.cameras.get(body.camera_id)
    header = entry.header
    if camera is None or camera.revoked or not state.may_add(camera.certified_by):
        raise Refused(Code.SIGNER_UNKNOWN)
    if header.author_id != body.camera_id or header.device_id != body.camera_id:
        raise Refused(Code.SIGNER_UNKNOWN)
    if camera.device_key is not None:
        raise Refused(Code.CAMERA_ALREADY_BOUND)
    if header.signed_ms > camera.expires_ms:
        raise Refused(Code.PAIRING_EXPIRED)
    message = bind_message(state.space_id, body.camera_id, body.device_key)
    signatures.verify(camera.pairing_key, body.pairing_signature, message)
    verify_entry(entry, body.device_key)
    return replace(state, cameras={**state.cameras, body.camera_id: replace(camera, device_key=body.device_key)})


def _revoke_camera(state: LedgerState, entry: Entry, body: RevokeCameraBody) -> LedgerState:
    """Its certifier may, and who may manage members."""
    camera = state.cameras.get(body.camera_id)
    authorise(state, entry, None)
    if camera is None or camera.revoked:
        raise Refused(Code.LEDGER_RULE, "there is no such camera to revoke")
    author_id = entry.header.author_id
    if author_id != camera.certified_by and Right.MEMBERS not in state.rights_of(author_id):
        raise Refused(Code.RIGHT_MISSING, Right.MEMBERS.value)
    revoked = replace(state, cameras={**state.cameras, body.camera_id: replace(camera, revoked=True)})
    return after_loss(revoked, entry, body.epoch)


def _point_camera(state: LedgerState, entry: Entry, body: PointCameraBody) -> LedgerState:
    """Who organises may, for its own cameras; and for others' who may manage members."""
    authorise(state, entry, Right.ORGANISE)
    camera = state.cameras.get(body.camera_id)
    if camera is None or camera.revoked or camera.link_id:
        raise Refused(Code.LEDGER_RULE, "there is no such camera to point")
    author_id = entry.header.author_id
    if author_id != camera.certified_by and Right.MEMBERS not in state.rights_of(author_id):
        raise Refused(Code.RIGHT_MISSING, Right.MEMBERS.value)
    if body.album_id and body.album_id not in state.albums:
        raise Refused(Code.LEDGER_RULE, "that album is not shared")
    if body.album_id == camera.album_id:
        raise Refused(Code.LEDGER_RULE, "that is where the camera is pointed already")
    pointed = replace(camera, album_id=body.album_id)
    return replace(state, cameras={**state.cameras, body.camera_id: pointed})
