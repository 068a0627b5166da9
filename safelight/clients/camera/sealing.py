"""From a file to a sealed asset: its original, what developing made of it, and its metadata, under one fresh key."""

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path

from safelight.clients.camera.develop.messages import IMAGE_MEDIA_TYPE, Developed, Image, Metadata, NotDeveloped
from safelight.clients.camera.develop.pool import Developers
from safelight.clients.camera.magic import FileType
from safelight.clients.camera.reading import check_opened, check_unchanged, seal_original, type_of
from safelight.clients.camera.scan import Found
from safelight.clients.engine.files import SealedFile, seal_bytes
from safelight.clients.engine.rolls import NewAsset, RollRef
from safelight.sync_protocol.records import (
    AssetBody,
    FullPart,
    Place,
    RenditionInfo,
    RenditionName,
    RenditionRef,
    ViewPart,
)

NOT_ASKED = NotDeveloped("renditions were not asked for")


@dataclass(frozen=True, slots=True)
class SealedAsset:
    """An asset ready to send: the record's part, its files, and why it has no preview if it has none."""

    roll: RollRef
    body: AssetBody
    files: list[SealedFile]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Negative:
    """A file's sealed original, and what the file is: enough to tell whether the space has it already."""

    found: Found
    type: FileType
    asset: NewAsset
    original: SealedFile


def expose(found: Found, asset: NewAsset, spool: Path | None) -> Negative:
    """Seal the original of *asset*, in one pass; blocks. Raises FILE_CHANGED and FILE_UNREADABLE."""
    kind = type_of(found)
    return Negative(found, kind, asset, seal_original(asset, found, spool))


async def develop(negative: Negative, fingerprint: bytes, developers: Developers | None) -> SealedAsset:
    """Make and seal the rest of the asset; a picture that cannot be developed keeps its original.

    Raises FILE_CHANGED if the file is no longer the one that was sealed: the preview would show something else.
    """
    wanted = developers is not None and negative.type.kind == "photo"
    answer: Developed | NotDeveloped = NOT_ASKED
    if developers and wanted:
        check = functools.partial(check_opened, negative.found)
        answer = await developers.develop(negative.found.path, check=check)
    await asyncio.to_thread(check_unchanged, negative.found)
    return await asyncio.to_thread(_finish, negative, fingerprint, answer, wanted=wanted)


def _finish(negative: Negative, fingerprint: bytes, answer: Developed | NotDeveloped, *, wanted: bool) -> SealedAsset:
    files = [negative.original]
    shown: dict[str, RenditionInfo] = {}
    if isinstance(answer, Developed):
        for name, image in ((RenditionName.PREVIEW, answer.preview), (RenditionName.THUMBNAIL, answer.thumbnail)):
            files.append(seal_bytes(negative.asset, name, image.data))
            shown[name.value] = _info(image)
    refs: list[RenditionRef] = [file.ref for file in files]
    view = _view_part(negative, answer, shown)
    body = negative.asset.finish(refs, view, _full_part(negative, answer.metadata), fingerprint=fingerprint)
    note = answer.reason if wanted and isinstance(answer, NotDeveloped) else ""
    return SealedAsset(negative.asset.roll, body, files, note)


def _info(image: Image) -> RenditionInfo:
    return RenditionInfo(len(image.data), IMAGE_MEDIA_TYPE, image.width, image.height)


def _view_part(negative: Negative, answer: Developed | NotDeveloped, shown: dict[str, RenditionInfo]) -> ViewPart:
    """What guests may see: no name, no place, no device, and no text that the file brought along."""
    width, height, thumbhash = (
        (answer.width, answer.height, answer.thumbhash) if isinstance(answer, Developed) else (0, 0, b"")
    )
    return ViewPart(
        kind=negative.type.kind,
        width=width,
        height=height,
        thumbhash=thumbhash,
        taken_local=answer.metadata.taken_local,
        taken_offset_min=answer.metadata.taken_offset_min,
        renditions=shown,
    )


def _full_part(negative: Negative, said: Metadata) -> FullPart:
    original = negative.original
    place = None
    if said.latitude is not None and said.longitude is not None:
        place = Place(said.latitude, said.longitude, said.altitude_m)
    return FullPart(
        name=negative.found.name,
        sha256=original.sha256,
        size_bytes=original.length_bytes,
        media_type=negative.type.media_type,
        modified_ns=original.modified_ns,
        place=place,
        make=said.make,
        model=said.model,
        lens=said.lens,
        keywords=said.keywords,
        rights=said.rights,
        exif=said.exif,
        renditions={
            RenditionName.ORIGINAL.value: RenditionInfo(original.length_bytes, negative.type.media_type),
        },
    )
