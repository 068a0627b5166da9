"""Albums that require approval: their rules, and the files of what is in each, read from the logs that there are."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ENTRIES = sa.text(
    "SELECT number, envelope FROM entries WHERE space_id = :space_id AND is_ledger = 0 AND number > :after"
    " ORDER BY number LIMIT 200"
)
_ADD = sa.text(
    "INSERT INTO album_files (space_id, album_id, name, asset_id, approved)"
    " SELECT a.space_id, :album_id, r.name, a.asset_id, 0 FROM assets AS a"
    " JOIN blob_refs AS r ON r.space_id = a.space_id AND r.number = a.number AND r.owner_id = a.asset_id"
    " WHERE a.space_id = :space_id AND a.asset_id = :asset_id ON CONFLICT DO NOTHING"
)


def upgrade() -> None:
    op.create_table(
        "album_rules",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("album_id", sa.LargeBinary(), nullable=False),
        sa.Column("requires_approval", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "album_id", name="album_rules_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="album_rules_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "album_files",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("album_id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("asset_id", sa.LargeBinary(), nullable=False),
        sa.Column("approved", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "album_id", "name", "asset_id", name="album_files_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="album_files_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
    _fill()


def _fill() -> None:
    """What is in albums already: no link could show it once one of them requires approval."""
    connection = op.get_bind()
    for (space_id,) in connection.execute(sa.text("SELECT space_id FROM spaces ORDER BY space_id")).fetchall():
        after = 0
        while page := connection.execute(_ENTRIES, {"space_id": space_id, "after": after}).fetchall():
            rows = [
                {"space_id": space_id, "album_id": album_id, "asset_id": asset_id}
                for _, envelope in page
                for album_id, asset_id in _into_album(envelope)
            ]
            if rows:
                connection.execute(_ADD, rows)
            after = page[-1][0]


def _into_album(envelope: bytes) -> list[tuple[bytes, bytes]]:
    """Album and assets of a record that adds to one, as records were when this was written."""
    content, _ = msgspec.msgpack.decode(envelope, type=tuple[bytes, bytes])
    header, raw = msgspec.msgpack.decode(content, type=tuple[list[object], msgspec.Raw])
    if header[2] not in ("album.add", "album.show", "asset.add-album"):
        return []
    body = msgspec.msgpack.decode(raw)
    match header[2]:
        case "album.add":
            return [(body[0], item[0]) for item in body[2]]
        case "album.show":
            return [(body[0], item[1][0]) for item in body[3]]
        case _:
            return [(body[1], asset[0]) for asset in body[3]]
