"""Vectors of approvals: who says that an album requires them, who approves, and what an approval names."""

from safelight.sync_protocol import log
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import Frame
from safelight.sync_protocol.records import RecordKind, RenditionName
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.wire import Signed
from tests.support.grants import ALBUM
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tools.vector_builder import Cases
from tools.vector_operations import Values

# Who signs, by the rights that an editor or a previewer was given.
_TEAM: dict[str, tuple[Role, frozenset[Right]]] = {
    "an organiser": (Role.EDITOR, frozenset({Right.ADD, Right.ORGANISE})),
    "an approver who reads previews": (Role.PREVIEWER, frozenset({Right.APPROVE})),
    "who makes links": (Role.EDITOR, frozenset({Right.LINK})),
    "a viewer": (Role.VIEWER, frozenset()),
}


def approvals() -> list[Values]:
    """Return the cases."""
    cases = Cases()
    _contents(cases)
    for on in (True, False):
        for who in ("the owner", "a camera", *_TEAM):
            _replay(
                cases,
                f"approval is switched {'on' if on else 'off'} by {who}",
                who,
                RecordKind.SET_ALBUM_RULES,
                AlbumRulesBody(ALBUM, on),
            )
    one, two = _item("one"), _item("two")
    for who in ("the owner", "a camera", *_TEAM):
        _approve(cases, f"two are approved by {who}", [one, two], who=who)
    nothing = ApprovalItem(id_of("asset one"), b"")
    _approve(cases, "approval is withdrawn", [nothing], approved=False)
    _approve(cases, "set aside: an approval of no content", [nothing])
    _approve(cases, "set aside: an approval of half a hash", [ApprovalItem(id_of("asset one"), bytes(16))])
    _approve(cases, "set aside: a withdrawal that names a content", [one], approved=False)
    _approve(cases, "set aside: one asset twice", [one, two, one])
    _approve(cases, "set aside: of nothing", [])
    most = [ApprovalItem(number.to_bytes(16, "big"), seed_of("content")) for number in range(MAX_ASSETS_PER_RECORD + 1)]
    _approve(cases, "as many as fit", most[:-1])
    _approve(cases, "set aside: more than fit", most)
    return cases.cases


def _contents(cases: Cases) -> None:
    names = [RenditionName.ORIGINAL, RenditionName.PREVIEW]
    blobs = [seed_of("original"), seed_of("preview")]
    for name, which, some, of in (
        ("an original alone", names[:1], blobs[:1], "asset one"),
        ("with a preview", names, blobs, "asset one"),
        ("of another asset", names, blobs, "asset two"),
        ("the other way round", names[::-1], blobs[::-1], "asset one"),
        ("exchanged", names, blobs[::-1], "asset one"),
    ):
        texts = [each.value for each in which]
        cases.add(name, "asset.content", asset_id=id_of(of), renditions_text=texts, blobs=some)


def _item(name: str) -> ApprovalItem:
    return ApprovalItem(id_of(f"asset {name}"), seed_of(f"content {name}"))


def _approve(
    cases: Cases, name: str, items: list[ApprovalItem], *, approved: bool = True, who: str = "the owner"
) -> None:
    _replay(cases, name, who, RecordKind.APPROVE_ASSETS, ApproveAssetsBody(ALBUM, approved, items))


def _replay(cases: Cases, name: str, who: str, kind: RecordKind, body: Signed) -> None:
    space = Space(Person("anna"), "work", "full").create()
    entry = space.entry(kind, body, _signer(space, who))
    number = space.log.number + 1
    frame = Frame(number, NOW_MS, log.next_chain(space.log.chain, number, entry.id), entry.id, entry.envelope)
    cases.add(name, "space.replay", frames=log.frames_to_bytes([*space.frames, frame]))


def _signer(space: Space, who: str) -> Signer:
    if who == "the owner":
        return space.signer
    if who == "a camera":
        return space.camera()
    role, rights = _TEAM[who]
    return member(space, Person("chris"), role, rights=rights)
