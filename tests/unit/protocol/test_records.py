"""Records and receipts: who may commit what, and what the server's promise must cover."""

import msgspec

from safelight.sync_protocol import ledger_entries, receipts, record_rules, records, signatures
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RotateEpochBody
from safelight.sync_protocol.log import NO_HEAD
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    AssetBody,
    CreateAlbumBody,
    DecideDeletionBody,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    ProposeDeletionBody,
    PublishInboxBody,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    RestoreAssetsBody,
    RevokeLinkBody,
    ShowInAlbumBody,
    ShownItem,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from safelight.sync_protocol.upload_links import sign_upload_head
from safelight.sync_protocol.wire import Signed, pack
from tests.support.grants import ALBUM, album_roll, give_body, remove_body, renaming_body, share
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, inbox_of, seed_of
from tests.support.members import member
from tests.support.refusing import refusal
from tests.support.upload_ledgers import LINK, PUBLISHING_SEED, upload_head, upload_link


def rendition(name: RenditionName = RenditionName.ORIGINAL, which: str = "one") -> RenditionRef:
    """Build a reference to a blob."""
    return RenditionRef(name, id_of(f"rendition {which}"), seed_of(f"blob {which}"), 4096, bytes(74))


def asset(which: str = "one", renditions: list[RenditionRef] | None = None) -> AssetBody:
    """Build an asset."""
    sealed = b"sealed"
    return AssetBody(id_of(f"asset {which}"), b"", renditions or [rendition()], sealed, sealed, sealed, sealed)


def link(tier: str = "view", **changes: object) -> PublishLinkBody:
    """Build a link."""
    values: dict[str, object] = {
        "link_id": id_of("link"),
        "album_id": id_of("album"),
        "tier": tier,
        "epoch": 1,
        "token_hash": seed_of("token"),
        "proof_hash": b"",
        "publishing_key": seed_of("publisher"),
        "head": b"head",
        "head_signature": bytes(64),
        "pages": [PageRef(seed_of("page"), 100)],
        "view_blobs": [seed_of("preview")],
        "full_blobs": [],
        "made_blobs": [],
        "policy": LinkPolicy(0, 0, 0, False),
        "makers": b"sealed",
    }
    return PublishLinkBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def check(space: Space, kind: str, body: Signed, signer: Signer | None = None, **changes: object) -> object:
    """Judge a record by the space's ledger."""
    return record_rules.check_record(space.state, space.entry(kind, body, signer, **changes))


def test_an_owner_may_commit_every_kind(space: Space) -> None:
    """Each kind passes for who has its right, and gives back its body."""
    share(space)
    upload_link(space)
    inbox = PublishInboxBody(LINK, *sign_upload_head(upload_head(space), PUBLISHING_SEED))
    bodies: dict[str, Signed] = {
        RecordKind.OPEN_ROLL: OpenRollBody(id_of("roll"), 1, b"full", b"view"),
        RecordKind.ADD_ASSETS: AddAssetsBody(id_of("roll"), [asset("one"), asset("two")]),
        RecordKind.CREATE_ALBUM: CreateAlbumBody(id_of("album"), 1, 1, inbox_of("a"), inbox_of("b"), b"", b"", b""),
        RecordKind.ADD_TO_ALBUM: AddToAlbumBody(id_of("other"), 1, [AlbumItem(id_of("asset one"), b"", b"")]),
        RecordKind.SHOW_IN_ALBUM: ShowInAlbumBody(ALBUM, 2, NO_HEAD, [ShownItem(id_of("roll"), asset("one"))]),
        RecordKind.OPEN_ALBUM_ROLL: album_roll(),
        RecordKind.ADD_ALBUM_ASSETS: AddAlbumAssetsBody(id_of("roll"), ALBUM, 2, [asset("one")]),
        RecordKind.REMOVE_FROM_ALBUM: remove_body(),
        RecordKind.RENAME_ALBUM: renaming_body(),
        RecordKind.SET_ALBUM_RULES: AlbumRulesBody(ALBUM, False),
        RecordKind.APPROVE_ASSETS: ApproveAssetsBody(
            ALBUM, True, [ApprovalItem(id_of("asset one"), seed_of("content"))]
        ),
        RecordKind.PUBLISH_LINK: link(),
        RecordKind.REVOKE_LINK: RevokeLinkBody(id_of("link")),
        RecordKind.TRASH_ASSETS: TrashAssetsBody([id_of("asset one"), id_of("asset two")]),
        RecordKind.RESTORE_ASSETS: RestoreAssetsBody([id_of("asset one")]),
        RecordKind.PROPOSE_DELETION: ProposeDeletionBody(1, [id_of("asset one")], b"sealed"),
        RecordKind.DECIDE_DELETION: DecideDeletionBody([id_of("asset one")], confirmed=True),
        RecordKind.PUBLISH_INBOX: inbox,
    }
    assert set(bodies) == set(record_rules.BODIES) == set(record_rules.RIGHT_FOR)
    for kind, body in bodies.items():
        assert check(space, kind, body) == body


def test_a_camera_adds_and_does_nothing_else(space: Space) -> None:
    """Of all kinds, a camera may open rolls and add assets."""
    camera = space.camera()
    assert check(space, RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"f", b"v"), camera)
    assert check(space, RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset()]), camera)
    album = CreateAlbumBody(id_of("album"), 1, 1, inbox_of("a"), inbox_of("b"), b"", b"", b"")
    item = AddToAlbumBody(id_of("album"), 1, [AlbumItem(id_of("asset one"), b"", b"")])
    for kind, body in (
        (RecordKind.CREATE_ALBUM, album),
        (RecordKind.ADD_TO_ALBUM, item),
        (RecordKind.SHOW_IN_ALBUM, ShowInAlbumBody(ALBUM, 2, NO_HEAD, [ShownItem(id_of("roll"), asset())])),
        (RecordKind.PUBLISH_LINK, link()),
        (RecordKind.REVOKE_LINK, RevokeLinkBody(id_of("link"))),
        (RecordKind.TRASH_ASSETS, TrashAssetsBody([id_of("asset one")])),
        (RecordKind.RESTORE_ASSETS, RestoreAssetsBody([id_of("asset one")])),
        (RecordKind.PROPOSE_DELETION, ProposeDeletionBody(1, [id_of("asset one")], b"sealed")),
        (RecordKind.DECIDE_DELETION, DecideDeletionBody([id_of("asset one")], confirmed=True)),
    ):
        assert refusal(check, space, kind, body, camera) is Code.RIGHT_MISSING


def test_a_camera_adds_to_the_album_that_it_is_pointed_at(space: Space) -> None:
    """To that album and no other, under keys that nobody has whose grant or membership ended."""
    share(space)
    camera = space.camera()
    added = AddAlbumAssetsBody(id_of("roll"), ALBUM, 2, [asset()])
    for kind, body in ((RecordKind.OPEN_ALBUM_ROLL, album_roll()), (RecordKind.ADD_ALBUM_ASSETS, added)):
        assert refusal(check, space, kind, body, camera) is Code.RIGHT_MISSING
    space.take(space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(camera.device_id, ALBUM)))
    assert check(space, RecordKind.OPEN_ALBUM_ROLL, album_roll(), camera) == album_roll()
    assert check(space, RecordKind.ADD_ALBUM_ASSETS, added, camera) == added
    other = msgspec.structs.replace(added, album_id=bytes(16))
    twice = msgspec.structs.replace(added, assets=[asset(), asset()])
    for kind, wrong, code in (
        (RecordKind.OPEN_ALBUM_ROLL, album_roll(album_id=bytes(16)), Code.RIGHT_MISSING),
        (RecordKind.OPEN_ALBUM_ROLL, album_roll(epoch=2), Code.EPOCH_OLD),
        (RecordKind.OPEN_ALBUM_ROLL, album_roll(generation=1), Code.GENERATION_OLD),
        (RecordKind.ADD_ALBUM_ASSETS, other, Code.RIGHT_MISSING),
        (RecordKind.ADD_ALBUM_ASSETS, msgspec.structs.replace(added, generation=3), Code.GENERATION_OLD),
        (RecordKind.ADD_ALBUM_ASSETS, twice, Code.ASSET_CONFLICT),
    ):
        assert refusal(check, space, kind, wrong, camera) is code
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
    assert refusal(check, space, RecordKind.OPEN_ALBUM_ROLL, album_roll(epoch=2), camera) is Code.GENERATION_OLD
    assert refusal(check, space, RecordKind.ADD_ALBUM_ASSETS, added, camera) is Code.GENERATION_OLD


def test_members_add_to_a_shared_album_who_organise(space: Space) -> None:
    """A contributor's camera, or a contributor, puts nothing into an album by itself."""
    share(space)
    carla = Person("carla")
    by_carla = member(space, carla, Role.CONTRIBUTOR)
    assert refusal(check, space, RecordKind.OPEN_ALBUM_ROLL, album_roll(), by_carla) is Code.RIGHT_MISSING
    assert check(space, RecordKind.OPEN_ALBUM_ROLL, album_roll())
    elsewhere = album_roll(album_id=bytes(16))
    assert refusal(check, space, RecordKind.OPEN_ALBUM_ROLL, elsewhere) is Code.RIGHT_MISSING


def test_who_was_granted_an_album_to_add_to_adds_to_it(space: Space) -> None:
    """*A grantee that adds elsewhere, or for ever*: to that album, not to the space alone, while the grant stands."""
    share(space)
    greta = Person("greta")
    by_greta = member(space, greta, Role.GRANTEE)
    added = AddAlbumAssetsBody(id_of("roll"), ALBUM, 2, [asset()])
    assert refusal(check, space, RecordKind.OPEN_ALBUM_ROLL, album_roll(), by_greta) is Code.RIGHT_MISSING
    given = give_body(space, greta, expires_ms=NOW_MS + 1, can_add=True)
    space.take(space.entry(LedgerKind.GIVE_GRANT, given))
    assert check(space, RecordKind.OPEN_ALBUM_ROLL, album_roll(), by_greta)
    assert check(space, RecordKind.ADD_ALBUM_ASSETS, added, by_greta)
    alone = OpenRollBody(id_of("roll"), 1, b"f", b"v")
    shows = ShowInAlbumBody(ALBUM, 2, NO_HEAD, [ShownItem(id_of("roll"), asset())])
    for kind, body, changes in (
        (RecordKind.OPEN_ALBUM_ROLL, album_roll(), {"signed_ms": NOW_MS + 1}),
        (RecordKind.ADD_ALBUM_ASSETS, added, {"signed_ms": NOW_MS + 1}),
        (RecordKind.OPEN_ALBUM_ROLL, album_roll(album_id=bytes(16)), {}),
        (RecordKind.OPEN_ROLL, alone, {}),
        (RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset()]), {}),
        (RecordKind.SHOW_IN_ALBUM, shows, {}),
    ):
        assert refusal(check, space, kind, body, by_greta, **changes) is Code.RIGHT_MISSING


def test_which_record_opened_or_added(space: Space) -> None:
    """Two kinds each, told apart by the signed header."""
    plain, roll = OpenRollBody(id_of("roll"), 1, b"f", b"v"), album_roll()
    assert records.opened_by(RecordKind.OPEN_ROLL, pack(plain)) == plain
    assert records.opened_by(RecordKind.OPEN_ALBUM_ROLL, pack(roll)) == roll
    added, in_album = AddAssetsBody(id_of("roll"), [asset()]), AddAlbumAssetsBody(id_of("roll"), ALBUM, 2, [asset()])
    assert records.added_by(RecordKind.ADD_ASSETS, pack(added)) == added
    assert records.added_by(RecordKind.ADD_ALBUM_ASSETS, pack(in_album)) == in_album


def test_strangers_and_forgers_commit_nothing(space: Space) -> None:
    """A record signed by a stranger, or in a member's name by another key."""
    body = OpenRollBody(id_of("roll"), 1, b"full", b"view")
    stranger = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))
    assert refusal(check, space, RecordKind.OPEN_ROLL, body, stranger) is Code.SIGNER_UNKNOWN
    forger = Signer(space.owner.account_id, space.owner.device_id, seed_of("forger"))
    assert refusal(check, space, RecordKind.OPEN_ROLL, body, forger) is Code.SIGNATURE_INVALID


def test_writes_under_an_old_epoch_are_refused(space: Space) -> None:
    """Rolls, albums and links are of the epoch in force."""
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch())))
    album = CreateAlbumBody(id_of("album"), 1, 1, inbox_of("a"), inbox_of("b"), b"", b"", b"")
    for kind, body in (
        (RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view")),
        (RecordKind.CREATE_ALBUM, album),
        (RecordKind.PUBLISH_LINK, link()),
    ):
        assert refusal(check, space, kind, body) is Code.EPOCH_OLD


def test_an_assets_original_is_never_left_out(space: Space) -> None:
    """An original comes first; no rendition or asset stands twice."""
    preview = rendition(RenditionName.PREVIEW, "preview")
    check(space, RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset(renditions=[rendition(), preview])]))
    cases = {
        Code.ENTRY_MALFORMED: [
            [asset(renditions=[preview])],
            [asset(renditions=[preview, rendition()])],
            [asset(renditions=[rendition(), rendition(RenditionName.PREVIEW)])],
        ],
        Code.ASSET_CONFLICT: [[asset(), asset()]],
    }
    for code, refused in cases.items():
        for assets in refused:
            body = AddAssetsBody(id_of("roll"), assets)
            assert refusal(check, space, RecordKind.ADD_ASSETS, body) is code


def test_links_keep_to_the_spaces_policy() -> None:
    """Family spaces allow view links, work spaces both tiers, a vault none."""
    anna = Person("anna")
    full = link("full", full_blobs=[seed_of("original")], policy=LinkPolicy(0, 0, 0, True))
    allowed = {"none": [], "view": [link()], "full": [link(), full]}
    for policy, links in allowed.items():
        space = Space(anna, "work", policy).create()
        for body in (link(), full):
            if body in links:
                assert check(space, RecordKind.PUBLISH_LINK, body) == body
            else:
                refused = refusal(check, space, RecordKind.PUBLISH_LINK, body)
                assert refused is Code.POLICY_FORBIDS


def test_a_view_link_names_nothing_of_the_full_tier(space: Space) -> None:
    """Neither an original's blob nor the permission to fetch originals."""
    for body in (link(full_blobs=[seed_of("original")]), link(policy=LinkPolicy(0, 0, 0, True))):
        assert refusal(check, space, RecordKind.PUBLISH_LINK, body) is Code.ENTRY_MALFORMED


def test_a_link_shows_its_own_pictures_or_the_assets(space: Space) -> None:
    """Watermarked pictures stand in place of the assets' own: beside them no clean one can be named."""
    made = [PageRef(seed_of("watermarked"), 300)]
    own = link(view_blobs=[], made_blobs=made)
    assert check(space, RecordKind.PUBLISH_LINK, own) == own
    assert refusal(check, space, RecordKind.PUBLISH_LINK, link(made_blobs=made)) is Code.ENTRY_MALFORMED
    work = Space(Person("anna"), "work", "full").create()
    for changes in (
        {"full_blobs": [seed_of("original")]},
        {"policy": LinkPolicy(0, 0, 0, originals=True)},
        {},
    ):
        body = link("full", view_blobs=[], made_blobs=made, **changes)
        assert refusal(check, work, RecordKind.PUBLISH_LINK, body) is Code.ENTRY_MALFORMED


def test_unknown_records_are_set_aside_or_stop(space: Space) -> None:
    """A later version's record is passed over if it says so, and even then only from who belongs here."""
    body = RevokeLinkBody(id_of("link"))
    assert refusal(check, space, "pick.choose", body) is Code.ENTRY_UNKNOWN_CRITICAL
    assert check(space, "pick.choose", body, critical=False) is None
    stranger = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))
    assert refusal(check, space, "pick.choose", body, stranger, critical=False) is Code.SIGNER_UNKNOWN


def test_renditions_have_their_tier() -> None:
    """Previews and thumbnails are of the view tier, all else of the full tier."""
    view = {name for name in RenditionName if records.tier_of_rendition(name) is Tier.VIEW}
    assert view == {RenditionName.PREVIEW, RenditionName.THUMBNAIL}


def test_receipts_are_verified() -> None:
    """A receipt counts only if the server signed it, for this entry in this space, with all of its blobs."""
    server = signatures.Signer(seed_of("server"))
    server_key = server.public_key
    blobs = [seed_of("blob one"), seed_of("blob two")]
    space_id, entry_id = seed_of("space"), seed_of("entry")
    receipt = Receipt(1, space_id, entry_id, 7, seed_of("chain"), NOW_MS, blobs)
    content, signature = receipts.sign_receipt(receipt, server)

    def verify(**changes: object) -> Receipt:
        values: dict[str, object] = {"space_id": space_id, "entry_id": entry_id, "blobs": blobs[:1]}
        values |= {"content": content, "signature": signature, "server_key": server_key} | changes
        return receipts.verify_receipt(**values)  # type: ignore[arg-type]  # values by name

    assert verify() == receipt
    later = receipts.sign_receipt(msgspec.structs.replace(receipt, version=2), server)
    garbage = server.sign(context(Label.SIGN_RECEIPT, b"garbage"))
    wrong: list[dict[str, object]] = [
        {"signature": bytes(64)},
        {"server_key": signatures.public_key_of(seed_of("other server"))},
        {"space_id": seed_of("other space")},
        {"entry_id": seed_of("other entry")},
        {"blobs": [seed_of("blob three")]},
        {"content": later[0], "signature": later[1]},
        {"content": b"garbage", "signature": garbage},
    ]
    for changes in wrong:
        assert refusal(verify, **changes) is Code.RECEIPT_INVALID
