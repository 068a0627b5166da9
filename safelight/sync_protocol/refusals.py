"""The one table of refusals: a stable code, an HTTP status, and a sentence that a person can act on."""

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Code(StrEnum):
    """Stable names of refusals; they stand in problem documents, logs, vectors and tests, and never change meaning."""

    # The requests themselves
    BAD_REQUEST = "bad-request"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    UNSUPPORTED_MEDIA = "unsupported-media"
    RATE_LIMITED = "rate-limited"
    SERVER_FAULT = "server-fault"
    STORAGE_FULL = "storage-full"
    STORAGE_READ_ONLY = "storage-read-only"
    STORAGE_UNAVAILABLE = "storage-unavailable"
    TIMED_OUT = "timed-out"

    # Accounts and sessions
    INVITE_INVALID = "invite-invalid"
    NAME_TAKEN = "name-taken"
    NAME_INVALID = "name-invalid"
    UNLOCK_FAILED = "unlock-failed"
    SESSION_REQUIRED = "session-required"
    SESSION_EXPIRED = "session-expired"
    DEVICE_REVOKED = "device-revoked"
    SIGNATURE_INVALID = "signature-invalid"
    FORBIDDEN = "forbidden"
    KEYRING_CONFLICT = "keyring-conflict"
    ACCOUNT_LEDGER_CONFLICT = "account-ledger-conflict"

    # Entries, log and ledger
    ENTRY_MALFORMED = "entry-malformed"
    ENTRY_UNKNOWN_CRITICAL = "entry-unknown-critical"
    ENTRY_WRONG_SPACE = "entry-wrong-space"
    ENTRY_STALE = "entry-stale"
    COUNTER_CONFLICT = "counter-conflict"
    CHAIN_BROKEN = "chain-broken"
    HISTORY_FORKED = "history-forked"
    HISTORY_ROLLED_BACK = "history-rolled-back"
    SIGNER_UNKNOWN = "signer-unknown"
    RIGHT_MISSING = "right-missing"
    LEDGER_RULE = "ledger-rule"
    EPOCH_REQUIRED = "epoch-required"
    EPOCH_OLD = "epoch-old"
    EPOCH_MISMATCH = "epoch-mismatch"
    GENERATION_OLD = "generation-old"
    ALBUM_STALE = "album-stale"
    ALBUM_WAITS = "album-waits"
    CAMERA_ALREADY_BOUND = "camera-already-bound"
    PAIRING_EXPIRED = "pairing-expired"
    PAIRING_INVALID = "pairing-invalid"
    INVITATION_INVALID = "invitation-invalid"
    INVITATION_USED = "invitation-used"
    INVITATION_EXPIRED = "invitation-expired"
    MEMBER_EXISTS = "member-exists"
    LAST_OWNER = "last-owner"
    SPACE_UNKNOWN = "space-unknown"
    ROLL_UNKNOWN = "roll-unknown"
    ROLL_FULL = "roll-full"
    ASSET_CONFLICT = "asset-conflict"
    BLOB_MISSING = "blob-missing"
    BLOB_SIZE_MISMATCH = "blob-size-mismatch"
    QUOTA_EXCEEDED = "quota-exceeded"
    RECEIPT_INVALID = "receipt-invalid"
    POLICY_FORBIDS = "policy-forbids"
    NOT_APPROVED = "not-approved"
    IN_TRASH = "in-trash"
    UNCHANGED = "unchanged"
    WITHHELD = "withheld"

    # Resumable uploads
    UPLOAD_OFFSET_MISMATCH = "upload-offset-mismatch"
    UPLOAD_COMPLETED = "upload-completed"
    UPLOAD_LENGTH_INCONSISTENT = "upload-length-inconsistent"
    UPLOAD_TOO_LONG = "upload-too-long"
    UPLOAD_DIGEST_MISMATCH = "upload-digest-mismatch"
    UPLOAD_DIGEST_UNSUPPORTED = "upload-digest-unsupported"
    UPLOAD_BUSY = "upload-busy"
    RANGE_UNSATISFIABLE = "range-unsatisfiable"

    # Sealing: failures by class
    OPEN_FAILED = "open-failed"
    FORMAT_UNSUPPORTED = "format-unsupported"
    PADDING_INVALID = "padding-invalid"
    LENGTH_MISMATCH = "length-mismatch"
    PASSWORD_COST_REFUSED = "password-cost-refused"
    WORDS_INVALID = "words-invalid"

    # Links
    LINK_ADDRESS_CUT = "link-address-cut"
    LINK_ADDRESS_MANGLED = "link-address-mangled"
    LINK_ADDRESS_VERSION = "link-address-version"
    LINK_NOT_OPENED = "link-not-opened"
    LINK_EXPIRED = "link-expired"
    LINK_REVOKED = "link-revoked"
    LINK_EXHAUSTED = "link-exhausted"
    LINK_SESSION_REQUIRED = "link-session-required"
    MANIFEST_INVALID = "manifest-invalid"
    UPLOAD_LINK_OVER = "upload-link-over"
    UPLOAD_LINK_FULL = "upload-link-full"
    UPLOAD_LINK_PAUSED = "upload-link-paused"

    # The client's own
    INSECURE_SERVER = "insecure-server"
    SERVER_UNREACHABLE = "server-unreachable"
    SERVER_KEY_CHANGED = "server-key-changed"
    SPACE_INJECTED = "space-injected"
    PROFILE_MISSING = "profile-missing"
    PROFILE_LOCKED = "profile-locked"
    VAULT_LOCKED = "vault-locked"
    PROFILE_EXISTS = "profile-exists"
    PROFILE_BUSY = "profile-busy"
    FILE_UNREADABLE = "file-unreadable"
    FILE_CHANGED = "file-changed"
    UPDATE_REQUIRED = "update-required"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: the HTTP status that carries the refusal, and its sentence."""

    status: int
    sentence: str


TABLE: dict[Code, Row] = {
    Code.BAD_REQUEST: Row(400, "This cannot be done as it was asked."),
    Code.TOO_LARGE: Row(413, "That is larger than this server takes in one piece; send it in smaller pieces."),
    Code.NOT_FOUND: Row(404, "It was not found, or it is not yours to see."),
    Code.METHOD_NOT_ALLOWED: Row(405, "This address does not take that method."),
    Code.UNSUPPORTED_MEDIA: Row(415, "Send the body in the content type that this address takes."),
    Code.RATE_LIMITED: Row(429, "Too many attempts; wait a little and try again."),
    Code.SERVER_FAULT: Row(500, "The server made a mistake; it is in the server's log under the request's number."),
    Code.STORAGE_FULL: Row(507, "The server's disk is full; nothing was lost, ask its operator to make room."),
    Code.STORAGE_READ_ONLY: Row(
        503, "The server's disk failed to store data safely, so it takes nothing more until checked."
    ),
    Code.STORAGE_UNAVAILABLE: Row(
        503, "The server's storage does not answer as it should; nothing was lost, try again later."
    ),
    Code.TIMED_OUT: Row(408, "The request did not arrive in time; send it again."),
    Code.INVITE_INVALID: Row(
        403, "This invite code is not valid or was used; ask the server's operator for a new one."
    ),
    Code.NAME_TAKEN: Row(409, "That account name is taken; choose another."),
    Code.NAME_INVALID: Row(400, "An account name has 1 to 64 letters, digits, dots, dashes or underscores."),
    Code.UNLOCK_FAILED: Row(403, "Name and password (or recovery words) do not match an account here."),
    Code.SESSION_REQUIRED: Row(401, "Sign in first."),
    Code.SESSION_EXPIRED: Row(401, "This session has ended; sign in again."),
    Code.DEVICE_REVOKED: Row(403, "This device was revoked; sign in on it anew or use another."),
    Code.SIGNATURE_INVALID: Row(403, "The signature does not match what was signed, so nothing was taken."),
    Code.FORBIDDEN: Row(403, "This account or device may not do that."),
    Code.KEYRING_CONFLICT: Row(409, "Another device changed the keyring first; fetch it and try again."),
    Code.ACCOUNT_LEDGER_CONFLICT: Row(409, "Another device changed the account first; fetch its ledger and try again."),
    Code.ENTRY_MALFORMED: Row(400, "The entry is not in the form that the protocol takes."),
    Code.ENTRY_UNKNOWN_CRITICAL: Row(422, "This entry needs a newer Safelight; update to go on."),
    Code.ENTRY_WRONG_SPACE: Row(422, "The entry was signed for another space."),
    Code.ENTRY_STALE: Row(409, "The space's ledger moved on meanwhile; fetch it and sign again."),
    Code.COUNTER_CONFLICT: Row(
        409, "This device's entries must follow one another; fetch its last one and sign again."
    ),
    Code.CHAIN_BROKEN: Row(
        422, "The log does not add up: an entry was dropped, changed or moved. Do not trust this server's answer."
    ),
    Code.HISTORY_FORKED: Row(422, "The server shows this space's history differently than before or to others."),
    Code.HISTORY_ROLLED_BACK: Row(
        422, "The server shows an older state than it did before; it may have been restored from a backup."
    ),
    Code.SIGNER_UNKNOWN: Row(403, "The entry's signer is not known in this space, or no longer."),
    Code.RIGHT_MISSING: Row(403, "The signer's role in this space does not allow that."),
    Code.LEDGER_RULE: Row(422, "The ledger's rules do not allow this entry; see the detail."),
    Code.EPOCH_REQUIRED: Row(422, "Taking access away must come together with a new epoch."),
    Code.EPOCH_OLD: Row(409, "The space has a new epoch; seal anew and send again."),
    Code.EPOCH_MISMATCH: Row(422, "The epoch's keys are not what its ledger entry says; nothing is sealed to them."),
    Code.GENERATION_OLD: Row(409, "The album's keys are another generation's by now; fetch the space and try again."),
    Code.ALBUM_STALE: Row(409, "Somebody else added to the album meanwhile; fetch the space and try again."),
    Code.ALBUM_WAITS: Row(
        503,
        "The album waits for new keys, which a computer of whoever organises it makes when it next runs; try later.",
    ),
    Code.CAMERA_ALREADY_BOUND: Row(
        409, "This pairing code was already used. If that was not you, revoke the camera now."
    ),
    Code.PAIRING_EXPIRED: Row(403, "This pairing code has expired; make a new one."),
    Code.PAIRING_INVALID: Row(400, "This is not a whole pairing code; copy or scan it again."),
    Code.INVITATION_INVALID: Row(400, "This is not a whole invitation; copy or scan it again."),
    Code.INVITATION_USED: Row(
        409, "This invitation was already used. If that was not you, tell whoever invited you now."
    ),
    Code.INVITATION_EXPIRED: Row(403, "This invitation has expired or was withdrawn; ask for a new one."),
    Code.MEMBER_EXISTS: Row(409, "This account is in the space already."),
    Code.LAST_OWNER: Row(409, "A space keeps at least one owner; make someone else an owner first."),
    Code.SPACE_UNKNOWN: Row(404, "There is no such space, or this account is not in it."),
    Code.ROLL_UNKNOWN: Row(422, "The roll is not open in this space by this device; open a new one."),
    Code.ROLL_FULL: Row(409, "The roll is full; open a new one."),
    Code.ASSET_CONFLICT: Row(409, "An asset of that id is there already with other content."),
    Code.BLOB_MISSING: Row(422, "A blob that the entry names is not held in this space; upload it and commit again."),
    Code.BLOB_SIZE_MISMATCH: Row(422, "A blob's size is not what the entry says."),
    Code.QUOTA_EXCEEDED: Row(507, "The space's quota is used up; make room or ask for more."),
    Code.RECEIPT_INVALID: Row(502, "The server's receipt does not verify, so nothing counts as stored."),
    Code.POLICY_FORBIDS: Row(403, "The space's policy does not allow that."),
    Code.NOT_APPROVED: Row(
        403, "Links of this album show approved pictures only; whoever may approve says first which those are."
    ),
    Code.IN_TRASH: Row(409, "It is in the trash of its space; restore it first."),
    Code.UNCHANGED: Row(409, "That is so already, and nothing would change."),
    Code.WITHHELD: Row(410, "The server gives this out no more: the space that it is from took it back."),
    Code.UPLOAD_OFFSET_MISMATCH: Row(409, "The upload is at another offset; ask for it and go on from there."),
    Code.UPLOAD_COMPLETED: Row(400, "The upload is complete already; nothing more can be appended."),
    Code.UPLOAD_LENGTH_INCONSISTENT: Row(400, "The lengths that the upload states contradict one another."),
    Code.UPLOAD_TOO_LONG: Row(413, "The upload is longer than it said or than this server takes."),
    Code.UPLOAD_DIGEST_MISMATCH: Row(422, "The bytes that arrived do not have the stated digest; send them again."),
    Code.UPLOAD_DIGEST_UNSUPPORTED: Row(400, "State digests as sha-256 or sha-512, as RFC 9530 writes them."),
    Code.UPLOAD_BUSY: Row(409, "Another request is appending to this upload; try again in a moment."),
    Code.RANGE_UNSATISFIABLE: Row(416, "The blob has no such range."),
    Code.OPEN_FAILED: Row(422, "This could not be opened: the key is wrong, or it was changed on the way."),
    Code.FORMAT_UNSUPPORTED: Row(422, "This is in a format that this version of Safelight does not read."),
    Code.PADDING_INVALID: Row(422, "The padding is not as it must be, so the content is not trusted."),
    Code.LENGTH_MISMATCH: Row(422, "There is more or less content than the signed record says."),
    Code.PASSWORD_COST_REFUSED: Row(
        422, "The server asks for password costs outside the safe range, so no password was sent."
    ),
    Code.WORDS_INVALID: Row(400, "These are not the 24 recovery words; check spelling and order."),
    Code.LINK_ADDRESS_CUT: Row(400, "The link's address was cut short; ask for it again or paste it whole."),
    Code.LINK_ADDRESS_MANGLED: Row(
        400, "The link's address was changed on the way; ask for it again or paste it whole."
    ),
    Code.LINK_ADDRESS_VERSION: Row(400, "The link was made by a newer Safelight than this page knows."),
    Code.LINK_NOT_OPENED: Row(403, "This did not open: the link is not known here or the password is not right."),
    Code.LINK_EXPIRED: Row(410, "This link has expired; ask whoever sent it for a new one."),
    Code.LINK_REVOKED: Row(410, "This link was withdrawn by whoever made it."),
    Code.LINK_EXHAUSTED: Row(410, "This link was opened as often as its maker allowed."),
    Code.LINK_SESSION_REQUIRED: Row(401, "Open the link again to see this."),
    Code.MANIFEST_INVALID: Row(422, "What the server sent is not what the link's maker signed, so it is not shown."),
    Code.UPLOAD_LINK_OVER: Row(
        410, "This upload link takes nothing more: it expired or was closed; ask whoever sent it for a new one."
    ),
    Code.UPLOAD_LINK_FULL: Row(403, "This upload link has taken as much as its maker allowed; ask them to allow more."),
    Code.UPLOAD_LINK_PAUSED: Row(
        503,
        "This upload link waits for its maker's computer, which renews its keys when it next runs; try again later.",
    ),
    Code.INSECURE_SERVER: Row(400, "This address is neither https nor on this machine; use an https address."),
    Code.SERVER_UNREACHABLE: Row(503, "The server could not be reached; check the address and the network."),
    Code.SERVER_KEY_CHANGED: Row(422, "This is not the server that this profile knows: its key has changed."),
    Code.SPACE_INJECTED: Row(422, "The server lists a space that this account neither made nor joined; it is ignored."),
    Code.PROFILE_MISSING: Row(
        400, "There is no Safelight profile for this here; create an account, log in or add a camera first."
    ),
    Code.PROFILE_LOCKED: Row(403, "The password does not unlock this profile."),
    Code.VAULT_LOCKED: Row(403, "This vault is locked; only its own passphrase opens it."),
    Code.PROFILE_EXISTS: Row(409, "This profile folder is in use already; choose another with SAFELIGHT_PROFILE."),
    Code.PROFILE_BUSY: Row(409, "Another Safelight process is using this profile; wait for it to finish."),
    Code.FILE_CHANGED: Row(409, "The file changed while it was read; it will be read again."),
    Code.FILE_UNREADABLE: Row(400, "The file or folder could not be used."),
    Code.UPDATE_REQUIRED: Row(422, "This needs a newer Safelight; update to go on."),
}


class Refused(Exception):
    """A request, an entry or a sealed value was refused, by *code*; *detail* says what exactly, without secrets."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        """The HTTP status that carries this refusal."""
        return TABLE[self.code].status

    @property
    def sentence(self) -> str:
        """The sentence for people, with the detail where there is one."""
        sentence = TABLE[self.code].sentence
        return f"{sentence} ({self.detail})" if self.detail else sentence

    def __str__(self) -> str:
        return f"{self.sentence} [{self.code}]"
