"""What the check of a space makes of its log, to compare the rows with."""

from safelight.server.domain.ports.rows import EntryRow
from safelight.server.upkeep.space_check import _Walk
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody
from safelight.sync_protocol.records import RecordKind
from tests.support.grants import ALBUM, remove_body
from tests.support.ledgers import Person, Space, id_of


def test_an_approval_is_over_with_what_was_taken_out() -> None:
    """As the rows have it, or every space in which somebody does so would be called damaged."""
    space = Space(Person("anna"), "work", "full").create()
    items = [ApprovalItem(id_of(f"asset {name}"), bytes(32)) for name in ("one", "two")]
    for kind, body in (
        (RecordKind.SET_ALBUM_RULES, AlbumRulesBody(ALBUM, requires_approval=True)),
        (RecordKind.APPROVE_ASSETS, ApproveAssetsBody(ALBUM, approved=True, items=items)),
        (RecordKind.REMOVE_FROM_ALBUM, remove_body("one")),
    ):
        space.take(space.entry(kind, body))
    walk = _Walk(space.state.space_id)
    walk.take([EntryRow(each.number, each.time_ms, each.chain, each.entry_id, each.envelope) for each in space.frames])
    assert walk.approved == {(ALBUM, id_of("asset two"))}
    assert walk.approval_albums == {ALBUM}
