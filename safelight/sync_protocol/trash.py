"""The trash of a space: what a record changes of it, by what is in it at the record's slot.

docs/spec/records.md §9. One pure function for the server, which refuses, and for every reader, who sets aside. Nothing
is purged: what is in the trash stays stored, and counts.
"""

from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

from safelight.sync_protocol.records import RestoreAssetsBody, TrashAssetsBody
from safelight.sync_protocol.refusals import Code, Refused

AboutTrash: TypeAlias = TrashAssetsBody | RestoreAssetsBody
ABOUT_TRASH = (TrashAssetsBody, RestoreAssetsBody)


class TrashChange(NamedTuple):
    """The assets that a record really puts into the trash and takes out of it, in its order."""

    trashed: tuple[bytes, ...] = ()
    restored: tuple[bytes, ...] = ()


def trash_change(body: AboutTrash, in_trash: AbstractSet[bytes]) -> TrashChange:
    """Return what *body* changes, where *in_trash* are those of its assets that are in the trash; the rest are not.

    What is so already stays as it is, with whoever did it first: two people may do the same at once. Raises UNCHANGED
    for a record that changes nothing: *a log filled with pictures that are trashed again and again*.
    """
    if isinstance(body, TrashAssetsBody):
        change = TrashChange(trashed=tuple(each for each in body.asset_ids if each not in in_trash))
    else:
        change = TrashChange(restored=tuple(each for each in body.asset_ids if each in in_trash))
    if not any(change):
        raise Refused(Code.UNCHANGED)
    return change
