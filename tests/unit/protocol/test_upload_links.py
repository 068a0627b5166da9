"""The head of an upload link: what its guests are told, by a key of its makers alone, and never against the ledger."""

import pytest
from msgspec.structs import replace

from safelight.sync_protocol import record_rules, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import key_fingerprint
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RotateEpochBody
from safelight.sync_protocol.links import LinkAddress
from safelight.sync_protocol.log import NO_HEAD
from safelight.sync_protocol.records import AddAssetsBody, OpenRollBody, RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role
from safelight.sync_protocol.upload_links import album_inboxes, sign_upload_head, verify_upload_head
from safelight.sync_protocol.wire import Signed, pack
from tests.support.grants import ALBUM, album_assets, album_roll, open_body, share, shown
from tests.support.ledgers import NOW_MS, Person, Signer, Space, apply_next, id_of, inbox_of, seed_of
from tests.support.members import admit_body, invite_body, join_body, member, remove_entry, role_entry
from tests.support.refusing import refusal
from tests.support.upload_ledgers import (
    GUEST_SEED,
    LINK,
    PUBLISHING_SEED,
    SECRET,
    TERMS,
    bound,
    close_entry,
    inbox_entry,
    upload_head,
    upload_link,
)

ADDRESS = LinkAddress(LINK, False, SECRET, key_fingerprint(signatures.public_key_of(PUBLISHING_SEED)), is_upload=True)
END_MS = TERMS.expires_ms


@pytest.fixture
def filling(space: Space) -> Space:
    """A space with a link that fills an album."""
    share(space)
    upload_link(space, album_id=ALBUM)
    return space


def judged(space: Space, *arguments: object, **changes: object) -> object:
    """Judge a link's head, as server and readers do."""
    return record_rules.check_record(space.state, inbox_entry(space, *arguments, **changes))  # type: ignore[arg-type]  # values by name


def test_a_head_is_the_makers_or_nothing(space: Space) -> None:
    """*The server tells guests to seal to keys of its own*, or a guest does, or the head of another link is shown."""
    upload_link(space)
    head = upload_head(space)
    content, signature = sign_upload_head(head, PUBLISHING_SEED)
    key = signatures.public_key_of(PUBLISHING_SEED)
    assert verify_upload_head(ADDRESS, content, signature, key) == head
    by_server = sign_upload_head(head, seed_of("server"))
    moved = replace(head, link_id=id_of("other"))
    resigned = signatures.sign(PUBLISHING_SEED, context(Label.SIGN_UPLOAD_HEAD, LINK, pack(moved)))
    later = sign_upload_head(replace(head, version=2), PUBLISHING_SEED)
    garbage = signatures.sign(PUBLISHING_SEED, context(Label.SIGN_UPLOAD_HEAD, LINK, b"\xc1"))
    as_manifest = signatures.sign(PUBLISHING_SEED, context(Label.SIGN_MANIFEST, LINK, content))
    for wrong in (
        (*by_server, signatures.public_key_of(seed_of("server"))),
        (*by_server, key),
        (*sign_upload_head(head, GUEST_SEED), signatures.public_key_of(GUEST_SEED)),
        (*sign_upload_head(moved, PUBLISHING_SEED), key),
        (pack(moved), resigned, key),
        (*later, key),
        (b"\xc1", garbage, key),
        (content, as_manifest, key),
        (pack(replace(head, full_inbox=inbox_of("server"))), signature, key),
    ):
        assert refusal(verify_upload_head, ADDRESS, *wrong) is Code.MANIFEST_INVALID


def test_a_head_says_what_the_ledger_says(filling: Space) -> None:
    """*An insider's own inbox*, terms or album: who has the publishing key would alone open what guests add."""
    album = album_inboxes(filling.state, ALBUM)
    assert album is not None
    own = inbox_of("mallory")
    head = filling.log.head
    assert judged(filling)
    unfit: tuple[tuple[dict[str, object], Code], ...] = (
        ({"full_inbox": own}, Code.MANIFEST_INVALID),
        ({"view_inbox": own}, Code.MANIFEST_INVALID),
        ({"album": replace(album, full_inbox=own)}, Code.MANIFEST_INVALID),
        ({"album": replace(album, view_inbox=own)}, Code.MANIFEST_INVALID),
        ({"album": replace(album, album_id=bytes(16))}, Code.MANIFEST_INVALID),
        ({"album": None}, Code.MANIFEST_INVALID),
        ({"album": replace(album, generation=3)}, Code.GENERATION_OLD),
        ({"epoch": 2}, Code.EPOCH_OLD),
        ({"space_id": bytes(32)}, Code.MANIFEST_INVALID),
        ({"terms": replace(TERMS, expires_ms=END_MS + 1)}, Code.MANIFEST_INVALID),
        ({"terms": replace(TERMS, quota_bytes=0)}, Code.MANIFEST_INVALID),
        ({"ledger": NO_HEAD}, Code.MANIFEST_INVALID),
        ({"log": NO_HEAD}, Code.MANIFEST_INVALID),
        ({"log": replace(head, number=head.number + 1)}, Code.MANIFEST_INVALID),
        ({"seed": seed_of("mallory")}, Code.MANIFEST_INVALID),
        ({"seed": GUEST_SEED}, Code.MANIFEST_INVALID),
    )
    for changes, code in unfit:
        assert refusal(judged, filling, **changes) is code, changes


def test_a_head_names_no_album_that_its_link_has_not(space: Space) -> None:
    """*Guests whose pictures go to an album besides*: a link without an album has none in its head."""
    share(space)
    upload_link(space)
    assert judged(space)
    assert album_inboxes(space.state, b"") is None
    assert refusal(judged, space, album=album_inboxes(space.state, ALBUM)) is Code.MANIFEST_INVALID


def test_a_head_is_renewed_with_the_keys(filling: Space) -> None:
    """*A head shown again* under the epoch or the generation before."""
    before, album = filling.state.epoch, album_inboxes(filling.state, ALBUM)
    filling.take(filling.entry(LedgerKind.OPEN_GENERATION, open_body(filling)))
    assert refusal(judged, filling, album=album) is Code.GENERATION_OLD
    filling.take(filling.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(filling.next_epoch())))
    assert refusal(judged, filling, epoch=1) is Code.EPOCH_OLD
    inboxes = {"full_inbox": before.full_inbox, "view_inbox": before.view_inbox}
    assert refusal(judged, filling, **inboxes) is Code.MANIFEST_INVALID
    assert judged(filling)


def test_a_head_is_of_a_link_that_stands(space: Space) -> None:
    """No head for a link that is not there, expired, closed, or whose maker adds no more."""
    assert refusal(judged, space) is Code.UPLOAD_LINK_OVER
    ella = Person("ella")
    upload_link(space, member(space, ella, Role.EDITOR, [*RIGHTS[Role.EDITOR], Right.LINK]))
    assert judged(space, None, END_MS - 1)
    assert refusal(judged, space, None, END_MS) is Code.UPLOAD_LINK_OVER
    assert refusal(judged, space, link=id_of("another")) is Code.UPLOAD_LINK_OVER
    space.take(role_entry(space, ella, Role.VIEWER))
    assert refusal(judged, space) is Code.UPLOAD_LINK_OVER
    space.take(role_entry(space, ella, Role.EDITOR))
    assert judged(space)
    space.take(close_entry(space))
    assert refusal(judged, space) is Code.UPLOAD_LINK_OVER


def test_who_may_sign_a_head(space: Space) -> None:
    """Who makes links; *a guest, with the publishing key of who left*, does not."""
    upload_link(space)
    ella = Person("ella")
    by_ella = member(space, ella, Role.EDITOR, [Right.LINK])
    assert judged(space, by_ella)
    for signer in (bound(space), space.camera(), member(space, Person("eve"), Role.EDITOR)):
        assert refusal(judged, space, signer) is Code.RIGHT_MISSING
    space.take(remove_entry(space, ella))
    assert refusal(judged, space, by_ella) is Code.SIGNER_UNKNOWN


def record(space: Space, guest: Signer, kind: str, body: Signed, at_ms: int = NOW_MS, **changes: object) -> object:
    """Judge a guest's record."""
    entry = space.entry(kind, body, guest, signed_ms=at_ms, **changes)
    return record_rules.check_record(space.state, entry)


def test_a_guest_adds_while_its_link_stands(filling: Space) -> None:
    """*A guest who adds for ever*: to the space and to the link's album, until the link's end by its own signature."""
    guest = bound(filling)
    adding: tuple[tuple[str, Signed], ...] = (
        (RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view")),
        (RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [shown().asset])),
        (RecordKind.OPEN_ALBUM_ROLL, album_roll()),
        (RecordKind.ADD_ALBUM_ASSETS, album_assets()),
    )
    for kind, body in adding:
        assert record(filling, guest, kind, body, END_MS - 1) == body
        assert refusal(record, filling, guest, kind, body, END_MS) is Code.UPLOAD_LINK_OVER
    elsewhere = album_roll(album_id=bytes(16))
    assert refusal(record, filling, guest, RecordKind.OPEN_ALBUM_ROLL, elsewhere) is Code.RIGHT_MISSING
    camera = filling.camera()
    assert record(filling, camera, *adding[0], END_MS)
    filling.take(close_entry(filling))
    for kind, body in adding:
        assert refusal(record, filling, guest, kind, body) is Code.SIGNER_UNKNOWN


def test_a_guest_of_no_album_adds_to_none(space: Space) -> None:
    """*A guest in an album it was not asked into*: what fills an album is the link's to say."""
    share(space)
    upload_link(space)
    guest = bound(space)
    for kind, body in ((RecordKind.OPEN_ALBUM_ROLL, album_roll()), (RecordKind.ADD_ALBUM_ASSETS, album_assets())):
        assert refusal(record, space, guest, kind, body) is Code.RIGHT_MISSING
    point = PointCameraBody(guest.author_id, ALBUM)
    assert refusal(apply_next, space, space.entry(LedgerKind.POINT_CAMERA, point)) is Code.LEDGER_RULE


def test_a_guest_signs_nothing_of_a_kind_of_its_own(space: Space) -> None:
    """*A space stopped by a guest's garbage*: whoever has the address could ask every member for an update in vain."""
    upload_link(space)
    guest = bound(space)
    body = RevokeLinkBody(LINK)
    for critical in (True, False):
        for at_ms in (NOW_MS, END_MS):
            refused = refusal(record, space, guest, "guest.book", body, at_ms, critical=critical)
            assert refused is Code.RIGHT_MISSING
    assert refusal(record, space, guest, RecordKind.OPEN_ROLL, body, version=2) is Code.RIGHT_MISSING
    assert refusal(record, space, guest, RecordKind.REVOKE_LINK, body) is Code.RIGHT_MISSING


def test_a_makers_link_ends_with_its_membership(space: Space) -> None:
    """For good: *a maker who comes back* finds neither the link nor its guests."""
    ella = Person("ella")
    upload_link(space)
    others = bound(space)
    by_ella = member(space, ella, Role.MANAGER)
    upload_link(space, by_ella, link_id=id_of("another"))
    guest = bound(space, "second", link=id_of("another"))
    space.take(remove_entry(space, ella))
    roll = OpenRollBody(id_of("roll"), 2, b"full", b"view")
    assert refusal(record, space, guest, RecordKind.OPEN_ROLL, roll) is Code.SIGNER_UNKNOWN
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.MANAGER, "again")))
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, ella, "again"), by_ella), by_ella)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, ella, "again")))
    assert Right.LINK in space.state.rights_of(ella.account_id)
    assert space.state.upload_links[id_of("another")].closed
    assert refusal(record, space, guest, RecordKind.OPEN_ROLL, roll) is Code.SIGNER_UNKNOWN
    assert record(space, others, RecordKind.OPEN_ROLL, roll)
    assert space.state.upload_link_stands(LINK, NOW_MS)
