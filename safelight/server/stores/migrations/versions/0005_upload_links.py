"""Upload links: the heads that guests are given, and what was taken by each."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_links",
        sa.Column("link_id", sa.LargeBinary(), nullable=False),
        sa.Column("space_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("head_signature", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("link_id", name="upload_links_key"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.space_id"], name="upload_links_space_id_of_spaces"),
        sqlite_with_rowid=False,
    )
