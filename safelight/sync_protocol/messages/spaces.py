"""Spaces: making one, where its log stands, committing entries, and reading them."""

from typing import Annotated

import msgspec

from safelight.sync_protocol.ids import Hash, HexId
from safelight.sync_protocol.limits import MAX_FINGERPRINTS_PER_QUESTION, MAX_MEMBERS
from safelight.sync_protocol.messages.common import BoxBytes, EntryBytes, Request, Response


class NewBox(Request, frozen=True):
    """One member's box of an epoch; its SHA-256 stands in the ledger entry."""

    account_id: HexId
    box: BoxBytes


class CommitEntry(Request, frozen=True):
    """An entry to commit, with the boxes of the epoch that it may carry. A repeated commit gets the first receipt."""

    entry: EntryBytes
    boxes: Annotated[list[NewBox], msgspec.Meta(max_length=MAX_MEMBERS)] = []


class Committed(Response, frozen=True):
    """The receipt's bytes and the server's signature over them."""

    receipt: bytes
    signature: bytes


class SpaceRow(Response, frozen=True):
    """Where a space stands, for who is in it."""

    space_id: str
    kind: str
    role: str
    number: int
    chain: bytes
    ledger_number: int
    ledger_hash: bytes
    epoch: int
    used_bytes: int
    quota_bytes: int


class AlbumHead(Response, frozen=True):
    """Where a shared album's own log ends; (0, empty) before its first entry.

    `withheld` are assets of it whose files the server gives out no more, since they are in the trash of their space:
    some, where there are very many.
    """

    album_id: str
    number: int
    chain: bytes
    withheld: list[str] = []


class GrantedAlbums(Response, frozen=True):
    """The shared albums that are granted to who asks."""

    albums: list[AlbumHead]


class Spaces(Response, frozen=True):
    """The spaces of the account, or the one of the camera."""

    spaces: list[SpaceRow]


class DevicePositionRow(Response, frozen=True):
    """The asking device's last entry in the space: counter 0 before the first."""

    counter: int
    entry_id: bytes


class EpochBox(Response, frozen=True):
    """The asking account's own box of an epoch."""

    epoch: int
    box: bytes


class AskFingerprints(Request, frozen=True):
    """Ask which of these fingerprints are there already."""

    fingerprints: Annotated[list[Hash], msgspec.Meta(max_length=MAX_FINGERPRINTS_PER_QUESTION)]


class KnownFingerprint(Response, frozen=True):
    """A fingerprint that is there: `number` is the slot of its record, one of `records`."""

    fingerprint: bytes
    number: int


class KnownFingerprints(Response, frozen=True):
    """Those that are there, with the signed records (packed `log.Frame`s) that say so."""

    known: list[KnownFingerprint]
    records: list[bytes]


class Bell(Response, frozen=True):
    """What the WebSocket says: the space's log has reached `number`. A hint; the feed is the truth."""

    space_id: str
    number: int
