"""What must hold for a commit, one check a function; each raises its refusal. `CHECKS` is their order."""

from collections.abc import Callable
from typing import NamedTuple

from safelight.server.domain.ports.commits import Commit
from safelight.server.stores.commit_facts import Facts, Held, Position, SpaceFacts
from safelight.sync_protocol.approvals import content_of
from safelight.sync_protocol.records import DecideDeletionBody, TrashAssetsBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.trash import trash_change

_TAKING_AWAY = (TrashAssetsBody, DecideDeletionBody)
NO_POSITION = Position(0, b"", 0)


class Case(NamedTuple):
    """A commit before the checks, with what is known of its space and of all."""

    commit: Commit
    space: SpaceFacts
    facts: Facts


Check = Callable[[Case], None]


def check_space(case: Case) -> None:
    """Only a genesis makes a space, and only one."""
    commit, space, _ = case
    if space.exists and commit.genesis_kind:
        raise Refused(Code.ENTRY_STALE, "the space is there already")
    if not space.exists and not commit.genesis_kind:
        raise Refused(Code.SPACE_UNKNOWN)


def check_ledger(case: Case) -> None:
    """The ledger by which the entry was judged is still the newest: no revoked device slips in behind it."""
    commit, space, _ = case
    if commit.ledger_number != space.ledger_number:
        raise Refused(Code.ENTRY_STALE, f"the ledger is at slot {space.ledger_number}")


def check_position(case: Case) -> None:
    """A device's entries follow one another, so that none can be dropped or repeated unseen."""
    commit, space, _ = case
    last = space.positions.get(commit.device_id, NO_POSITION)
    if commit.counter != last.counter + 1 or commit.previous_id != last.entry_id:
        raise Refused(Code.COUNTER_CONFLICT, f"this device's last entry here is number {last.counter}")


def check_blobs(case: Case) -> None:
    """Every blob is held in this very space: a stranger's blob cannot be claimed by its name."""
    commit, space, _ = case
    for blob in commit.blobs:
        held = space.blobs.get(blob.name)
        if held is None:
            raise Refused(Code.BLOB_MISSING, blob.name.hex())
        if held.size_bytes != blob.size_bytes:
            raise Refused(Code.BLOB_SIZE_MISMATCH, f"{blob.name.hex()} has {held.size_bytes} bytes")


def check_assets(case: Case) -> None:
    """An asset's id is given once; what other records name is there, and what albums get is not in the trash."""
    commit, space, _ = case
    if not (commit.assets or commit.known_assets):
        return
    added = {asset.asset_id for asset in commit.assets}
    taken = added & space.assets
    if taken or len(added) != len(commit.assets):
        raise Refused(Code.ASSET_CONFLICT, min(taken or added).hex())
    for asset_id in commit.known_assets:
        if asset_id not in space.assets:
            raise Refused(Code.NOT_FOUND, f"no asset {asset_id.hex()}")
        if commit.trash is None and asset_id in space.in_trash:
            raise Refused(Code.IN_TRASH, asset_id.hex())


def check_trash(case: Case) -> None:
    """What is said of the trash, or proposed for it, changes something there."""
    if case.commit.trash is not None:
        trash_change(case.commit.trash, case.space.in_trash, case.space.proposed)


def check_roll(case: Case) -> None:
    """A roll is one device's, of the epoch in force, young and not full."""
    commit, space, facts = case
    use = commit.roll
    if use is None:
        return
    if use.epoch != space.epoch:
        raise Refused(Code.EPOCH_OLD, f"the epoch is {space.epoch}")
    roll = space.rolls.get(use.roll_id)
    if use.opens:
        if roll is not None:
            raise Refused(Code.ROLL_UNKNOWN, "the roll's id is taken")
        return
    if roll is None or roll.device_id != commit.device_id:
        raise Refused(Code.ROLL_UNKNOWN, use.roll_id.hex())
    if roll.epoch != space.epoch:
        raise Refused(Code.EPOCH_OLD, f"the roll is of epoch {roll.epoch}, now {space.epoch}")
    if roll.assets + use.assets > use.max_assets:
        raise Refused(Code.ROLL_FULL, f"it holds {roll.assets} of {use.max_assets} assets")
    if max(commit.now_ms, space.time_ms, facts.time_ms) - roll.opened_ms > use.max_age_s * 1000:
        raise Refused(Code.ROLL_FULL, f"it is older than {use.max_age_s} s")


def check_quota(case: Case) -> None:
    """The space's quota and the camera's own suffice for the entry and the blobs that it is the first to name.

    Taking away never fails for want of room: neither an entry about who may do what, nor the end of a link, nor what
    keeps pictures from links or takes them out of albums, nor what goes into the trash.
    Restoring and proposing do, so that nobody fills a disk by
    turns; so does what takes away nothing: *a log filled beyond the quota with links that are revoked again and again*.
    """
    commit, space, _ = case
    if commit.is_ledger or _takes_away(case):
        return
    added_bytes = new_bytes(commit, space)
    quota_bytes = commit.quota_bytes if commit.genesis_kind else space.quota_bytes
    if quota_bytes and added_bytes and space.used_bytes + added_bytes > quota_bytes:
        raise Refused(Code.QUOTA_EXCEEDED, f"{space.used_bytes} of {quota_bytes} bytes are used")
    used_bytes = space.positions.get(commit.device_id, NO_POSITION).used_bytes
    if commit.camera_quota_bytes and added_bytes and used_bytes + added_bytes > commit.camera_quota_bytes:
        raise Refused(Code.QUOTA_EXCEEDED, f"{used_bytes} of the camera's {commit.camera_quota_bytes} bytes are used")


def _takes_away(case: Case) -> bool:
    """Whether a record ends a link that stands, keeps pictures from links or grantees, or puts some into the trash."""
    commit, space, facts = case
    approvals, rules = commit.approvals, commit.album_rules
    if commit.out_of_album is not None:
        return True  # each of it was added, which took room
    if approvals is not None and not approvals.approved:
        return any(
            space.album_files.get((approvals.album_id, name), {}).get(asset_id)
            for asset_id, _ in approvals.items
            for _, name in space.files.get(asset_id, ())
        )
    if rules is not None and rules.requires_approval:
        return rules.album_id in space.filled_albums - space.approval_albums
    ends = commit.revoked_link != b"" and commit.revoked_link not in facts.revoked_links
    return ends or isinstance(commit.trash, _TAKING_AWAY)


def check_link(case: Case) -> None:
    """A link's id is new and its blobs are held here; its view list holds no original.

    What it brings as made for it is nobody else's: *an original, or a clean preview, named as a link's own picture*.
    """
    commit, space, facts = case
    if commit.revoked_link and facts.links.get(commit.revoked_link) != commit.space_id:
        raise Refused(Code.NOT_FOUND, f"no link {commit.revoked_link.hex()}")
    link = commit.link
    if link is None:
        return
    if link.link_id in facts.links or link.link_id in facts.upload_links:
        raise Refused(Code.LEDGER_RULE, "the link's id is taken")
    named_here = {blob.name: Held(blob.size_bytes, blob.tier) for blob in commit.blobs}
    for kind, name in link.blobs():
        held = space.blobs.get(name)
        if held is None:
            raise Refused(Code.BLOB_MISSING, name.hex())
        known = held.tier or (named_here[name].tier if name in named_here else "")
        if not known:
            raise Refused(Code.BLOB_MISSING, f"no record names {name.hex()}")
        if kind != "full" and known == "full":
            raise Refused(Code.POLICY_FORBIDS, f"{name.hex()} is of the full tier")
        if kind == "made" and known != "made":
            raise Refused(Code.POLICY_FORBIDS, f"{name.hex()} was not made for a link")


def check_upload_link(case: Case) -> None:
    """An upload link's id is new; its guests together add no more than it takes; a newer head stays.

    *An upload link with another link's id*: one that is withdrawn stays open, while its maker takes it for the other.
    """
    commit, space, facts = case
    if commit.new_upload_link in facts.upload_links or commit.new_upload_link in facts.links:
        raise Refused(Code.LEDGER_RULE, "the link's id is taken")
    for use in (commit.guest, commit.inbox):
        if use is not None and use.link_id not in facts.upload_links:
            raise Refused(Code.NOT_FOUND, f"no upload link {use.link_id.hex()}")
    if commit.inbox is not None and commit.inbox.number <= facts.upload_links[commit.inbox.link_id].number:
        raise Refused(Code.LEDGER_RULE, "a newer head of the link is there")
    if commit.guest is None:
        return
    use, taken = commit.guest, facts.upload_links[commit.guest.link_id]
    if taken.files + use.files > use.max_files:
        raise Refused(Code.UPLOAD_LINK_FULL, f"{taken.files} of {use.max_files} files are taken")
    if taken.used_bytes + new_bytes(commit, space) > use.quota_bytes:
        raise Refused(Code.UPLOAD_LINK_FULL, f"{taken.used_bytes} of {use.quota_bytes} bytes are taken")


def check_album(case: Case) -> None:
    """A shared album shows what records name, each at its tier, and its log ends where the signer says.

    So none of its entries can be left out for who follows that log alone.
    """
    commit, space, _ = case
    album = commit.album
    if album is None:
        return
    named_here = {blob.name: blob.tier for blob in commit.blobs}
    for name, tier in album.blobs:
        held = space.blobs.get(name)
        known = (held.tier or named_here.get(name, "")) if held else ""
        if not known:
            raise Refused(Code.BLOB_MISSING, f"no record names {name.hex()}")
        if known != tier:
            raise Refused(Code.POLICY_FORBIDS, f"{name.hex()} is of the tier {known}")
    head = space.albums[album.album_id]
    if album.log is not None and album.log != head:
        raise Refused(Code.ALBUM_STALE, f"the album's log has {head.number} entries")
    if commit.roll is not None and not commit.roll.opens:
        opened_for = space.album_rolls.get(commit.roll.roll_id)
        if opened_for != (album.album_id, album.generation):
            raise Refused(Code.ROLL_UNKNOWN, "the roll was not opened for this album, or for other keys of it")


def check_out_of_album(case: Case) -> None:
    """What is taken out of an album is in it."""
    out = case.commit.out_of_album
    if out is None:
        return
    for asset_id in out.asset_ids:
        if not _is_in_album(case.space, out.album_id, asset_id):
            raise Refused(Code.NOT_FOUND, f"the album has no asset {asset_id.hex()}")


def _is_in_album(space: SpaceFacts, album_id: bytes, asset_id: bytes) -> bool:
    return any(asset_id in space.album_files.get((album_id, name), ()) for _, name in space.files.get(asset_id, ()))


def check_approvals(case: Case) -> None:
    """What is approved is in the album, and as it was seen: *another picture that comes to stand under an approval*."""
    commit, space, _ = case
    approvals = commit.approvals
    if approvals is None:
        return
    for asset_id, content in approvals.items:
        if not _is_in_album(space, approvals.album_id, asset_id):
            raise Refused(Code.NOT_FOUND, f"the album has no asset {asset_id.hex()}")
        if approvals.approved and content_of(asset_id, space.files.get(asset_id, [])) != content:
            raise Refused(Code.ASSET_CONFLICT, f"the asset {asset_id.hex()} is not what was approved")


def check_approved(case: Case) -> None:
    """Where an album of the space requires approval, a link shows what is in its album, and approved if that one does.

    *A link that names another album, and shows what waits for approval in this one.*
    """
    commit, space, _ = case
    link = commit.link
    if link is None or not space.approval_albums:
        return
    for name in link.asset_blobs():
        approved = space.album_files.get((link.album_id, name))
        if not approved:
            raise Refused(Code.NOT_APPROVED, f"{name.hex()} is of no picture in the link's album")
        if link.album_id in space.approval_albums and not any(approved.values()):
            raise Refused(Code.NOT_APPROVED, f"{name.hex()} is of a picture that is not approved")


def check_devices(case: Case) -> None:
    """A camera's id is given once on the whole server."""
    commit, _, facts = case
    for camera in commit.cameras:
        if camera.device_id in facts.devices:
            raise Refused(Code.CAMERA_ALREADY_BOUND, camera.device_id.hex())


def new_bytes(commit: Commit, space: SpaceFacts) -> int:
    """The bytes of the entry, and of the blobs that no entry of the space named before this one."""
    sizes = {blob.name: blob.size_bytes for blob in commit.blobs if not space.blobs[blob.name].tier}
    return sum(sizes.values()) + commit.entry_bytes


CHECKS: tuple[Check, ...] = (
    check_space,
    check_ledger,
    check_position,
    check_blobs,
    check_assets,
    check_trash,
    check_roll,
    check_quota,
    check_link,
    check_upload_link,
    check_album,
    check_out_of_album,
    check_approvals,
    check_approved,
    check_devices,
)
