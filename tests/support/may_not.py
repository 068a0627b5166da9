"""What a person may not, asked past the client: every kind of entry, every route of a space, every key that they hold.

What stands in the way must be the server, by its own name for it, and mathematics; never the client's politeness.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.epochs import EpochSecrets
from safelight.clients.engine.rolls import open_roll
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody
from safelight.sync_protocol.grant_entries import EndGrantBody, GiveGrantBody, GrantBox, OpenGenerationBody
from safelight.sync_protocol.ledger_entries import (
    AdmitMemberBody,
    CertifyCameraBody,
    InviteMemberBody,
    LedgerKind,
    PointCameraBody,
    Policy,
    RemoveMemberBody,
    RevokeCameraBody,
    RotateEpochBody,
    SetPolicyBody,
    SetRoleBody,
)
from safelight.sync_protocol.log import ENTRY_VERSION, NO_HEAD, Header, build_entry, parse_entry
from safelight.sync_protocol.messages.blobs import BlobsHeld, HoldBlobs
from safelight.sync_protocol.messages.spaces import AskFingerprints, CommitEntry, Committed, KnownFingerprints
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    CreateAlbumBody,
    DecideDeletionBody,
    LinkPolicy,
    OpenAlbumRollBody,
    OpenRollBody,
    PageRef,
    ProposeDeletionBody,
    PublishInboxBody,
    PublishLinkBody,
    RecordKind,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RestoreAssetsBody,
    RevokeLinkBody,
    ShowInAlbumBody,
    ShownItem,
    TrashAssetsBody,
    opened_by,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.upload_entries import CloseUploadLinkBody, OpenUploadLinkBody
from safelight.sync_protocol.wire import Signed
from tests.support.grants import generation_of
from tests.support.protocol import Blob, make_asset, make_epoch
from tests.support.uploaders import terms

# What each kind takes, where it is one right alone. The others are asked of who lacks all of them.
RIGHTS: Mapping[str, frozenset[Right]] = {
    RecordKind.OPEN_ROLL: frozenset({Right.ADD}),
    RecordKind.ADD_ASSETS: frozenset({Right.ADD}),
    RecordKind.OPEN_ALBUM_ROLL: frozenset({Right.ORGANISE}),
    RecordKind.ADD_ALBUM_ASSETS: frozenset({Right.ORGANISE}),
    RecordKind.CREATE_ALBUM: frozenset({Right.ORGANISE}),
    RecordKind.ADD_TO_ALBUM: frozenset({Right.ORGANISE}),
    RecordKind.SHOW_IN_ALBUM: frozenset({Right.ORGANISE}),
    RecordKind.REMOVE_FROM_ALBUM: frozenset({Right.ORGANISE}),
    RecordKind.RENAME_ALBUM: frozenset({Right.ORGANISE}),
    RecordKind.SET_ALBUM_RULES: frozenset({Right.APPROVE}),
    RecordKind.APPROVE_ASSETS: frozenset({Right.APPROVE}),
    RecordKind.PUBLISH_LINK: frozenset({Right.LINK}),
    RecordKind.REVOKE_LINK: frozenset({Right.REVOKE_LINK}),
    RecordKind.PUBLISH_INBOX: frozenset({Right.LINK}),
    RecordKind.TRASH_ASSETS: frozenset({Right.TRASH}),
    RecordKind.RESTORE_ASSETS: frozenset({Right.TRASH}),
    RecordKind.PROPOSE_DELETION: frozenset({Right.PROPOSE_DELETION}),
    RecordKind.DECIDE_DELETION: frozenset({Right.APPROVE, Right.TRASH}),
    LedgerKind.CERTIFY_CAMERA: frozenset({Right.ADD}),
    LedgerKind.REVOKE_CAMERA: frozenset({Right.MEMBERS}),
    LedgerKind.POINT_CAMERA: frozenset({Right.ORGANISE}),
    LedgerKind.ROTATE_EPOCH: frozenset({Right.MEMBERS}),
    LedgerKind.INVITE_MEMBER: frozenset({Right.MEMBERS}),
    LedgerKind.ADMIT_MEMBER: frozenset({Right.MEMBERS}),
    LedgerKind.SET_ROLE: frozenset({Right.MEMBERS}),
    LedgerKind.REMOVE_MEMBER: frozenset({Right.MEMBERS}),
    LedgerKind.SET_POLICY: frozenset({Right.POLICY}),
    LedgerKind.OPEN_GENERATION: frozenset({Right.ORGANISE}),
    LedgerKind.GIVE_GRANT: frozenset({Right.MEMBERS}),
    LedgerKind.END_GRANT: frozenset({Right.ORGANISE}),
    LedgerKind.OPEN_UPLOAD_LINK: frozenset({Right.LINK}),
    LedgerKind.CLOSE_UPLOAD_LINK: frozenset({Right.REVOKE_LINK}),
}
# Who signs these is no matter of rights: whom an account, an invitation or a pairing is for.
BESIDES = frozenset(
    {
        LedgerKind.CREATE_SPACE,
        LedgerKind.ADVANCE_ACCOUNT,
        LedgerKind.BIND_CAMERA,
        LedgerKind.BIND_GUEST,
        LedgerKind.JOIN_SPACE,
        LedgerKind.WITHDRAW_INVITATION,
    }
)


def attempts(view: SpaceView, other: bytes, camera: bytes) -> dict[RecordKind | LedgerKind, Signed]:
    """An entry of every kind that takes a right; *other* is a member to act on, *camera* somebody else's."""
    state, me = view.state, view.session.account_id
    some, key, sealed = os.urandom(16), os.urandom(32), os.urandom(100)
    inbox = os.urandom(1216)
    asset = make_asset(Blob(os.urandom(10)))
    epoch, _ = make_epoch(state.epoch.number + 1, [(me, "full")])
    link = PublishLinkBody(
        link_id=some,
        album_id=some,
        tier="view",
        epoch=state.epoch.number,
        token_hash=key,
        proof_hash=b"",
        publishing_key=key,
        head=sealed,
        head_signature=bytes(64),
        pages=[PageRef(key, 100)],
        view_blobs=[],
        full_blobs=[],
        made_blobs=[],
        policy=LinkPolicy(0, 0, 0, False),
        makers=sealed,
    )
    return {
        RecordKind.OPEN_ROLL: OpenRollBody(some, state.epoch.number, sealed, sealed),
        RecordKind.ADD_ASSETS: AddAssetsBody(some, [asset]),
        RecordKind.OPEN_ALBUM_ROLL: OpenAlbumRollBody(
            some, state.epoch.number, sealed, sealed, some, 2, sealed, sealed
        ),
        RecordKind.ADD_ALBUM_ASSETS: AddAlbumAssetsBody(some, some, 2, [asset]),
        RecordKind.CREATE_ALBUM: CreateAlbumBody(some, 1, state.epoch.number, inbox, inbox, sealed, sealed, sealed),
        RecordKind.ADD_TO_ALBUM: AddToAlbumBody(some, 1, [AlbumItem(some, sealed, sealed)]),
        RecordKind.SHOW_IN_ALBUM: ShowInAlbumBody(some, 2, NO_HEAD, [ShownItem(some, asset)]),
        RecordKind.REMOVE_FROM_ALBUM: RemoveFromAlbumBody(some, NO_HEAD, [some]),
        RecordKind.RENAME_ALBUM: RenameAlbumBody(some, 1, NO_HEAD, sealed),
        RecordKind.SET_ALBUM_RULES: AlbumRulesBody(some, requires_approval=False),
        RecordKind.APPROVE_ASSETS: ApproveAssetsBody(some, approved=True, items=[ApprovalItem(some, key)]),
        RecordKind.PUBLISH_LINK: link,
        RecordKind.REVOKE_LINK: RevokeLinkBody(some),
        RecordKind.PUBLISH_INBOX: PublishInboxBody(some, sealed, bytes(64)),
        RecordKind.TRASH_ASSETS: TrashAssetsBody([some]),
        RecordKind.RESTORE_ASSETS: RestoreAssetsBody([some]),
        RecordKind.PROPOSE_DELETION: ProposeDeletionBody(state.epoch.number, [some], sealed),
        RecordKind.DECIDE_DELETION: DecideDeletionBody([some], confirmed=True),
        LedgerKind.CERTIFY_CAMERA: CertifyCameraBody(some, key, 1, 0, state.epoch.number, sealed, sealed),
        LedgerKind.REVOKE_CAMERA: RevokeCameraBody(camera, epoch),
        LedgerKind.POINT_CAMERA: PointCameraBody(camera, b""),
        LedgerKind.ROTATE_EPOCH: RotateEpochBody(epoch),
        LedgerKind.INVITE_MEMBER: InviteMemberBody(some, key, Role.VIEWER, [], 1, state.epoch.number, sealed),
        LedgerKind.ADMIT_MEMBER: AdmitMemberBody(some, me, state.epoch.number, None),
        LedgerKind.SET_ROLE: SetRoleBody(me, Role.OWNER, sorted(Right), None, None),
        LedgerKind.REMOVE_MEMBER: RemoveMemberBody(other, epoch),
        LedgerKind.SET_POLICY: SetPolicyBody(Policy(1, "none")),
        LedgerKind.OPEN_GENERATION: OpenGenerationBody(some, generation_of(view, album=some)),
        LedgerKind.GIVE_GRANT: GiveGrantBody(some, 2, 0, False, False, GrantBox(me, "full", sealed)),
        LedgerKind.END_GRANT: EndGrantBody(some, other, generation_of(view, album=some)),
        LedgerKind.OPEN_UPLOAD_LINK: OpenUploadLinkBody(some, key, key, terms(), b"", state.epoch.number, sealed),
        LedgerKind.CLOSE_UPLOAD_LINK: CloseUploadLinkBody(next(iter(state.upload_links), some)),
    }


async def signs_nothing_more(view: SpaceView, other: bytes, camera: bytes) -> int:
    """Commit an entry of every kind whose right this person lacks: the server refuses each. Returns how many."""
    rights, tried = view.state.rights_of(view.session.account_id), 0
    for kind, body in attempts(view, other, camera).items():
        if RIGHTS[kind] <= rights:
            continue
        unless_there = kind in {LedgerKind.END_GRANT, LedgerKind.CLOSE_UPLOAD_LINK}
        expected = {Code.RIGHT_MISSING} | ({Code.LEDGER_RULE} if unless_there else set())
        code = await _code_of(view.commit(kind, body))
        assert code in expected, (kind, code)
        tried += 1
    return tried


async def reaches_nothing_of(session: AccountSession, space_id: bytes, blob: bytes) -> None:
    """Ask every route of a space that one is not in, and commit to it: it is as if there were none."""
    path, connection = f"/v1/spaces/{space_id.hex()}", session.connection
    for what in (
        *("", "/log?after=0", "/chain?after=0", "/ledger?after=0", "/position", "/boxes/1", "/albums", "/links"),
        f"/albums/{os.urandom(16).hex()}/log?after=0",
        f"/blobs/{blob.hex()}",
    ):
        assert await _code_of(connection.fetch_bytes(path + what)) is Code.SPACE_UNKNOWN, what
    asked = connection.request("POST", f"{path}/fingerprints", AskFingerprints([os.urandom(32)]), KnownFingerprints)
    assert await _code_of(asked) is Code.SPACE_UNKNOWN
    held = connection.request("POST", f"{path}/blobs", HoldBlobs(space_id.hex(), [blob]), BlobsHeld)
    assert await _code_of(held) is Code.SPACE_UNKNOWN
    for kind, body in (
        (RecordKind.OPEN_ROLL, OpenRollBody(os.urandom(16), 1, b"full", b"view")),
        (LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "none"))),
    ):
        header = Header(
            version=ENTRY_VERSION,
            critical=True,
            kind=kind.value,
            space_id=space_id,
            author_id=session.account_id,
            device_id=session.device.device_id,
            counter=1,
            previous_id=b"",
            ledger=NO_HEAD,
            log=NO_HEAD,
            signed_ms=session.clock(),
        )
        envelope = build_entry(header, body, session.device.signing_seed)
        sent = connection.request("POST", f"{path}/commits", CommitEntry(envelope), Committed)
        assert await _code_of(sent) is Code.SPACE_UNKNOWN, kind


@dataclass(frozen=True)
class SealedRoll:
    """A roll as it stands in a space's log."""

    space_id: bytes
    epoch: int
    device_id: bytes
    envelope: bytes

    def opens_by(self, held: EpochSecrets) -> str:
        """Which tier of it a person's secrets open: full, view, or none."""
        entry = parse_entry(self.envelope)
        body = opened_by(entry.header.kind, entry.body)
        try:
            keys = open_roll(body, self.space_id, self.device_id, view_secret=held.view, epoch_secret=held.full)
        except Refused:
            try:
                open_roll(body, self.space_id, self.device_id, view_secret=held.view, epoch_secret=None)
            except Refused:
                return "none"
            return "view"
        return "view" if keys.full is None else "full"


def rolls_of(view: SpaceView) -> list[SealedRoll]:
    """Every roll that assets of a space were added under."""
    rolls = []
    for roll_id in {place.roll_id for place in view.index.assets()}:
        place = view.index.roll(roll_id)
        assert place is not None
        rolls.append(
            SealedRoll(view.space_id, place.epoch, place.device_id, view.index.envelope_at(place.number) or b"")
        )
    return rolls


async def secrets_of(view: SpaceView) -> list[EpochSecrets]:
    """Every epoch's secrets that a person holds of a space, and one that takes the view secret for the full one."""
    held = [await view.epoch_secrets(epoch.number) for epoch in view.state.epochs]
    return held + [EpochSecrets(each.number, each.view, each.view) for each in held if each.full is None]


def opens_only(space_id: bytes, tier: str, held: Iterable[EpochSecrets], rolls: Iterable[SealedRoll]) -> int:
    """Try every secret on every roll: *tier* of one's own space and the same epoch, nothing else. Returns how many."""
    tried = 0
    for roll in rolls:
        for secrets in held:
            mine = roll.space_id == space_id and roll.epoch == secrets.number
            opened = roll.opens_by(secrets)
            assert opened == (tier if mine else "none"), (roll, secrets)
            tried += 1
    return tried


async def _code_of(work: object) -> Code:
    try:
        await work  # type: ignore[misc]  # a coroutine of whatever kind
    except Refused as refusal:
        return refusal.code
    raise AssertionError("it was not refused")


__all__ = [
    "BESIDES",
    "RIGHTS",
    "SealedRoll",
    "attempts",
    "opens_only",
    "reaches_nothing_of",
    "rolls_of",
    "secrets_of",
    "signs_nothing_more",
]
