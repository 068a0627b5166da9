/** Cameras in the space ledger: certified, bound once, pointed at an album, revoked; mirror of
 * sync_protocol/ledger_cameras.py.
 */

import { equal, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import {
  bindCameraBody,
  certifyCameraBody,
  pointCameraBody,
  revokeCameraBody,
  type BindCameraBody,
  type CertifyCameraBody,
  type PointCameraBody,
  type RevokeCameraBody,
} from "./ledger_entries.ts";
import { afterLoss } from "./ledger_epochs.ts";
import { authorise, epochOf, mayAdd, rightsOf, type Camera, type Change, type LedgerState } from "./ledger_state.ts";
import { PAIRING_MAX_AGE_S } from "./limits.ts";
import { verifyEntry, type Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import { unpack } from "./wire.ts";

export const CAMERA_CHANGES: readonly (readonly [string, (body: Bytes) => Change])[] = [
  ["camera.certify", (body) => certifyCamera(unpack(body, certifyCameraBody))],
  ["camera.bind", (body) => bindCamera(unpack(body, bindCameraBody))],
  ["camera.revoke", (body) => revokeCamera(unpack(body, revokeCameraBody))],
  ["camera.point", (body) => pointCamera(unpack(body, pointCameraBody))],
];

function withCamera(state: LedgerState, camera: Camera): LedgerState {
  return { ...state, cameras: new Map([...state.cameras, [toHex(camera.id), camera]]) };
}

/** Of a camera its certifier decides, and who may manage members. */
function requireCertifier(state: LedgerState, entry: Entry, camera: Camera): void {
  const { authorId } = entry.header;
  if (!equal(authorId, camera.certifiedBy) && !rightsOf(state, authorId).has("members")) {
    throw new Refused(Code.RIGHT_MISSING, "members");
  }
}

function certifyCamera(body: CertifyCameraBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "add");
    const { authorId, signedMs } = entry.header;
    if (!state.members.has(toHex(authorId))) throw new Refused(Code.RIGHT_MISSING, "a camera certifies no cameras");
    if (state.cameras.has(toHex(body.cameraId)) || state.members.has(toHex(body.cameraId))) {
      throw new Refused(Code.LEDGER_RULE, "the camera's id is taken");
    }
    if (body.expiresMs > signedMs + PAIRING_MAX_AGE_S * 1000) {
      throw new Refused(Code.LEDGER_RULE, "a pairing code lives at most a day");
    }
    if (body.epoch !== epochOf(state).number) throw new Refused(Code.EPOCH_OLD);
    const { cameraId: id, pairingKey, expiresMs, quotaBytes, name, epoch: nameEpoch, dedupe } = body;
    const certified = { id, certifiedBy: authorId, pairingKey, expiresMs, quotaBytes, name, nameEpoch, dedupe };
    return withCamera(state, { ...certified, revoked: false, albumId: new Uint8Array(), linkId: new Uint8Array() });
  };
}

/** The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides. */
function bindCamera(body: BindCameraBody): Change {
  return async (state, entry) => {
    const { authorId, deviceId, signedMs } = entry.header;
    const camera = state.cameras.get(toHex(body.cameraId));
    if (!camera || camera.revoked || !mayAdd(state, camera.certifiedBy)) {
      throw new Refused(Code.SIGNER_UNKNOWN);
    }
    if (!equal(authorId, body.cameraId) || !equal(deviceId, body.cameraId)) throw new Refused(Code.SIGNER_UNKNOWN);
    if (camera.deviceKey) throw new Refused(Code.CAMERA_ALREADY_BOUND);
    if (signedMs > camera.expiresMs) throw new Refused(Code.PAIRING_EXPIRED);
    const message = context(Label.SIGN_CAMERA_BIND, state.spaceId, body.cameraId, body.deviceKey);
    await verify(camera.pairingKey, body.pairingSignature, message);
    await verifyEntry(entry, body.deviceKey);
    return withCamera(state, { ...camera, deviceKey: body.deviceKey });
  };
}

/** Its certifier may, and who may manage members. */
function revokeCamera(body: RevokeCameraBody): Change {
  return async (state, entry) => {
    const camera = state.cameras.get(toHex(body.cameraId));
    await authorise(state, entry);
    if (!camera || camera.revoked) throw new Refused(Code.LEDGER_RULE, "there is no such camera to revoke");
    requireCertifier(state, entry, camera);
    return afterLoss(withCamera(state, { ...camera, revoked: true }), entry, body.epoch);
  };
}

/** Who organises may, for its own cameras; and for others' who may manage members. */
function pointCamera(body: PointCameraBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "organise");
    const camera = state.cameras.get(toHex(body.cameraId));
    if (!camera || camera.revoked || camera.linkId.length) {
      throw new Refused(Code.LEDGER_RULE, "there is no such camera to point");
    }
    requireCertifier(state, entry, camera);
    if (body.albumId.length && !state.albums.has(toHex(body.albumId))) {
      throw new Refused(Code.LEDGER_RULE, "that album is not shared");
    }
    if (equal(body.albumId, camera.albumId)) {
      throw new Refused(Code.LEDGER_RULE, "that is where the camera is pointed already");
    }
    return withCamera(state, { ...camera, albumId: body.albumId });
  };
}
