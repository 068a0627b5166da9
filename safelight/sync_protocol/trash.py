"""The trash of a space: what a record changes of it, and of what is proposed for it, by what is so at its slot.

docs/spec/records.md §9. One pure function for the server, which refuses, and for every reader, who sets aside. Nothing
is purged: what is in the trash stays stored, and counts.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

from safelight.sync_protocol.records import (
    DecideDeletionBody,
    ProposeDeletionBody,
    RestoreAssetsBody,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code, Refused

AboutTrash: TypeAlias = TrashAssetsBody | RestoreAssetsBody | ProposeDeletionBody | DecideDeletionBody
ABOUT_TRASH = (TrashAssetsBody, RestoreAssetsBody, ProposeDeletionBody, DecideDeletionBody)


class TrashChange(NamedTuple):
    """The assets that a record really puts into the trash, takes out of it, proposes for it, and proposes no more."""

    trashed: Sequence[bytes] = ()
    restored: Sequence[bytes] = ()
    proposed: Sequence[bytes] = ()
    settled: Sequence[bytes] = ()


def trash_change(body: AboutTrash, in_trash: AbstractSet[bytes], proposed: AbstractSet[bytes]) -> TrashChange:
    """Return what *body* changes, in its order, where of its assets these are in the trash, and these proposed for it.

    What is so already stays as it is, with whoever did it first: two people may do the same at once. What goes into the
    trash is proposed no more. Raises UNCHANGED for a record that changes nothing: *a log filled with pictures that are
    trashed, or proposed, again and again*.
    """
    ids = body.asset_ids
    match body:
        case TrashAssetsBody():
            trashed = [each for each in ids if each not in in_trash]
            change = TrashChange(trashed=trashed, settled=[each for each in trashed if each in proposed])
        case RestoreAssetsBody():
            change = TrashChange(restored=[each for each in ids if each in in_trash])
        case ProposeDeletionBody():
            change = TrashChange(proposed=[each for each in ids if each not in in_trash | proposed])
        case _:
            settled = [each for each in ids if each in proposed]
            change = TrashChange(trashed=settled if body.confirmed else (), settled=settled)
    if not any(change):
        raise Refused(Code.UNCHANGED)
    return change


def after_change(
    change: TrashChange, in_trash: AbstractSet[bytes], proposed: AbstractSet[bytes]
) -> tuple[set[bytes], set[bytes]]:
    """Return what is in the trash and what is proposed for it after a change."""
    return (
        {*in_trash, *change.trashed} - set(change.restored),
        {*proposed, *change.proposed} - set(change.settled),
    )
