"""A shared album's own log as a grantee follows it: fetched, chained, judged by the ledger at each entry's slot, kept.

docs/spec/albums.md. What is kept is as sealed as it came, and verified anew each time; the pin stands in `memory`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from safelight.clients.engine import durable
from safelight.clients.engine.answers import printable
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.index import Problem
from safelight.clients.engine.log_reader import MAX_GARBAGE
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.titles import Renaming
from safelight.sync_protocol.album_log import AlbumFrame, check_album_frame
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import NO_HEAD, Head, check_heads, frames_to_bytes, parse_entry, split_frames
from safelight.sync_protocol.record_rules import check_record
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    OpenAlbumRollBody,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    ShowInAlbumBody,
)
from safelight.sync_protocol.refusals import Code, Refused

_AboutAlbum: TypeAlias = (
    ShowInAlbumBody | RemoveFromAlbumBody | RenameAlbumBody | OpenAlbumRollBody | AddAlbumAssetsBody
)
_NAME_THE_PLACE = (ShowInAlbumBody, RemoveFromAlbumBody, RenameAlbumBody)
_ABOUT_ALBUMS = (*_NAME_THE_PLACE, OpenAlbumRollBody, AddAlbumAssetsBody)
_OF_WHAT_WAS_KEPT = frozenset({Code.CHAIN_BROKEN, Code.HISTORY_FORKED})

# *A log without end* fills no memory: a shown picture takes about 2 KiB of it.
MAX_ALBUM_LOG_SIZE_BYTES = 1024 * 1024 * 1024
_FRAME_SIZE_BYTES = 256  # what holds an entry, at least


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A verified entry of the album: its slot, the server's time, and what it shows, adds by a roll, or takes out."""

    number: int
    time_ms: int
    body: ShowInAlbumBody | AddAlbumAssetsBody | RemoveFromAlbumBody

    @property
    def asset_ids(self) -> list[bytes]:
        """The assets, in order."""
        match self.body:
            case AddAlbumAssetsBody():
                return [asset.asset_id for asset in self.body.assets]
            case ShowInAlbumBody():
                return [item.asset.asset_id for item in self.body.items]
            case _:
                return self.body.asset_ids


@dataclass(frozen=True, slots=True)
class FeedRoll:
    """A verified roll of the album, and the device that opened it."""

    body: OpenAlbumRollBody
    device_id: bytes


class AlbumFeed:
    """One album's log. `fetch` takes it as far as the server says that it goes; `judge` verifies who signed what."""

    def __init__(self, space_id: bytes, album_id: bytes, memory: SpaceMemory, path: Path) -> None:
        self.album_id = album_id
        self.records: list[ShownRecord] = []
        self.rolls: dict[bytes, FeedRoll] = {}
        self.renamings: list[Renaming] = []
        self.problems: list[Problem] = []
        self._space_id = space_id
        self._memory = memory
        self._path = path
        self._frames: list[AlbumFrame] = []
        self._head, self._slot = NO_HEAD, 0  # how far the chain goes
        self._kept = self._size_bytes = 0
        self._judged = 0
        self._before = NO_HEAD  # the place before the next one to be judged

    @property
    def head(self) -> Head:
        """Where the album's own log ends, as far as it was fetched."""
        return self._head

    async def fetch(self, connection: Connection, shown: Head) -> None:
        """Fetch what is new, up to *shown*, where the server says that the album's log ends.

        Raises CHAIN_BROKEN, HISTORY_ROLLED_BACK and HISTORY_FORKED.
        """
        self._recall()
        pinned = self._memory.album(self.album_id)
        if shown.number < pinned.number:
            raise Refused(
                Code.HISTORY_ROLLED_BACK, f"the album ends at its entry {shown.number}, {pinned.number} was seen"
            )
        kept = bool(self._frames)
        try:
            await self._follow(connection, shown)
        except Refused as refusal:
            if not kept or refusal.code not in _OF_WHAT_WAS_KEPT:
                raise
            self._begin_anew()  # it is a copy: before the server is blamed for another history, all of it is asked for
            await self._follow(connection, shown)

    async def _follow(self, connection: Connection, shown: Head) -> None:
        path = f"/v1/spaces/{self._space_id.hex()}/albums/{self.album_id.hex()}/log"
        while self._head.number < shown.number:
            frames = await connection.fetch_album_frames(f"{path}?after={self._head.number}")
            if not frames:
                raise Refused(Code.CHAIN_BROKEN, f"the album ends at its entry {self._head.number}, not {shown.number}")
            for frame in frames:
                self._chain(frame)
        if self._head.number == shown.number and self._head != shown:
            raise Refused(Code.HISTORY_FORKED, f"the album's entry {shown.number} is not what the server says it is")

    def _recall(self) -> None:
        """Begin with what an earlier run kept; damaged, or another history than was pinned, it is fetched anew."""
        kept = durable.read_file(self._path) or b""
        try:
            for frame in split_frames(kept, AlbumFrame):
                self._chain(frame)
        except Refused:
            self._begin_anew()
        self._kept = len(self._frames)

    def _begin_anew(self) -> None:
        self._frames.clear()
        self._head, self._slot = NO_HEAD, 0
        self._kept = self._size_bytes = 0

    def _chain(self, frame: AlbumFrame) -> None:
        self._size_bytes += len(frame.envelope) + _FRAME_SIZE_BYTES
        if self._size_bytes > MAX_ALBUM_LOG_SIZE_BYTES:
            raise Refused(Code.CHAIN_BROKEN, "the album's log does not end")
        head = check_album_frame(self._space_id, self.album_id, self._head, self._slot, frame)
        pinned = self._memory.album(self.album_id)
        if head.number == pinned.number and head != pinned:
            raise Refused(Code.HISTORY_FORKED, f"the album's entry {head.number} is not what it was")
        self._head, self._slot = head, frame.slot
        self._frames.append(frame)

    def judge(self, state: LedgerState, end: int | None, ledger_at: Callable[[int], bytes | None]) -> None:
        """Judge the entries before the slot *end* (None: all) by the ledger *state*, which is in force up to there.

        One bad record is set aside and reported. Raises CHAIN_BROKEN for one whose signer knew another log of the
        album (*a picture dropped from the middle*), HISTORY_FORKED for another ledger.
        """
        while self._judged < len(self._frames):
            frame = self._frames[self._judged]
            if end is not None and frame.slot >= end:
                return
            self._judge_one(state, frame, ledger_at)
            self._judged += 1
            self._before = Head(frame.number, frame.chain)

    def _judge_one(self, state: LedgerState, frame: AlbumFrame, ledger_at: Callable[[int], bytes | None]) -> None:
        try:
            entry = parse_entry(frame.envelope)
            body = check_record(state, entry)
            if not isinstance(body, _ABOUT_ALBUMS) or body.album_id != self.album_id:
                raise Refused(Code.ENTRY_MALFORMED, "it is not about this album")
            self._check_roll(body, entry.header.device_id)
        except Refused as refusal:
            if refusal.code is Code.ENTRY_UNKNOWN_CRITICAL:
                raise Refused(Code.UPDATE_REQUIRED, refusal.detail) from None
            self.problems.append(Problem(frame.slot, refusal.code, printable(refusal.detail), set_aside=True))
            if len(self.problems) > MAX_GARBAGE:
                raise Refused(Code.CHAIN_BROKEN, f"more than {MAX_GARBAGE} of the album's entries are none") from None
            return
        check_heads(entry, frame.slot, lambda _: None, ledger_at)
        if isinstance(body, _NAME_THE_PLACE) and body.log != self._before:
            raise Refused(Code.CHAIN_BROKEN, f"the signer of the album's entry {frame.number} knew another one before")
        match body:
            case OpenAlbumRollBody():
                self.rolls[body.roll_id] = FeedRoll(body, entry.header.device_id)
            case RenameAlbumBody():
                self.renamings.append(Renaming(frame.slot, entry.header.author_id, body))
            case _:
                self.records.append(ShownRecord(frame.slot, frame.time_ms, body))

    def _check_roll(self, body: _AboutAlbum, device_id: bytes) -> None:
        """What is added under a roll comes from the device that opened it, for the same keys."""
        match body:
            case OpenAlbumRollBody() if body.roll_id in self.rolls:
                raise Refused(Code.ROLL_UNKNOWN, "the roll's id is taken")
            case AddAlbumAssetsBody():
                roll = self.rolls.get(body.roll_id)
                if roll is None or (roll.device_id, roll.body.generation) != (device_id, body.generation):
                    raise Refused(Code.ROLL_UNKNOWN, "its roll was not opened by this device for this album")

    def pin(self) -> None:
        """Remember how far it was verified."""
        self._memory.pin_album(self.album_id, self._head)

    def keep(self) -> None:
        """Keep what was verified, once it is pinned durably: *one lie that is kept* would stop this album for good."""
        if len(self._frames) > self._kept:
            durable.write_file(self._path, frames_to_bytes(self._frames))
            self._kept = len(self._frames)
