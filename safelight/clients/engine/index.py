"""The local index of one space: its log as verified, and where in it each asset, roll, album and link stands.

SQLite in the profile. Everything in it is as sealed as it came; deleted, it is built again from the server's log. What
must survive that (pins, the device's own position) stands in `memory`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safelight.clients.engine.approval_rows import APPROVAL_TABLES, ApprovalRows
from safelight.clients.engine.organising_rows import ORGANISING_TABLES, TAKEN_OUT, OrganisingRows
from safelight.clients.engine.upload_rows import UPLOAD_TABLES, UploadRows
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import NO_HEAD, DevicePosition, Frame, Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.trash import TrashChange

_VERSION = 7
_RECENT_SLOTS = 1000  # the newest, which those who sign next refer to
_TABLES = """
CREATE TABLE entries(number INTEGER PRIMARY KEY, entry_id BLOB NOT NULL, chain BLOB NOT NULL, time_ms INTEGER NOT NULL,
  kind TEXT NOT NULL, is_ledger INTEGER NOT NULL, envelope BLOB NOT NULL);
CREATE TABLE devices(signer BLOB PRIMARY KEY, counter INTEGER NOT NULL, entry_id BLOB NOT NULL);
CREATE TABLE problems(number INTEGER NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, set_aside INTEGER NOT NULL);
CREATE TABLE rolls(roll_id BLOB PRIMARY KEY, number INTEGER NOT NULL, epoch INTEGER NOT NULL, device_id BLOB NOT NULL);
CREATE TABLE assets(number INTEGER NOT NULL, position INTEGER NOT NULL, asset_id BLOB NOT NULL UNIQUE,
  roll_id BLOB NOT NULL, PRIMARY KEY(number, position)) WITHOUT ROWID;
CREATE TABLE trash(asset_id BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE proposed(asset_id BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE albums(album_id BLOB PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE album_items(album_id BLOB NOT NULL, asset_id BLOB NOT NULL, number INTEGER NOT NULL,
  position INTEGER NOT NULL, shown INTEGER NOT NULL, PRIMARY KEY(album_id, asset_id));
CREATE TABLE album_heads(album_id BLOB PRIMARY KEY, number INTEGER NOT NULL, chain BLOB NOT NULL);
CREATE TABLE links(link_id BLOB PRIMARY KEY, number INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE boxes(epoch INTEGER PRIMARY KEY, box BLOB NOT NULL);
CREATE TABLE judged(one INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
"""


_NOT_IN_TRASH = "NOT EXISTS (SELECT 1 FROM trash t WHERE t.asset_id = a.asset_id)"


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that did not verify. *set_aside* says whether it was left out or only reported."""

    number: int
    code: Code
    detail: str
    set_aside: bool


@dataclass(frozen=True, slots=True)
class RollPlace:
    """Where a roll was opened, in which epoch and by which device."""

    number: int
    epoch: int
    device_id: bytes


@dataclass(frozen=True, slots=True)
class AssetPlace:
    """An asset: the slot of its record, its position in it, and its roll."""

    asset_id: bytes
    number: int
    position: int
    roll_id: bytes


class Index(ApprovalRows, OrganisingRows, UploadRows):
    """The tables of one space. Changes within one `transaction` are kept together or not at all."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path, _TABLES + APPROVAL_TABLES + ORGANISING_TABLES + UPLOAD_TABLES, _VERSION)

    def _before_commit(self) -> None:
        self._db.executemany("INSERT OR REPLACE INTO devices VALUES (?, ?, ?)", self._positions.values())
        self._positions.clear()

    def _forget(self) -> None:
        """Hold nothing at hand: neither what was read, nor positions that wait for the end of their transaction."""
        super()._forget()
        self._recent: dict[int, tuple[bytes, bytes]] = {}
        self._rolls: dict[bytes, RollPlace] = {}
        self._positions: dict[bytes, tuple[bytes, int, bytes]] = {}

    # The log

    def add_entry(self, frame: Frame, kind: str, *, is_ledger: bool) -> None:
        """Keep a verified slot."""
        self._add_entry_row((frame.number, frame.entry_id, frame.chain, frame.time_ms, kind, is_ledger, frame.envelope))
        self._recent[frame.number] = (frame.chain, frame.entry_id if is_ledger else b"")
        self._recent.pop(frame.number - _RECENT_SLOTS, None)

    def add_problem(self, problem: Problem) -> None:
        """Keep what did not verify, for the person to see."""
        row = (problem.number, problem.code.value, problem.detail, problem.set_aside)
        self._db.execute("INSERT INTO problems VALUES (?, ?, ?, ?)", row)

    def problems(self) -> list[Problem]:
        """Everything that did not verify, in order."""
        rows = self._db.execute("SELECT number, code, detail, set_aside FROM problems ORDER BY rowid")
        return [Problem(number, Code(code), detail, bool(aside)) for number, code, detail, aside in rows]

    def count_problems(self, codes: Collection[Code]) -> int:
        """How many entries were set aside for one of *codes*."""
        rows = self._db.execute("SELECT code FROM problems WHERE set_aside")
        return sum(code in codes for (code,) in rows)

    def head(self) -> tuple[int, bytes]:
        """The last slot kept and the chain there; (0, empty) at the beginning."""
        row = self._db.execute("SELECT number, chain FROM entries ORDER BY number DESC LIMIT 1").fetchone()
        return (0, b"") if row is None else (row[0], row[1])

    def chain_at(self, number: int) -> bytes | None:
        """The chain hash at a slot kept."""
        if number in self._recent:
            return self._recent[number][0]
        return self._one("SELECT chain FROM entries WHERE number = ?", number) if number else b""

    def ledger_at(self, number: int) -> bytes | None:
        """The id of the ledger entry at a slot; empty where a record stands, which is no ledger's head."""
        if not number:
            return b""
        if number in self._recent:
            return self._recent[number][1]
        sql = "SELECT CASE WHEN is_ledger THEN entry_id ELSE x'' END FROM entries WHERE number = ?"
        return self._one(sql, number)

    def envelope_at(self, number: int) -> bytes | None:
        """The entry's bytes at a slot kept."""
        return self._one("SELECT envelope FROM entries WHERE number = ?", number)

    def time_at(self, number: int) -> int:
        """The server's time at a slot kept, in milliseconds."""
        row = self._db.execute("SELECT time_ms FROM entries WHERE number = ?", (number,)).fetchone()
        return 0 if row is None else int(row[0])

    def ledger_entries(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """All ledger entries beyond the slot *after*, in order."""
        sql = "SELECT number, envelope FROM entries WHERE is_ledger AND number > ? ORDER BY number"
        yield from self._db.execute(sql, (after,))

    def ledger_entries_of(self, kind: str) -> list[tuple[int, bytes]]:
        """All ledger entries of one *kind*, in order."""
        sql = "SELECT number, envelope FROM entries WHERE is_ledger AND kind = ? ORDER BY number"
        return self._db.execute(sql, (kind,)).fetchall()

    def judged(self) -> bytes | None:
        """The ledger as it was judged, sealed (see `judged_ledger`)."""
        return self._one("SELECT sealed FROM judged WHERE one = ?", 1)

    def keep_judged(self, sealed: bytes) -> None:
        """Keep the ledger as it was judged, in place of the one before."""
        self._db.execute("INSERT OR REPLACE INTO judged VALUES (1, ?)", (sealed,))

    def positions(self) -> Mapping[bytes, DevicePosition]:
        """Every device's last entry, by author id ‖ device id."""
        rows = self._db.execute("SELECT signer, counter, entry_id FROM devices")
        return {signer: DevicePosition(counter, entry_id) for signer, counter, entry_id in rows}

    def set_position(self, signer: bytes, position: DevicePosition) -> None:
        """Keep the last entry of a *signer* (author id ‖ device id) when the transaction ends, which most overtake."""
        self._positions[signer] = (signer, position.counter, position.entry_id)

    # Rolls and assets

    def add_roll(self, roll_id: bytes, place: RollPlace) -> bool:
        """Keep a roll; False if its id is taken."""
        row = (roll_id, place.number, place.epoch, place.device_id)
        return self._insert("INSERT OR IGNORE INTO rolls VALUES (?, ?, ?, ?)", row)

    def roll(self, roll_id: bytes) -> RollPlace | None:
        """Where a roll was opened."""
        if roll_id in self._rolls:
            return self._rolls[roll_id]
        row = self._db.execute("SELECT number, epoch, device_id FROM rolls WHERE roll_id = ?", (roll_id,)).fetchone()
        if row is None:
            return None
        return self._rolls.setdefault(roll_id, RollPlace(*row))

    def has_any_asset(self, asset_ids: Sequence[bytes]) -> bool:
        """Whether an asset of one of these ids was added."""
        return self._has_asset_row(asset_ids)

    def add_assets(self, number: int, roll_id: bytes, asset_ids: Sequence[bytes]) -> None:
        """Keep the places of a record's assets, in its order."""
        self._add_asset_rows(number, roll_id, asset_ids)

    def assets(self) -> Iterator[AssetPlace]:
        """All assets but those in the trash, oldest first."""
        sql = (
            "SELECT a.asset_id, a.number, a.position, a.roll_id FROM assets a"  # noqa: S608 - our words  # nosec B608
            f" WHERE {_NOT_IN_TRASH} ORDER BY a.number, a.position"
        )
        return (AssetPlace(*row) for row in self._db.execute(sql))

    def count_assets(self) -> int:
        """How many assets there are."""
        return int(self._db.execute("SELECT count(*) FROM assets").fetchone()[0])

    def records_with_assets(self) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        """The bytes of every entry that added assets, their roll and their ids; oldest first."""
        sql = (
            "SELECT a.position, a.asset_id, a.roll_id, CASE a.position WHEN 0 THEN e.envelope END"
            " FROM assets a LEFT JOIN entries e ON e.number = a.number ORDER BY a.number, a.position"
        )
        record: tuple[bytes, bytes, list[bytes]] | None = None
        for position, asset_id, roll_id, envelope in self._db.execute(sql):
            if record is None or not position:
                if record is not None:
                    yield record
                record = (envelope or b"", roll_id, [])
            record[2].append(asset_id)
        if record is not None:
            yield record

    def asset(self, asset_id: bytes) -> AssetPlace | None:
        """Where the asset of this id stands, also one in the trash."""
        sql = "SELECT asset_id, number, position, roll_id FROM assets WHERE asset_id = ?"
        row = self._db.execute(sql, (asset_id,)).fetchone()
        return None if row is None else AssetPlace(*row)

    def assets_by_prefix(self, prefix: str) -> list[AssetPlace]:
        """At most two assets whose id begins with the hexadecimal *prefix*, also in the trash."""
        sql = "SELECT asset_id, number, position, roll_id FROM assets WHERE lower(hex(asset_id)) GLOB ? LIMIT 2"
        return [AssetPlace(*row) for row in self._db.execute(sql, (f"{prefix}*",))]

    def known_assets(self, asset_ids: Sequence[bytes]) -> set[bytes]:
        """Those of *asset_ids* that were added, whether or not they are in the trash."""
        return self._those_in("assets", asset_ids)

    # The trash

    def change_trash(self, number: int, change: TrashChange) -> None:
        """Keep what the record at a slot put into the trash, took out of it, proposed for it, or settled."""
        self._db.executemany("DELETE FROM trash WHERE asset_id = ?", [(each,) for each in change.restored])
        self._db.executemany("INSERT INTO trash VALUES (?, ?)", [(each, number) for each in change.trashed])
        self._db.executemany("DELETE FROM proposed WHERE asset_id = ?", [(each,) for each in change.settled])
        self._db.executemany("INSERT INTO proposed VALUES (?, ?)", [(each, number) for each in change.proposed])

    def in_trash(self, asset_ids: Sequence[bytes]) -> set[bytes]:
        """Those of *asset_ids* that are in the trash."""
        return self._those_in("trash", asset_ids)

    def trash(self) -> list[tuple[AssetPlace, int]]:
        """The assets in the trash, each with the slot of the record that put it there; the longest there first."""
        sql = (
            "SELECT a.asset_id, a.number, a.position, a.roll_id, t.number FROM trash t JOIN assets a USING(asset_id)"
            " ORDER BY t.number, a.number, a.position"
        )
        return [(AssetPlace(*place), number) for *place, number in self._db.execute(sql)]

    def proposed(self, asset_ids: Sequence[bytes]) -> set[bytes]:
        """Those of *asset_ids* that are proposed for the trash."""
        return self._those_in("proposed", asset_ids)

    def proposals(self) -> dict[int, list[AssetPlace]]:
        """The assets that are proposed for the trash, by the slot of the record that did it; the oldest first."""
        sql = (
            "SELECT a.asset_id, a.number, a.position, a.roll_id, p.number FROM proposed p JOIN assets a USING(asset_id)"
            " ORDER BY p.number, a.number, a.position"
        )
        found: dict[int, list[AssetPlace]] = {}
        for *place, number in self._db.execute(sql):
            found.setdefault(number, []).append(AssetPlace(*place))
        return found

    def entry_id_at(self, number: int) -> bytes | None:
        """The id of the entry at a slot kept."""
        return self._one("SELECT entry_id FROM entries WHERE number = ?", number)

    def _those_in(self, table: str, asset_ids: Sequence[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(asset_ids), MAX_ASSETS_PER_RECORD):
            some = asset_ids[start : start + MAX_ASSETS_PER_RECORD]
            places = ", ".join("?" * len(some))
            sql = f"SELECT asset_id FROM {table} WHERE asset_id IN ({places})"  # noqa: S608  # nosec B608 - our table, question marks
            found.update(asset_id for (asset_id,) in self._db.execute(sql, some))
        return found

    # Albums and links

    def add_album(self, album_id: bytes, number: int) -> bool:
        """Keep an album; False if its id is taken."""
        return self._insert("INSERT OR IGNORE INTO albums VALUES (?, ?)", (album_id, number))

    def albums(self) -> list[tuple[bytes, int]]:
        """Every album's id and the slot of its creation."""
        return self._db.execute("SELECT album_id, number FROM albums ORDER BY number").fetchall()

    def add_album_items(self, album_id: bytes, number: int, asset_ids: Iterable[bytes]) -> None:
        """Keep assets added to an album; one that is there already stays where it is."""
        rows = [(album_id, asset_id, number, position) for position, asset_id in enumerate(asset_ids)]
        self._db.executemany("INSERT OR IGNORE INTO album_items VALUES (?, ?, ?, ?, 0)", rows)

    def show_album_items(self, album_id: bytes, number: int, asset_ids: Sequence[bytes]) -> None:
        """The same for assets that a shared album shows, which may have been in it before."""
        self.add_album_items(album_id, number, asset_ids)
        sql = "UPDATE album_items SET shown = 1 WHERE album_id = ? AND asset_id = ?"
        self._db.executemany(sql, [(album_id, asset_id) for asset_id in asset_ids])

    def assets_beside_album(self, device_id: bytes, album_id: bytes, after: int) -> list[AssetPlace]:
        """What a device added beyond the slot *after* and the album does not show; oldest first.

        None that is in the trash, or that somebody took out of the album: *a picture that comes back by itself*.
        """
        sql = (
            "SELECT a.asset_id, a.number, a.position, a.roll_id FROM rolls r JOIN assets a USING(roll_id)"  # noqa: S608 - our words  # nosec B608
            f" WHERE r.device_id = :device_id AND a.number > :after AND {_NOT_IN_TRASH} AND NOT {TAKEN_OUT}"
            " AND NOT EXISTS (SELECT 1 FROM album_items i"
            " WHERE i.album_id = :album_id AND i.asset_id = a.asset_id AND i.shown) ORDER BY a.number, a.position"
        )
        values = {"device_id": device_id, "after": after, "album_id": album_id}
        return [AssetPlace(*row) for row in self._db.execute(sql, values)]

    def unshown_assets(self, album_id: bytes) -> list[AssetPlace]:
        """An album's assets that its grantees do not see, in its order; none that are in the trash."""
        return self._album_assets(album_id, unshown=True)

    def album_head(self, album_id: bytes) -> Head:
        """Where a shared album's own log ends."""
        row = self._db.execute("SELECT number, chain FROM album_heads WHERE album_id = ?", (album_id,)).fetchone()
        return NO_HEAD if row is None else Head(*row)

    def set_album_head(self, album_id: bytes, head: Head) -> None:
        """Keep where a shared album's own log ends."""
        self._db.execute("INSERT OR REPLACE INTO album_heads VALUES (?, ?, ?)", (album_id, head.number, head.hash))

    def album_assets(self, album_id: bytes) -> list[AssetPlace]:
        """An album's assets but those in the trash, in its order."""
        return self._album_assets(album_id, unshown=False)

    def all_album_assets(self, album_id: bytes) -> list[AssetPlace]:
        """An album's assets, also those in the trash, in its order."""
        return self._album_assets(album_id, unshown=False, trashed=True)

    def _album_assets(self, album_id: bytes, *, unshown: bool, trashed: bool = False) -> list[AssetPlace]:
        sql = (
            "SELECT a.asset_id, a.number, a.position, a.roll_id FROM album_items i JOIN assets a USING(asset_id)"  # noqa: S608 - our words  # nosec B608
            f" WHERE i.album_id = ? AND NOT (? AND i.shown) AND (? OR {_NOT_IN_TRASH}) ORDER BY i.number, i.position"
        )
        return [AssetPlace(*row) for row in self._db.execute(sql, (album_id, unshown, trashed))]

    def add_link(self, link_id: bytes, number: int) -> bool:
        """Keep a link; False if its id is taken."""
        return self._insert("INSERT OR IGNORE INTO links VALUES (?, ?, 0)", (link_id, number))

    def revoke_link(self, link_id: bytes) -> None:
        """Keep that a link was revoked."""
        self._db.execute("UPDATE links SET revoked = 1 WHERE link_id = ?", (link_id,))

    def links(self) -> list[tuple[bytes, int, bool]]:
        """Every link's id, slot, and whether it was revoked; newest first."""
        rows = self._db.execute("SELECT link_id, number, revoked FROM links ORDER BY number DESC")
        return [(link_id, number, bool(revoked)) for link_id, number, revoked in rows]

    # Epochs

    def box(self, epoch: int) -> bytes | None:
        """This account's own box of an epoch, as sealed as it came."""
        return self._one("SELECT box FROM boxes WHERE epoch = ?", epoch)

    def add_box(self, epoch: int, box: bytes) -> None:
        """Keep this account's box of an epoch."""
        self._db.execute("INSERT OR REPLACE INTO boxes VALUES (?, ?)", (epoch, box))
