"""What a group of commits must know before it is judged, read in a few statements for all of them together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from safelight.server.domain.ports.commits import Commit
from safelight.server.stores.statements import Statement, load
from safelight.server.stores.transaction import Transaction
from safelight.sync_protocol.log import NO_HEAD, Head

SQL = load("commits")
_SPACES_AT_ONCE = 4  # as many as the statements name
_HIGHEST_TIME = load("server")["highest_time"]


@dataclass(slots=True)
class Position:
    """The last entry of a device in a space, and what its records added."""

    counter: int
    entry_id: bytes
    used_bytes: int


@dataclass(slots=True)
class Roll:
    """A roll as it stands."""

    device_id: bytes
    epoch: int
    assets: int
    opened_ms: int


@dataclass(slots=True)
class Taken:
    """An upload link: the number of its head, and what its guests took."""

    space_id: bytes
    number: int
    files: int
    used_bytes: int


@dataclass(slots=True)
class Held:
    """A blob held in the space; `tier` is "" until a record names it."""

    size_bytes: int
    tier: str


@dataclass(slots=True)
class SpaceFacts:
    """One space, its row locked, and what this group's commits name in it. Accepted commits change it as they go."""

    exists: bool = False
    number: int = 0
    chain: bytes = b""
    ledger_number: int = 0
    ledger_hash: bytes = b""
    epoch: int = 0
    used_bytes: int = 0
    quota_bytes: int = 0
    time_ms: int = 0
    slots: dict[bytes, tuple[int, bytes, int]] = field(default_factory=dict)  # entry id: number, chain, time
    positions: dict[bytes, Position] = field(default_factory=dict)
    rolls: dict[bytes, Roll] = field(default_factory=dict)
    assets: set[bytes] = field(default_factory=set)
    in_trash: set[bytes] = field(default_factory=set)
    proposed: set[bytes] = field(default_factory=set)  # for the trash
    albums: dict[bytes, Head] = field(default_factory=dict)
    album_rolls: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    blobs: dict[bytes, Held] = field(default_factory=dict)
    approval_albums: set[bytes] = field(default_factory=set)  # those that require approval
    filled_albums: set[bytes] = field(default_factory=set)  # of those whose rules change, those that have pictures
    files: dict[bytes, list[tuple[str, bytes]]] = field(default_factory=dict)  # asset id: rendition, blob
    album_files: dict[tuple[bytes, bytes], dict[bytes, bool]] = field(default_factory=dict)  # asset id: approved


@dataclass(slots=True)
class Facts:
    """The spaces of a group, and the ids that are unique over all spaces. `time_ms` is the highest stored."""

    spaces: dict[bytes, SpaceFacts]
    links: dict[bytes, bytes]  # link id: space id
    revoked_links: set[bytes]
    upload_links: dict[bytes, Taken]
    devices: set[bytes]
    time_ms: int


def link_names(commit: Commit) -> Iterable[bytes]:
    """Every blob that the commit's link may fetch."""
    if commit.link is None:
        return ()
    return [name for _, name in commit.link.blobs()]


async def lock(
    tx: Transaction, space_ids: Iterable[bytes], lock_spaces: Statement = SQL["lock_spaces"]
) -> dict[bytes, SpaceFacts]:
    """Lock spaces, always in the same order, and read where they stand; those that are not there are not found."""
    rows = await tx.rows_in(lock_spaces, sorted(space_ids))
    return {space_id: SpaceFacts(True, *stands) for space_id, *stands in rows}  # noqa: FBT003 - the columns follow by place


async def gather(tx: Transaction, spaces: dict[bytes, SpaceFacts], commits: Sequence[Commit]) -> Facts:
    """Read what *commits* name in their *spaces*, which are locked; those that are not there may begin with them."""
    by_space: defaultdict[bytes, list[Commit]] = defaultdict(list)
    for commit in commits:
        by_space[commit.space_id].append(commit)
    # In order, whatever comes first: their blobs are locked, too, and who forgets a blob locks it from space to space.
    space_ids = sorted(by_space.keys() & spaces.keys())
    for start in range(0, len(space_ids), _SPACES_AT_ONCE):
        some = space_ids[start : start + _SPACES_AT_ONCE]
        await _gather_spaces(tx, spaces, some, [commit for space_id in some for commit in by_space[space_id]])
    links = [commit.link.link_id for commit in commits if commit.link]
    links += [commit.revoked_link for commit in commits if commit.revoked_link]
    links += [commit.new_upload_link for commit in commits if commit.new_upload_link]
    upload_links = [commit.new_upload_link for commit in commits if commit.new_upload_link]
    upload_links += [commit.guest.link_id for commit in commits if commit.guest]
    upload_links += [commit.link.link_id for commit in commits if commit.link]
    upload_links += [commit.inbox.link_id for commit in commits if commit.inbox]
    devices = [camera.device_id for commit in commits for camera in commit.cameras]
    link_rows = await tx.rows_in(SQL["links"], _unique(links))
    return Facts(
        {space_id: spaces.get(space_id) or SpaceFacts() for space_id in by_space},
        {link_id: space_id for link_id, space_id, _ in link_rows},
        {link_id for link_id, _, revoked in link_rows if revoked},
        {link_id: Taken(*taken) for link_id, *taken in await tx.rows_in(SQL["upload_links"], _unique(upload_links))},
        {device_id for (device_id,) in await tx.rows_in(SQL["devices"], _unique(devices))},
        (await tx.rows(_HIGHEST_TIME))[0][0],
    )


async def _gather_spaces(
    tx: Transaction, spaces: dict[bytes, SpaceFacts], some: Sequence[bytes], commits: Sequence[Commit]
) -> None:
    """Read what *commits*, all of them in *some* of the spaces, name there. More may be found; it is right."""
    where = {f"space{place}": some[min(place, len(some) - 1)] for place in range(_SPACES_AT_ONCE)}
    devices = _unique(commit.device_id for commit in commits)
    for space_id, device_id, *position in await tx.rows_in(SQL["positions"], devices, **where):
        spaces[space_id].positions[device_id] = Position(*position)
    for commit in commits:
        await _gather_slot(tx, spaces[commit.space_id], commit)
    rolls = _unique(commit.roll.roll_id for commit in commits if commit.roll)
    for space_id, roll_id, *roll in await tx.rows_in(SQL["rolls"], rolls, **where):
        spaces[space_id].rolls[roll_id] = Roll(*roll)
    named = [asset.asset_id for commit in commits for asset in commit.assets]
    named += [asset_id for commit in commits for asset_id in commit.known_assets]
    for space_id, asset_id in await tx.rows_in(SQL["assets"], _unique(named), **where):
        spaces[space_id].assets.add(asset_id)
    known = _unique(asset_id for commit in commits for asset_id in commit.known_assets)
    for space_id, asset_id in await tx.rows_in(SQL["in_trash"], known, **where):
        spaces[space_id].in_trash.add(asset_id)
    about_trash = _unique(asset_id for commit in commits if commit.trash for asset_id in commit.known_assets)
    for space_id, asset_id in await tx.rows_in(SQL["proposed"], about_trash, **where):
        spaces[space_id].proposed.add(asset_id)
    blobs = [blob.name for commit in commits for blob in commit.blobs]
    blobs += [name for commit in commits for name in link_names(commit)]
    blobs += [name for commit in commits if commit.album for name, _ in commit.album.blobs]
    for commit in commits:
        await _gather_album(tx, spaces[commit.space_id], commit)
    for space_id in some:
        await _gather_approvals(tx, space_id, spaces[space_id], [each for each in commits if each.space_id == space_id])
    for space_id, name, *held in await tx.rows_in(SQL["blobs"], sorted(set(blobs)), **where):
        spaces[space_id].blobs[name] = Held(*held)


async def _gather_album(tx: Transaction, facts: SpaceFacts, commit: Commit) -> None:
    """Find where the log of the album ends that a commit adds to, and what the roll was opened for."""
    if commit.album is None:
        return
    rows = await tx.rows(SQL["album_head"], space_id=commit.space_id, album_id=commit.album.album_id)
    facts.albums[commit.album.album_id] = Head(*rows[0]) if rows else NO_HEAD
    if commit.roll is not None:
        roll_id = commit.roll.roll_id
        for album_id, generation in await tx.rows(SQL["album_roll"], space_id=commit.space_id, roll_id=roll_id):
            facts.album_rolls[roll_id] = (album_id, generation)


async def _gather_approvals(tx: Transaction, space_id: bytes, facts: SpaceFacts, commits: Sequence[Commit]) -> None:
    """Find which albums require approval, and which files are those of what comes into albums or out, or is approved.

    Likewise of what is linked.

    Of a link nothing is looked up in a space whose albums require none, neither before nor by one of *commits*.
    """
    if any(commit.link or commit.album_rules for commit in commits):
        facts.approval_albums = {album_id for (album_id,) in await tx.rows(SQL["approval_albums"], space_id=space_id)}
    for album_id in {commit.album_rules.album_id for commit in commits if commit.album_rules}:
        if await tx.rows(SQL["album_has_files"], space_id=space_id, album_id=album_id):
            facts.filled_albums.add(album_id)
    asset_ids = [asset_id for commit in commits if commit.into_album for asset_id in commit.into_album.asset_ids]
    asset_ids += [asset_id for commit in commits if commit.approvals for asset_id, _ in commit.approvals.items]
    asset_ids += [asset_id for commit in commits if commit.out_of_album for asset_id in commit.out_of_album.asset_ids]
    for asset_id, rendition, name in await tx.rows_in(SQL["asset_files"], _unique(asset_ids), space_id=space_id):
        facts.files.setdefault(asset_id, []).append((rendition, name))
    are_asked = bool(facts.approval_albums) or any(commit.album_rules for commit in commits)
    for commit in commits:
        names: list[bytes] = []
        if commit.approvals:
            album_id = commit.approvals.album_id
            names = [name for asset_id, _ in commit.approvals.items for _, name in facts.files.get(asset_id, ())]
        elif commit.out_of_album:
            album_id = commit.out_of_album.album_id
            names = [name for asset_id in commit.out_of_album.asset_ids for _, name in facts.files.get(asset_id, ())]
        elif commit.link and are_asked:
            album_id, names = commit.link.album_id, commit.link.asset_blobs()
        if names:
            where = {"space_id": space_id, "album_id": album_id}
            for name, asset_id, approved in await tx.rows_in(SQL["album_files"], _unique(names), **where):
                facts.album_files.setdefault((album_id, name), {})[asset_id] = bool(approved)


async def _gather_slot(tx: Transaction, facts: SpaceFacts, commit: Commit) -> None:
    """Find the first answer, where the device's counter says that there may be one."""
    last = facts.positions.get(commit.device_id)
    if last is None or commit.counter > last.counter:
        return
    rows = await tx.rows(SQL["slot"], space_id=commit.space_id, device_id=commit.device_id, counter=commit.counter)
    for number, chain, time_ms, entry_id in rows:
        facts.slots[entry_id] = (number, chain, time_ms)


def _unique(names: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(names))
