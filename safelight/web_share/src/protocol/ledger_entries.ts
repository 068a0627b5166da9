/** The shapes of ledger entries, under the names of sync_protocol/ledger_entries.py. */

import { inboxKey, publicKey } from "./account_ledger.ts";
import { MAX_ACCOUNT_ENTRIES, MAX_MEMBERS } from "./limits.ts";
import { signatureBytes } from "./log.ts";
import { sealedField } from "./records.ts";
import {
  bytes,
  count,
  hash,
  id,
  list,
  nullable,
  oneOf,
  optionalId,
  ordinal,
  signed,
  type Shaped,
} from "./wire.ts";

const accountEntries = list(bytes(), 1, MAX_ACCOUNT_ENTRIES);

/** The SHA-256 of the one box that gives a member an epoch's secret at its tier. */
export const boxRef = signed({ accountId: id, tier: oneOf("view", "full"), hash });
export type BoxRef = Shaped<typeof boxRef>;

/** A generation of keys: its public inboxes, one box a member, and the secrets before it wrapped under its own. */
export const epoch = signed({
  number: ordinal,
  fullInbox: inboxKey,
  viewInbox: inboxKey,
  boxes: list(boxRef, 0, MAX_MEMBERS),
  fullHistory: sealedField,
  viewHistory: sealedField,
});
export type Epoch = Shaped<typeof epoch>;

/** What a space allows: the lowest protocol version of its clients, and the tiers of its links. */
export const policy = signed({ minVersion: count, links: oneOf("none", "view", "full") });
export type Policy = Shaped<typeof policy>;

export const spaceKind = oneOf("family", "work", "vault");
export type SpaceKind = Shaped<typeof spaceKind>;

/** What the creator's identity signs at genesis; `nonce` stands for the space wherever its id cannot yet be known. */
export const spaceTerms = signed({
  kind: spaceKind,
  nonce: hash,
  accountId: id,
  accountEntries,
  vaultKey: nullable(inboxKey),
  policy,
  epoch,
  name: sealedField,
  dedupe: sealedField,
});

export const createSpaceBody = signed({ terms: bytes(), identitySignature: signatureBytes });
export type CreateSpaceBody = Shaped<typeof createSpaceBody>;

/** The account-ledger entries since the head that counted here, with an epoch if they take reach away. */
export const advanceAccountBody = signed({ accountId: id, entries: accountEntries, epoch: nullable(epoch) });
export type AdvanceAccountBody = Shaped<typeof advanceAccountBody>;

/** A camera that may be bound until `expiresMs` by who holds the pairing key. */
export const certifyCameraBody = signed({
  cameraId: id,
  pairingKey: publicKey,
  expiresMs: count,
  quotaBytes: count,
  epoch: count,
  name: sealedField,
  dedupe: sealedField,
});
export type CertifyCameraBody = Shaped<typeof certifyCameraBody>;

/** The camera's own key, signed by the pairing key. */
export const bindCameraBody = signed({ cameraId: id, deviceKey: publicKey, pairingSignature: signatureBytes });
export type BindCameraBody = Shaped<typeof bindCameraBody>;

/** The camera may add nothing more; comes with a new epoch, if its signer may begin one. */
export const revokeCameraBody = signed({ cameraId: id, epoch: nullable(epoch) });
export type RevokeCameraBody = Shaped<typeof revokeCameraBody>;

/** What the camera adds from now on is in a shared album as well; in none, where `albumId` is empty. */
export const pointCameraBody = signed({ cameraId: id, albumId: optionalId });
export type PointCameraBody = Shaped<typeof pointCameraBody>;

/** A new epoch without any other change. */
export const rotateEpochBody = signed({ epoch });

const RIGHT_NAMES = [
  "add",
  "organise",
  "edit",
  "trash",
  "propose-deletion",
  "approve",
  "link",
  "revoke-link",
  "members",
  "policy",
] as const;
const role = oneOf("owner", "manager", "editor", "viewer", "previewer", "contributor", "grantee");
const rights = list(oneOf(...RIGHT_NAMES), 0, RIGHT_NAMES.length);

/** An invitation: who holds the secret that `key` was derived from may join once, until `expiresMs`. */
export const inviteMemberBody = signed({
  invitationId: id,
  key: publicKey,
  role,
  rights,
  expiresMs: count,
  epoch: count,
  name: sealedField,
});
export type InviteMemberBody = Shaped<typeof inviteMemberBody>;

/** The invitation lets nobody in any more, nor who joined by it and was not admitted. */
export const withdrawInvitationBody = signed({ invitationId: id });
export type WithdrawInvitationBody = Shaped<typeof withdrawInvitationBody>;

/** An account's own word that it joins, by one invitation: its whole ledger, signed by its identity and the key. */
export const joinSpaceBody = signed({
  invitationId: id,
  accountEntries,
  vaultKey: nullable(inboxKey),
  identitySignature: signatureBytes,
  invitationSignature: signatureBytes,
});
export type JoinSpaceBody = Shaped<typeof joinSpaceBody>;

/** Whom an invitation brought is a member now, with the box of the epoch in force for those who read. */
export const admitMemberBody = signed({ invitationId: id, accountId: id, epoch: count, box: nullable(boxRef) });
export type AdmitMemberBody = Shaped<typeof admitMemberBody>;

/** Another role, or other rights; with a box of the epoch in force for who reads more now, a new epoch for less. */
export const setRoleBody = signed({ accountId: id, role, rights, box: nullable(boxRef), epoch: nullable(epoch) });
export type SetRoleBody = Shaped<typeof setRoleBody>;

/** The account is no member any more, and a new epoch begins. */
export const removeMemberBody = signed({ accountId: id, epoch });
export type RemoveMemberBody = Shaped<typeof removeMemberBody>;

/** The space allows something else from now on. */
export const setPolicyBody = signed({ policy });
export type SetPolicyBody = Shaped<typeof setPolicyBody>;
