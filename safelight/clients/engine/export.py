"""Export: the originals byte for byte under their own names, a sidecar each, and a list that `sha256sum -c` accepts.

Running it again fetches what is missing and changes nothing that is there and right.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from safelight.clients.engine import durable
from safelight.clients.engine.assets import AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.safe_names import checksum_line, folded, numbered, safe_name, sidecar_name
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RenditionName, tier_of_rendition
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

CHECKSUMS_NAME = "SHA256SUMS"
PARALLEL_DOWNLOADS = 4
_HASH_CHUNK_BYTES = 1024 * 1024


@dataclass
class ExportReport:
    """What an export did. *failed* names each asset that could not be written, with the reason."""

    written: int = 0
    present: int = 0
    failed: dict[str, Refused] = field(default_factory=dict)


class Sidecar(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands beside each original: everything that was known of the asset, as readable JSON."""

    id: str
    name: str
    sha256: str
    size_bytes: int
    media_type: str
    kind: str
    added_ms: int
    modified_ns: int
    width: int = 0
    height: int = 0
    duration_ms: int = 0
    taken_local: str = ""
    taken_offset_min: int | None = None
    caption: str = ""
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    keywords: list[str] = []
    rights: str = ""
    exif: dict[str, str] = {}
    thumbhash: str = ""


@dataclass(frozen=True, slots=True)
class _Planned:
    """One file to write."""

    asset: OpenedAsset
    rendition: RenditionName
    name: str


async def export_space(space: SpaceView, folder: Path, *, on_file: Callable[[str], None] | None = None) -> ExportReport:
    """Write every asset's files of the full tier into *folder*; *on_file* hears each name when it is there.

    Names are made safe and kept apart, also where the file system ignores case; the same asset gets the same name each
    time. Memory stays bounded: files stream, and assets are opened as they are needed. Raises FORBIDDEN for who reads
    the view tier only, and FILE_UNREADABLE where *folder* cannot be made.
    """
    (await space.epoch_secrets()).require_full()
    strict = await asyncio.to_thread(_prepare, folder)
    export = _Export(space, folder, on_file, strict=strict)
    await export.run()
    return export.report


class _Export:
    """One run: plans names in the log's order, so that they are the same in every run, and downloads in parallel."""

    def __init__(self, space: SpaceView, folder: Path, on_file: Callable[[str], None] | None, *, strict: bool) -> None:
        self.report = ExportReport()
        self._reader = AssetReader(space)
        self._folder = folder
        self._on_file = on_file
        self._strict = strict
        self._taken = {folded(CHECKSUMS_NAME)}
        self._sums: dict[str, bytes] = {}
        self._known = _read_sums(folder / CHECKSUMS_NAME)

    async def run(self) -> None:
        """Write everything; the list of checksums comes last, and says what is really there."""
        running: set[asyncio.Task[None]] = set()
        try:
            async for found in self._reader.each():
                if isinstance(found, FailedAsset):
                    self.report.failed[found.asset_id.hex()] = found.refusal
                    continue
                for planned in self._plan(found):
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
            self._write_sums()

    def _plan(self, asset: OpenedAsset) -> list[_Planned]:
        if asset.full is None:
            return []
        name = self._free_name(safe_name(asset.full.name, strict=self._strict))
        plans = [_Planned(asset, RenditionName.ORIGINAL, name)]
        for ref in asset.body.renditions[1:]:
            if tier_of_rendition(ref.name) is Tier.FULL:
                info = asset.full.renditions.get(ref.name.value)
                ending = _ENDINGS.get(info.media_type, ref.name.value) if info else ref.name.value
                plans.append(_Planned(asset, ref.name, self._free_name(f"{name}.{ending}")))
        return plans

    def _free_name(self, name: str) -> str:
        """Two assets of one name are kept apart, and so is a name that is another one's sidecar."""
        number, made = 1, name
        while folded(made) in self._taken or folded(sidecar_name(made)) in self._taken:
            number += 1
            made = numbered(name, number)
        self._taken |= {folded(made), folded(sidecar_name(made))}
        return made

    async def _write(self, planned: _Planned) -> None:
        target = self._folder / planned.name
        try:
            file = self._reader.stored(planned.asset, planned.rendition)
            present = await asyncio.to_thread(self._present, target, file.length_bytes, file.sha256)
            if present is None:
                await self._reader.fetch_file(planned.asset, planned.rendition, target)
                digest = await asyncio.to_thread(_hash, target) if file.sha256 is None else file.sha256
                self.report.written += 1
            else:
                digest = present
                self.report.present += 1
            self._sums[planned.name] = digest
            if planned.rendition is RenditionName.ORIGINAL:
                await asyncio.to_thread(self._write_sidecar, planned)
        except Refused as refusal:
            if refusal.code is Code.SERVER_UNREACHABLE:
                raise
            self.report.failed[planned.asset.asset_id.hex()] = refusal
            return
        if self._on_file:
            self._on_file(planned.name)

    def _present(self, target: Path, length_bytes: int, sha256: bytes | None) -> bytes | None:
        """The digest of a file that is there from an earlier run and is right; None if it must be fetched."""
        try:
            found = target.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(Code.FILE_UNREADABLE, f"{target.name}: {error.strerror}") from None
        if target.is_symlink() or not target.is_file():
            raise Refused(Code.FILE_UNREADABLE, f"{target.name} is in the way and is no file")
        if found.st_size != length_bytes:
            return None
        digest = _hash(target)
        expected = sha256 or self._known.get(target.name)
        return digest if digest == expected else None

    def _write_sidecar(self, planned: _Planned) -> None:
        content = msgspec.json.format(msgspec.json.encode(sidecar(planned.asset)), indent=2) + b"\n"
        path = self._folder / sidecar_name(planned.name)
        if durable.read_file(path) != content:
            _publish(path, content)

    def _write_sums(self) -> None:
        """Names in order, so that two exports of one space are the same."""
        lines = [checksum_line(digest, name) for name, digest in sorted(self._sums.items())]
        _publish(self._folder / CHECKSUMS_NAME, "".join(lines).encode("utf-8"))


_ENDINGS = {"video/quicktime": "mov", "video/mp4": "mp4", "image/x-adobe-dng": "dng", "application/rdf+xml": "xmp"}


def sidecar(asset: OpenedAsset) -> Sidecar:
    """Return what an asset's sidecar says; FORBIDDEN without its full part."""
    view, full = asset.view, asset.full
    if full is None:
        raise Refused(Code.FORBIDDEN, "this is of the full tier")
    return Sidecar(
        id=asset.asset_id.hex(),
        name=full.name,
        sha256=full.sha256.hex(),
        size_bytes=full.size_bytes,
        media_type=full.media_type,
        kind=view.kind,
        added_ms=asset.time_ms,
        modified_ns=full.modified_ns,
        width=view.width,
        height=view.height,
        duration_ms=view.duration_ms,
        taken_local=view.taken_local,
        taken_offset_min=view.taken_offset_min,
        caption=view.caption,
        latitude=full.place.latitude if full.place else None,
        longitude=full.place.longitude if full.place else None,
        altitude_m=full.place.altitude_m if full.place else None,
        make=full.make,
        model=full.model,
        lens=full.lens,
        keywords=full.keywords,
        rights=full.rights,
        exif=full.exif,
        thumbhash=base64.b64encode(view.thumbhash).decode("ascii"),
    )


def _prepare(folder: Path) -> bool:
    """Make the folder; True if it takes only the names that Windows takes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{folder}: {error.strerror}") from None
    for left_over in folder.glob(".safelight-*.part"):
        left_over.unlink(missing_ok=True)  # of an export that was stopped
    probe = folder / '.safelight-probe:"*?'
    try:
        probe.touch()
    except OSError:
        return True
    probe.unlink()
    return False


def _raise_first(done: set[asyncio.Task[None]]) -> None:
    for task in done:
        task.result()


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _publish(path: Path, content: bytes) -> None:
    """An exported folder is for the person's other programs, too: ordinary permissions, whole or not at all."""
    temporary = path.with_name(f".safelight-{secrets.token_hex(8)}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Refused(Code.FILE_UNREADABLE, f"{path.name}: {error.strerror}") from None


def _read_sums(path: Path) -> dict[str, bytes]:
    """The list of an earlier run, as far as it can be read."""
    known: dict[str, bytes] = {}
    for line in (durable.read_file(path) or b"").decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and name:
            known[name] = bytes.fromhex(digest)
    return known
