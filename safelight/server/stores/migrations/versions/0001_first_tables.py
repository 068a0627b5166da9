"""The first tables: accounts, devices, spaces and their logs, assets, blobs, uploads, links.

They are written out, and not made from `tables.py`, because that follows the newest version and this one stays.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KINDS: dict[str, sa.types.TypeEngine[Any]] = {
    "b": sa.LargeBinary(),
    "n": sa.BigInteger(),
    "f": sa.SmallInteger(),
    "t": sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
}


def upgrade() -> None:
    _make_people()
    _make_spaces()
    _make_assets()
    _make_blobs()
    _make_links()
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE entries ALTER COLUMN envelope SET STORAGE EXTERNAL")  # what is sealed does not compress


def _make(
    table: str,
    columns: str,
    key: Sequence[str],
    *,
    unique: Sequence[str] = (),
    parent: str = "",
    clustered: bool = True,
) -> None:
    """Make a table of columns `name:kind`, with `?` where null may stand; the key of *parent* is among them."""
    parts: list[sa.schema.SchemaItem] = []
    for column in columns.split():
        name, kind = column.rstrip("?").split(":")
        parts.append(sa.Column(name, _KINDS[kind], nullable=column.endswith("?")))
    parts.append(sa.PrimaryKeyConstraint(*key, name=f"{table}_key"))
    if unique:
        parts.append(sa.UniqueConstraint(*unique, name="_".join((table, *unique))))
    if parent:
        column = parent.removesuffix("s") + "_id"
        parts.append(sa.ForeignKeyConstraint([column], [f"{parent}.{column}"], name=f"{table}_{column}_of_{parent}"))
    op.create_table(table, *parts, sqlite_with_rowid=not clustered)


def _index(name: str, table: str, columns: str, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns.split(), sqlite_where=condition, postgresql_where=condition)


def _make_people() -> None:
    _make("meta", "key:t value:b", ["key"])
    _make("invites", "code_hash:b expires_ms:n", ["code_hash"])
    _make(
        "accounts",
        "account_id:b name:t created_ms:n ledger_number:n ledger_hash:b",
        ["account_id"],
        unique=["name"],
        clustered=False,
    )
    _make(
        "account_entries",
        "account_id:b number:n entry_id:b time_ms:n envelope:b",
        ["account_id", "number"],
        parent="accounts",
        clustered=False,
    )
    _make(
        "unlockers",
        "account_id:b kind:t auth_hash:b wrapped:b salt:b memory_kib:n passes:n",
        ["account_id", "kind"],
        parent="accounts",
    )
    _make("keyrings", "account_id:b version:n sealed:b", ["account_id"], parent="accounts", clustered=False)
    _make(
        "devices",
        "device_id:b owner_id:b space_id:b kind:t key:b created_ms:n last_seen_ms:n revoked:f",
        ["device_id"],
        clustered=False,
    )
    _index("devices_by_owner", "devices", "owner_id")
    _make("sessions", "token_hash:b purpose:t account_id:b device_id:b space_id:b expires_ms:n", ["token_hash"])
    _index("sessions_by_device", "sessions", "device_id")
    _index("sessions_by_expiry", "sessions", "expires_ms")


def _make_spaces() -> None:
    _make(
        "spaces",
        "space_id:b kind:t number:n chain:b ledger_number:n ledger_hash:b epoch:n used_bytes:n quota_bytes:n time_ms:n",
        ["space_id"],
        clustered=False,
    )
    _index("spaces_by_time", "spaces", "time_ms")
    _make("members", "space_id:b account_id:b role:t", ["space_id", "account_id"], parent="spaces")
    _index("members_by_account", "members", "account_id")
    _make(
        "entries",
        "space_id:b number:n time_ms:n is_ledger:f size_bytes:n device_id:b counter:n entry_id:b chain:b "
        "signature:b envelope:b",
        ["space_id", "number"],
        unique=["space_id", "device_id", "counter"],
        parent="spaces",
        clustered=False,
    )
    _index("entries_of_ledger", "entries", "space_id number", "is_ledger = 1")
    _make(
        "positions",
        "space_id:b device_id:b counter:n entry_id:b used_bytes:n",
        ["space_id", "device_id"],
        parent="spaces",
    )
    _make("boxes", "space_id:b epoch:n account_id:b box:b", ["space_id", "epoch", "account_id"], parent="spaces")


def _make_assets() -> None:
    _make(
        "rolls",
        "space_id:b roll_id:b device_id:b epoch:n assets:n opened_ms:n",
        ["space_id", "roll_id"],
        parent="spaces",
    )
    _make("assets", "space_id:b asset_id:b number:n fingerprint:b", ["space_id", "asset_id"], parent="spaces")
    _index("assets_by_fingerprint", "assets", "space_id fingerprint number", "LENGTH(fingerprint) > 0")


def _make_blobs() -> None:
    _make("space_blobs", "name:b space_id:b size_bytes:n tier:t refs:n device_id:b held_ms:n", ["name", "space_id"])
    _index("space_blobs_loose", "space_blobs", "device_id held_ms size_bytes", "refs = 0")
    _make("uncommitted", "device_id:b blobs:n size_bytes:n counted:n counted_ms:n", ["device_id"])
    _make(
        "blob_refs",
        "space_id:b number:n place:n name:b owner_id:b rendition:t tier:t",
        ["space_id", "number", "place"],
        parent="spaces",
    )
    _make("forgotten_blobs", "name:b", ["name"])
    _make("orphan_blobs", "name:b seen_ms:n", ["name"])
    _make("leases", "name:b holder:b until_ms:n", ["name"])
    _index("orphan_blobs_by_time", "orphan_blobs", "seen_ms")
    _make("blob_checks", "name:b checked_ms:n found:t", ["name"])
    _index("blob_checks_by_time", "blob_checks", "checked_ms")
    _index("blob_checks_bad", "blob_checks", "name", "found <> ''")
    _make(
        "uploads",
        "upload_id:b device_id:b account_id:b space_id:b created_ms:n expires_ms:n offset_bytes:n "
        "length_bytes:n? digest:b? state:t blob:b",
        ["upload_id"],
        clustered=False,
    )
    _index("uploads_by_expiry", "uploads", "expires_ms")
    _index("uploads_open", "uploads", "device_id", "state = 'open'")
    _index("uploads_complete", "uploads", "device_id expires_ms", "state = 'complete'")


def _make_links() -> None:
    _make(
        "links",
        "link_id:b space_id:b number:n tier:t album_id:b token_hash:b proof_hash:b publishing_key:b head:b "
        "head_signature:b created_ms:n starts_ms:n expires_ms:n max_opens:n originals:f revoked:f opens:n "
        "last_opened_ms:n downloads:n last_download_ms:n",
        ["link_id"],
        parent="spaces",
        clustered=False,
    )
    _index("links_by_space", "links", "space_id number")
    _make("link_blobs", "link_id:b name:b tier:t", ["link_id", "name"], parent="links")
    _index("link_blobs_by_name", "link_blobs", "name")
    _make(
        "openings",
        "link_id:b opening_id:b handover_hash:b handover_expires_ms:n opened_ms:n",
        ["link_id", "opening_id"],
        parent="links",
    )
    _index("openings_by_handover", "openings", "handover_expires_ms")
