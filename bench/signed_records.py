"""Spaces full of assets that open: records as a camera signs them, and the rows that its commits would have left.

Unlike what `filling` writes, clients verify and read what is here. Only the blobs are missing, which nobody fetches.
"""

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.profile import CameraProfile, ProfileFolder
from safelight.clients.engine.rolls import Roll
from safelight.server.stores.tables import METADATA
from safelight.sync_protocol import ledger
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, ID_SIZE_BYTES, MAX_ASSETS_PER_ROLL
from safelight.sync_protocol.log import ENTRY_VERSION, Head, Header, build_entry, next_chain, parse_entry
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    FullPart,
    Place,
    RecordKind,
    RenditionInfo,
    RenditionName,
    RenditionRef,
    ViewPart,
    tier_of_rendition,
)
from safelight.sync_protocol.wire import Signed

DATABASE = "data/safelight.db"
_SIZES_BYTES = {RenditionName.ORIGINAL: 3_000_000, RenditionName.PREVIEW: 300_000, RenditionName.THUMBNAIL: 15_000}
_FLOE_HEADER_SIZE_BYTES = 74
_RUN_RECORDS = 500

Rows = dict[str, list[tuple[object, ...]]]


@dataclass
class Filler:
    """One camera that adds to its space, and where the space's log and the camera stand."""

    camera: CameraProfile
    state: LedgerState
    log: Head
    counter: int
    entry_id: bytes
    used_bytes: int = 0

    def rows(self, assets: int, in_record: int) -> Iterator[Rows]:
        """The rows of so many more assets, so many in each record, in rolls as full as they may be; in runs."""
        made, left, records = _no_rows(), assets, 0
        while left:
            roll = Roll(inboxes_of(self.state), self.camera.camera_id, opened_ms=_now_ms())
            self._entry(made, RecordKind.OPEN_ROLL, roll.body)
            in_roll = min(left, MAX_ASSETS_PER_ROLL)
            about = (self.state.space_id, roll.roll_id, self.camera.camera_id, roll.epoch, in_roll, _now_ms())
            made["rolls"].append(about)
            left -= in_roll
            while in_roll:
                bodies = [_asset(roll, left + in_roll - each) for each in range(min(in_roll, in_record))]
                in_roll -= len(bodies)
                self._record(made, roll.roll_id, bodies)
                records += 1
                if records % _RUN_RECORDS == 0:
                    yield made
                    made = _no_rows()
            roll.close()
        yield made

    def _record(self, made: Rows, roll_id: bytes, bodies: list[AssetBody]) -> None:
        self._entry(made, RecordKind.ADD_ASSETS, AddAssetsBody(roll_id, bodies))
        space_id, number, place = self.state.space_id, self.log.number, 0
        for body in bodies:
            made["assets"].append((space_id, body.asset_id, number, body.fingerprint))
            for ref in body.renditions:
                tier = tier_of_rendition(ref.name).value
                made["blob_refs"].append((space_id, number, place, ref.blob, body.asset_id, ref.name.value, tier))
                about = (ref.blob, space_id, ref.size_bytes, tier, 1, self.camera.camera_id, _now_ms())
                made["space_blobs"].append(about)
                self.used_bytes += ref.size_bytes
                place += 1

    def _entry(self, made: Rows, kind: RecordKind, body: Signed) -> None:
        camera_id = self.camera.camera_id
        header = Header(
            version=ENTRY_VERSION,
            critical=True,
            kind=kind.value,
            space_id=self.state.space_id,
            author_id=camera_id,
            device_id=camera_id,
            counter=self.counter + 1,
            previous_id=self.entry_id,
            ledger=self.state.head,
            log=self.log,
            signed_ms=_now_ms(),
        )
        envelope = build_entry(header, body, self.camera.signing_seed)
        self.counter, self.entry_id = header.counter, hashlib.sha256(envelope).digest()
        number = self.log.number + 1
        self.log = Head(number, next_chain(self.log.hash, number, self.entry_id))
        self.used_bytes += len(envelope)
        about = (self.state.space_id, number, _now_ms(), 0, len(envelope), camera_id, self.counter)
        made["entries"].append((*about, self.entry_id, self.log.hash, b"", envelope))


def fill(folder: Path, camera: str, assets: int, in_record: int) -> None:
    """Add assets of the *camera*'s profile to its space, in the database of the server in *folder*, which is idle."""
    with ProfileFolder(folder / camera) as profile:
        held = profile.load_camera()
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # what is made here is thrown away
        connection.execute("BEGIN IMMEDIATE")
        filler = _filler(connection, held)
        for made in filler.rows(assets, in_record):
            for table, rows in made.items():
                places = ", ".join("?" * len(METADATA.tables[table].columns))
                names = ", ".join(column.name for column in METADATA.tables[table].columns)
                connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608 - our own names
        connection.execute(
            "UPDATE spaces SET number = ?, chain = ?, time_ms = ?, used_bytes = used_bytes + ? WHERE space_id = ?",
            (filler.log.number, filler.log.hash, _now_ms(), filler.used_bytes, held.space_id),
        )
        connection.execute(
            "UPDATE positions SET counter = ?, entry_id = ?, used_bytes = used_bytes + ?"
            " WHERE space_id = ? AND device_id = ?",
            (filler.counter, filler.entry_id, filler.used_bytes, held.space_id, held.camera_id),
        )
        connection.execute("COMMIT")


def _filler(connection: sqlite3.Connection, camera: CameraProfile) -> Filler:
    """The camera where its last commit left it, in the space as its ledger says."""
    state: LedgerState | None = None
    sql = "SELECT number, envelope FROM entries WHERE space_id = ? AND is_ledger = 1 ORDER BY number"
    for number, envelope in connection.execute(sql, (camera.space_id,)).fetchall():
        state = ledger.apply(state, parse_entry(envelope), number)
    sql = "SELECT number, chain FROM spaces WHERE space_id = ?"
    log = connection.execute(sql, (camera.space_id,)).fetchone()
    sql = "SELECT counter, entry_id FROM positions WHERE space_id = ? AND device_id = ?"
    position = connection.execute(sql, (camera.space_id, camera.camera_id)).fetchone()
    if state is None or log is None or position is None:
        raise RuntimeError("the camera is not bound in any space of this server")
    return Filler(camera, state, Head(*log), *position)


def _asset(roll: Roll, index: int) -> AssetBody:
    """A photograph with a preview and a thumbnail, as a camera that develops adds it; its blobs are made up."""
    new = roll.new_asset()
    sizes = _SIZES_BYTES.items()
    refs = [
        RenditionRef(
            name, os.urandom(ID_SIZE_BYTES), os.urandom(HASH_SIZE_BYTES), size, os.urandom(_FLOE_HEADER_SIZE_BYTES)
        )
        for name, size in sizes
    ]
    infos = {name.value: RenditionInfo(size, "image/webp", 2048, 1365) for name, size in sizes}
    infos.pop(RenditionName.ORIGINAL.value)
    view = ViewPart(
        kind="photo",
        width=6000,
        height=4000,
        thumbhash=os.urandom(24),
        taken_local="2026-06-21T21:04:37",
        taken_offset_min=120,
        renditions=infos,
    )
    full = FullPart(
        name=f"DSC_{index:06}.JPG",
        sha256=os.urandom(HASH_SIZE_BYTES),
        size_bytes=_SIZES_BYTES[RenditionName.ORIGINAL],
        media_type="image/jpeg",
        modified_ns=time.time_ns(),
        place=Place(60.17, 24.94, 12.0),
        make="NIKON CORPORATION",
        model="NIKON Z 6_2",
        lens="NIKKOR Z 24-70mm f/4 S",
        exif={"ExposureTime": "1/250", "FNumber": "5.6", "ISOSpeedRatings": "200", "FocalLength": "35"},
    )
    return new.finish(refs, view, full, fingerprint=secrets.token_bytes(HASH_SIZE_BYTES))


def _no_rows() -> Rows:
    return {table: [] for table in ("rolls", "entries", "assets", "blob_refs", "space_blobs")}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
