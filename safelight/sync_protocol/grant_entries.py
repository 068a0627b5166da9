"""The ledger's entries about albums that are shared by grants: generations of an album's keys, and who has them.

docs/spec/albums.md. Who may sign which, and what it does, stands in `ledger_grants`.
"""

from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol.account_ledger import InboxKey
from safelight.sync_protocol.ids import Id
from safelight.sync_protocol.limits import MAX_GRANT_BOX_SIZE_BYTES, MAX_GRANTS
from safelight.sync_protocol.wire import Count, SealedField, Signed, TimeMs

# Generation 1 is that of the album's own record, which members alone open.
FIRST_SHARED_GENERATION = 2

GrantTier = Literal["view", "full"]


class GrantBox(Signed, frozen=True):
    """The album key (`full`) or the album view key (`view`), sealed to one grantee's identity (HPKE).

    Info is `context(ALBUM_BOX, space id, album id, generation, account id, tier)`.
    """

    account_id: Id
    tier: GrantTier
    box: Annotated[bytes, msgspec.Meta(max_length=MAX_GRANT_BOX_SIZE_BYTES)]


class Generation(Signed, frozen=True):
    """A generation of an album's keys: its public inboxes, a box a grant, and the keys before it under its own.

    `key_full` and `key_view` box the same keys for the members of `epoch`, under its metadata keys (as in the album's
    own record); `full_history` and `view_history` box those of the generation before (associated data
    `context(ALBUM_HISTORY, space id, album id, number, tier)`), empty in the first that is shared. `title` is boxed
    under the album's metadata key.
    """

    number: Annotated[int, msgspec.Meta(ge=FIRST_SHARED_GENERATION, le=2**53 - 1)]
    epoch: Count
    full_inbox: InboxKey
    view_inbox: InboxKey
    boxes: Annotated[list[GrantBox], msgspec.Meta(max_length=MAX_GRANTS)]
    key_full: SealedField
    key_view: SealedField
    full_history: SealedField
    view_history: SealedField
    title: SealedField


class OpenGenerationBody(Signed, frozen=True):
    """A generation begins: the album's first that is shared, or the one after a grant or an epoch that ended."""

    album_id: Id
    generation: Generation


class GiveGrantBody(Signed, frozen=True):
    """A grant: the box's account reads the album at the box's tier until `expires_ms`; 0 means until it is ended.

    With `can_add` it adds to the album, too, and so to the space, of which it reads no more by that. With
    `can_organise` it takes pictures out of the album, and renames it.
    """

    album_id: Id
    generation: Count
    expires_ms: TimeMs
    can_add: bool
    can_organise: bool
    box: GrantBox


class EndGrantBody(Signed, frozen=True):
    """The grant ends, and a new generation begins: what is added from now on is sealed to keys that it never had."""

    album_id: Id
    account_id: Id
    generation: Generation
