"""Vectors of taking pictures out of albums and renaming them: by a right, and by a grant that lets its member."""

from functools import partial

from msgspec.structs import replace

from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD, MAX_TITLE_BOX_SIZE_BYTES
from safelight.sync_protocol.log import NO_HEAD, Entry, Head
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from safelight.sync_protocol.wire import Signed
from tests.support.grants import ALBUM, album_assets, album_roll, give_body, remove_body, renaming_body, show_body
from tests.support.ledgers import NOW_MS, Signer, id_of, seed_of
from tests.support.members import member, role_entry
from tools.vector_builder import Cases
from tools.vector_shared_albums import LATER_MS, Next, Shared, judge, replay
from tools.vector_upload_links import Judged, judge_records, placed

_PLACE = Head(3, seed_of("place"))
_OTHER = bytes(16)


def organising(cases: Cases) -> None:
    """Add the cases."""
    _given(cases)
    _by_rights(cases)
    _by_a_grant(cases)
    _said_wrong(cases)


def _give(shared: Shared, signer: Signer | None = None, tier: Tier = Tier.VIEW, expires_ms: int = 0) -> Entry:
    body = give_body(shared.begun().space, shared.bert, tier, expires_ms=expires_ms, can_organise=True)
    return shared.space.entry(LedgerKind.GIVE_GRANT, body, signer)


def _to(shared: Shared, role: Role, tier: Tier = Tier.VIEW, *, can_add: bool = False) -> Entry:
    shared.begun().with_chris(role)
    body = give_body(shared.space, shared.chris, tier, can_add=can_add, can_organise=True)
    return shared.space.entry(LedgerKind.GIVE_GRANT, body)


def _given(cases: Cases) -> None:
    rule, rights = Code.LEDGER_RULE, Code.RIGHT_MISSING
    judged: tuple[tuple[str, Next, Code | None], ...] = (
        ("to a grantee", _give, None),
        ("to a grantee, for a minute", lambda s: _give(s, expires_ms=LATER_MS), None),
        ("to a grantee who adds as well", lambda s: _to(s, Role.GRANTEE, can_add=True), None),
        ("to a contributor", lambda s: _to(s, Role.CONTRIBUTOR), None),
        ("to a viewer, who reads all already", lambda s: _to(s, Role.VIEWER), None),
        ("to a previewer, who reads as much already", lambda s: _to(s, Role.PREVIEWER), None),
        ("to who may not organise before", lambda s: _give(s.given()), None),
        ("again, of the full tier", lambda s: _give(_organising(s), tier=Tier.FULL), None),
        ("by a manager who does not add", lambda s: _give(s, _by_a_manager(s, Right.ADD)), None),
        ("again, and to organise no more", lambda s: _organising(s).give(tier=Tier.FULL), rule),
        ("again, and to add instead", _adding_instead, rule),
        ("to an editor, who organises already", lambda s: _to(s, Role.EDITOR), rule),
        ("to an editor, of the full tier, adding", lambda s: _to(s, Role.EDITOR, Tier.FULL, can_add=True), rule),
        ("by a manager who does not organise", lambda s: _give(s, _by_a_manager(s, Right.ORGANISE)), rights),
        ("by its own reader", lambda s: _give(s.given(), s.by_bert), rights),
    )
    for name, make, expect in judged:
        given = "a grant to organise is given" if expect is None else "no grant to organise is given"
        replay(cases, f"{given} {name}", make, expect)


def _organising(shared: Shared, expires_ms: int = 0) -> Shared:
    """Let Bert organise."""
    return shared.after(_give(shared, expires_ms=expires_ms))


def _adding_instead(shared: Shared) -> Entry:
    body = give_body(_organising(shared).space, shared.bert, can_add=True)
    return shared.space.entry(LedgerKind.GIVE_GRANT, body)


def _by_a_manager(shared: Shared, *without: Right) -> Signer:
    return member(shared.space, shared.chris, Role.MANAGER, RIGHTS[Role.MANAGER] - set(without))


def _both(
    shared: Shared,
    expect: Code | None,
    signer: Signer | None = None,
    at_ms: int = NOW_MS,
    album: bytes = ALBUM,
    generation: int = 2,
    log: Head = _PLACE,
) -> Judged:
    """A removal and a renaming, by Bert unless another signs."""
    who = signer or shared.by_bert
    bodies = (
        (RecordKind.REMOVE_FROM_ALBUM, remove_body(album=album, log=log)),
        (RecordKind.RENAME_ALBUM, renaming_body(album=album, log=log, generation=generation)),
    )
    return [(partial(_next, shared, kind, body, who, at_ms), expect) for kind, body in bodies]


def _next(shared: Shared, kind: str, body: Signed, signer: Signer, at_ms: int = NOW_MS) -> Entry:
    return shared.space.entry(kind, body, placed(shared.space, signer), signed_ms=at_ms)


def _by_rights(cases: Cases) -> None:
    """Who organises does so in every album, shared or not; nobody else without a grant."""
    rights = Code.RIGHT_MISSING
    for role in (Role.OWNER, Role.EDITOR, Role.VIEWER, Role.PREVIEWER, Role.GRANTEE):
        shared = Shared().begun()
        who = shared.space.signer if role is Role.OWNER else shared.with_chris(role)
        expect = None if Right.ORGANISE in RIGHTS[role] else rights
        records = [*_both(shared, expect, who), *_both(shared, expect, who, album=_OTHER, generation=1, log=NO_HEAD)]
        judge_records(cases, f"an album is organised by a member that is {role.value}", shared.space, records)
    shared = Shared().begun()
    judge_records(
        cases, "no album is organised by a camera", shared.space, _both(shared, rights, shared.space.camera())
    )


def _by_a_grant(cases: Cases) -> None:
    """That album, for as long as the grant stands; neither *another one* nor the rest of the space."""
    rights, old = Code.RIGHT_MISSING, Code.GENERATION_OLD
    shared = _organising(Shared())
    elsewhere = [(RecordKind.SHOW_IN_ALBUM, show_body()), (RecordKind.OPEN_ALBUM_ROLL, album_roll())]
    elsewhere += [(RecordKind.ADD_ALBUM_ASSETS, album_assets())]
    records = [*_both(shared, None), *_both(shared, rights, album=_OTHER, generation=1, log=NO_HEAD)]
    records += [(partial(_next, shared, kind, body, shared.by_bert), rights) for kind, body in elsewhere]
    judge_records(cases, "a grantee organises the album, and adds nothing", shared.space, records)
    shared = _organising(Shared(), LATER_MS)
    records = [*_both(shared, None, at_ms=LATER_MS - 1), *_both(shared, rights, at_ms=LATER_MS)]
    judge_records(cases, "a grantee organises until the grant expires", shared.space, records)
    shared = _organising(Shared()).ended()
    judge_records(cases, "a grantee organises nothing after the grant ended", shared.space, _both(shared, rights))
    shared = _organising(Shared()).remove(Shared().bert)
    judge_records(cases, "a grantee organises nothing after it left", shared.space, _both(shared, Code.SIGNER_UNKNOWN))
    shared = Shared()
    shared.after(shared.begun().space.entry(LedgerKind.GIVE_GRANT, give_body(shared.space, shared.bert, can_add=True)))
    judge_records(cases, "who adds by a grant does not organise by it", shared.space, _both(shared, rights))
    shared = _organising(Shared())
    shared.after(shared.open())
    [removal, renaming] = _both(shared, None)
    records = [removal, (renaming[0], old), *_both(shared, None, generation=3)]
    judge_records(
        cases, "pictures are taken out under any generation, and a title is of the newest", shared.space, records
    )
    shared = _organising(Shared()).rotated()
    [removal, renaming] = _both(shared, None)
    judge_records(
        cases,
        "while new keys are due pictures are taken out, and nothing renamed",
        shared.space,
        [removal, (renaming[0], old)],
    )
    replay(cases, "a giver organises no more, and the grant goes on", _giver_demoted)


def _giver_demoted(shared: Shared) -> Entry:
    by_chris = _by_a_manager(shared)
    shared.after(_give(shared, by_chris), by_chris)
    return role_entry(shared.space, shared.chris, Role.VIEWER)


def _said_wrong(cases: Cases) -> None:
    most = [number.to_bytes(16, "big") for number in range(MAX_ASSETS_PER_RECORD + 1)]
    removal, renaming = RecordKind.REMOVE_FROM_ALBUM, RecordKind.RENAME_ALBUM
    private = renaming_body(album=_OTHER, generation=1)
    for name, kind, body, expect in (
        ("as many as fit", removal, replace(remove_body(), asset_ids=most[:-1]), None),
        ("more than fit", removal, replace(remove_body(), asset_ids=most), Code.ENTRY_MALFORMED),
        ("no pictures", removal, replace(remove_body(), asset_ids=[]), Code.ENTRY_MALFORMED),
        ("one picture twice", removal, replace(remove_body(), asset_ids=[id_of("asset one")] * 2), Code.ASSET_CONFLICT),
        ("from an album without a log, at a place", removal, remove_body(album=_OTHER, log=_PLACE), Code.ALBUM_STALE),
        ("a title at a place, of an album without a log", renaming, replace(private, log=_PLACE), Code.ALBUM_STALE),
        (
            "a title of the first generation, of a shared album",
            renaming,
            renaming_body(generation=1),
            Code.GENERATION_OLD,
        ),
        ("a title of a generation to come", renaming, renaming_body(generation=3), Code.GENERATION_OLD),
        (
            "a title of another generation, of an album of members",
            renaming,
            replace(private, generation=2),
            Code.GENERATION_OLD,
        ),
        (
            "a title of no generation, of an album of members",
            renaming,
            replace(private, generation=0),
            Code.GENERATION_OLD,
        ),
        ("a title as long as may be", renaming, replace(private, title=bytes(MAX_TITLE_BOX_SIZE_BYTES)), None),
        (
            "a title longer than may be",
            renaming,
            replace(private, title=bytes(MAX_TITLE_BOX_SIZE_BYTES + 1)),
            Code.ENTRY_MALFORMED,
        ),
    ):
        what = "organised" if expect is None else "not organised, and set aside"
        judge(cases, f"{what}: {name}", partial(_signed, kind, body), expect)


def _signed(kind: str, body: Signed, shared: Shared) -> Entry:
    return shared.begun().space.entry(kind, body)
