"""The trash: the blobs of the assets that are in it, and the assets that are proposed for it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trashed_blobs",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("asset_id", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "asset_id", "place", name="trashed_blobs_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="trashed_blobs_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
    op.create_index("trashed_blobs_by_name", "trashed_blobs", ["space_id", "name"])
    op.create_table(
        "proposed_assets",
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("asset_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space_id", "asset_id", name="proposed_assets_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="proposed_assets_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
