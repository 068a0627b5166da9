"""Every limit of the protocol, its unit in its name; both ends refuse what exceeds it (docs/spec/encodings.md)."""

MAX_INTEGER = 2**53 - 1

ID_SIZE_BYTES = 16
HASH_SIZE_BYTES = 32
KEY_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64
INBOX_KEY_SIZE_BYTES = 1216

MAX_ENTRY_SIZE_BYTES = 1024 * 1024
MAX_REQUEST_SIZE_BYTES = 4 * 1024 * 1024
MAX_NAME_LENGTH = 64
MAX_SEALED_FIELD_SIZE_BYTES = 64 * 1024
MAX_ASSETS_PER_RECORD = 200
MAX_RENDITIONS_PER_ASSET = 16
MAX_TITLE_BOX_SIZE_BYTES = 1024  # of a renamed album: 64 characters fit, of whatever script
MAX_NOTE_BOX_SIZE_BYTES = 8 * 1024  # of a proposed deletion: 1000 characters fit, of whatever script
MAX_MEMBERS = 1000
MAX_FINGERPRINTS_PER_QUESTION = 5000
MAX_SHARED_ALBUMS = 10_000  # in a space
MAX_GRANTS = 100  # of an album
MAX_GRANT_BOX_SIZE_BYTES = 2048
MAX_OPEN_UPLOAD_LINKS = 100  # in a space
MAX_UPLOAD_LINK_GUESTS = 1000
MAX_UPLOAD_LINK_FILES = 1_000_000
UPLOAD_LINK_MAX_AGE_S = 366 * 24 * 60 * 60
MAX_FEED_ENTRIES = 1000
MAX_ACCOUNT_ENTRIES = 1000  # of an account's ledger, in one entry of a space
MAX_WITHHELD_TOLD = 10_000  # assets of a shared album, each time that its log is asked for
MAX_CHAIN_ENTRIES = 50_000
MAX_FEED_SIZE_BYTES = 4 * 1024 * 1024
MAX_KEYRING_SIZE_BYTES = 4 * 1024 * 1024
MAX_BLOB_SIZE_BYTES = 2**40

MAX_ASSETS_PER_ROLL = 500
MAX_ROLL_AGE_S = 24 * 60 * 60

MANIFEST_PAGE_ASSETS = 500
MAX_MANIFEST_PAGES = 200
MAX_HELD_AT_ONCE = 1000  # blobs that one request lets another space hold
MAX_LINK_BLOBS = 200_000

# Argon2id: a server that offers less is refused, and so is one that offers a memory bomb.
ARGON2_MIN_MEMORY_KIB = 64 * 1024
ARGON2_MAX_MEMORY_KIB = 1024 * 1024
ARGON2_MIN_PASSES = 3
ARGON2_MAX_PASSES = 16
ARGON2_SALT_SIZE_BYTES = 16

PAIRING_MAX_AGE_S = 24 * 60 * 60
INVITATION_MAX_AGE_S = 30 * 24 * 60 * 60
