"""Epochs in the space ledger: which one may follow, and who has a box in it. docs/spec/log.md §5."""

from collections.abc import Mapping

from msgspec.structs import replace

from safelight.sync_protocol.ledger_entries import BoxRef, Epoch
from safelight.sync_protocol.ledger_state import LedgerState, Member
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import TIERS, Tier


def with_epoch(state: LedgerState, epoch: Epoch) -> LedgerState:
    """Begin *epoch*. Raises EPOCH_OLD where its number does not follow, LEDGER_RULE for inboxes or boxes."""
    check_epoch(epoch, state.epoch.number + 1, state.members)
    if any(epoch.full_inbox in some or epoch.view_inbox in some for some in state.inboxes):
        # Under an old inbox, who was removed would read on.
        raise Refused(Code.LEDGER_RULE, "an epoch has new inboxes")
    return replace(state, epochs=(*state.epochs, epoch), inboxes=with_inboxes(state.inboxes, epoch), epoch_due=False)


def with_inboxes(before: tuple[frozenset[bytes], ...], epoch: Epoch) -> tuple[frozenset[bytes], ...]:
    """Add the inboxes of *epoch*; where two sets are as large, they become one.

    So neither adding one nor looking for one goes through those of all epochs, of which a space may have thousands.
    """
    added = frozenset({epoch.full_inbox, epoch.view_inbox})
    while before and len(before[-1]) == len(added):
        added, before = added | before[-1], before[:-1]
    return (*before, added)


def after_loss(state: LedgerState, entry: Entry, epoch: Epoch | None) -> LedgerState:
    """Take reach away together with *epoch*; raises EPOCH_REQUIRED without.

    *A previewer, or a contributor, that makes itself a reader of everything*: the keys of an epoch are its maker's, so
    only who reads all makes one. What others give up is noted, and whoever manages members begins an epoch for it.
    """
    if state.tier_of(entry.header.author_id) is Tier.FULL:
        if epoch is None:
            raise Refused(Code.EPOCH_REQUIRED)
        return with_epoch(state, epoch)
    if epoch is not None:
        raise Refused(Code.RIGHT_MISSING, "to begin an epoch")
    return replace(state, epoch_due=True)


def with_box(state: LedgerState, account_id: bytes, tier: Tier, box: BoxRef | None) -> LedgerState:
    """Give a member that reads *tier* from now on its box of the epoch in force, in place of any that it had."""
    expected = None if tier is Tier.NONE else (account_id, tier.value)
    if expected != (None if box is None else (box.account_id, box.tier)):
        raise Refused(Code.LEDGER_RULE, "who reads more gets a box of the epoch in force, at its tier, and nobody else")
    if box is None:
        return state
    others = [other for other in state.epoch.boxes if other.account_id != account_id]
    epoch = replace(state.epoch, boxes=[*others, box])
    return replace(state, epochs=(*state.epochs[:-1], epoch))


def check_epoch(epoch: Epoch, number: int, members: Mapping[bytes, Member]) -> None:
    """The next number, an inbox a tier, and exactly one box for each member that reads, at its tier."""
    if epoch.number != number:
        raise Refused(Code.EPOCH_OLD, f"the next epoch is {number}")
    if bool(epoch.full_history) != (number > 1) or bool(epoch.view_history) != (number > 1):
        raise Refused(Code.LEDGER_RULE, "an epoch carries the one before it, and the first carries none")
    if epoch.full_inbox == epoch.view_inbox:
        raise Refused(Code.LEDGER_RULE, "an epoch has an inbox for each tier")
    tiers = {key: TIERS[member.role] for key, member in members.items()}
    expected = {key: tier.value for key, tier in tiers.items() if tier is not Tier.NONE}
    boxed = {box.account_id: box.tier for box in epoch.boxes}
    if len(boxed) != len(epoch.boxes) or boxed != expected:
        raise Refused(Code.LEDGER_RULE, "an epoch has exactly one box for each member that reads, at its tier")
