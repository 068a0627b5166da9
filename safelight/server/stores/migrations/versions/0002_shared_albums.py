"""Albums that are shared by grants: their own logs, the rolls that add to them, and the blobs that each shows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "album_entries",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("album_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "album_id", "number", name="album_entries_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="album_entries_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "album_rolls",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("roll_id", sa.LargeBinary(), nullable=False),
        sa.Column("album_id", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "roll_id", name="album_rolls_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="album_rolls_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "album_blobs",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("album_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "name", "album_id", name="album_blobs_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="album_blobs_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
