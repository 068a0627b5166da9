"""Judging: what an entry may do by the ledger at hand, and all that the database must check and change with it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from safelight.server.domain import approvals
from safelight.server.domain.ports.commits import (
    AlbumUse,
    AssetUse,
    BlobUse,
    Commit,
    GuestUse,
    NewInbox,
    NewLink,
    RollUse,
)
from safelight.server.domain.ports.rows import DeviceRow
from safelight.sync_protocol import ledger, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.grant_entries import EndGrantBody, OpenGenerationBody
from safelight.sync_protocol.ledger_entries import (
    BindCameraBody,
    BoxRef,
    LedgerKind,
)
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL, MAX_ROLL_AGE_S
from safelight.sync_protocol.links import ManifestHead
from safelight.sync_protocol.log import ENTRY_VERSION, Entry
from safelight.sync_protocol.messages.spaces import NewBox
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddAssetsBody,
    AddToAlbumBody,
    AssetBody,
    OpenAlbumRollBody,
    OpenRollBody,
    PublishInboxBody,
    PublishLinkBody,
    RecordKind,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RevokeLinkBody,
    ShowInAlbumBody,
    tier_of_rendition,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.trash import ABOUT_TRASH
from safelight.sync_protocol.upload_entries import BindGuestBody, OpenUploadLinkBody
from safelight.sync_protocol.upload_links import UploadHead
from safelight.sync_protocol.wire import unpack

_MAX_SEALED_KEY_SIZE_BYTES = 1024
_MAX_MAKERS_SIZE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Judged:
    """A commit that the ledger allows, and the ledger's state after it (None for records)."""

    commit: Commit
    state_after: LedgerState | None = None


def judge_ledger_entry(
    state: LedgerState | None, entry: Entry, boxes: Sequence[NewBox], *, now_ms: int, quota_bytes: int
) -> Judged:
    """Judge an entry about who may do what. *state* is None for a genesis, whose space gets *quota_bytes*."""
    _check_known(entry, LedgerKind)
    after = ledger.apply(state, entry, state.head.number + 1 if state else 1)
    _check_lean(entry)
    commit = replace(
        _commit_of(entry, boxes, before=state, after=after, now_ms=now_ms),
        is_ledger=True,
        genesis_kind=after.kind if state is None else "",
        quota_bytes=quota_bytes if state is None else 0,
        epoch=after.epoch.number,
        members=[(account_id, member.role.value) for account_id, member in after.members.items()],
        cameras=_bound_cameras(state, after, entry, now_ms),
        revoked_devices=_revoked_cameras(state, after),
        new_upload_link=_new_upload_link(entry),
        boxes=_check_boxes(after.epoch.number, _new_boxes(state, after), boxes),
    )
    return Judged(commit, after)


def judge_record(state: LedgerState, entry: Entry, boxes: Sequence[NewBox], *, now_ms: int) -> Judged:
    """Judge an entry about what is there."""
    _check_known(entry, RecordKind)
    body = check_record(state, entry)
    _check_boxes(state.epoch.number, [], boxes)
    if isinstance(body, PublishLinkBody):
        _check_manifest(body)
    elif isinstance(body, RemoveFromAlbumBody | RenameAlbumBody):
        _check_organises_now(state, entry, body.album_id, now_ms)
    commit = replace(
        _commit_of(entry, boxes, before=state, after=state, now_ms=now_ms),
        roll=_roll_of(state, body),
        assets=_assets_of(body),
        blobs=_blobs_of(body),
        known_assets=_known_assets(body),
        album=_album_of(state, body),
        into_album=approvals.into_album(body),
        out_of_album=approvals.out_of_album(body),
        album_rules=approvals.album_rules(body),
        approvals=approvals.approvals(body),
        link=_link_of(body) if isinstance(body, PublishLinkBody) else None,
        revoked_link=body.link_id if isinstance(body, RevokeLinkBody) else b"",
        guest=_guest_of(state, entry, body),
        inbox=_inbox_of(body) if isinstance(body, PublishInboxBody) else None,
        trash=body if isinstance(body, ABOUT_TRASH) else None,
    )
    return Judged(commit)


def _check_organises_now(state: LedgerState, entry: Entry, album_id: bytes, now_ms: int) -> None:
    """*A grant that expired goes on by a date put back*: the server judges by its own clock, too."""
    if not state.may_organise(entry.header.author_id, album_id, now_ms):
        raise Refused(Code.RIGHT_MISSING, "to organise this album, by the server's clock")


def _commit_of(
    entry: Entry, boxes: Sequence[NewBox], *, before: LedgerState | None, after: LedgerState, now_ms: int
) -> Commit:
    """What every entry asks of the database: its place in its space and after its device's last one, and its cost."""
    return Commit(
        space_id=after.space_id,
        entry_id=entry.id,
        envelope=entry.envelope,
        kind=entry.header.kind,
        author_id=entry.header.author_id,
        device_id=entry.header.device_id,
        counter=entry.header.counter,
        previous_id=entry.header.previous_id,
        ledger_number=before.head.number if before else 0,
        now_ms=now_ms,
        camera_quota_bytes=_camera_quota(after, entry),
        entry_bytes=len(entry.envelope) + sum(len(box.box) for box in boxes),
    )


def _check_known(entry: Entry, kinds: type[StrEnum]) -> None:
    """Refuse what this server does not know, critical or not: it cannot say who may sign it, or what it may cost.

    Readers pass over such entries; a camera, or a member without any right, would else fill the log with them.
    """
    if entry.header.kind not in set(kinds) or entry.header.version != ENTRY_VERSION:
        raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, f"{entry.header.kind}, version {entry.header.version}")


def _check_lean(entry: Entry) -> None:
    """*A server's memory filled with keys*: all generations of all albums are at hand, for as long as their space is.

    What is in one are keys and a title; the format would take 320 KiB of anything.
    """
    match entry.header.kind:
        case LedgerKind.OPEN_GENERATION:
            generation = unpack(entry.body, OpenGenerationBody).generation
        case LedgerKind.END_GRANT:
            generation = unpack(entry.body, EndGrantBody).generation
        case LedgerKind.OPEN_UPLOAD_LINK:
            if len(unpack(entry.body, OpenUploadLinkBody).makers) > _MAX_MAKERS_SIZE_BYTES:
                raise Refused(Code.LEDGER_RULE, f"a makers' copy has at most {_MAX_MAKERS_SIZE_BYTES} bytes")
            return
        case _:
            return
    sealed = (generation.key_full, generation.key_view, generation.full_history, generation.view_history)
    if max(map(len, (*sealed, generation.title))) > _MAX_SEALED_KEY_SIZE_BYTES:
        raise Refused(
            Code.LEDGER_RULE, f"an album's sealed keys and title have at most {_MAX_SEALED_KEY_SIZE_BYTES} bytes"
        )


def _new_boxes(before: LedgerState | None, after: LedgerState) -> list[BoxRef]:
    """The boxes that an entry names: all of a new epoch, or what a member gets of the one in force."""
    if before is None or before.epoch.number != after.epoch.number:
        return after.epoch.boxes
    return [box for box in after.epoch.boxes if box not in before.epoch.boxes]


def _check_boxes(epoch: int, named: Sequence[BoxRef], boxes: Sequence[NewBox]) -> list[tuple[int, bytes, bytes]]:
    """An entry comes with exactly the boxes whose hashes it signs: none missing, none exchanged, none besides."""
    given = [(bytes.fromhex(box.account_id), box.box) for box in boxes]
    hashes = [(ref.account_id, ref.hash) for ref in named]
    if sorted((account_id, hashlib.sha256(box).digest()) for account_id, box in given) != sorted(hashes):
        raise Refused(Code.LEDGER_RULE, "the boxes sent are not those that the entry names")
    return [(epoch, account_id, box) for account_id, box in given]


def _bound_cameras(before: LedgerState | None, after: LedgerState, entry: Entry, now_ms: int) -> list[DeviceRow]:
    """The camera that an entry binds. A guest's belongs to its link, and not among anyone's devices."""
    if before is None:
        return []
    if entry.header.kind == LedgerKind.BIND_GUEST:
        guest = unpack(entry.body, BindGuestBody)
        return [DeviceRow(guest.guest_id, guest.link_id, after.space_id, "guest", guest.device_key, now_ms)]
    if entry.header.kind != LedgerKind.BIND_CAMERA:
        return []
    body = unpack(entry.body, BindCameraBody)
    owner_id = after.cameras[body.camera_id].certified_by
    return [DeviceRow(body.camera_id, owner_id, after.space_id, "camera", body.device_key, now_ms)]


def _new_upload_link(entry: Entry) -> bytes:
    if entry.header.kind != LedgerKind.OPEN_UPLOAD_LINK:
        return b""
    return unpack(entry.body, OpenUploadLinkBody).link_id


def _guest_of(state: LedgerState, entry: Entry, body: object) -> GuestUse | None:
    link_id = state.guest_link(entry.header.author_id)
    if not link_id:
        return None
    terms = state.upload_links[link_id].terms
    return GuestUse(link_id, len(_assets_of(body)), terms.max_files, terms.quota_bytes)


def _inbox_of(body: PublishInboxBody) -> NewInbox:
    """Where its signer knew the log to end numbers a head: each is itself an entry, so the next is higher."""
    number = unpack(body.head, UploadHead).log.number
    return NewInbox(body.link_id, number, body.head, body.head_signature)


def _revoked_cameras(before: LedgerState | None, after: LedgerState) -> list[bytes]:
    """The cameras that an entry shuts out: one by its name, or all of a member that is removed."""
    if before is None:
        return []
    return [key for key, camera in before.cameras.items() if after.cameras[key].revoked and not camera.revoked]


def _camera_quota(state: LedgerState, entry: Entry) -> int:
    author_id = entry.header.author_id
    camera = None if author_id in state.members else state.cameras.get(author_id)
    return camera.quota_bytes if camera else 0


def _roll_of(state: LedgerState, body: object) -> RollUse | None:
    match body:
        case OpenRollBody():
            roll_id, opens, assets = body.roll_id, True, 0
        case OpenAlbumRollBody():
            roll_id, opens, assets = body.roll_id, True, 0
        case AddAssetsBody() | AddAlbumAssetsBody():
            roll_id, opens, assets = body.roll_id, False, len(body.assets)
        case _:
            return None
    return RollUse(
        roll_id=roll_id,
        opens=opens,
        epoch=state.epoch.number,
        assets=assets,
        max_assets=MAX_ASSETS_PER_ROLL,
        max_age_s=MAX_ROLL_AGE_S,
    )


def _assets_of(body: object) -> list[AssetUse]:
    assets = body.assets if isinstance(body, AddAssetsBody | AddAlbumAssetsBody) else ()
    return [AssetUse(asset.asset_id, asset.fingerprint) for asset in assets]


def _known_assets(body: object) -> list[bytes]:
    match body:
        case AddToAlbumBody():
            return [item.asset_id for item in body.items]
        case ShowInAlbumBody():
            return [item.asset.asset_id for item in body.items]
        case _:
            return list(body.asset_ids) if isinstance(body, ABOUT_TRASH) else []


def _album_of(state: LedgerState, body: object) -> AlbumUse | None:
    """What a record is to a shared album's own log, and what the album shows by it from now on."""
    match body:
        case ShowInAlbumBody():
            return AlbumUse(body.album_id, body.generation, body.log, _by_tier([item.asset for item in body.items]))
        case AddAlbumAssetsBody():
            return AlbumUse(body.album_id, body.generation, None, _by_tier(body.assets))
        case OpenAlbumRollBody():
            return AlbumUse(body.album_id, body.generation, None)
        case RemoveFromAlbumBody() | RenameAlbumBody() if body.album_id in state.albums:
            return AlbumUse(body.album_id, 0, body.log)
        case _:
            return None


def _by_tier(assets: Sequence[AssetBody]) -> list[tuple[bytes, str]]:
    return [(ref.blob, tier_of_rendition(ref.name).value) for asset in assets for ref in asset.renditions]


def _blobs_of(body: object) -> list[BlobUse]:
    match body:
        case AddAssetsBody() | AddAlbumAssetsBody():
            return [
                BlobUse(
                    name=rendition.blob,
                    size_bytes=rendition.size_bytes,
                    tier=tier_of_rendition(rendition.name).value,
                    owner_id=asset.asset_id,
                    rendition=rendition.name.value,
                )
                for asset in body.assets
                for rendition in asset.renditions
            ]
        case PublishLinkBody():
            own = [(page, "page") for page in body.pages] + [(made, "made") for made in body.made_blobs]
            return [BlobUse(ref.blob, ref.size_bytes, what, body.link_id, what) for ref, what in own]
        case _:
            return []


def _link_of(body: PublishLinkBody) -> NewLink:
    return NewLink(
        link_id=body.link_id,
        tier=body.tier,
        album_id=body.album_id,
        token_hash=body.token_hash,
        proof_hash=body.proof_hash,
        publishing_key=body.publishing_key,
        head=body.head,
        head_signature=body.head_signature,
        starts_ms=body.policy.starts_ms,
        expires_ms=body.policy.expires_ms,
        max_opens=body.policy.max_opens,
        originals=body.policy.originals,
        view_blobs=body.view_blobs,
        full_blobs=body.full_blobs,
        pages=[page.blob for page in body.pages],
        made_blobs=[made.blob for made in body.made_blobs],
    )


def _check_manifest(body: PublishLinkBody) -> None:
    """A link whose head its guests would refuse is refused now, while its maker can still do something about it."""
    head = unpack(body.head, ManifestHead, Code.MANIFEST_INVALID)
    if head.link_id != body.link_id or head.pages != body.pages:
        raise Refused(Code.MANIFEST_INVALID, "the head is of another link, or names other pages")
    signatures.verify(body.publishing_key, body.head_signature, context(Label.SIGN_MANIFEST, body.link_id, body.head))
