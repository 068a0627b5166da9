"""Grants say whether they let organise: no table changes, but a ledger that an older Safelight wrote may not be read.

A folder of that time is asked for `upgrade`, which looks before it changes anything; else it would be opened as
current, and a space with an older grant for nobody.
"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing: see above."""
