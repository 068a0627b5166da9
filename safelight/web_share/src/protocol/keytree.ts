/** The key tree: one named function per derivation, one label each; mirror of sealing/keytree.py.
 *
 * HKDF-SHA-256 (RFC 5869) with an empty salt; the info is the context of the label and of what the key is bound to.
 */

import { utf8, type Bytes } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import { ARGON2_SALT_SIZE_BYTES, ID_SIZE_BYTES, KEY_SIZE_BYTES } from "./limits.ts";
import { requireKey, requireSize } from "./sizes.ts";

export const LINK_SECRET_SIZE_BYTES = 16;
const NO_SALT = new Uint8Array(0);

export async function derive(
  key: Bytes,
  label: Label,
  parts: readonly Uint8Array[] = [],
  sizeBytes: number = KEY_SIZE_BYTES,
): Promise<Bytes> {
  const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: NO_SALT, info: context(label, ...parts) };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, material, 8 * sizeBytes));
}

async function fromKey(key: Bytes, label: Label, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  requireKey(key);
  return derive(key, label, parts);
}

async function fromLinkSecret(secret: Bytes, label: Label, sizeBytes: number = KEY_SIZE_BYTES): Promise<Bytes> {
  requireSize(secret, LINK_SECRET_SIZE_BYTES, "a link secret");
  return derive(secret, label, [], sizeBytes);
}

async function fromBaseAndStretched(baseAndStretched: Bytes, label: Label): Promise<Bytes> {
  requireSize(baseAndStretched, 2 * KEY_SIZE_BYTES, "link base and stretched password");
  return derive(baseAndStretched, label);
}

// Account

export const identitySigningSeed = (accountSecret: Bytes) => fromKey(accountSecret, Label.IDENTITY_SIGNING);
export const identitySealingSeed = (accountSecret: Bytes) => fromKey(accountSecret, Label.IDENTITY_SEALING);
export const keyringKey = (accountSecret: Bytes) => fromKey(accountSecret, Label.KEYRING_KEY);

// Vault

export const vaultAccountKey = (accountSecret: Bytes) => fromKey(accountSecret, Label.VAULT_ACCOUNT_KEY);
export const vaultSealingSeed = (vaultSecret: Bytes) => fromKey(vaultSecret, Label.VAULT_SEALING);

export async function vaultWrapKey(accountKeyAndStretched: Bytes): Promise<Bytes> {
  requireSize(accountKeyAndStretched, 2 * KEY_SIZE_BYTES, "account key and stretched passphrase");
  return derive(accountKeyAndStretched, Label.VAULT_WRAP_KEY);
}

// Epoch

export const viewSecret = (epochSecret: Bytes) => fromKey(epochSecret, Label.VIEW_SECRET);
export const fullInboxSeed = (epochSecret: Bytes) => fromKey(epochSecret, Label.FULL_INBOX);
export const viewInboxSeed = (epochViewSecret: Bytes) => fromKey(epochViewSecret, Label.VIEW_INBOX);
export const fullMetadataKey = (epochSecret: Bytes) => fromKey(epochSecret, Label.FULL_METADATA_KEY);
export const viewMetadataKey = (epochViewSecret: Bytes) => fromKey(epochViewSecret, Label.VIEW_METADATA_KEY);
export const fullHistoryKey = (epochSecret: Bytes) => fromKey(epochSecret, Label.FULL_HISTORY_KEY);
export const viewHistoryKey = (epochViewSecret: Bytes) => fromKey(epochViewSecret, Label.VIEW_HISTORY_KEY);

// Roll

export const rollViewKey = (rollKey: Bytes) => fromKey(rollKey, Label.ROLL_VIEW_KEY);
export const rollWrapKey = (rollKey: Bytes) => fromKey(rollKey, Label.ROLL_WRAP_KEY);
export const rollViewWrapKey = (viewKey: Bytes) => fromKey(viewKey, Label.ROLL_VIEW_WRAP_KEY);

// Asset: full-tier renditions (original, motion, raw, sidecar) hang under the asset key, the others under its view key.

export const assetViewKey = (assetKey: Bytes) => fromKey(assetKey, Label.ASSET_VIEW_KEY);
export const assetMetadataKey = (assetOrViewKey: Bytes) => fromKey(assetOrViewKey, Label.ASSET_METADATA_KEY);

/** The key of one rendition; a picture developed anew has a new id and so a new key. */
export async function renditionKey(assetOrViewKey: Bytes, name: string, renditionId: Bytes): Promise<Bytes> {
  requireSize(renditionId, ID_SIZE_BYTES, "a rendition id");
  return fromKey(assetOrViewKey, Label.RENDITION_KEY, utf8(name), renditionId);
}

// Album

export const albumViewKey = (albumKey: Bytes) => fromKey(albumKey, Label.ALBUM_VIEW_KEY);
export const albumWrapKey = (albumKey: Bytes) => fromKey(albumKey, Label.ALBUM_WRAP_KEY);
export const albumViewWrapKey = (viewKey: Bytes) => fromKey(viewKey, Label.ALBUM_VIEW_WRAP_KEY);
export const albumMetadataKey = (viewKey: Bytes) => fromKey(viewKey, Label.ALBUM_METADATA_KEY);
export const albumFullHistoryKey = (albumKey: Bytes) => fromKey(albumKey, Label.ALBUM_FULL_HISTORY_KEY);
export const albumViewHistoryKey = (viewKey: Bytes) => fromKey(viewKey, Label.ALBUM_VIEW_HISTORY_KEY);
export const albumFullInboxSeed = (albumKey: Bytes) => fromKey(albumKey, Label.ALBUM_FULL_INBOX);
export const albumViewInboxSeed = (viewKey: Bytes) => fromKey(viewKey, Label.ALBUM_VIEW_INBOX);

// Camera pairing

export const pairingSigningSeed = (pairingSecret: Bytes) => fromKey(pairingSecret, Label.PAIRING_SIGNING);
export const pairingBoxKey = (pairingSecret: Bytes) => fromKey(pairingSecret, Label.PAIRING_BOX_KEY);

// Invitation

export const invitationSigningSeed = (secret: Bytes) => fromKey(secret, Label.INVITATION_SIGNING);

// Link

export const linkAccessToken = (secret: Bytes) => fromLinkSecret(secret, Label.LINK_TOKEN);
export const linkBase = (secret: Bytes) => fromLinkSecret(secret, Label.LINK_BASE);
export const linkPasswordSalt = (secret: Bytes) => fromLinkSecret(secret, Label.LINK_SALT, ARGON2_SALT_SIZE_BYTES);
export const linkPicksKey = (secret: Bytes) => fromLinkSecret(secret, Label.LINK_PICKS);
export const linkKey = (base: Bytes) => fromKey(base, Label.LINK_KEY);

/** The two keys of a link with a password derive from base ‖ Argon2id output (64 bytes), under labels of their own. */
export const linkKeyWithPassword = (baseAndStretched: Bytes) => fromBaseAndStretched(baseAndStretched, Label.LINK_KEY_PASSWORD);
export const linkPasswordProof = (baseAndStretched: Bytes) => fromBaseAndStretched(baseAndStretched, Label.LINK_PROOF);

export const linkHeadKey = (key: Bytes) => fromKey(key, Label.LINK_HEAD_KEY);

export function linkPageKey(key: Bytes, pageNumber: number): Promise<Bytes> {
  return fromKey(key, Label.LINK_PAGE_KEY, uint(pageNumber));
}

// Upload link

export const uploadSigningSeed = (secret: Bytes) => fromLinkSecret(secret, Label.UPLOAD_SIGNING);
export const uploadHeadKey = (secret: Bytes) => fromLinkSecret(secret, Label.UPLOAD_HEAD_KEY);
