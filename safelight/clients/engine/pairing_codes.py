"""The member's side of cameras: certifying one, handing it a pairing code, listing and revoking (docs/spec/keys.md)."""

import secrets
from dataclasses import dataclass

from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import check_name
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ledger_entries import CertifyCameraBody, LedgerKind, RevokeCameraBody
from safelight.sync_protocol.ledger_state import Camera
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, PAIRING_MAX_AGE_S
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.pairing import Pairing, build_pairing_uri
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box

DEFAULT_PAIRING_AGE_S = 60 * 60


@dataclass(frozen=True, slots=True)
class PairingCode:
    """A camera waiting to be added. *uri* carries the one-time secret."""

    camera_id: bytes
    uri: str
    expires_ms: int

    def __repr__(self) -> str:
        return f"PairingCode({self.camera_id.hex()})"


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """A camera of the space: its name, whether it waits, works or was revoked, and the album that it fills, if any."""

    camera_id: bytes
    name: str
    bound: bool
    revoked: bool
    expires_ms: int
    album_id: bytes = b""


def _name_place(nonce: bytes, camera_id: bytes, epoch: int) -> bytes:
    return context(Label.CAMERA_NAME, nonce, camera_id, uint(epoch))


async def pair_camera(
    space: SpaceView, name: str, *, max_age_s: int = DEFAULT_PAIRING_AGE_S, quota_bytes: int = 0
) -> PairingCode:
    """Certify a camera and return its pairing code, good once and for *max_age_s* (an hour; at most a day).

    The ledger holds the public half of a key that the code's secret makes, and the dedupe key under another.
    """
    name = check_name(name, "a camera's name")
    if not 0 < max_age_s <= PAIRING_MAX_AGE_S:
        raise Refused(Code.BAD_REQUEST, "a pairing code lives at most a day")
    held = await space.epoch_secrets()
    dedupe_key = await space.dedupe_key()
    secret = secrets.token_bytes(KEY_SIZE_BYTES)
    camera_id, nonce = ids.new_id(), space.state.nonce
    expires_ms = space.session.clock() + max_age_s * 1000
    body = CertifyCameraBody(
        camera_id=camera_id,
        pairing_key=signatures.public_key_of(keytree.pairing_signing_seed(secret)),
        expires_ms=expires_ms,
        quota_bytes=quota_bytes,
        epoch=held.number,
        name=seal_box(
            held.view_metadata_key, _name_place(nonce, camera_id, held.number), name.encode(), nonce=random_nonce()
        ),
        dedupe=seal_box(
            keytree.pairing_box_key(secret),
            context(Label.PAIRING_BOX, nonce, camera_id),
            dedupe_key,
            nonce=random_nonce(),
        ),
    )
    receipt = await space.commit(LedgerKind.CERTIFY_CAMERA, body)
    connection = space.session.connection
    pairing = Pairing(
        server_url=await connection.public_url(),
        server_fingerprint=ids.key_fingerprint(connection.server_key),
        space_id=space.space_id,
        head=Head(receipt.number, receipt.entry_id),
        camera_id=camera_id,
        secret=secret,
    )
    return PairingCode(camera_id, build_pairing_uri(pairing), expires_ms)


async def list_cameras(space: SpaceView) -> list[ListedCamera]:
    """List the space's cameras in the order in which they were certified; guests of upload links are none."""
    cameras = [(camera_id, camera) for camera_id, camera in space.state.cameras.items() if not camera.link_id]
    return [await _listed(space, camera_id, camera) for camera_id, camera in cameras]


async def _listed(space: SpaceView, camera_id: bytes, camera: Camera) -> ListedCamera:
    place = _name_place(space.state.nonce, camera_id, camera.name_epoch)
    try:
        held = await space.epoch_secrets(camera.name_epoch)
        name = open_box(held.view_metadata_key, place, camera.name).decode("utf-8", "replace")
    except Refused as refusal:
        if refusal.code not in DOES_NOT_OPEN:
            raise
        name = "(a name that does not open)"  # a camera is listed, and can be revoked, all the same
    bound = camera.device_key is not None
    return ListedCamera(camera_id, name, bound, camera.revoked, camera.expires_ms, camera.album_id)


async def revoke_camera(space: SpaceView, camera_id: bytes) -> None:
    """Revoke a camera: it adds nothing more, and the space has a new epoch."""
    new = await space.next_epoch()
    await space.commit_epoch(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(camera_id, new.epoch), new)
