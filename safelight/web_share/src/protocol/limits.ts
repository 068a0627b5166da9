/** Every limit of the protocol, with its unit in its name; both ends refuse what exceeds them (docs/spec/encodings.md).
 *
 * Mirror of sync_protocol/limits.py; a test compares the numbers.
 */

export const MAX_INTEGER = 2**53 - 1;

export const ID_SIZE_BYTES = 16;
export const HASH_SIZE_BYTES = 32;
export const KEY_SIZE_BYTES = 32;
export const SIGNATURE_SIZE_BYTES = 64;
export const INBOX_KEY_SIZE_BYTES = 1216;

export const MAX_ENTRY_SIZE_BYTES = 1024 * 1024;
export const MAX_REQUEST_SIZE_BYTES = 4 * 1024 * 1024;
export const MAX_NAME_LENGTH = 64;
export const MAX_SEALED_FIELD_SIZE_BYTES = 64 * 1024;
export const MAX_ASSETS_PER_RECORD = 200;
export const MAX_RENDITIONS_PER_ASSET = 16;
export const MAX_ACCOUNT_ENTRIES = 1000;
export const MAX_TITLE_BOX_SIZE_BYTES = 1024; // of a renamed album
export const MAX_NOTE_BOX_SIZE_BYTES = 8 * 1024; // of a proposed deletion
export const MAX_MEMBERS = 1000;
export const MAX_FINGERPRINTS_PER_QUESTION = 5000;
export const MAX_SHARED_ALBUMS = 10_000; // in a space
export const MAX_GRANTS = 100; // of an album
export const MAX_GRANT_BOX_SIZE_BYTES = 2048;
export const MAX_OPEN_UPLOAD_LINKS = 100; // in a space
export const MAX_UPLOAD_LINK_GUESTS = 1000;
export const MAX_UPLOAD_LINK_FILES = 1_000_000;
export const UPLOAD_LINK_MAX_AGE_S = 366 * 24 * 60 * 60;
export const MAX_FEED_ENTRIES = 1000;
export const MAX_WITHHELD_TOLD = 10_000; // assets of a shared album, each time that its log is asked for
export const MAX_CHAIN_ENTRIES = 50_000;
export const MAX_FEED_SIZE_BYTES = 4 * 1024 * 1024;
export const MAX_KEYRING_SIZE_BYTES = 4 * 1024 * 1024;
export const MAX_BLOB_SIZE_BYTES = 2**40;

export const MAX_ASSETS_PER_ROLL = 500;
export const MAX_ROLL_AGE_S = 24 * 60 * 60;

export const MANIFEST_PAGE_ASSETS = 500;
export const MAX_MANIFEST_PAGES = 200;
export const MAX_HELD_AT_ONCE = 1000;
export const MAX_LINK_BLOBS = 200_000;

// Argon2id: a server that offers less is refused, and so is one that offers a memory bomb.
export const ARGON2_MIN_MEMORY_KIB = 64 * 1024;
export const ARGON2_MAX_MEMORY_KIB = 1024 * 1024;
export const ARGON2_MIN_PASSES = 3;
export const ARGON2_MAX_PASSES = 16;
export const ARGON2_SALT_SIZE_BYTES = 16;

export const PAIRING_MAX_AGE_S = 24 * 60 * 60;
export const INVITATION_MAX_AGE_S = 30 * 24 * 60 * 60;
