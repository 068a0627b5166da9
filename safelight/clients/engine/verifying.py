"""Comparing a space's ledger with another member's, by words that both read out (docs/spec/log.md §5)."""

from dataclasses import dataclass

from safelight.clients.engine.members import ListedMember, list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol import ledger
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.verify_words import verify_words


@dataclass(frozen=True, slots=True)
class LedgerWords:
    """The words of the ledger up to the entry *number*, and whom they vouch for; *newest* is how far it goes here."""

    number: int
    newest: int
    words: list[str]
    members: list[ListedMember]


async def words_of_ledger(space: SpaceView, at: int | None = None) -> LedgerWords:
    """Return the words of the verified ledger, now or up to its entry *at*; BAD_REQUEST where that is none."""
    newest = space.state.head.number
    state = space.state if at is None else _state_at(space, at)
    words = verify_words(space.space_id, state.head)
    return LedgerWords(state.head.number, newest, words, await list_members(space, state))


def _state_at(space: SpaceView, at: int) -> LedgerState:
    """The ledger as it was at the entry *at*, by the entries that were verified."""
    newest = space.state.head.number
    if at > newest:
        raise Refused(Code.BAD_REQUEST, f"the ledger goes up to entry {newest} here: let the other use --at {newest}")
    state: LedgerState | None = None
    for number, envelope in space.index.ledger_entries():
        if number > at:
            break
        state = ledger.apply(state, parse_entry(envelope), number)
    if state is None:
        raise Refused(Code.BAD_REQUEST, "a ledger's first entry is 1")
    if state.head.number != at:
        raise Refused(
            Code.BAD_REQUEST, f"entry {at} is none of the ledger's; the last one before it is {state.head.number}"
        )
    return state
