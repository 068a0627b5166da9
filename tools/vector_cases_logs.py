"""Vectors of logs: the chain alone, and whole spaces with their ledgers, as an honest reader takes or refuses them."""

from collections.abc import Callable
from functools import partial

import msgspec

from safelight.sync_protocol import log
from safelight.sync_protocol.ledger_entries import (
    AdvanceAccountBody,
    Epoch,
    LedgerKind,
    RevokeCameraBody,
    RotateEpochBody,
)
from safelight.sync_protocol.log import Entry, Frame, Head
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    DecideDeletionBody,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    ProposeDeletionBody,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    RestoreAssetsBody,
    RevokeLinkBody,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role, Tier
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tools.vector_builder import Cases
from tools.vector_operations import Values

# What comes after the history of `_grown`, by the signer that it is given; None for nothing.
_Next = Callable[[Space, Signer], Entry | None]

_ROLL = OpenRollBody(id_of("second roll"), 2, b"full", b"view")
_ROLL_OF_AN_OLD_EPOCH = OpenRollBody(id_of("second roll"), 1, b"full", b"view")


def logs() -> list[Values]:
    """Return cases for the chain alone."""
    cases = Cases()
    frames = _grown()[0].frames

    def chain(name: str, changed: list[Frame], expect: Code | None = None, cut: int | None = None) -> None:
        cases.add(name, "log.chain", expect, frames=log.frames_to_bytes(changed)[:cut])

    blanked = msgspec.structs.replace(frames[4], envelope=b"", signature=bytes(64))
    swapped = msgspec.structs.replace(frames[4], envelope=frames[5].envelope)
    renamed = msgspec.structs.replace(swapped, entry_id=frames[5].entry_id)
    chain("empty", [])
    chain("whole", frames)
    chain("one blanked, as if it were purged", [*frames[:4], blanked, *frames[5:]], Code.CHAIN_BROKEN)
    chain("one dropped", [*frames[:4], *frames[5:]], Code.CHAIN_BROKEN)
    chain("two reordered", [*frames[:4], frames[5], frames[4], *frames[6:]], Code.CHAIN_BROKEN)
    chain("one repeated", [*frames[:5], frames[4]], Code.CHAIN_BROKEN)
    chain("another entry in a slot", [*frames[:4], swapped], Code.CHAIN_BROKEN)
    chain("another entry and its id in a slot", [*frames[:4], renamed], Code.CHAIN_BROKEN)
    chain("cut short", frames, Code.ENTRY_MALFORMED, -1)
    return cases.cases


def spaces() -> list[Values]:
    """Return cases for whole logs with their ledgers: what is taken, set aside, and what stops the space."""
    cases = Cases()
    _records_taken_and_set_aside(cases)
    _contradicting_histories(cases)
    _epochs_against_the_rules(cases)
    _cameras_and_later_versions(cases)
    _links_that_a_kind_of_space_allows(cases)
    _links_with_pictures_of_their_own(cases)
    _trash(cases)
    return cases.cases


def _replay(cases: Cases, name: str, make: _Next, expect: Code | None = None) -> None:
    """Add the case of a reader who meets, after the history of `_grown`, the entry that *make* returns."""
    space, camera = _grown()
    entry = make(space, camera)
    frames = list(space.frames)
    if entry is not None:
        number = space.log.number + 1
        chain = log.next_chain(space.log.chain, number, entry.id)
        frames.append(Frame(number, NOW_MS, chain, entry.id, entry.envelope))
    cases.add(name, "space.replay", expect, frames=log.frames_to_bytes(frames))


def _stranger() -> Signer:
    return Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))


def _records_taken_and_set_aside(cases: Cases) -> None:
    """A record that breaks a rule is set aside, and the space goes on."""

    def replay(name: str, make: _Next) -> None:
        _replay(cases, name, make)

    stranger = _stranger()
    old, revoke = _ROLL_OF_AN_OLD_EPOCH, RevokeLinkBody(id_of("link"))
    replay("whole", lambda _space, _camera: None)
    replay("a record more", lambda space, camera: space.entry(RecordKind.OPEN_ROLL, _ROLL, camera))
    replay("set aside: of an old epoch", lambda space, camera: space.entry(RecordKind.OPEN_ROLL, old, camera))
    replay("set aside: by a stranger", lambda space, _: space.entry(RecordKind.OPEN_ROLL, _ROLL, stranger))
    replay("set aside: without the right", lambda space, camera: space.entry(RecordKind.REVOKE_LINK, revoke, camera))
    replay(
        "set aside: one of its device dropped",
        lambda space, camera: space.entry(RecordKind.OPEN_ROLL, _ROLL, camera, counter=camera.counter + 2),
    )
    replay(
        "set aside: by a stranger, of an unknown kind that is critical",
        lambda space, _: space.entry("pick.choose", _ROLL, stranger),
    )
    replay(
        "set aside: by a stranger, of a later version that is critical",
        lambda space, _: space.entry(RecordKind.OPEN_ROLL, _ROLL, stranger, version=2),
    )
    replay(
        "set aside: by a revoked camera",
        lambda space, _: space.entry(RecordKind.OPEN_ROLL, _ROLL, _last(space, space.camera_signer("old phone"))),
    )


def _links_with_pictures_of_their_own(cases: Cases) -> None:
    """A watermarked link shows pictures made for it, and names no clean one beside them; else it is set aside."""
    preview, made = [seed_of("preview")], [PageRef(seed_of("watermarked"), 3000)]

    def replay(name: str, view_blobs: list[bytes], made_blobs: list[PageRef]) -> None:
        body = PublishLinkBody(
            link_id=id_of("link"),
            album_id=id_of("album"),
            tier="view",
            epoch=2,
            token_hash=seed_of("token"),
            proof_hash=b"",
            publishing_key=seed_of("publisher"),
            head=b"head",
            head_signature=bytes(64),
            pages=[PageRef(seed_of("page"), 1000)],
            view_blobs=view_blobs,
            full_blobs=[],
            made_blobs=made_blobs,
            policy=LinkPolicy(starts_ms=0, expires_ms=0, max_opens=0, originals=False),
            makers=b"sealed",
        )
        _replay(cases, name, lambda space, _: space.entry(RecordKind.PUBLISH_LINK, body))

    replay("a link that shows the assets' previews", preview, [])
    replay("a link that shows pictures of its own", [], made)
    replay("set aside: a link that shows its own pictures and clean ones", preview, made)


def _trash(cases: Cases) -> None:
    """Assets go into the trash and out of it, each once a record, by who may; else the record is set aside."""
    one, many = [id_of("asset")], [index.to_bytes(16) for index in range(201)]

    def replay(name: str, asset_ids: list[bytes], *, by_camera: bool = False) -> None:
        def trashed(space: Space, camera: Signer) -> Entry:
            return space.entry(RecordKind.TRASH_ASSETS, TrashAssetsBody(asset_ids), camera if by_camera else None)

        def restored(space: Space, camera: Signer) -> Entry:
            space.take(space.entry(RecordKind.TRASH_ASSETS, TrashAssetsBody(one)))
            return space.entry(RecordKind.RESTORE_ASSETS, RestoreAssetsBody(asset_ids), camera if by_camera else None)

        def proposed(space: Space, camera: Signer) -> Entry:
            body = ProposeDeletionBody(2, asset_ids, b"sealed note")
            return space.entry(RecordKind.PROPOSE_DELETION, body, camera if by_camera else None)

        _replay(cases, f"{name} put into the trash", trashed)
        _replay(cases, f"{name} restored", restored)
        _replay(cases, f"{name} proposed for the trash", proposed)
        for what, confirmed in (("confirmed", True), ("declined", False)):
            body = DecideDeletionBody(asset_ids, confirmed)
            make = partial(_decided_by_camera if by_camera else _decided, body)
            _replay(cases, f"{name} {what}, as proposed for the trash", make)

    replay("an asset is", one)
    replay("set aside: 201 assets are", many)
    replay("set aside: no asset is", [])
    replay("set aside: an asset twice at once is", one * 2)
    replay("set aside: by a camera, an asset is", one, by_camera=True)
    old = ProposeDeletionBody(1, one, b"sealed note")
    _replay(
        cases,
        "set aside: a note under an old epoch's keys",
        lambda space, _: space.entry(RecordKind.PROPOSE_DELETION, old),
    )
    for right in (Right.APPROVE, Right.TRASH):
        _replay(cases, f"set aside: decided by who may {right.value} and not both", partial(_decided_by_editor, right))


def _decided(body: DecideDeletionBody, space: Space, _: Signer, by: Signer | None = None) -> Entry:
    """A decision about an asset that is proposed."""
    proposal = ProposeDeletionBody(2, [id_of("asset")], b"sealed note")
    space.take(space.entry(RecordKind.PROPOSE_DELETION, proposal))
    return space.entry(RecordKind.DECIDE_DELETION, body, by)


def _decided_by_camera(body: DecideDeletionBody, space: Space, camera: Signer) -> Entry:
    return _decided(body, space, camera, camera)


def _decided_by_editor(right: Right, space: Space, camera: Signer) -> Entry:
    """The same by an editor who has one of the two rights that it takes."""
    editor = member(space, Person("bert"), Role.EDITOR, [right])
    return _decided(DecideDeletionBody([id_of("asset")], confirmed=True), space, camera, editor)


def _contradicting_histories(cases: Cases) -> None:
    """What its signer knew of the log or the ledger is not what the reader knows."""
    _replay(
        cases,
        "another history was shown to its signer",
        lambda space, camera: space.entry(RecordKind.OPEN_ROLL, _ROLL, camera, log=Head(3, seed_of("fork"))),
        Code.HISTORY_FORKED,
    )
    _replay(
        cases,
        "a ledger entry on an older ledger",
        lambda space, _: space.entry(
            LedgerKind.CERTIFY_CAMERA, space.certify_body("third", epoch=2), ledger=Head(2, space.frames[1].entry_id)
        ),
        Code.ENTRY_STALE,
    )


def _epochs_against_the_rules(cases: Cases) -> None:
    """Under each of them someone removed could read on, or a member no longer could: the space stops."""

    def replay(name: str, epoch: Callable[[Space], Epoch], expect: Code) -> None:
        _replay(cases, name, lambda space, _: _rotation(space, epoch(space)), expect)

    _replay(
        cases,
        "a revocation without a new epoch",
        lambda space, _: _advance_without_epoch(space),
        Code.EPOCH_REQUIRED,
    )
    replay(
        "an epoch that skips a number",
        lambda space: space.epoch(4, [(space.owner.account_id, Tier.FULL)]),
        Code.EPOCH_OLD,
    )
    replay("an epoch without the owner's box", lambda space: space.epoch(3, []), Code.LEDGER_RULE)
    replay(
        "an epoch under an old inbox",
        lambda space: msgspec.structs.replace(space.next_epoch(), full_inbox=space.state.epochs[0].full_inbox),
        Code.LEDGER_RULE,
    )


def _cameras_and_later_versions(cases: Cases) -> None:
    """What a camera signs in the ledger besides its binding, and what a reader meets that it does not know."""

    def replay(name: str, make: _Next, expect: Code | None = None) -> None:
        _replay(cases, name, make, expect)

    stranger = _stranger()
    replay(
        "a camera's entry of an unknown kind in the ledger",
        lambda space, camera: space.entry("policy.something-new", _ROLL, camera, critical=False),
        Code.RIGHT_MISSING,
    )
    replay(
        "a known kind of a later version is passed over",
        lambda space, _: space.entry(
            LedgerKind.CERTIFY_CAMERA, space.certify_body("third", epoch=2), version=2, critical=False
        ),
    )
    replay(
        "a camera bound twice",
        lambda space, camera: space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera),
        Code.CAMERA_ALREADY_BOUND,
    )
    replay(
        "an epoch by a camera",
        lambda space, camera: _rotation(space, space.next_epoch(), camera),
        Code.RIGHT_MISSING,
    )
    replay(
        "a later version's critical ledger entry",
        lambda space, _: space.entry("policy.something-new", _ROLL),
        Code.ENTRY_UNKNOWN_CRITICAL,
    )
    replay(
        "a stranger's critical ledger entry of an unknown kind",
        lambda space, _: space.entry("policy.something-new", _ROLL, stranger),
        Code.SIGNER_UNKNOWN,
    )
    replay(
        "a later version's critical record",
        lambda space, camera: space.entry(RecordKind.OPEN_ROLL, _ROLL, camera, version=2),
        Code.ENTRY_UNKNOWN_CRITICAL,
    )
    replay(
        "a later version's other ledger entry",
        lambda space, _: space.entry("policy.something-new", _ROLL, critical=False),
    )


def _links_that_a_kind_of_space_allows(cases: Cases) -> None:
    """A genesis whose policy allows more than its kind may is refused."""
    for kind, links, refused in (("family", "full", True), ("vault", "view", True), ("work", "full", False)):
        space = Space(Person("anna"), kind, links)
        entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body())
        frames = [Frame(1, NOW_MS, log.next_chain(b"", 1, entry.id), entry.id, entry.envelope)]
        expect = Code.LEDGER_RULE if refused else None
        name = f"a {kind} space that allows {links} links"
        cases.add(name, "space.replay", expect, frames=log.frames_to_bytes(frames))


def _asset_record(space: Space, camera: Signer) -> Entry:
    ref = RenditionRef(RenditionName.ORIGINAL, id_of("rendition"), seed_of("blob"), 4096, bytes(74))
    asset = AssetBody(id_of("asset"), seed_of("fingerprint"), [ref], b"full wrap", b"view wrap", b"view", b"full")
    return space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset]), camera)


def _grown() -> tuple[Space, Signer]:
    """A space with a camera, a roll, an asset, a revoked second camera and so a second epoch."""
    space = Space(Person("anna")).create()
    camera = space.camera()
    space.take(space.entry(RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view"), camera), camera)
    space.take(_asset_record(space, camera), camera)
    space.camera("old phone")
    body = RevokeCameraBody(id_of("camera old phone"), space.next_epoch())
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    return space, camera


def _rotation(space: Space, epoch: Epoch, signer: Signer | None = None) -> Entry:
    return space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(epoch), signer)


def _last(space: Space, signer: Signer) -> Signer:
    """Continue at the signer's last entry."""
    position = space.log.devices[signer.author_id + signer.device_id]
    signer.counter, signer.last_id = position.counter, position.entry_id
    return signer


def _advance_without_epoch(space: Space) -> Entry:
    owner = space.owner
    owner.add_device("laptop")
    added = AdvanceAccountBody(owner.account_id, owner.entries[1:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, added))
    owner.revoke_device(id_of("device laptop"))
    return space.entry(LedgerKind.ADVANCE_ACCOUNT, AdvanceAccountBody(owner.account_id, owner.entries[2:], None))
