"""What a group of commits must know before it is judged, read in a few statements for all of them together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from safelight.server.domain.ports.commits import Commit
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction

SQL = load("commits")
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
    blobs: dict[bytes, Held] = field(default_factory=dict)


@dataclass(slots=True)
class Facts:
    """The spaces of a group, and the ids that are unique over all spaces. `time_ms` is the highest stored."""

    spaces: dict[bytes, SpaceFacts]
    links: dict[bytes, bytes]  # link id: space id
    devices: set[bytes]
    time_ms: int


def link_names(commit: Commit) -> Iterable[bytes]:
    """Every blob that the commit's link may fetch."""
    if commit.link is None:
        return ()
    return [name for _, name in commit.link.blobs()]


async def gather(tx: Transaction, commits: Sequence[Commit]) -> Facts:
    """Lock the spaces of *commits*, always in the same order, and read what they name."""
    by_space: defaultdict[bytes, list[Commit]] = defaultdict(list)
    for commit in commits:
        by_space[commit.space_id].append(commit)
    spaces = {space_id: await _gather_space(tx, space_id, by_space[space_id]) for space_id in sorted(by_space)}
    links = [commit.link.link_id for commit in commits if commit.link]
    links += [commit.revoked_link for commit in commits if commit.revoked_link]
    devices = [camera.device_id for commit in commits for camera in commit.cameras]
    return Facts(
        spaces,
        dict(await tx.rows_in(SQL["links"], _unique(links))),
        {device_id for (device_id,) in await tx.rows_in(SQL["devices"], _unique(devices))},
        (await tx.rows(_HIGHEST_TIME))[0][0],
    )


async def _gather_space(tx: Transaction, space_id: bytes, commits: Sequence[Commit]) -> SpaceFacts:
    row = await tx.rows(SQL["lock_space"], space_id=space_id)
    if not row:
        return SpaceFacts()
    facts = SpaceFacts(True, *row[0])  # noqa: FBT003 - the columns follow by place
    devices = _unique(commit.device_id for commit in commits)
    for device_id, counter, entry_id, used_bytes in await tx.rows_in(SQL["positions"], devices, space_id=space_id):
        facts.positions[device_id] = Position(counter, entry_id, used_bytes)
    for commit in commits:
        await _gather_slot(tx, facts, commit)
    rolls = _unique(commit.roll.roll_id for commit in commits if commit.roll)
    for roll_id, device_id, epoch, assets, opened_ms in await tx.rows_in(SQL["rolls"], rolls, space_id=space_id):
        facts.rolls[roll_id] = Roll(device_id, epoch, assets, opened_ms)
    named = [asset.asset_id for commit in commits for asset in commit.assets]
    named += [asset_id for commit in commits for asset_id in commit.known_assets]
    facts.assets = {asset_id for (asset_id,) in await tx.rows_in(SQL["assets"], _unique(named), space_id=space_id)}
    blobs = [blob.name for commit in commits for blob in commit.blobs]
    blobs += [name for commit in commits for name in link_names(commit)]
    for name, size_bytes, tier in await tx.rows_in(SQL["blobs"], _unique(blobs), space_id=space_id):
        facts.blobs[name] = Held(size_bytes, tier)
    return facts


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
