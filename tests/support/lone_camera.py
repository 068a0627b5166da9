"""A camera that uploads one file: what the camera client does, at its shortest."""

from pathlib import Path

from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.cameras import CameraSession
from safelight.clients.engine.files import seal_file
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import FullPart, RenditionName, ViewPart
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint


async def camera_adds(camera: CameraSession, path: Path) -> Receipt:
    """Seal, upload and commit one file, and forget the roll."""
    keeper = RollKeeper(camera.committer, camera.profile.camera_id, sealing_to(lambda: camera.view.state))
    roll = await keeper.roll()
    asset = roll.new_asset()
    sealed = seal_file(asset, RenditionName.ORIGINAL, path)
    space_id = camera.profile.space_id
    await upload_blob(
        camera.connection, space_id, sealed.source, digest=sealed.ref.blob, size_bytes=sealed.ref.size_bytes
    )
    full = FullPart(path.name, sealed.sha256, sealed.length_bytes, "image/jpeg", sealed.modified_ns)
    fingerprint = content_fingerprint(camera.profile.dedupe_key, space_id, sealed.sha256)
    body = asset.finish([sealed.ref], ViewPart(kind="photo"), full, fingerprint=fingerprint)
    receipt = await AssetAdder(camera.committer).add(roll.ref, body)
    keeper.close()
    return receipt
