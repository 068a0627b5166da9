/** Refusals: the stable codes of sync_protocol/refusals.py, which a test compares. What a person reads of them stands
 * in src/words, by language.
 */

export const Code = {
  // The requests themselves
  BAD_REQUEST: "bad-request",
  TOO_LARGE: "too-large",
  NOT_FOUND: "not-found",
  METHOD_NOT_ALLOWED: "method-not-allowed",
  UNSUPPORTED_MEDIA: "unsupported-media",
  RATE_LIMITED: "rate-limited",
  SERVER_FAULT: "server-fault",
  STORAGE_FULL: "storage-full",
  STORAGE_READ_ONLY: "storage-read-only",
  STORAGE_UNAVAILABLE: "storage-unavailable",
  TIMED_OUT: "timed-out",

  // Accounts and sessions
  INVITE_INVALID: "invite-invalid",
  NAME_TAKEN: "name-taken",
  NAME_INVALID: "name-invalid",
  UNLOCK_FAILED: "unlock-failed",
  SESSION_REQUIRED: "session-required",
  SESSION_EXPIRED: "session-expired",
  DEVICE_REVOKED: "device-revoked",
  SIGNATURE_INVALID: "signature-invalid",
  FORBIDDEN: "forbidden",
  KEYRING_CONFLICT: "keyring-conflict",
  ACCOUNT_LEDGER_CONFLICT: "account-ledger-conflict",

  // Entries, log and ledger
  ENTRY_MALFORMED: "entry-malformed",
  ENTRY_UNKNOWN_CRITICAL: "entry-unknown-critical",
  ENTRY_WRONG_SPACE: "entry-wrong-space",
  ENTRY_STALE: "entry-stale",
  COUNTER_CONFLICT: "counter-conflict",
  CHAIN_BROKEN: "chain-broken",
  HISTORY_FORKED: "history-forked",
  HISTORY_ROLLED_BACK: "history-rolled-back",
  SIGNER_UNKNOWN: "signer-unknown",
  RIGHT_MISSING: "right-missing",
  LEDGER_RULE: "ledger-rule",
  EPOCH_REQUIRED: "epoch-required",
  EPOCH_OLD: "epoch-old",
  EPOCH_MISMATCH: "epoch-mismatch",
  GENERATION_OLD: "generation-old",
  ALBUM_STALE: "album-stale",
  ALBUM_WAITS: "album-waits",
  CAMERA_ALREADY_BOUND: "camera-already-bound",
  PAIRING_EXPIRED: "pairing-expired",
  PAIRING_INVALID: "pairing-invalid",
  INVITATION_INVALID: "invitation-invalid",
  INVITATION_USED: "invitation-used",
  INVITATION_EXPIRED: "invitation-expired",
  MEMBER_EXISTS: "member-exists",
  LAST_OWNER: "last-owner",
  SPACE_UNKNOWN: "space-unknown",
  ROLL_UNKNOWN: "roll-unknown",
  ROLL_FULL: "roll-full",
  ASSET_CONFLICT: "asset-conflict",
  BLOB_MISSING: "blob-missing",
  BLOB_SIZE_MISMATCH: "blob-size-mismatch",
  QUOTA_EXCEEDED: "quota-exceeded",
  RECEIPT_INVALID: "receipt-invalid",
  POLICY_FORBIDS: "policy-forbids",
  NOT_APPROVED: "not-approved",
  IN_TRASH: "in-trash",
  UNCHANGED: "unchanged",
  WITHHELD: "withheld",

  // Resumable uploads
  UPLOAD_OFFSET_MISMATCH: "upload-offset-mismatch",
  UPLOAD_COMPLETED: "upload-completed",
  UPLOAD_LENGTH_INCONSISTENT: "upload-length-inconsistent",
  UPLOAD_TOO_LONG: "upload-too-long",
  UPLOAD_DIGEST_MISMATCH: "upload-digest-mismatch",
  UPLOAD_DIGEST_UNSUPPORTED: "upload-digest-unsupported",
  UPLOAD_BUSY: "upload-busy",
  RANGE_UNSATISFIABLE: "range-unsatisfiable",

  // Sealing: failures by class
  OPEN_FAILED: "open-failed",
  FORMAT_UNSUPPORTED: "format-unsupported",
  PADDING_INVALID: "padding-invalid",
  LENGTH_MISMATCH: "length-mismatch",
  PASSWORD_COST_REFUSED: "password-cost-refused",
  WORDS_INVALID: "words-invalid",

  // Links
  LINK_ADDRESS_CUT: "link-address-cut",
  LINK_ADDRESS_MANGLED: "link-address-mangled",
  LINK_ADDRESS_VERSION: "link-address-version",
  LINK_NOT_OPENED: "link-not-opened",
  LINK_EXPIRED: "link-expired",
  LINK_REVOKED: "link-revoked",
  LINK_EXHAUSTED: "link-exhausted",
  LINK_SESSION_REQUIRED: "link-session-required",
  MANIFEST_INVALID: "manifest-invalid",
  UPLOAD_LINK_OVER: "upload-link-over",
  UPLOAD_LINK_FULL: "upload-link-full",
  UPLOAD_LINK_PAUSED: "upload-link-paused",

  // The client's own
  INSECURE_SERVER: "insecure-server",
  SERVER_UNREACHABLE: "server-unreachable",
  SERVER_KEY_CHANGED: "server-key-changed",
  SPACE_INJECTED: "space-injected",
  PROFILE_MISSING: "profile-missing",
  PROFILE_LOCKED: "profile-locked",
  VAULT_LOCKED: "vault-locked",
  PROFILE_EXISTS: "profile-exists",
  PROFILE_BUSY: "profile-busy",
  FILE_UNREADABLE: "file-unreadable",
  FILE_CHANGED: "file-changed",
  UPDATE_REQUIRED: "update-required",
} as const;

/** Stable names of refusals; they stand in problem documents, logs, vectors and tests, and never change meaning. */
export type Code = (typeof Code)[keyof typeof Code];

/** A request, an entry or a sealed value was refused, by `code`; `detail` says what exactly, without secrets. */
export class Refused extends Error {
  readonly code: Code;
  readonly detail: string;

  constructor(code: Code, detail = "") {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "Refused";
    this.code = code;
    this.detail = detail;
  }
}

const CODES: ReadonlySet<string> = new Set(Object.values(Code));

/** Whether `text`, as a server's problem document carries it, is a code that this page knows. */
export function isCode(text: string): text is Code {
  return CODES.has(text);
}
