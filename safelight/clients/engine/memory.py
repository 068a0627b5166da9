"""What a profile remembers of a space, whatever else is lost: pins, and where its own device stands in the log.

Pins are how a client that is shown an older or another history notices it; so they are written durably, and beside the
local index, which may be deleted and built again.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from safelight.clients.engine import durable
from safelight.sync_protocol.log import NO_HEAD, DevicePosition, Head
from safelight.sync_protocol.refusals import Code, Refused

_Bytes32 = Annotated[bytes, msgspec.Meta(max_length=32)]


class _AlbumPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a shared album's own log was verified."""

    album_id: Annotated[bytes, msgspec.Meta(max_length=16)]
    number: int
    chain: _Bytes32


class _Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content. `pending` is an entry that was sent and whose receipt had not come."""

    ledger_number: int = 0
    ledger_hash: _Bytes32 = b""
    log_number: int = 0
    log_chain: _Bytes32 = b""
    counter: int = 0
    entry_id: _Bytes32 = b""
    pending: bytes = b""
    albums: list[_AlbumPin] = []


class SpaceMemory:
    """Pins and position of one space; `save` makes them durable. Without a path they last as long as the object."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        data = durable.read_file(path) if path else None
        known = _Remembered() if data is None else _read(data)
        self.ledger = Head(known.ledger_number, known.ledger_hash)
        self.log = Head(known.log_number, known.log_chain)
        self.position = DevicePosition(known.counter, known.entry_id)
        self.pending = known.pending
        self._albums = {pin.album_id: Head(pin.number, pin.chain) for pin in known.albums}

    def save(self) -> None:
        """Write everything durably."""
        if self._path is None:
            return
        remembered = _Remembered(
            ledger_number=self.ledger.number,
            ledger_hash=self.ledger.hash,
            log_number=self.log.number,
            log_chain=self.log.hash,
            counter=self.position.counter,
            entry_id=self.position.entry_id,
            pending=self.pending,
            albums=[_AlbumPin(album_id, head.number, head.hash) for album_id, head in self._albums.items()],
        )
        durable.write_file(self._path, msgspec.json.encode(remembered))

    def pin_ledger(self, head: Head) -> None:
        """Remember the newest ledger head that was verified."""
        if head.number > self.ledger.number:
            self.ledger = head

    def pin_log(self, head: Head) -> None:
        """Remember the newest place in the log that was verified, or that a receipt promised."""
        if head.number > self.log.number:
            self.log = head

    def album(self, album_id: bytes) -> Head:
        """How far a shared album's own log was verified."""
        return self._albums.get(album_id, NO_HEAD)

    def pin_album(self, album_id: bytes, head: Head) -> None:
        """Remember the newest place in a shared album's own log that was verified."""
        if head.number > self.album(album_id).number:
            self._albums[album_id] = head

    def check_reached(self, ledger: Head | None, log: Head | None, *, log_asked: Head | None = None) -> None:
        """Check what the server shows to its end; HISTORY_ROLLED_BACK if that ends before what was seen already.

        *log_asked* is `log` as it was before the server was asked, where this device may commit meanwhile: a receipt
        that overtakes the answer is no proof that the answer is too short.
        """
        log_pinned = self.log if log_asked is None else log_asked
        for what, pinned, shown in (("ledger", self.ledger, ledger), ("log", log_pinned, log)):
            if shown is not None and shown.number < pinned.number:
                raise Refused(
                    Code.HISTORY_ROLLED_BACK, f"its {what} ends at slot {shown.number}, {pinned.number} was seen"
                )

    def check_ledger_slot(self, head: Head) -> None:
        """Check a verified ledger entry against the pin; HISTORY_FORKED if another one stood there."""
        _check_slot("ledger", self.ledger, head)

    def check_log_slot(self, head: Head) -> None:
        """Check a verified slot of the log against the pin; HISTORY_FORKED if another entry stood there."""
        _check_slot("log", self.log, head)


def _check_slot(what: str, pinned: Head, head: Head) -> None:
    if pinned != NO_HEAD and head.number == pinned.number and head.hash != pinned.hash:
        raise Refused(Code.HISTORY_FORKED, f"slot {head.number} of the {what} is not what it was")


def _read(data: bytes) -> _Remembered:
    try:
        return msgspec.json.decode(data, type=_Remembered)
    except msgspec.DecodeError:
        raise Refused(Code.PROFILE_MISSING, "what this profile remembers of a space is damaged") from None
