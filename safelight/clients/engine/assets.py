"""Assets as a reader of the space sees them: opened from signed records, found by id, fetched by rendition."""

import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

from safelight.clients.engine import downloads
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.downloads import Progress, StoredFile
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.rolls import (
    AssetKeys,
    RollKeys,
    open_asset_keys,
    open_full_part,
    open_roll,
    open_view_part,
)
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import (
    Added,
    AssetBody,
    FullPart,
    RenditionInfo,
    RenditionName,
    RenditionRef,
    ViewPart,
    added_by,
    opened_by,
    tier_of_rendition,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

NOT_OF_ONE_ASSET = frozenset({Code.SERVER_UNREACHABLE, Code.EPOCH_MISMATCH, Code.VAULT_LOCKED})
_PREFIX = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class OpenedAsset:
    """One asset, opened and verified. `full` is None for who reads the view tier."""

    asset_id: bytes
    roll_id: bytes
    number: int
    time_ms: int
    body: AssetBody
    keys: AssetKeys
    view: ViewPart
    full: FullPart | None

    def ref(self, name: RenditionName) -> RenditionRef:
        """The rendition of that name; NOT_FOUND where the asset has none."""
        for ref in self.body.renditions:
            if ref.name is name:
                return ref
        raise Refused(Code.NOT_FOUND, f"this asset has no {name.value}")

    def info(self, ref: RenditionRef) -> RenditionInfo:
        """What its sealed metadata says of a rendition."""
        if ref.name is RenditionName.ORIGINAL and self.full is not None:
            return RenditionInfo(self.full.size_bytes, self.full.media_type, self.view.width, self.view.height)
        part = self.view if tier_of_rendition(ref.name) is Tier.VIEW else self.full
        info = None if part is None else part.renditions.get(ref.name.value)
        if info is None:
            raise Refused(Code.FORBIDDEN, f"nothing readable says what its {ref.name.value} is")
        return info

    def sha256(self, ref: RenditionRef) -> bytes | None:
        """The digest of the original; None for the others, which FLOE and the blob's name hold together."""
        return self.full.sha256 if self.full is not None and ref.name is RenditionName.ORIGINAL else None


@dataclass(frozen=True, slots=True)
class FailedAsset:
    """An asset whose record does not open: reported, and in nobody's way."""

    asset_id: bytes
    refusal: Refused


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record that added assets, as kept at its slot."""

    number: int
    time_ms: int
    body: Added


class AssetFetcher:
    """Fetches the files of opened assets of one space, verified.

    *withheld* are assets of whose files the server says that it gives them out no more.
    """

    def __init__(self, session: AccountSession, space_id: bytes, withheld: Collection[bytes] = ()) -> None:
        self.withheld = withheld
        self.session = session
        self.space_id = space_id

    def stored(self, asset: OpenedAsset, name: RenditionName) -> StoredFile:
        """What is needed to fetch a rendition; NOT_FOUND where there is none, FORBIDDEN beyond this tier."""
        ref = asset.ref(name)
        return StoredFile(
            space_id=self.space_id,
            asset_id=asset.asset_id,
            ref=ref,
            key=asset.keys.rendition_key(ref),
            length_bytes=asset.info(ref).length_bytes,
            sha256=asset.sha256(ref),
        )

    async def fetch_bytes(self, asset: OpenedAsset, name: RenditionName) -> bytes:
        """Download a rendition into memory, verified; for previews and thumbnails."""
        return await downloads.download_bytes(self.session.connection, self.stored(asset, name))

    async def fetch_file(
        self, asset: OpenedAsset, name: RenditionName, target: Path, *, on_progress: Progress | None = None
    ) -> None:
        """Download a rendition to *target*, which appears whole and verified or not at all.

        Files of the full tier keep the modification time that the original had.
        """
        vaults, space_id = self.session.vaults, self.space_id

        def note_progress(at: int) -> None:
            vaults.used(space_id)  # a film that takes an hour to fetch is in use for an hour
            if on_progress:
                on_progress(at)

        keeps_time = asset.full is not None and tier_of_rendition(name) is Tier.FULL
        await downloads.download_file(
            self.session.connection,
            self.stored(asset, name),
            target,
            modified_ns=asset.full.modified_ns if asset.full is not None and keeps_time else None,
            on_progress=note_progress,
        )


class AssetReader(AssetFetcher):
    """Opens the assets of one space. A roll is opened once and its keys kept as long as those of the epochs."""

    def __init__(self, space: SpaceView) -> None:
        super().__init__(space.session, space.space_id)
        self.space = space
        self._record: KeptRecord | None = None

    async def open(self, place: AssetPlace) -> OpenedAsset:
        """Open one asset; OPEN_FAILED if anything of it was moved, changed, or does not belong together."""
        space_id = self.space.space_id
        record = self._read(place.number)
        body = record.body.assets[place.position]
        keys = open_asset_keys(body, await self.roll_keys(place.roll_id), space_id)
        view = open_view_part(body, keys, space_id, place.roll_id)
        full = None if keys.full is None else open_full_part(body, keys, space_id, place.roll_id)
        return OpenedAsset(place.asset_id, place.roll_id, place.number, record.time_ms, body, keys, view, full)

    async def each(self, places: list[AssetPlace] | None = None) -> AsyncIterator[OpenedAsset | FailedAsset]:
        """Open all assets (or *places*), oldest first; one that does not open comes as a `FailedAsset`."""
        for place in self.space.index.assets() if places is None else places:
            try:
                yield await self.open(place)
            except Refused as refusal:
                if refusal.code in NOT_OF_ONE_ASSET:
                    raise
                yield FailedAsset(place.asset_id, refusal)

    def place(self, prefix: str) -> AssetPlace:
        """Where the asset stands whose id begins with *prefix*; NOT_FOUND for none, BAD_REQUEST for more than one."""
        prefix = prefix.strip().lower()
        found = self.space.index.assets_by_prefix(prefix) if _PREFIX.fullmatch(prefix) else []
        if not found:
            raise Refused(Code.NOT_FOUND, f"no asset's id begins with {prefix[:32]!r}")
        if len(found) > 1:
            raise Refused(Code.BAD_REQUEST, f"more than one asset's id begins with {prefix!r}")
        return found[0]

    async def find(self, prefix: str) -> OpenedAsset:
        """Open the asset whose id begins with *prefix*; raises what `place` raises."""
        return await self.open(self.place(prefix))

    def _read(self, number: int) -> KeptRecord:
        """The record at a slot; the one read last is at hand."""
        if self._record is None or self._record.number != number:
            envelope = self.space.index.envelope_at(number)
            if envelope is None:
                raise Refused(Code.NOT_FOUND, f"slot {number} is not kept here")
            entry = parse_entry(envelope)
            body = added_by(entry.header.kind, entry.body)
            self._record = KeptRecord(number, self.space.index.time_at(number), body)
        return self._record

    async def roll_keys(self, roll_id: bytes) -> RollKeys:
        """Open a roll, or return it as it was opened before; raises what opening its epoch and itself raise."""
        rolls = self.space.rolls
        self.space.session.vaults.used(self.space.space_id)
        if roll_id not in rolls:
            place = self.space.index.roll(roll_id)
            envelope = self.space.index.envelope_at(place.number) if place else None
            if place is None or envelope is None:
                raise Refused(Code.ROLL_UNKNOWN)
            held = await self.space.epoch_secrets(place.epoch)
            entry = parse_entry(envelope)
            body = opened_by(entry.header.kind, entry.body)
            rolls[roll_id] = open_roll(
                body, self.space.space_id, place.device_id, view_secret=held.view, epoch_secret=held.full
            )
        return rolls[roll_id]
