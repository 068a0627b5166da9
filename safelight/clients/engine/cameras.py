"""The camera's side of pairing: verify the space, bind a key of its own once, and work (docs/spec/keys.md)."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.ledger_view import LedgerView
from safelight.clients.engine.log_chain import LogChain
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.profile import PROFILE_VERSION, CameraProfile, ProfileFolder
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import BindCameraBody, LedgerKind, bind_message
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import ENTRY_VERSION, DevicePosition, Head, Header, build_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed
from safelight.sync_protocol.pairing import Pairing, parse_pairing_uri
from safelight.sync_protocol.receipts import verify_receipt
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box

PAIRING_HEADER = "Safelight-Pairing"


@dataclass(frozen=True, slots=True)
class CameraSession:
    """A camera at work: its connection, the ledger it verified, and who commits for it."""

    profile: CameraProfile
    connection: Connection
    view: LedgerView
    committer: Committer
    memory: SpaceMemory
    log: LogChain


async def add_camera(folder: ProfileFolder, uri: str, *, clock: Clock = now_ms) -> CameraProfile:
    """Make this folder the profile of the camera that the pairing code *uri* names, and bind its new key.

    The ledger is verified down to the place that the code names, before anything is sent. Raises PAIRING_INVALID,
    PAIRING_EXPIRED, CAMERA_ALREADY_BOUND (someone else used the code: revoke the camera), SERVER_KEY_CHANGED and the
    ledger's refusals. After a lost answer the same call may be made again.
    """
    pairing = parse_pairing_uri(uri)
    seed = _seed_for(folder, pairing)
    async with Connection(pairing.server_url) as connection:
        await connection.server_info()
        if ids.key_fingerprint(connection.server_key) != pairing.server_fingerprint:
            raise Refused(Code.SERVER_KEY_CHANGED, str(connection.url.host))
        memory = folder.memory(pairing.space_id)
        try:
            state = await _paired_ledger(connection, pairing, memory)
        except Refused as refusal:
            found = await _bound_before(folder, pairing, refusal)
            if found is None:
                raise
            return found
        profile = CameraProfile(
            version=PROFILE_VERSION,
            server_url=pairing.server_url,
            server_key=connection.server_key,
            space_id=pairing.space_id,
            camera_id=pairing.camera_id,
            signing_seed=seed,
            dedupe_key=_open_dedupe_key(state, pairing),
        )
        # The key is on the disk before it is bound: a binding that is then interrupted can be finished.
        folder.save(profile)
        await _bind(connection, pairing, state, profile, memory, clock())
    return profile


def _seed_for(folder: ProfileFolder, pairing: Pairing) -> bytes:
    """A new key; or the one of an earlier, interrupted call with the same code."""
    try:
        found = folder.load()
    except Refused as refusal:
        if refusal.code is not Code.PROFILE_MISSING:
            raise
        folder.require_free()
        return secrets.token_bytes(KEY_SIZE_BYTES)
    if isinstance(found, CameraProfile) and found.camera_id == pairing.camera_id:
        return found.signing_seed
    raise Refused(Code.PROFILE_EXISTS, str(folder.path))


async def _bound_before(folder: ProfileFolder, pairing: Pairing, refusal: Refused) -> CameraProfile | None:
    """The profile of an earlier, interrupted call that did bind this camera; None if someone else did."""
    if refusal.code is not Code.CAMERA_ALREADY_BOUND:
        return None
    try:
        async with open_camera(folder) as camera:
            bound = camera.view.state.cameras[pairing.camera_id].device_key
            ours = bound == signatures.public_key_of(camera.profile.signing_seed)
            return camera.profile if ours else None
    except Refused:
        return None


async def _paired_ledger(connection: Connection, pairing: Pairing, memory: SpaceMemory) -> LedgerState:
    """Fetch and verify the ledger by the right of the pairing key; the code's own head is the first pin."""
    memory.pin_ledger(pairing.head)
    pairing_seed = keytree.pairing_signing_seed(pairing.secret)
    message = context(Label.SIGN_PAIRING_READ, pairing.space_id, pairing.camera_id)
    signature = signatures.sign(pairing_seed, message)
    view = LedgerView(connection, pairing.space_id, memory)
    state = await view.take_pages(
        f"/v1/spaces/{pairing.space_id.hex()}/pairing/{pairing.camera_id.hex()}",
        headers={PAIRING_HEADER: _base64(signature)},
        anonymous=True,
    )
    camera = state.cameras.get(pairing.camera_id)
    if camera is None or camera.pairing_key != signatures.public_key_of(pairing_seed):
        raise Refused(Code.PAIRING_INVALID, "the space's ledger certifies no such camera")
    memory.pin_ledger(state.head)
    memory.save()
    return state


def _open_dedupe_key(state: LedgerState, pairing: Pairing) -> bytes:
    place = context(Label.PAIRING_BOX, state.nonce, pairing.camera_id)
    key = open_box(keytree.pairing_box_key(pairing.secret), place, state.cameras[pairing.camera_id].dedupe)
    if len(key) != KEY_SIZE_BYTES:
        raise Refused(Code.PAIRING_INVALID, "it holds no dedupe key")
    return key


async def _bind(
    connection: Connection,
    pairing: Pairing,
    state: LedgerState,
    profile: CameraProfile,
    memory: SpaceMemory,
    signed_ms: int,
) -> None:
    """Commit the binding, signed by the pairing key and by the camera's own, and verify its receipt."""
    device_key = signatures.public_key_of(profile.signing_seed)
    bound = state.cameras[pairing.camera_id].device_key
    if bound is not None:
        if bound != device_key:
            raise Refused(Code.CAMERA_ALREADY_BOUND)
        return  # an earlier call was interrupted after the server had bound it
    message = bind_message(pairing.space_id, pairing.camera_id, device_key)
    pairing_signature = signatures.sign(keytree.pairing_signing_seed(pairing.secret), message)
    header = Header(
        version=ENTRY_VERSION,
        critical=True,
        kind=LedgerKind.BIND_CAMERA.value,
        space_id=pairing.space_id,
        author_id=pairing.camera_id,
        device_id=pairing.camera_id,
        counter=1,
        previous_id=b"",
        ledger=state.head,
        log=memory.log,
        signed_ms=signed_ms,
    )
    body = BindCameraBody(pairing.camera_id, device_key, pairing_signature)
    envelope = build_entry(header, body, profile.signing_seed)
    path = f"/v1/spaces/{pairing.space_id.hex()}/bind"
    answer = await connection.request("POST", path, CommitEntry(envelope), Committed, anonymous=True)
    entry_id = hashlib.sha256(envelope).digest()
    receipt = verify_receipt(
        answer.receipt,
        answer.signature,
        connection.server_key,
        space_id=pairing.space_id,
        entry_id=entry_id,
        blobs=(),
    )
    memory.position = DevicePosition(1, entry_id)
    memory.pin_ledger(Head(receipt.number, entry_id))
    memory.pin_log(Head(receipt.number, receipt.chain))
    memory.save()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@asynccontextmanager
async def open_camera(folder: ProfileFolder, *, clock: Clock = now_ms) -> AsyncIterator[CameraSession]:
    """Open this folder's camera: connected, its ledger verified up to now, ready to commit."""
    profile = folder.load_camera()
    device = DeviceKey(profile.camera_id, profile.signing_seed)
    memory = folder.memory(profile.space_id)
    async with Connection(profile.server_url, server_key=profile.server_key, device=device) as connection:
        view = LedgerView(connection, profile.space_id, memory)
        committer = Committer(
            connection,
            author_id=profile.camera_id,
            device=device,
            space_id=profile.space_id,
            memory=memory,
            view=view,
            refresh=view.refresh,
            clock=clock,
        )
        await view.refresh()
        log = LogChain(connection, view, memory, folder.space_folder(profile.space_id) / "log.ids")
        yield CameraSession(profile, connection, view, committer, memory, log)
        memory.save()
