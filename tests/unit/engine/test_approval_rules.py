"""What readers make of approvals, and of links to albums that require them, whatever a server let into the log."""

from collections.abc import Iterator

import pytest

from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    AssetBody,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RenditionRef,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member

PROOFS, OTHER = id_of("proofs"), id_of("other")


def asset(name: str) -> AssetBody:
    """An asset with an original and a preview."""
    refs = [
        RenditionRef(kind, id_of(f"{kind} {name}"), seed_of(f"{kind} {name}"), 4096, bytes(74))
        for kind in (RenditionName.ORIGINAL, RenditionName.PREVIEW)
    ]
    return AssetBody(id_of(name), b"", refs, b"w", b"w", b"v", b"f")


@pytest.fixture
def space() -> Space:
    """A space whose pictures `one` and `two` are in one album, and `three` in another."""
    space = Space(Person("anna"), "work", "full").create()
    for number, names in enumerate((["one"], ["two", "three"])):
        roll = id_of(f"roll {number}")
        space.take(space.entry(RecordKind.OPEN_ROLL, OpenRollBody(roll, 1, b"f", b"v")))
        space.take(space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(roll, [asset(name) for name in names])))
    for album, names in ((PROOFS, ["one", "two"]), (OTHER, ["three"])):
        items = [AlbumItem(id_of(name), b"w", b"w") for name in names]
        space.take(space.entry(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(album, 1, items)))
    return space


@pytest.fixture
def index() -> Iterator[Index]:
    """An index that is not kept."""
    opened = Index(None)
    yield opened
    opened.close()


def requires(space: Space, *, approval: bool = True, signer: Signer | None = None) -> None:
    """Switch approval on, or off."""
    body = AlbumRulesBody(PROOFS, approval)
    space.take(space.entry(RecordKind.SET_ALBUM_RULES, body, signer), signer)


def approves(space: Space, name: str, content: bytes = b"", album: bytes = PROOFS) -> None:
    """Approve a picture as it is, or by another content."""
    content = content or content_of(id_of(name), files_of(asset(name).renditions))
    body = ApproveAssetsBody(album, approved=True, items=[ApprovalItem(id_of(name), content)])
    space.take(space.entry(RecordKind.APPROVE_ASSETS, body))


def withdraws(space: Space, name: str) -> None:
    """Withdraw a picture's approval."""
    body = ApproveAssetsBody(PROOFS, approved=False, items=[ApprovalItem(id_of(name), b"")])
    space.take(space.entry(RecordKind.APPROVE_ASSETS, body))


def links(space: Space, *shown: str, album: bytes = PROOFS, full: bool = False, made: bool = False) -> None:
    """Publish a link that shows the pictures of these names."""
    blobs = {kind: [seed_of(f"{kind} {name}") for name in shown] for kind in ("original", "preview")}
    body = PublishLinkBody(
        link_id=id_of(f"link {space.log.number}"),
        album_id=album,
        tier="full" if full else "view",
        epoch=1,
        token_hash=seed_of("token"),
        proof_hash=b"",
        publishing_key=seed_of("publisher"),
        head=b"head",
        head_signature=bytes(64),
        pages=[PageRef(seed_of("page"), 100)],
        view_blobs=[] if made else blobs["preview"],
        full_blobs=blobs["original"] if full else [],
        made_blobs=[PageRef(seed_of("drawn"), 100)] if made else [],
        policy=LinkPolicy(0, 0, 0, full),
        makers=b"sealed",
    )
    space.take(space.entry(RecordKind.PUBLISH_LINK, body))


def read(space: Space, index: Index) -> list[tuple[Code, bool]]:
    """Read the log; returns what was reported, and whether it was set aside."""
    reader = LogReader(space.state.space_id, index, SpaceMemory())
    for frame in space.frames[reader.log.number :]:
        with index.transaction():
            reader.take(frame)
    return [(problem.code, problem.set_aside) for problem in index.problems()]


def test_what_stands_is_what_the_log_says_last(space: Space, index: Index) -> None:
    """Approved, withdrawn, approved by another record; required, and not: the newest counts."""
    requires(space)
    approves(space, "one")
    approves(space, "two")
    assert read(space, index) == []
    assert index.approval_albums() == {PROOFS}
    assert index.approvals(PROOFS) == {id_of("one"): space.log.number - 1, id_of("two"): space.log.number}
    withdraws(space, "two")
    approves(space, "one")
    requires(space, approval=False)
    assert read(space, index) == []
    assert (index.approval_albums(), index.approvals(PROOFS)) == (set(), {id_of("one"): space.log.number - 1})
    assert index.approvals(OTHER) == {}


def test_links_that_may_be(space: Space, index: Index) -> None:
    """Of approved pictures, of albums without the rule, of drawn pictures, and of all before it stood or after."""
    links(space, "one", "two", "three")
    requires(space)
    approves(space, "one")
    links(space, "one", full=True)
    links(space, "three", album=OTHER)
    links(space, made=True)
    requires(space, approval=False)
    links(space, "one", "two", "three")
    assert read(space, index) == []
    assert len(index.links()) == 5


@pytest.mark.parametrize(
    ("shown", "album", "full"),
    [
        (("two",), PROOFS, False),
        (("one", "two"), PROOFS, False),
        (("one", "three"), PROOFS, False),
        (("two",), OTHER, False),
        (("one",), id_of("no album"), False),
        (("two",), PROOFS, True),
    ],
)
def test_a_link_past_the_approver(
    space: Space, index: Index, shown: tuple[str, ...], album: bytes, *, full: bool
) -> None:
    """*A server that lets it through*: every reader is told, and it stays listed, so that somebody can revoke it."""
    requires(space)
    approves(space, "one")
    links(space, *shown, album=album, full=full)
    assert read(space, index) == [(Code.NOT_APPROVED, False)]
    assert len(index.links()) == 1


def test_another_picture_under_an_approval(space: Space, index: Index) -> None:
    """*Approved by the content of another*, of half of its files, in an album that has it not: set aside."""
    requires(space)
    approves(space, "one", content_of(id_of("two"), files_of(asset("two").renditions)))
    approves(space, "one", content_of(id_of("one"), files_of(asset("one").renditions[1:])))
    approves(space, "three")
    approves(space, "one", album=OTHER)
    approves(space, "nobody's")
    withdraws(space, "three")
    assert [code for code, aside in read(space, index) if aside] == [
        *[Code.ASSET_CONFLICT] * 2,
        *[Code.NOT_FOUND] * 4,
    ]
    assert index.approvals(PROOFS) == index.approvals(OTHER) == {}


def test_rules_by_who_may_not(space: Space, index: Index) -> None:
    """*An organiser who switches approval off*, let through by a server, switches nothing for any reader."""
    by_bert = member(space, Person("bert"), Role.EDITOR, {Right.ADD, Right.ORGANISE, Right.LINK})
    requires(space, signer=by_bert)
    requires(space, approval=False, signer=by_bert)
    assert read(space, index) == [(Code.RIGHT_MISSING, True)]
    assert index.approval_albums() == {PROOFS}
