/** Contexts: the only way to make associated data, HKDF info, HPKE info and the prefix of what is signed.
 *
 * Mirror of sync_protocol/contexts.py; a test compares the labels. Each label serves one purpose
 * (docs/spec/encodings.md).
 */

import { bigEndian, concat, utf8, type Bytes } from "./bytes.ts";

export const PREFIX = "safelight/1/";

export const Label = {
  // Signatures
  SIGN_ENTRY: "sign/entry",
  SIGN_ACCOUNT_ENTRY: "sign/account-entry",
  SIGN_GENESIS_IDENTITY: "sign/genesis-identity",
  SIGN_CAMERA_BIND: "sign/camera-bind",
  SIGN_JOIN_IDENTITY: "sign/join-by-identity",
  SIGN_JOIN_INVITATION: "sign/join-by-invitation",
  SIGN_IDENTITY_NEW: "sign/identity-rotation-by-new-identity",
  SIGN_IDENTITY_RECOVERY: "sign/identity-rotation-by-recovery",
  SIGN_RECEIPT: "sign/receipt",
  SIGN_SERVER_KEY: "sign/server-key",
  SIGN_SESSION: "sign/session-challenge",
  SIGN_PAIRING_READ: "sign/pairing-read",
  SIGN_INVITATION_READ: "sign/invitation-read",
  SIGN_MANIFEST: "sign/manifest-head",
  SIGN_GUEST_BIND: "sign/guest-bind",
  SIGN_UPLOAD_HEAD: "sign/upload-head",
  SIGN_UPLOAD_READ: "sign/upload-read",

  // Hashes
  ACCOUNT_ID: "account",
  SPACE_ID: "space",
  LOG_CHAIN: "log",
  FINGERPRINT: "fingerprint",
  LINK_CHECKSUM: "link/checksum",
  PAIRING_CHECKSUM: "pairing/checksum",
  INVITATION_CHECKSUM: "invitation/checksum",
  KEY_FINGERPRINT: "key-fingerprint",
  ASSET_CONTENT: "asset/content",
  VERIFY_WORDS: "verify-words",

  // Accounts: derived from the password, the recovery words and the account secret
  PASSWORD_AUTH: "account/password-auth",
  PASSWORD_WRAP: "account/password-wrap",
  RECOVERY_AUTH: "account/recovery-auth",
  RECOVERY_WRAP: "account/recovery-wrap",
  RECOVERY_SIGNING: "account/recovery-signing",
  ACCOUNT_SECRET: "account/secret",
  IDENTITY_SIGNING: "account/identity-signing",
  IDENTITY_SEALING: "account/identity-sealing",
  KEYRING_KEY: "account/keyring-key",
  KEYRING: "account/keyring",
  PROFILE_WRAP: "profile/wrap",
  PROFILE_SECRETS: "profile/secrets",
  PROFILE_LEDGER_KEY: "profile/ledger-key",
  PROFILE_LEDGER: "profile/ledger",

  // Vaults: derived from the account secret and the vault's passphrase together
  VAULT_ACCOUNT_KEY: "vault/account-key",
  VAULT_WRAP_KEY: "vault/wrap-key",
  VAULT_SECRET: "vault/secret",
  VAULT_SEALING: "vault/sealing",

  // Epochs
  EPOCH_BOX: "epoch/member-box",
  VIEW_SECRET: "epoch/view-secret",
  FULL_INBOX: "epoch/full-inbox",
  VIEW_INBOX: "epoch/view-inbox",
  FULL_METADATA_KEY: "epoch/full-metadata-key",
  VIEW_METADATA_KEY: "epoch/view-metadata-key",
  FULL_HISTORY_KEY: "epoch/full-history-key",
  VIEW_HISTORY_KEY: "epoch/view-history-key",
  HISTORY: "epoch/history",
  SPACE_FIELD: "space/field",
  CAMERA_NAME: "space/camera-name",
  INVITATION_NAME: "space/invitation-name",

  // Cameras
  PAIRING_SIGNING: "camera/pairing-signing",
  PAIRING_BOX_KEY: "camera/pairing-box-key",
  PAIRING_BOX: "camera/pairing-box",

  // Invitations
  INVITATION_SIGNING: "invitation/signing",

  // Rolls
  ROLL_FULL: "roll/full",
  ROLL_VIEW: "roll/view",
  ROLL_VIEW_KEY: "roll/view-key",
  ROLL_WRAP_KEY: "roll/wrap-key",
  ROLL_VIEW_WRAP_KEY: "roll/view-wrap-key",
  ROLL_WRAP: "roll/wrap",

  // Assets
  ASSET_VIEW_KEY: "asset/view-key",
  RENDITION_KEY: "asset/rendition-key",
  ASSET_METADATA_KEY: "asset/metadata-key",
  ASSET_FIELD: "asset/field",
  FILE: "file",

  // Albums
  ALBUM_VIEW_KEY: "album/view-key",
  ALBUM_FULL_INBOX: "album/full-inbox",
  ALBUM_VIEW_INBOX: "album/view-inbox",
  ALBUM_WRAP_KEY: "album/wrap-key",
  ALBUM_VIEW_WRAP_KEY: "album/view-wrap-key",
  ALBUM_METADATA_KEY: "album/metadata-key",
  ALBUM_FULL_HISTORY_KEY: "album/full-history-key",
  ALBUM_VIEW_HISTORY_KEY: "album/view-history-key",
  ALBUM_HISTORY: "album/history",
  ALBUM_BOX: "album/grant-box",
  ALBUM_ROLL_FULL: "album/roll-full",
  ALBUM_ROLL_VIEW: "album/roll-view",
  ALBUM_CHAIN: "album/log",
  ALBUM_KEY: "album/key",
  ALBUM_WRAP: "album/wrap",
  ALBUM_FIELD: "album/field",

  // Proposed deletions
  DELETION_NOTE: "deletion/note",

  // Links
  LINK_TOKEN: "link/access-token",
  LINK_BASE: "link/base",
  LINK_SALT: "link/password-salt",
  LINK_PICKS: "link/picks-key",
  LINK_KEY: "link/key",
  LINK_KEY_PASSWORD: "link/key-with-password",
  LINK_PROOF: "link/password-proof",
  LINK_HEAD_KEY: "link/head-key",
  LINK_HEAD: "link/head",
  LINK_PAGE_KEY: "link/page-key",
  LINK_PAGE: "link/page",
  LINK_MAKERS: "link/makers-copy",

  // Upload links
  UPLOAD_SIGNING: "upload/guest-signing",
  UPLOAD_HEAD_KEY: "upload/head-key",
  UPLOAD_HEAD: "upload/head",
  UPLOAD_MAKERS: "upload/makers-copy",
} as const;

/** What a derived key, a sealed value or a signature is for. */
export type Label = (typeof Label)[keyof typeof Label];

/** Bind `label` and `parts` into one unambiguous byte string.
 *
 * `safelight/1/` + label and then each part, every one of them, label included, as a 4-byte big-endian length and its
 * bytes. RangeError if a part is 4 GiB or longer.
 */
export function context(label: Label, ...parts: readonly Uint8Array[]): Bytes {
  const pieces: Uint8Array[] = [];
  for (const part of [utf8(PREFIX + label), ...parts]) pieces.push(bigEndian(part.length, 4), part);
  return concat(...pieces);
}

/** `value` as the 8 big-endian bytes in which numbers enter contexts. */
export function uint(value: number): Bytes {
  return bigEndian(value, 8);
}
