"""Approvals: who may say that an album requires them, who approves, and what an approval is bound to."""

import msgspec
import pytest

from safelight.sync_protocol import record_rules
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.records import RecordKind, RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, may_hold
from safelight.sync_protocol.wire import Signed
from tests.support.grants import ALBUM
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tests.support.refusing import refusal

ITEM = ApprovalItem(id_of("asset"), seed_of("content"))


def check(space: Space, kind: RecordKind, body: Signed, signer: Signer) -> object:
    """Judge a record by the space's ledger."""
    return record_rules.check_record(space.state, space.entry(kind, body, signer))


@pytest.mark.parametrize(
    ("role", "rights", "on", "off"),
    [
        (Role.MANAGER, RIGHTS[Role.MANAGER], True, True),
        (Role.EDITOR, RIGHTS[Role.EDITOR], True, False),
        (Role.EDITOR, frozenset({Right.LINK}), False, False),
        (Role.PREVIEWER, frozenset({Right.APPROVE}), True, True),
        (Role.VIEWER, frozenset({Right.REVOKE_LINK}), False, False),
        (Role.GRANTEE, frozenset(), False, False),
    ],
)
def test_who_organises_does_not_go_round_who_approves(
    space: Space, role: Role, rights: frozenset[Right], *, on: bool, off: bool
) -> None:
    """Switching approval on takes organising or approving; switching it off takes approving."""
    assert may_hold(role, rights)
    signer = member(space, Person("chris"), role, rights)
    for requires, allowed in ((True, on), (False, off)):
        body = AlbumRulesBody(ALBUM, requires)
        if allowed:
            assert check(space, RecordKind.SET_ALBUM_RULES, body, signer) == body
        else:
            assert refusal(check, space, RecordKind.SET_ALBUM_RULES, body, signer) is Code.RIGHT_MISSING
    approval = ApproveAssetsBody(ALBUM, True, [ITEM])
    if Right.APPROVE in rights:
        assert check(space, RecordKind.APPROVE_ASSETS, approval, signer) == approval
    else:
        assert refusal(check, space, RecordKind.APPROVE_ASSETS, approval, signer) is Code.RIGHT_MISSING


def test_a_camera_has_no_say(space: Space) -> None:
    """It adds, and neither requires approval nor approves what it added."""
    camera = space.camera()
    for kind, body in (
        (RecordKind.SET_ALBUM_RULES, AlbumRulesBody(ALBUM, True)),
        (RecordKind.APPROVE_ASSETS, ApproveAssetsBody(ALBUM, True, [ITEM])),
    ):
        assert refusal(check, space, kind, body, camera) is Code.RIGHT_MISSING


@pytest.mark.parametrize(
    ("approved", "items", "code"),
    [
        (True, [ITEM, ITEM], Code.ASSET_CONFLICT),
        (True, [ApprovalItem(ITEM.asset_id, b"")], Code.ENTRY_MALFORMED),
        (True, [ApprovalItem(ITEM.asset_id, bytes(31))], Code.ENTRY_MALFORMED),
        (False, [ITEM], Code.ENTRY_MALFORMED),
        (True, [], Code.ENTRY_MALFORMED),
    ],
)
def test_approvals_that_say_nothing_clear(
    space: Space, *, approved: bool, items: list[ApprovalItem], code: Code
) -> None:
    """One asset twice, an approval of whatever stands under an id, a withdrawal of one content alone, of nothing."""
    body = ApproveAssetsBody(ALBUM, approved, items)
    assert refusal(check, space, RecordKind.APPROVE_ASSETS, body, space.signer) is code


def test_a_withdrawal_names_no_content(space: Space) -> None:
    """It holds for the asset, whatever that is."""
    body = ApproveAssetsBody(ALBUM, False, [ApprovalItem(ITEM.asset_id, b"")])
    assert check(space, RecordKind.APPROVE_ASSETS, body, space.signer) == body


def test_an_approval_is_of_all_files_as_they_are() -> None:
    """Another asset's, another file, one more or fewer, another order or name: each is another content."""
    original = RenditionRef(RenditionName.ORIGINAL, id_of("one"), seed_of("one"), 4096, bytes(74))
    preview = RenditionRef(RenditionName.PREVIEW, id_of("two"), seed_of("two"), 500, bytes(74))
    other = msgspec.structs.replace(preview, blob=seed_of("other"))
    thumbnail = msgspec.structs.replace(preview, name=RenditionName.THUMBNAIL)
    asset = id_of("asset")
    contents = [
        content_of(asset, files_of([original, preview])),
        content_of(id_of("another"), files_of([original, preview])),
        content_of(asset, files_of([original, other])),
        content_of(asset, files_of([original])),
        content_of(asset, files_of([preview, original])),
        content_of(asset, files_of([original, thumbnail])),
        content_of(asset, files_of([original, preview, thumbnail])),
    ]
    assert len(set(contents)) == len(contents)
    assert contents[0] == content_of(asset, [("original", seed_of("one")), ("preview", seed_of("two"))])
