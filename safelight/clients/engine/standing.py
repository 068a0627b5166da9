"""How this account stands in a space, by the space's verified ledger; and the pin that its other devices see.

The same for who reads the space and for who reads albums of it alone.
"""

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.keyring_document import KnownSpace, with_space
from safelight.clients.engine.unlocking import check_account_pin
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import MAX_ACCOUNT_ENTRIES
from safelight.sync_protocol.refusals import Code, Refused


def check_member(session: AccountSession, state: LedgerState) -> None:
    """*Swapped member key*: what the space says of this account must be what the account says of itself.

    Raises SPACE_UNKNOWN for who is no member, and HISTORY_FORKED or LEDGER_RULE for another account.
    """
    member = state.members.get(session.account_id)
    if member is None:
        raise Refused(Code.SPACE_UNKNOWN, "this account is no member of it")
    check_account_pin(session.entries, member.account.head)
    is_current = member.account.head == session.state.head
    if is_current and member.account.identity != session.keys.identity:
        raise Refused(Code.LEDGER_RULE, "the space names another identity for this account")


def account_news(session: AccountSession, state: LedgerState) -> list[bytes]:
    """Return what the account's own ledger has beyond what counts in the space, as much as one entry tells."""
    known = state.members[session.account_id].account.head.number
    return session.entries[known : known + MAX_ACCOUNT_ENTRIES]


async def pin_for_all_devices(session: AccountSession, state: LedgerState) -> None:
    """Let the account's other devices know how far the ledger was verified, and that the space counts."""
    head, content = state.head, session.content
    listed = next((known for known in content.spaces if known.space_id == state.space_id), None)
    if listed is not None and (listed.ledger_number < head.number or not listed.confirmed):
        known = KnownSpace(state.space_id, ledger_number=head.number, ledger_hash=head.hash)
        await session.keyring.update(lambda kept: with_space(kept or content, known))
