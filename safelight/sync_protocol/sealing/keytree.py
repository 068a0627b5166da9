"""The key tree: HKDF-SHA-256, one label a derivation, one named function a label (RFC 5869; docs/spec/keys.md).

Every function takes a key and returns one; knowing a derived key says nothing about the key above it or beside it.
That is what makes the tiers real: a view key cannot be turned into the full key that it came from.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import ARGON2_SALT_SIZE_BYTES, ID_SIZE_BYTES, KEY_SIZE_BYTES
from safelight.sync_protocol.sealing.sizes import require_key, require_size

LINK_SECRET_SIZE_BYTES = 16
_SHA256 = SHA256()


def derive(key: bytes, label: Label, *parts: bytes, size_bytes: int = KEY_SIZE_BYTES) -> bytes:
    """Return HKDF-SHA-256 of *key* with an empty salt and context(*label*, *parts*) as info: *size_bytes* bytes."""
    return _hkdf(key, b"", context(label, *parts), size_bytes)


def _hkdf(key: bytes, salt: bytes, info: bytes, size_bytes: int) -> bytes:
    # The salt is a parameter for the public known answers; ours is always empty.
    return HKDF(algorithm=_SHA256, length=size_bytes, salt=salt, info=info).derive(key)


def _from_key(key: bytes, label: Label, *parts: bytes) -> bytes:
    require_key(key)
    return derive(key, label, *parts)


# Account


def identity_signing_seed(account_secret: bytes) -> bytes:
    """Return the Ed25519 seed of the account's identity."""
    return _from_key(account_secret, Label.IDENTITY_SIGNING)


def identity_sealing_seed(account_secret: bytes) -> bytes:
    """Return the X-Wing seed of the account's identity: what epoch boxes are sealed to."""
    return _from_key(account_secret, Label.IDENTITY_SEALING)


def keyring_key(account_secret: bytes) -> bytes:
    """Return the key of the account's keyring."""
    return _from_key(account_secret, Label.KEYRING_KEY)


# Vault


def vault_account_key(account_secret: bytes) -> bytes:
    """Return what the account gives to opening its vaults; nothing opens by it alone."""
    return _from_key(account_secret, Label.VAULT_ACCOUNT_KEY)


def vault_wrap_key(account_key_and_stretched: bytes) -> bytes:
    """Return the key over a vault secret, from vault account key (32 bytes) ‖ Argon2id of the passphrase (32 bytes)."""
    require_size(account_key_and_stretched, 2 * KEY_SIZE_BYTES, "account key and stretched passphrase")
    return derive(account_key_and_stretched, Label.VAULT_WRAP_KEY)


def vault_sealing_seed(vault_secret: bytes) -> bytes:
    """Return the X-Wing seed of a member's key in one vault: what its epoch boxes there are sealed to."""
    return _from_key(vault_secret, Label.VAULT_SEALING)


# Epoch


def view_secret(epoch_secret: bytes) -> bytes:
    """Return the epoch's view secret: all that a member of the view tier holds."""
    return _from_key(epoch_secret, Label.VIEW_SECRET)


def full_inbox_seed(epoch_secret: bytes) -> bytes:
    """Return the X-Wing seed of the epoch's full inbox."""
    return _from_key(epoch_secret, Label.FULL_INBOX)


def view_inbox_seed(view_secret: bytes) -> bytes:
    """Return the X-Wing seed of the epoch's view inbox."""
    return _from_key(view_secret, Label.VIEW_INBOX)


def full_metadata_key(epoch_secret: bytes) -> bytes:
    """Return the key of the space's own full-tier fields."""
    return _from_key(epoch_secret, Label.FULL_METADATA_KEY)


def view_metadata_key(view_secret: bytes) -> bytes:
    """Return the key of the space's own view-tier fields."""
    return _from_key(view_secret, Label.VIEW_METADATA_KEY)


def full_history_key(epoch_secret: bytes) -> bytes:
    """Return the key under which the epoch before hands down its epoch secret."""
    return _from_key(epoch_secret, Label.FULL_HISTORY_KEY)


def view_history_key(view_secret: bytes) -> bytes:
    """Return the key under which the epoch before hands down its view secret."""
    return _from_key(view_secret, Label.VIEW_HISTORY_KEY)


# Roll


def roll_view_key(roll_key: bytes) -> bytes:
    """Return the roll's view key: what is sealed to the view inbox."""
    return _from_key(roll_key, Label.ROLL_VIEW_KEY)


def roll_wrap_key(roll_key: bytes) -> bytes:
    """Return the key that wraps the roll's asset keys."""
    return _from_key(roll_key, Label.ROLL_WRAP_KEY)


def roll_view_wrap_key(roll_view_key: bytes) -> bytes:
    """Return the key that wraps the roll's asset view keys."""
    return _from_key(roll_view_key, Label.ROLL_VIEW_WRAP_KEY)


# Asset


def asset_view_key(asset_key: bytes) -> bytes:
    """Return the asset's view key, from which previews and thumbnails hang."""
    return _from_key(asset_key, Label.ASSET_VIEW_KEY)


def rendition_key(asset_or_view_key: bytes, name: str, rendition_id: bytes) -> bytes:
    """Return the FLOE key of the rendition *name* (an ASCII word) with the 16-byte *rendition_id*.

    Full-tier renditions (original, motion, raw, sidecar) hang from the asset key, view-tier ones (preview, thumbnail)
    from the asset view key. The id is random: a picture developed anew has a new key (*old preview swapped back*).
    """
    require_size(rendition_id, ID_SIZE_BYTES, "a rendition id")
    return _from_key(asset_or_view_key, Label.RENDITION_KEY, name.encode("ascii"), rendition_id)


def asset_metadata_key(asset_or_view_key: bytes) -> bytes:
    """Return the key of the asset's full metadata (from the asset key) or view metadata (from the asset view key)."""
    return _from_key(asset_or_view_key, Label.ASSET_METADATA_KEY)


# Album


def album_view_key(album_key: bytes) -> bytes:
    """Return the album's view key: all that a grant of the view tier holds."""
    return _from_key(album_key, Label.ALBUM_VIEW_KEY)


def album_wrap_key(album_key: bytes) -> bytes:
    """Return the key that wraps asset keys for the album."""
    return _from_key(album_key, Label.ALBUM_WRAP_KEY)


def album_view_wrap_key(album_view_key: bytes) -> bytes:
    """Return the key that wraps asset view keys for the album."""
    return _from_key(album_view_key, Label.ALBUM_VIEW_WRAP_KEY)


def album_metadata_key(album_view_key: bytes) -> bytes:
    """Return the key of the album's title, cover, order and sections."""
    return _from_key(album_view_key, Label.ALBUM_METADATA_KEY)


def album_full_history_key(album_key: bytes) -> bytes:
    """Return the key under which the generation before hands down its album key."""
    return _from_key(album_key, Label.ALBUM_FULL_HISTORY_KEY)


def album_view_history_key(album_view_key: bytes) -> bytes:
    """Return the key under which the generation before hands down its album view key."""
    return _from_key(album_view_key, Label.ALBUM_VIEW_HISTORY_KEY)


def album_full_inbox_seed(album_key: bytes) -> bytes:
    """Return the X-Wing seed of the album's full inbox."""
    return _from_key(album_key, Label.ALBUM_FULL_INBOX)


def album_view_inbox_seed(album_view_key: bytes) -> bytes:
    """Return the X-Wing seed of the album's view inbox."""
    return _from_key(album_view_key, Label.ALBUM_VIEW_INBOX)


# Camera pairing


def pairing_signing_seed(pairing_secret: bytes) -> bytes:
    """Return the Ed25519 seed whose public half the ledger certifies for one pairing."""
    return _from_key(pairing_secret, Label.PAIRING_SIGNING)


def pairing_box_key(pairing_secret: bytes) -> bytes:
    """Return the key of the box that waits for the camera at the server."""
    return _from_key(pairing_secret, Label.PAIRING_BOX_KEY)


# Invitation


def invitation_signing_seed(invitation_secret: bytes) -> bytes:
    """Return the Ed25519 seed whose public half stands in the ledger's invitation."""
    return _from_key(invitation_secret, Label.INVITATION_SIGNING)


# Link


def _from_link_secret(secret: bytes, label: Label, size_bytes: int = KEY_SIZE_BYTES) -> bytes:
    require_size(secret, LINK_SECRET_SIZE_BYTES, "a link secret")
    return derive(secret, label, size_bytes=size_bytes)


def link_access_token(secret: bytes) -> bytes:
    """Return the 32-byte token that opens the link at the server, which keeps its hash alone."""
    return _from_link_secret(secret, Label.LINK_TOKEN)


def link_base(secret: bytes) -> bytes:
    """Return the 32 bytes from which the link key comes, alone or together with a password."""
    return _from_link_secret(secret, Label.LINK_BASE)


def link_password_salt(secret: bytes) -> bytes:
    """Return the 16-byte Argon2id salt of the link's password; no server can choose it."""
    return _from_link_secret(secret, Label.LINK_SALT, ARGON2_SALT_SIZE_BYTES)


def link_picks_key(secret: bytes) -> bytes:
    """Return the key under which guests' signing keys are authenticated."""
    return _from_link_secret(secret, Label.LINK_PICKS)


def link_key(base: bytes) -> bytes:
    """Return the link key of a link without password."""
    return _from_key(base, Label.LINK_KEY)


def link_key_with_password(base_and_stretched: bytes) -> bytes:
    """Return the link key of a link with password, from link base (32 bytes) ‖ Argon2id output (32 bytes)."""
    require_size(base_and_stretched, 2 * KEY_SIZE_BYTES, "link base and stretched password")
    return derive(base_and_stretched, Label.LINK_KEY_PASSWORD)


def link_password_proof(base_and_stretched: bytes) -> bytes:
    """Return the 32 bytes that prove the password to the server, which keeps their hash alone; same input."""
    require_size(base_and_stretched, 2 * KEY_SIZE_BYTES, "link base and stretched password")
    return derive(base_and_stretched, Label.LINK_PROOF)


def link_head_key(link_key: bytes) -> bytes:
    """Return the key of the manifest's head."""
    return _from_key(link_key, Label.LINK_HEAD_KEY)


def link_page_key(link_key: bytes, page_number: int) -> bytes:
    """Return the key of the manifest's page *page_number*, counted from 0."""
    return _from_key(link_key, Label.LINK_PAGE_KEY, uint(page_number))


# Upload link


def upload_signing_seed(secret: bytes) -> bytes:
    """Return the Ed25519 seed by which an upload link's guests bind keys of their own."""
    return _from_link_secret(secret, Label.UPLOAD_SIGNING)


def upload_head_key(secret: bytes) -> bytes:
    """Return the key of what an upload link's head tells its guests alone."""
    return _from_link_secret(secret, Label.UPLOAD_HEAD_KEY)
