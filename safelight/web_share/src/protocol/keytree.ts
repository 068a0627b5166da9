/** The key tree: one named function per derivation, one label each; mirror of sealing/keytree.py.
 *
 * HKDF-SHA-256 (RFC 5869) with an empty salt; the info is the context of the label and of what the key is bound to.
 */

import { utf8, type Bytes } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import { ARGON2_SALT_SIZE_BYTES, KEY_SIZE_BYTES } from "./limits.ts";

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

// Account

export const identitySigningSeed = (accountSecret: Bytes) => derive(accountSecret, Label.IDENTITY_SIGNING);
export const identitySealingSeed = (accountSecret: Bytes) => derive(accountSecret, Label.IDENTITY_SEALING);
export const keyringKey = (accountSecret: Bytes) => derive(accountSecret, Label.KEYRING_KEY);

// Epoch

export const viewSecret = (epochSecret: Bytes) => derive(epochSecret, Label.VIEW_SECRET);
export const fullInboxSeed = (epochSecret: Bytes) => derive(epochSecret, Label.FULL_INBOX);
export const viewInboxSeed = (epochViewSecret: Bytes) => derive(epochViewSecret, Label.VIEW_INBOX);
export const fullMetadataKey = (epochSecret: Bytes) => derive(epochSecret, Label.FULL_METADATA_KEY);
export const viewMetadataKey = (epochViewSecret: Bytes) => derive(epochViewSecret, Label.VIEW_METADATA_KEY);
export const fullHistoryKey = (epochSecret: Bytes) => derive(epochSecret, Label.FULL_HISTORY_KEY);
export const viewHistoryKey = (epochViewSecret: Bytes) => derive(epochViewSecret, Label.VIEW_HISTORY_KEY);

// Roll

export const rollViewKey = (rollKey: Bytes) => derive(rollKey, Label.ROLL_VIEW_KEY);
export const rollWrapKey = (rollKey: Bytes) => derive(rollKey, Label.ROLL_WRAP_KEY);
export const rollViewWrapKey = (viewKey: Bytes) => derive(viewKey, Label.ROLL_VIEW_WRAP_KEY);

// Asset: full-tier renditions (original, motion, raw, sidecar) hang under the asset key, the others under its view key.

export const assetViewKey = (assetKey: Bytes) => derive(assetKey, Label.ASSET_VIEW_KEY);
export const assetMetadataKey = (assetOrViewKey: Bytes) => derive(assetOrViewKey, Label.ASSET_METADATA_KEY);

/** The key of one rendition; a picture developed anew has a new id and so a new key. */
export function renditionKey(assetOrViewKey: Bytes, name: string, renditionId: Bytes): Promise<Bytes> {
  return derive(assetOrViewKey, Label.RENDITION_KEY, [utf8(name), renditionId]);
}

// Album

export const albumViewKey = (albumKey: Bytes) => derive(albumKey, Label.ALBUM_VIEW_KEY);
export const albumWrapKey = (albumKey: Bytes) => derive(albumKey, Label.ALBUM_WRAP_KEY);
export const albumViewWrapKey = (viewKey: Bytes) => derive(viewKey, Label.ALBUM_VIEW_WRAP_KEY);
export const albumMetadataKey = (viewKey: Bytes) => derive(viewKey, Label.ALBUM_METADATA_KEY);
export const albumFullInboxSeed = (albumKey: Bytes) => derive(albumKey, Label.ALBUM_FULL_INBOX);
export const albumViewInboxSeed = (viewKey: Bytes) => derive(viewKey, Label.ALBUM_VIEW_INBOX);

// Camera pairing

export const pairingSigningSeed = (pairingSecret: Bytes) => derive(pairingSecret, Label.PAIRING_SIGNING);
export const pairingBoxKey = (pairingSecret: Bytes) => derive(pairingSecret, Label.PAIRING_BOX_KEY);

// Link

export const linkAccessToken = (secret: Bytes) => derive(secret, Label.LINK_TOKEN);
export const linkBase = (secret: Bytes) => derive(secret, Label.LINK_BASE);
export const linkPasswordSalt = (secret: Bytes) => derive(secret, Label.LINK_SALT, [], ARGON2_SALT_SIZE_BYTES);
export const linkPicksKey = (secret: Bytes) => derive(secret, Label.LINK_PICKS);
export const linkKey = (base: Bytes) => derive(base, Label.LINK_KEY);

/** The two keys of a link with a password derive from base ‖ Argon2id output (64 bytes), under labels of their own. */
export const linkKeyWithPassword = (baseAndStretched: Bytes) => derive(baseAndStretched, Label.LINK_KEY_PASSWORD);
export const linkPasswordProof = (baseAndStretched: Bytes) => derive(baseAndStretched, Label.LINK_PROOF);

export const linkHeadKey = (key: Bytes) => derive(key, Label.LINK_HEAD_KEY);

export function linkPageKey(key: Bytes, pageNumber: number): Promise<Bytes> {
  return derive(key, Label.LINK_PAGE_KEY, [uint(pageNumber)]);
}
