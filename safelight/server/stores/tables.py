"""Every table, for Alembic to compare with the database and for people to read; the statements stand in `sql/`.

Ids, hashes, keys and sealed values are bytes; times are milliseconds since 1970 UTC; truth values are 0 and 1, which
both engines' drivers take alike. Text is compared by its bytes, in PostgreSQL by the collation "C": an index in a
language's order would be wrong from the day on which the system changes that order.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_key",
        "uq": "%(table_name)s_%(column_0_N_name)s",
        "fk": "%(table_name)s_%(column_0_name)s_of_%(referred_table_name)s",
    }
)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text().with_variant(Text(collation="C"), "postgresql"), nullable=False)


def _of(name: str, parent: str) -> Column[bytes]:
    """A column that refers to the row of *parent* with the same id."""
    return Column(name, LargeBinary, ForeignKey(f"{parent}.{name}"), nullable=False)


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index of the rows that fulfil a condition, which statements must state in the same words."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _clustered(name: str, *parts: Column[bytes] | Column[int] | Column[str] | PrimaryKeyConstraint | Index) -> Table:
    """A table of small rows that SQLite keeps in the order of the primary key, without a second index for it."""
    return Table(name, METADATA, *parts, sqlite_with_rowid=False)


META = _clustered("meta", _text("key"), _bytes("value"), PrimaryKeyConstraint("key"))

INVITES = _clustered("invites", _bytes("code_hash"), _number("expires_ms"), PrimaryKeyConstraint("code_hash"))

ACCOUNTS = Table(
    "accounts",
    METADATA,
    _bytes("account_id"),
    _text("name"),
    _number("created_ms"),
    _number("ledger_number"),
    _bytes("ledger_hash"),
    PrimaryKeyConstraint("account_id"),
    UniqueConstraint("name"),
)

ACCOUNT_ENTRIES = Table(
    "account_entries",
    METADATA,
    _of("account_id", "accounts"),
    _number("number"),
    _bytes("entry_id"),
    _number("time_ms"),
    _bytes("envelope"),
    PrimaryKeyConstraint("account_id", "number"),
)

UNLOCKERS = _clustered(
    "unlockers",
    _of("account_id", "accounts"),
    _text("kind"),
    _bytes("auth_hash"),
    _bytes("wrapped"),
    _bytes("salt"),
    _number("memory_kib"),
    _number("passes"),
    PrimaryKeyConstraint("account_id", "kind"),
)

KEYRINGS = Table(
    "keyrings",
    METADATA,
    _of("account_id", "accounts"),
    _number("version"),
    _bytes("sealed"),
    PrimaryKeyConstraint("account_id"),
)

DEVICES = Table(
    "devices",
    METADATA,
    _bytes("device_id"),
    _bytes("owner_id"),
    _bytes("space_id"),
    _text("kind"),
    _bytes("key"),
    _number("created_ms"),
    _number("last_seen_ms"),
    _flag("revoked"),
    PrimaryKeyConstraint("device_id"),
    Index("devices_by_owner", "owner_id"),
)

SESSIONS = _clustered(
    "sessions",
    _bytes("token_hash"),
    _text("purpose"),
    _bytes("account_id"),
    _bytes("device_id"),
    _bytes("space_id"),
    _number("expires_ms"),
    PrimaryKeyConstraint("token_hash"),
    Index("sessions_by_expiry", "expires_ms"),
    Index("sessions_by_device", "device_id"),
)

SPACES = Table(
    "spaces",
    METADATA,
    _bytes("space_id"),
    _text("kind"),
    _number("number"),
    _bytes("chain"),
    _number("ledger_number"),
    _bytes("ledger_hash"),
    _number("epoch"),
    _number("used_bytes"),
    _number("quota_bytes"),
    _number("time_ms"),  # of the newest entry
    PrimaryKeyConstraint("space_id"),
    Index("spaces_by_time", "time_ms"),
)

MEMBERS = _clustered(
    "members",
    _of("space_id", "spaces"),
    _bytes("account_id"),
    _text("role"),
    PrimaryKeyConstraint("space_id", "account_id"),
    Index("members_by_account", "account_id"),
)

# `size_bytes` stands before the envelope so that a page of the feed can be measured without reading it. A device's
# counter finds its entry: an index on the entry's id, which is random, would cost every commit a page of its own.
ENTRIES = Table(
    "entries",
    METADATA,
    _of("space_id", "spaces"),
    _number("number"),
    _number("time_ms"),
    _flag("is_ledger"),
    _number("size_bytes"),
    _bytes("device_id"),
    _number("counter"),
    _bytes("entry_id"),
    _bytes("chain"),
    _bytes("signature"),
    _bytes("envelope"),
    PrimaryKeyConstraint("space_id", "number"),
    UniqueConstraint("space_id", "device_id", "counter"),
    _partial("entries_of_ledger", "space_id", "number", where="is_ledger = 1"),
)

# The last entry of each device in each space, and what its records added to the space.
POSITIONS = _clustered(
    "positions",
    _of("space_id", "spaces"),
    _bytes("device_id"),
    _number("counter"),
    _bytes("entry_id"),
    _number("used_bytes"),
    PrimaryKeyConstraint("space_id", "device_id"),
)

BOXES = _clustered(
    "boxes",
    _of("space_id", "spaces"),
    _number("epoch"),
    _bytes("account_id"),
    _bytes("box"),
    PrimaryKeyConstraint("space_id", "epoch", "account_id"),
)

ROLLS = _clustered(
    "rolls",
    _of("space_id", "spaces"),
    _bytes("roll_id"),
    _bytes("device_id"),
    _number("epoch"),
    _number("assets"),
    _number("opened_ms"),
    PrimaryKeyConstraint("space_id", "roll_id"),
)

ASSETS = _clustered(
    "assets",
    _of("space_id", "spaces"),
    _bytes("asset_id"),
    _number("number"),
    _bytes("fingerprint"),
    PrimaryKeyConstraint("space_id", "asset_id"),
    _partial("assets_by_fingerprint", "space_id", "fingerprint", "number", where="LENGTH(fingerprint) > 0"),
)

# What is held in which space. `tier` is that of the first record or link that named it, "" and refs 0 while none has.
SPACE_BLOBS = _clustered(
    "space_blobs",
    _bytes("name"),
    _bytes("space_id"),
    _number("size_bytes"),
    _text("tier"),
    _number("refs"),
    _bytes("device_id"),
    _number("held_ms"),
    PrimaryKeyConstraint("name", "space_id"),
    _partial("space_blobs_loose", "device_id", "held_ms", "size_bytes", where="refs = 0"),
)

# How much each device has at most that no record names: as last counted (then `counted` blobs), and held since.
UNCOMMITTED = _clustered(
    "uncommitted",
    _bytes("device_id"),
    _number("blobs"),
    _number("size_bytes"),
    _number("counted"),
    _number("counted_ms"),
    PrimaryKeyConstraint("device_id"),
)

# Which record refers to which blob, in the order of the log; `space_blobs.refs` counts these rows.
BLOB_REFS = _clustered(
    "blob_refs",
    _of("space_id", "spaces"),
    _number("number"),
    _number("place"),
    _bytes("name"),
    _bytes("owner_id"),
    _text("rendition"),
    _text("tier"),
    PrimaryKeyConstraint("space_id", "number", "place"),
)

# An album's own log, for its grantees: which slot of the space's log stands where in it.
ALBUM_ENTRIES = _clustered(
    "album_entries",
    _of("space_id", "spaces"),
    _bytes("album_id"),
    _number("number"),
    _number("slot"),
    _bytes("chain"),
    PrimaryKeyConstraint("space_id", "album_id", "number"),
)

# The rolls whose assets are in a shared album as well, under which generation of its keys.
ALBUM_ROLLS = _clustered(
    "album_rolls",
    _of("space_id", "spaces"),
    _bytes("roll_id"),
    _bytes("album_id"),
    _number("generation"),
    PrimaryKeyConstraint("space_id", "roll_id"),
)

# Which shared albums show a blob.
ALBUM_BLOBS = _clustered(
    "album_blobs",
    _of("space_id", "spaces"),
    _bytes("name"),
    _bytes("album_id"),
    PrimaryKeyConstraint("space_id", "name", "album_id"),
)

# What an album's links are held to.
ALBUM_RULES = _clustered(
    "album_rules",
    _of("space_id", "spaces"),
    _bytes("album_id"),
    _flag("requires_approval"),
    PrimaryKeyConstraint("space_id", "album_id"),
)

# The files of what is in an album, shared or not, and whether they are approved there.
ALBUM_FILES = _clustered(
    "album_files",
    _of("space_id", "spaces"),
    _bytes("album_id"),
    _bytes("name"),
    _bytes("asset_id"),
    _flag("approved"),
    PrimaryKeyConstraint("space_id", "album_id", "name", "asset_id"),
)

# The blobs of the assets in the trash, as `blob_refs` has them: who reads an album or a link only is not given them.
TRASHED_BLOBS = _clustered(
    "trashed_blobs",
    _of("space_id", "spaces"),
    _bytes("asset_id"),
    _number("place"),
    _bytes("name"),
    PrimaryKeyConstraint("space_id", "asset_id", "place"),
    Index("trashed_blobs_by_name", "space_id", "name"),
)

# The assets that somebody proposed for the trash, until it is decided.
PROPOSED_ASSETS = _clustered(
    "proposed_assets", _of("space_id", "spaces"), _bytes("asset_id"), PrimaryKeyConstraint("space_id", "asset_id")
)

# Blobs that are forgotten and whose bytes may not be gone yet.
FORGOTTEN_BLOBS = _clustered("forgotten_blobs", _bytes("name"), PrimaryKeyConstraint("name"))

# Blobs that a store holds and no space, and when they were first seen: they go only a grace time after that.
ORPHAN_BLOBS = _clustered(
    "orphan_blobs",
    _bytes("name"),
    _number("seen_ms"),
    PrimaryKeyConstraint("name"),
    Index("orphan_blobs_by_time", "seen_ms"),
)

# When the bytes of a blob were last hashed, and what was `found`: "" is all well, else missing or damaged.
BLOB_CHECKS = _clustered(
    "blob_checks",
    _bytes("name"),
    _number("checked_ms"),
    _text("found"),
    PrimaryKeyConstraint("name"),
    Index("blob_checks_by_time", "checked_ms"),
    _partial("blob_checks_bad", "name", where="found <> ''"),
)

# What one of several processes has to itself: uploads while it appends to them, clearing away.
LEASES = _clustered("leases", _bytes("name"), _bytes("holder"), _number("until_ms"), PrimaryKeyConstraint("name"))

UPLOADS = Table(
    "uploads",
    METADATA,
    _bytes("upload_id"),
    _bytes("device_id"),
    _bytes("account_id"),
    _bytes("space_id"),
    _number("created_ms"),
    _number("expires_ms"),
    _number("offset_bytes"),
    Column("length_bytes", BigInteger, nullable=True),
    Column("digest", LargeBinary, nullable=True),
    _text("state"),
    _bytes("blob"),
    PrimaryKeyConstraint("upload_id"),
    _partial("uploads_open", "device_id", where="state = 'open'"),
    _partial("uploads_complete", "device_id", "expires_ms", where="state = 'complete'"),
    Index("uploads_by_expiry", "expires_ms"),
)

LINKS = Table(
    "links",
    METADATA,
    _bytes("link_id"),
    _of("space_id", "spaces"),
    _number("number"),
    _text("tier"),
    _bytes("album_id"),
    _bytes("token_hash"),
    _bytes("proof_hash"),
    _bytes("publishing_key"),
    _bytes("head"),
    _bytes("head_signature"),
    _number("created_ms"),
    _number("starts_ms"),
    _number("expires_ms"),
    _number("max_opens"),
    _flag("originals"),
    _flag("revoked"),
    _number("opens"),
    _number("last_opened_ms"),
    _number("downloads"),
    _number("last_download_ms"),
    PrimaryKeyConstraint("link_id"),
    Index("links_by_space", "space_id", "number"),
)

UPLOAD_LINKS = _clustered(
    "upload_links",
    _bytes("link_id"),
    _of("space_id", "spaces"),
    _number("number"),
    _bytes("head"),
    _bytes("head_signature"),
    _number("files"),
    _number("used_bytes"),
    PrimaryKeyConstraint("link_id"),
)

LINK_BLOBS = _clustered(
    "link_blobs",
    _of("link_id", "links"),
    _bytes("name"),
    _text("tier"),  # page, made, view or full
    PrimaryKeyConstraint("link_id", "name"),
    Index("link_blobs_by_name", "name"),
)

OPENINGS = _clustered(
    "openings",
    _of("link_id", "links"),
    _bytes("opening_id"),
    _bytes("handover_hash"),
    _number("handover_expires_ms"),
    _number("opened_ms"),
    PrimaryKeyConstraint("link_id", "opening_id"),
    Index("openings_by_handover", "handover_expires_ms"),
)
