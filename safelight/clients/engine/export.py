"""Export: the originals byte for byte under their own names, a sidecar each, and a list that `sha256sum -c` accepts.

Running it again fetches what is missing and changes nothing that is there and right (docs/spec/records.md).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from safelight.clients.engine.assets import AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.downloads import StoredFile
from safelight.clients.engine.export_folder import ExportFolder
from safelight.clients.engine.sidecars import sidecar_bytes
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RenditionName, tier_of_rendition
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

PARALLEL_DOWNLOADS = 4
# What says something about the connection or the account, and so would meet every other file alike.
_OF_ALL = frozenset({Code.SERVER_UNREACHABLE, Code.SESSION_REQUIRED, Code.DEVICE_REVOKED})
_ENDINGS = {"video/quicktime": "mov", "video/mp4": "mp4", "image/x-adobe-dng": "dng", "application/rdf+xml": "xmp"}


@dataclass
class ExportReport:
    """What an export did. *failed* names each asset that could not be written, with the reason."""

    written: int = 0
    present: int = 0
    failed: dict[str, Refused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Planned:
    """One file to write."""

    asset: OpenedAsset
    rendition: RenditionName
    name: str


class ReadsAssets(Protocol):
    """Opens assets and fetches their files: those of a space, of an album of it, or of a granted album."""

    @property
    def withheld(self) -> Collection[bytes]:
        """Assets of whose files the server says that it gives them out no more."""
        ...

    def each(self) -> AsyncIterator[OpenedAsset | FailedAsset]:
        """Open all assets; one that does not open comes as a `FailedAsset`."""
        ...

    def stored(self, asset: OpenedAsset, name: RenditionName) -> StoredFile:
        """What is needed to fetch a rendition."""
        ...

    async def fetch_file(self, asset: OpenedAsset, name: RenditionName, target: Path) -> None:
        """Download a rendition to *target*, verified."""
        ...


async def export_space(space: SpaceView, folder: Path, *, on_file: Callable[[str], None] | None = None) -> ExportReport:
    """Export every asset of a space; raises FORBIDDEN for who reads its view tier only."""
    (await space.epoch_secrets()).require_full()
    return await export_assets(AssetReader(space), folder, on_file=on_file)


async def export_assets(
    reader: ReadsAssets, folder: Path, *, on_file: Callable[[str], None] | None = None
) -> ExportReport:
    """Write every asset's files of the full tier into *folder*; *on_file* hears each name that is written.

    Names are made safe and kept apart, also where the file system ignores case; the same asset gets the same name each
    time, and a file that no export wrote is never overwritten. Memory stays bounded: files stream, and assets are
    opened as they are needed. Raises FILE_UNREADABLE where *folder* cannot be made.
    """
    target = ExportFolder(folder)
    await asyncio.to_thread(target.prepare)
    export = _Export(reader, target, on_file)
    await export.run()
    return export.report


class _Export:
    """One run: plans names in the log's order, so that they are the same in every run, and downloads in parallel."""

    def __init__(self, reader: ReadsAssets, folder: ExportFolder, on_file: Callable[[str], None] | None) -> None:
        self.report = ExportReport()
        self._reader = reader
        self._folder = folder
        self._on_file = on_file

    async def run(self) -> None:
        """Write everything; the list of checksums comes last, and says what is really there."""
        running: set[asyncio.Task[None]] = set()
        try:
            async for found in self._reader.each():
                if isinstance(found, FailedAsset):
                    self.report.failed[found.asset_id.hex()] = found.refusal
                    continue
                for planned in await asyncio.to_thread(self._plan, found):
                    if len(running) >= PARALLEL_DOWNLOADS:
                        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                        _raise_first(done)
                    running.add(asyncio.create_task(self._write(planned)))
            if running:
                done, running = await asyncio.wait(running)
                _raise_first(done)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await asyncio.to_thread(self._folder.write_sums)

    def _plan(self, asset: OpenedAsset) -> list[_Planned]:
        full = asset.full
        if full is None:
            return []
        name = self._folder.name_original(full.name, asset.asset_id, full.sha256)
        plans = [_Planned(asset, RenditionName.ORIGINAL, name)]
        for ref in asset.body.renditions[1:]:
            info = full.renditions.get(ref.name.value)
            if tier_of_rendition(ref.name) is Tier.FULL and info is not None:
                ending = _ENDINGS.get(info.media_type, ref.name.value)
                part = self._folder.name_part(f"{name}.{ending}", info.length_bytes, full.modified_ns)
                plans.append(_Planned(asset, ref.name, part))
        return plans

    async def _write(self, planned: _Planned) -> None:
        try:
            fetched = await self._write_file(planned)
            if planned.rendition is RenditionName.ORIGINAL:
                content = sidecar_bytes(planned.asset)
                await asyncio.to_thread(self._folder.write_sidecar, planned.name, content)
        except Refused as refusal:
            if refusal.code in _OF_ALL:
                raise
            self.report.failed[planned.asset.asset_id.hex()] = refusal
            return
        if fetched and self._on_file:
            self._on_file(planned.name)

    async def _write_file(self, planned: _Planned) -> bool:
        """See that the file is there and right; whether it had to be fetched."""
        file = self._reader.stored(planned.asset, planned.rendition)
        digest = await asyncio.to_thread(self._folder.right_digest, planned.name, file.length_bytes, file.sha256)
        is_missing = digest is None
        if is_missing:
            await self._reader.fetch_file(planned.asset, planned.rendition, self._folder.path / planned.name)
            digest = file.sha256
            self.report.written += 1
        else:
            self.report.present += 1
        if digest is None:
            digest = await asyncio.to_thread(self._folder.digest_of, planned.name)
        self._folder.keep_sum(planned.name, digest)
        return is_missing


def _raise_first(done: set[asyncio.Task[None]]) -> None:
    for task in done:
        task.result()
