"""Whether this Safelight reads what an older one wrote: asked before anything of it is changed.

Tables can be brought from any form to another. What people signed cannot: a ledger that this Safelight refuses is a
space that opens for nobody any more, until the Safelight that wrote it runs again.
"""

import sqlalchemy as sa
from sqlalchemy import Connection

from safelight.server.stores.postgres_errors import DatabaseRefused
from safelight.sync_protocol import ledger
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.refusals import Refused

# As the tables were from the first revision on.
_SPACES = sa.text("SELECT space_id FROM spaces ORDER BY space_id")
_LEDGER = sa.text(
    "SELECT number, envelope FROM entries WHERE space_id = :space_id AND is_ledger = 1 AND number > :after"
    " ORDER BY number LIMIT 200"
)


def check_ledgers(connection: Connection) -> None:
    """Judge every space's ledger by the rules of this Safelight; DatabaseRefused names a space that it refuses."""
    for (space_id,) in connection.execute(_SPACES).fetchall():
        state: LedgerState | None = None
        after = 0
        while page := connection.execute(_LEDGER, {"space_id": space_id, "after": after}).fetchall():
            for number, envelope in page:
                state = _judge(state, space_id, number, envelope)
            after = page[-1][0]


def _judge(state: LedgerState | None, space_id: bytes, number: int, envelope: bytes) -> LedgerState:
    try:
        return ledger.apply(state, parse_entry(envelope), number)
    except Refused as refusal:
        raise DatabaseRefused(
            f"this Safelight does not read the ledger of space {space_id.hex()[:12]}, from slot {number} on"
            f" ({refusal.sentence}): nothing was changed, and the Safelight that wrote it goes on with it. To upgrade"
            " all the same, and have that space open for nobody: --with-unreadable-spaces"
        ) from None
