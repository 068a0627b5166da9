"""Commits: a run of them judged in order and written together.

The run costs a few statements to read, no wait between, and one `run_many` a table to write: so commits
that wait together cost little more than the rows they leave. All checks come before the first write, so nothing is
written for a commit that is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from safelight.server.domain.ports.commits import AlbumUse, Commit, Committed, NewLink, Rejected, SomeFailed
from safelight.server.stores import commit_checks
from safelight.server.stores.album_files import AlbumFiles
from safelight.server.stores.commit_checks import NO_POSITION, new_bytes
from safelight.server.stores.commit_facts import SQL, Facts, Position, Roll, SpaceFacts, Taken, gather, lock
from safelight.server.stores.devices import add_device, revoke_in_space
from safelight.server.stores.statements import Row
from safelight.server.stores.transaction import Overtaken, Transaction
from safelight.sync_protocol.album_log import next_album_head
from safelight.sync_protocol.log import next_chain
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.trash import AboutTrash, after_change, trash_change

Outcome = Committed | Rejected


@dataclass(slots=True)
class _Rows:
    """What a run leaves, a list for each statement."""

    entries: list[Row] = field(default_factory=list)
    assets: list[Row] = field(default_factory=list)
    refs: list[Row] = field(default_factory=list)
    refers: list[Row] = field(default_factory=list)
    album_entries: list[Row] = field(default_factory=list)
    album_rolls: list[Row] = field(default_factory=list)
    album_blobs: list[Row] = field(default_factory=list)
    album_files: AlbumFiles = field(default_factory=AlbumFiles)
    album_rules: list[Row] = field(default_factory=list)
    trash: dict[tuple[bytes, bytes], bool] = field(default_factory=dict)  # space and asset: whether it is in the trash
    proposed: dict[tuple[bytes, bytes], bool] = field(default_factory=dict)  # the same: whether it is proposed for it
    positions: dict[tuple[bytes, bytes], Position] = field(default_factory=dict)
    rolls: dict[tuple[bytes, bytes], Roll] = field(default_factory=dict)
    spaces: dict[bytes, SpaceFacts] = field(default_factory=dict)
    upload_links: dict[bytes, Taken] = field(default_factory=dict)
    genesis: list[Commit] = field(default_factory=list)
    others: list[tuple[Commit, int, int]] = field(default_factory=list)  # with number and time


async def commit_run(tx: Transaction, commits: Sequence[Commit]) -> list[Outcome]:
    """Judge *commits* in order and write those that stand; see `Database.commit` for what is refused."""
    return await commit_locked(tx, await lock(tx, {commit.space_id for commit in commits}), commits)


async def commit_locked(tx: Transaction, spaces: dict[bytes, SpaceFacts], commits: Sequence[Commit]) -> list[Outcome]:
    """The same where *spaces*, all of the commits' that are there, are locked already."""
    facts = await gather(tx, spaces, commits)
    rows = _Rows()
    outcomes = [_judge(commit, facts, rows) for commit in commits]
    await _write(tx, rows)
    return outcomes


def answers(outcomes: Sequence[Outcome | Exception]) -> list[Outcome]:
    """Return the answers to a batch. Raises SomeFailed where one failed; of a batch of one, the failure itself."""
    answered = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    if len(answered) == len(outcomes):
        return answered
    if isinstance(outcomes[0], Exception) and len(outcomes) == 1:
        raise outcomes[0]
    raise SomeFailed(outcomes)


def _judge(commit: Commit, facts: Facts, rows: _Rows) -> Outcome:
    space = facts.spaces[commit.space_id]
    names = tuple([blob.name for blob in commit.blobs])
    slot = space.slots.get(commit.entry_id)
    if slot is not None:
        return Committed(*slot, blobs=names, repeated=True)
    case = commit_checks.Case(commit, space, facts)
    try:
        for check in commit_checks.CHECKS:
            check(case)
    except Refused as refusal:
        return Rejected(refusal.code, refusal.detail)
    slot = _advance(commit, space, facts)
    number, chain, time_ms = slot
    _take_guests(commit, space, facts, rows)
    _take_assets(commit, space, number, time_ms, rows)
    _note(commit, facts, slot, rows)
    return Committed(number, chain, time_ms, names)


def _advance(commit: Commit, space: SpaceFacts, facts: Facts) -> tuple[int, bytes, int]:
    """Give the entry the next slot. Server time never falls, whatever the clock says."""
    if commit.genesis_kind:
        space.exists, space.quota_bytes = True, commit.quota_bytes
    space.time_ms = facts.time_ms = max(commit.now_ms, space.time_ms, facts.time_ms)
    space.number += 1
    space.chain = next_chain(space.chain, space.number, commit.entry_id)
    if commit.is_ledger:
        space.ledger_number, space.ledger_hash, space.epoch = space.number, commit.entry_id, commit.epoch
    slot = (space.number, space.chain, space.time_ms)
    space.slots[commit.entry_id] = slot
    return slot


def _take_guests(commit: Commit, space: SpaceFacts, facts: Facts, rows: _Rows) -> None:
    """Count what a guest adds by its link, before its blobs are named and count no more as new."""
    if commit.new_upload_link:
        facts.upload_links[commit.new_upload_link] = Taken(commit.space_id, 0, 0, 0)
    if commit.inbox is not None:
        facts.upload_links[commit.inbox.link_id].number = commit.inbox.number
    if commit.guest is not None:
        taken = facts.upload_links[commit.guest.link_id]
        taken.files += commit.guest.files
        taken.used_bytes += new_bytes(commit, space)
        rows.upload_links[commit.guest.link_id] = taken


def _take_assets(commit: Commit, space: SpaceFacts, number: int, time_ms: int, rows: _Rows) -> None:
    """Note assets, references, bytes used, the roll and the device's position."""
    space_id = commit.space_id
    added_bytes = new_bytes(commit, space)
    space.used_bytes += added_bytes
    for place, blob in enumerate(commit.blobs):
        held = space.blobs[blob.name]
        held.tier = held.tier or blob.tier  # the first to name a blob says who may have it; nobody widens it later
        rows.refs.append((space_id, number, place, blob.name, blob.owner_id, blob.rendition, blob.tier))
        rows.refers.append((held.tier, blob.name, space_id))
    for asset in commit.assets:
        space.assets.add(asset.asset_id)
        rows.assets.append((space_id, asset.asset_id, number, asset.fingerprint))
    if commit.album is not None:
        _take_shown(commit, commit.album, space, number, rows)
    _take_album_files(commit, space, rows)
    _take_approvals(commit, space, rows)
    if commit.trash is not None:
        _take_trash(space_id, commit.trash, space, rows)
    last = space.positions.get(commit.device_id, NO_POSITION)
    position = Position(commit.counter, commit.entry_id, last.used_bytes + added_bytes)
    space.positions[commit.device_id] = rows.positions[space_id, commit.device_id] = position
    if commit.roll is not None:
        roll = space.rolls.setdefault(commit.roll.roll_id, Roll(commit.device_id, commit.roll.epoch, 0, time_ms))
        roll.assets += commit.roll.assets
        rows.rolls[space_id, commit.roll.roll_id] = roll


def _take_shown(commit: Commit, album: AlbumUse, space: SpaceFacts, slot: int, rows: _Rows) -> None:
    """Note the next entry of a shared album's own log, and the blobs that it shows."""
    head = next_album_head(commit.space_id, album.album_id, space.albums[album.album_id], slot, commit.entry_id)
    space.albums[album.album_id] = head
    rows.album_entries.append((commit.space_id, album.album_id, head.number, slot, head.hash))
    if commit.roll is not None and commit.roll.opens:
        space.album_rolls[commit.roll.roll_id] = (album.album_id, album.generation)
        rows.album_rolls.append((commit.space_id, commit.roll.roll_id, album.album_id, album.generation))
    rows.album_blobs += [(commit.space_id, name, album.album_id) for name, _ in album.blobs]


def _take_album_files(commit: Commit, space: SpaceFacts, rows: _Rows) -> None:
    """Note what comes into an album, which is not approved there yet, or goes out of it."""
    if commit.assets:
        for blob in commit.blobs:
            space.files.setdefault(blob.owner_id, []).append((blob.rendition, blob.name))
    if commit.into_album is not None:
        album_id = commit.into_album.album_id
        for asset_id in commit.into_album.asset_ids:
            for _, name in space.files.get(asset_id, ()):
                space.filled_albums.add(album_id)
                space.album_files.setdefault((album_id, name), {}).setdefault(asset_id, False)
                rows.album_files.bring_in((commit.space_id, album_id, name, asset_id))
    if commit.out_of_album is not None:
        album_id = commit.out_of_album.album_id
        for asset_id in commit.out_of_album.asset_ids:
            for _, name in space.files.get(asset_id, ()):
                space.album_files.get((album_id, name), {}).pop(asset_id, None)
                rows.album_files.take_out((commit.space_id, album_id, name, asset_id))


def _take_approvals(commit: Commit, space: SpaceFacts, rows: _Rows) -> None:
    """Note what is approved in an album, and whether it must be."""
    if commit.album_rules is not None:
        album_id, requires = commit.album_rules.album_id, commit.album_rules.requires_approval
        (space.approval_albums.add if requires else space.approval_albums.discard)(album_id)
        rows.album_rules.append((commit.space_id, album_id, int(requires)))
    if commit.approvals is not None:
        album_id, approved = commit.approvals.album_id, commit.approvals.approved
        for asset_id, _ in commit.approvals.items:
            for _, name in space.files.get(asset_id, ()):
                space.album_files.setdefault((album_id, name), {})[asset_id] = approved
                rows.album_files.decide((commit.space_id, album_id, name, asset_id), approved=approved)


def _take_trash(space_id: bytes, body: AboutTrash, space: SpaceFacts, rows: _Rows) -> None:
    """Note what goes into the trash, out of it, or is proposed for it; of several changes in a run the last counts."""
    change = trash_change(body, space.in_trash, space.proposed)
    space.in_trash, space.proposed = after_change(change, space.in_trash, space.proposed)
    rows.trash.update({(space_id, each): each in space.in_trash for each in (*change.trashed, *change.restored)})
    rows.proposed.update({(space_id, each): each in space.proposed for each in (*change.proposed, *change.settled)})


def _note(commit: Commit, facts: Facts, slot: tuple[int, bytes, int], rows: _Rows) -> None:
    """Note the entry itself, its space, and what only few entries bring."""
    number, chain, time_ms = slot
    space_id = commit.space_id
    rows.entries.append(
        (
            space_id,
            number,
            time_ms,
            int(commit.is_ledger),
            len(commit.envelope),
            commit.device_id,
            commit.counter,
            commit.entry_id,
            chain,
            b"",
            commit.envelope,
        )
    )
    rows.spaces[space_id] = facts.spaces[space_id]
    if commit.genesis_kind:
        rows.genesis.append(commit)
    if commit.is_ledger or commit.link or commit.revoked_link or commit.inbox:
        rows.others.append((commit, number, time_ms))
    if commit.revoked_link:
        facts.revoked_links.add(commit.revoked_link)
    if commit.link:
        facts.links[commit.link.link_id] = space_id
    if commit.cameras:
        facts.devices.update(camera.device_id for camera in commit.cameras)


async def _write(tx: Transaction, rows: _Rows) -> None:
    await tx.run_many(SQL["add_space"], [(c.space_id, c.genesis_kind, b"", b"", c.quota_bytes) for c in rows.genesis])
    await tx.run_many(SQL["add_entry"], rows.entries)
    await tx.run_many(SQL["add_asset"], rows.assets)
    await tx.run_many(SQL["add_ref"], rows.refs)
    await tx.run_many(SQL["refer"], rows.refers)
    await tx.run_many(SQL["add_album_entry"], rows.album_entries)
    await tx.run_many(SQL["add_album_roll"], rows.album_rolls)
    await tx.run_many(SQL["add_album_blob"], rows.album_blobs)
    await rows.album_files.write(tx)
    await tx.run_many(SQL["set_album_rules"], rows.album_rules)
    # By what the log has of an asset's blobs, which may have been added in this very run.
    await tx.run_many(SQL["restore_asset"], list(rows.trash))
    await tx.run_many(SQL["trash_asset"], [asset for asset, in_trash in rows.trash.items() if in_trash])
    await tx.run_many(SQL["settle_asset"], [asset for asset, proposed in rows.proposed.items() if not proposed])
    await tx.run_many(SQL["propose_asset"], [asset for asset, proposed in rows.proposed.items() if proposed])
    await tx.run_many(
        SQL["set_position"],
        [(*key, last.counter, last.entry_id, last.used_bytes) for key, last in rows.positions.items()],
    )
    await tx.run_many(
        SQL["set_roll"],
        [(*key, roll.device_id, roll.epoch, roll.assets, roll.opened_ms) for key, roll in rows.rolls.items()],
    )
    await tx.run_many(
        SQL["move_space"],
        [
            (s.number, s.chain, s.ledger_number, s.ledger_hash, s.epoch, s.used_bytes, s.time_ms, space_id)
            for space_id, s in rows.spaces.items()
        ],
    )
    await tx.run_many(
        SQL["set_upload_link"],
        [(taken.files, taken.used_bytes, link_id) for link_id, taken in rows.upload_links.items()],
    )
    for commit, number, time_ms in rows.others:
        await _write_ledger(tx, commit)
        await _write_upload_links(tx, commit)
        await _write_links(tx, commit, number, time_ms)


async def _write_ledger(tx: Transaction, commit: Commit) -> None:
    if not commit.is_ledger:
        return
    await tx.rows(SQL["clear_members"], space_id=commit.space_id)
    await tx.run_many(SQL["add_member"], [(commit.space_id, *member) for member in commit.members])
    await tx.run_many(SQL["add_box"], [(commit.space_id, *box) for box in commit.boxes])
    for camera in commit.cameras:
        if not await add_device(tx, camera):
            raise Overtaken  # the id was free when it was checked
    for device_id in commit.revoked_devices:
        await revoke_in_space(tx, device_id, commit.space_id)


async def _write_upload_links(tx: Transaction, commit: Commit) -> None:
    if commit.new_upload_link:
        await tx.rows(
            SQL["add_upload_link"],
            link_id=commit.new_upload_link,
            space_id=commit.space_id,
            head=b"",
            head_signature=b"",
        )
    if commit.inbox is not None:
        inbox = commit.inbox
        await tx.rows(
            SQL["set_inbox"],
            number=inbox.number,
            head=inbox.head,
            head_signature=inbox.head_signature,
            link_id=inbox.link_id,
        )


async def _write_links(tx: Transaction, commit: Commit, number: int, time_ms: int) -> None:
    if commit.revoked_link:
        await tx.rows(SQL["revoke_link"], link_id=commit.revoked_link, space_id=commit.space_id)
    if commit.link is None:
        return
    link: NewLink = commit.link
    await tx.rows(
        SQL["add_link"],
        link_id=link.link_id,
        space_id=commit.space_id,
        number=number,
        tier=link.tier,
        album_id=link.album_id,
        token_hash=link.token_hash,
        proof_hash=link.proof_hash,
        publishing_key=link.publishing_key,
        head=link.head,
        head_signature=link.head_signature,
        created_ms=time_ms,
        starts_ms=link.starts_ms,
        expires_ms=link.expires_ms,
        max_opens=link.max_opens,
        originals=int(link.originals),
    )
    await tx.run_many(SQL["add_link_blob"], [(link.link_id, name, kind) for kind, name in link.blobs()])
