"""Grants in the space ledger: who reads one album and not its space, and under which keys. docs/spec/albums.md.

An album's generation is to its grants what an epoch is to members: no reach is lost without a new one. It stands only
within its epoch, so whoever leaves the space loses its albums with it.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from safelight.sync_protocol.grant_entries import (
    FIRST_SHARED_GENERATION,
    EndGrantBody,
    Generation,
    GiveGrantBody,
    GrantBox,
    OpenGenerationBody,
)
from safelight.sync_protocol.ledger_state import Grant, LedgerState, SharedAlbum, authorise
from safelight.sync_protocol.limits import MAX_GRANTS, MAX_SHARED_ALBUMS
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier, reads


def change_grants(
    state: LedgerState, entry: Entry, body: OpenGenerationBody | GiveGrantBody | EndGrantBody
) -> LedgerState:
    """Take an entry about an album's keys or grants; raises what the ledger raises, and GENERATION_OLD."""
    match body:
        case OpenGenerationBody():
            return _open_generation(state, entry, body)
        case GiveGrantBody():
            return _give_grant(state, entry, body)
        case _:
            return _end_grant(state, entry, body)


def _open_generation(state: LedgerState, entry: Entry, body: OpenGenerationBody) -> LedgerState:
    """Begin an album's generation. Only who reads all does: its keys are its maker's, and so are those before it."""
    authorise(state, entry, Right.ORGANISE)
    _check_maker(state, entry)
    if state.kind == "vault":
        raise Refused(Code.POLICY_FORBIDS, "a vault's albums are not shared by grants")
    album = state.albums.get(body.album_id)
    if album is None:
        if len(state.albums) >= MAX_SHARED_ALBUMS:
            raise Refused(Code.LEDGER_RULE, "there are too many shared albums")
        album = SharedAlbum(())
    return _with_generation(state, body.album_id, album, body.generation, entry.header.signed_ms)


def _give_grant(state: LedgerState, entry: Entry, body: GiveGrantBody) -> LedgerState:
    """Give a member an album's keys, under the generation in force. A grant that stands is only ever widened."""
    authorise(state, entry, Right.MEMBERS)
    album, account_id, signed_ms = _shared(state, body.album_id), body.box.account_id, entry.header.signed_ms
    member = state.members.get(account_id)
    if member is None:
        raise Refused(Code.LEDGER_RULE, "there is no such member")
    tier, author_id = Tier(body.box.tier), entry.header.author_id
    if not state.may_manage(author_id, member.role):
        raise Refused(Code.RIGHT_MISSING, f"to give a {member.role.value} a grant")
    grant = Grant(tier, body.expires_ms, author_id, signed_ms, body.can_add, body.can_organise)
    _check_gives(state, account_id, grant)
    if body.generation != album.generation.number or not state.generation_stands(body.album_id, signed_ms):
        raise Refused(Code.GENERATION_OLD)
    if not grant.stands_at(signed_ms):
        raise Refused(Code.LEDGER_RULE, "a grant that is given has not expired")
    before = album.grants.get(account_id)
    if before is not None and not _widens(before, grant):
        raise Refused(Code.LEDGER_RULE, "end the grant first: another that gives less comes with new keys")
    if before is None and len(album.grants) >= MAX_GRANTS:
        raise Refused(Code.LEDGER_RULE, f"an album has at most {MAX_GRANTS} grants")
    boxes = [box for box in album.generation.boxes if box.account_id != account_id]
    newest = replace(album.generation, boxes=[*boxes, body.box])
    given = SharedAlbum((*album.generations[:-1], newest), {**album.grants, account_id: grant})
    return replace(state, albums={**state.albums, body.album_id: given})


def _check_gives(state: LedgerState, account_id: bytes, grant: Grant) -> None:
    """A grant gives something that its member has not, and nothing that its giver has not."""
    givers, theirs = state.rights_of(grant.given_by), state.rights_of(account_id)
    adding, organising = {Right.ADD, Right.ORGANISE}, {Right.ORGANISE}
    if grant.can_add and not adding <= givers:
        raise Refused(Code.RIGHT_MISSING, "to let others add")
    if grant.can_organise and not organising <= givers:
        raise Refused(Code.RIGHT_MISSING, "to let others organise")
    gives_more = (grant.can_add and not adding <= theirs) or (grant.can_organise and not organising <= theirs)
    if reads(state.tier_of(account_id), grant.tier) and not gives_more:
        raise Refused(Code.LEDGER_RULE, "that member has all that the grant would give")


def _end_grant(state: LedgerState, entry: Entry, body: EndGrantBody) -> LedgerState:
    """End a grant: who gave it may, and who may manage its member. A new generation begins with it."""
    authorise(state, entry, None)
    _check_maker(state, entry)
    album = _shared(state, body.album_id)
    grant = album.grants.get(body.account_id)
    if grant is None:
        raise Refused(Code.LEDGER_RULE, "there is no such grant, or it is over")
    author_id = entry.header.author_id
    if author_id != grant.given_by and not state.may_manage(author_id, state.members[body.account_id].role):
        raise Refused(Code.RIGHT_MISSING, Right.MEMBERS.value)
    left = {account_id: other for account_id, other in album.grants.items() if account_id != body.account_id}
    ended = SharedAlbum(album.generations, left)
    return _with_generation(state, body.album_id, ended, body.generation, entry.header.signed_ms)


def without_grants_of(state: LedgerState, account_id: bytes) -> LedgerState:
    """End every grant of a member that leaves; its epoch ends with it, and so do the generations of its albums."""
    theirs = {
        album_id: SharedAlbum(album.generations, _without(album.grants, account_id))
        for album_id, album in state.albums.items()
        if account_id in album.grants
    }
    return replace(state, albums={**state.albums, **theirs}) if theirs else state


def _without(grants: Mapping[bytes, Grant], account_id: bytes) -> dict[bytes, Grant]:
    return {key: grant for key, grant in grants.items() if key != account_id}


def _shared(state: LedgerState, album_id: bytes) -> SharedAlbum:
    album = state.albums.get(album_id)
    if album is None:
        raise Refused(Code.LEDGER_RULE, "that album is not shared")
    return album


def _check_maker(state: LedgerState, entry: Entry) -> None:
    if state.tier_of(entry.header.author_id) is not Tier.FULL:
        raise Refused(Code.RIGHT_MISSING, "to begin an album's keys")


def _widens(before: Grant, after: Grant) -> bool:
    longer = not after.expires_ms or (before.expires_ms and after.expires_ms >= before.expires_ms)
    may_more = after.can_add >= before.can_add and after.can_organise >= before.can_organise
    return bool(longer) and reads(after.tier, before.tier) and may_more


def _with_generation(
    state: LedgerState, album_id: bytes, album: SharedAlbum, generation: Generation, signed_ms: int
) -> LedgerState:
    """The next number, of the epoch in force, new inboxes, and exactly one box for each grant that stands.

    Raises GENERATION_OLD, EPOCH_OLD or LEDGER_RULE.
    """
    expected = album.generation.number + 1 if album.generations else FIRST_SHARED_GENERATION
    if generation.number != expected:
        raise Refused(Code.GENERATION_OLD, f"the album's next generation is {expected}")
    if generation.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD, f"epoch {generation.epoch}, now {state.epoch.number}")
    has_before = bool(album.generations)
    if bool(generation.full_history) != has_before or bool(generation.view_history) != has_before:
        raise Refused(Code.LEDGER_RULE, "a generation carries the one before it, and the first carries none")
    if _repeats_inbox(album, generation):
        # Under an old inbox, whose grant ended would read on.
        raise Refused(Code.LEDGER_RULE, "a generation has new inboxes, one for each tier")
    standing = album.standing(signed_ms)
    if _tiers(generation.boxes) != sorted((account_id, grant.tier.value) for account_id, grant in standing.items()):
        raise Refused(Code.LEDGER_RULE, "a generation has exactly one box for each grant that stands, at its tier")
    earlier = album.generations
    if earlier:
        earlier = (*earlier[:-1], replace(earlier[-1], boxes=[]))
    return replace(state, albums={**state.albums, album_id: SharedAlbum((*earlier, generation), standing)})


def _repeats_inbox(album: SharedAlbum, generation: Generation) -> bool:
    inboxes = {generation.full_inbox, generation.view_inbox}
    return len(inboxes) == 1 or any(
        before.full_inbox in inboxes or before.view_inbox in inboxes for before in album.generations
    )


def _tiers(boxes: list[GrantBox]) -> list[tuple[bytes, str]]:
    return sorted((box.account_id, box.tier) for box in boxes)
