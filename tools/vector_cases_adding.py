"""Vectors of grants that let their member add to the album: given, widened, used, and over."""

from functools import partial

from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import AddAssetsBody, OpenRollBody, RecordKind
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from safelight.sync_protocol.wire import Signed
from tests.support.grants import album_assets, album_roll, give_body, show_body, shown
from tests.support.ledgers import NOW_MS, Signer, id_of
from tests.support.members import member, role_entry
from tools.vector_builder import Cases
from tools.vector_shared_albums import LATER_MS, Next, Shared, replay
from tools.vector_upload_links import Judged, judge_records, placed


def adding(cases: Cases) -> None:
    """Add the cases."""
    _given(cases)
    _used(cases)


def _give(shared: Shared, signer: Signer | None = None, tier: Tier = Tier.VIEW, expires_ms: int = 0) -> Entry:
    body = give_body(shared.begun().space, shared.bert, tier, expires_ms=expires_ms, can_add=True)
    return shared.space.entry(LedgerKind.GIVE_GRANT, body, signer)


def _to(shared: Shared, role: Role, tier: Tier = Tier.VIEW) -> Entry:
    shared.begun().with_chris(role)
    body = give_body(shared.space, shared.chris, tier, can_add=True)
    return shared.space.entry(LedgerKind.GIVE_GRANT, body)


def _given(cases: Cases) -> None:
    rule, rights = Code.LEDGER_RULE, Code.RIGHT_MISSING
    judged: tuple[tuple[str, Next, Code | None], ...] = (
        ("to a grantee", _give, None),
        ("to a grantee, for a minute", lambda s: _give(s, expires_ms=LATER_MS), None),
        ("to a contributor", lambda s: _to(s, Role.CONTRIBUTOR), None),
        ("to a viewer, who reads all already", lambda s: _to(s, Role.VIEWER), None),
        ("to a previewer, who reads as much already", lambda s: _to(s, Role.PREVIEWER), None),
        ("to who may not add before", lambda s: _give(s.given()), None),
        ("again, of the full tier", lambda s: _give(_adding(s), tier=Tier.FULL), None),
        ("again, for longer", lambda s: _give(_adding(s, LATER_MS), expires_ms=LATER_MS + 1), None),
        ("by a manager", lambda s: _give(s, _by_a_manager(s)), None),
        ("again, and to add no more", lambda s: _adding(s).give(tier=Tier.FULL), rule),
        ("again, for less time", lambda s: _give(_adding(s), expires_ms=LATER_MS), rule),
        ("to an editor, who adds already", lambda s: _to(s, Role.EDITOR), rule),
        ("to an editor, of the full tier", lambda s: _to(s, Role.EDITOR, Tier.FULL), rule),
        ("by a manager who does not add", lambda s: _give(s, _by_a_manager(s, Right.ADD)), rights),
        ("by a manager who does not organise", lambda s: _give(s, _by_a_manager(s, Right.ORGANISE)), rights),
        ("by its own reader", lambda s: _give(s.given(), s.by_bert), rights),
    )
    for name, make, expect in judged:
        given = "a grant to add is given" if expect is None else "no grant to add is given"
        replay(cases, f"{given} {name}", make, expect)


def _adding(shared: Shared, expires_ms: int = 0) -> Shared:
    """Let Bert add."""
    return shared.after(_give(shared, expires_ms=expires_ms))


def _by_a_manager(shared: Shared, *without: Right) -> Signer:
    return member(shared.space, shared.chris, Role.MANAGER, RIGHTS[Role.MANAGER] - set(without))


def _used(cases: Cases) -> None:
    """What who was granted an album adds to it, and *to the rest of the space*: a roll and an asset each."""
    rights, old = Code.RIGHT_MISSING, Code.GENERATION_OLD
    shared = _adding(Shared())
    alone: list[tuple[str, Signed]] = [
        (RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view")),
        (RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [shown().asset])),
        (RecordKind.SHOW_IN_ALBUM, show_body()),
    ]
    records = [*_both(shared, None), *_both(shared, rights, album_id=bytes(16)), *_both(shared, old, generation=1)]
    records += [(partial(_next, shared, kind, body, shared.by_bert), rights) for kind, body in alone]
    judge_records(cases, "a grantee adds to the album, and to nothing else", shared.space, records)
    shared = _adding(Shared(), LATER_MS)
    records = [*_both(shared, None, at_ms=LATER_MS - 1), *_both(shared, rights, at_ms=LATER_MS)]
    judge_records(cases, "a grantee adds until the grant expires", shared.space, records)
    for name, shared, expect, generation in (
        ("after the grant ended", _adding(Shared()).ended(), rights, 3),
        ("under an old generation", _after_a_generation(), old, 2),
        ("by a grant that only reads", Shared().given(), rights, 2),
    ):
        records = [*_both(shared, expect, generation=generation)]
        judge_records(cases, f"a grantee adds nothing {name}", shared.space, records)
    for role in (Role.VIEWER, Role.PREVIEWER):
        shared = Shared()
        shared.after(_to(shared, role))
        by_chris = Signer(shared.chris.account_id, shared.chris.device_id, shared.chris.device_seed)
        judge_records(cases, f"a {role.value} adds by a grant", shared.space, _both(shared, None, by_chris))
    replay(cases, "no camera is certified by who adds by a grant", _camera, Code.RIGHT_MISSING)
    replay(cases, "a giver adds no more, and the grant goes on", _giver_demoted)


def _after_a_generation() -> Shared:
    shared = _adding(Shared())
    return shared.after(shared.open())


def _both(
    shared: Shared, expect: Code | None, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object
) -> Judged:
    """A roll and an asset of the album, by Bert unless another signs."""
    who = signer or shared.by_bert
    return [
        (partial(_next, shared, RecordKind.OPEN_ALBUM_ROLL, album_roll(**changes), who, at_ms), expect),
        (partial(_next, shared, RecordKind.ADD_ALBUM_ASSETS, album_assets(**changes), who, at_ms), expect),
    ]


def _next(shared: Shared, kind: str, body: Signed, signer: Signer, at_ms: int = NOW_MS) -> Entry:
    return shared.space.entry(kind, body, placed(shared.space, signer), signed_ms=at_ms)


def _camera(shared: Shared) -> Entry:
    space = _adding(shared).space
    return space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), shared.by_bert)


def _giver_demoted(shared: Shared) -> Entry:
    by_chris = _by_a_manager(shared)
    shared.after(_give(shared, by_chris), by_chris)
    return role_entry(shared.space, shared.chris, Role.VIEWER)
