"""Pictures made for one link: each asset's preview redrawn with a text over it, sealed under keys of the link's own.

The keys and names of the assets' own renditions do not appear in what comes out, so that no guest can ask for them
(PROTOCOL.md §6, *clean preview through a watermark link*).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.files import SealedFile, seal_bytes
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.links import LinkRendition
from safelight.sync_protocol.records import PageRef, RenditionName
from safelight.sync_protocol.refusals import Code, Refused

MAX_PREVIEW_SIZE_BYTES = 16 * 1024 * 1024
_AT_ONCE = 6
# What is wrong with one picture alone: the link is made without it. Anything else, a lost network say, ends the making.
_SET_ASIDE = frozenset({Code.OPEN_FAILED, Code.NOT_FOUND, Code.LENGTH_MISMATCH, Code.PADDING_INVALID, Code.TOO_LARGE,
                        Code.FORBIDDEN})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes, and what they are."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What a preview became: both sizes, each with the text over it."""

    preview: Picture
    thumbnail: Picture


Redraw = Callable[[bytes], Awaitable[Redrawn]]


@dataclass(frozen=True, slots=True)
class Watermark:
    """A text, and what draws it over previews.

    `begin` is called for each link, and returns what draws for that one alone; it raises OPEN_FAILED for what is no
    picture.
    """

    text: str
    begin: Callable[[], Redraw]


Progress = Callable[[int, int], None]


@dataclass(slots=True)
class LinkPictures:
    """What was made: renditions by asset, all uploaded, and why some assets have none although they have a preview."""

    renditions: dict[bytes, list[LinkRendition]] = field(default_factory=dict)
    failures: list[Refused] = field(default_factory=list)

    def keep(self, asset_ids: Collection[bytes]) -> None:
        """Forget what was drawn of other assets: the link does not show them, and the server collects it."""
        self.renditions = {asset_id: made for asset_id, made in self.renditions.items() if asset_id in asset_ids}

    def blobs(self) -> list[PageRef]:
        """Every blob, for the record that publishes the link."""
        return [PageRef(made.blob, made.size_bytes) for renditions in self.renditions.values() for made in renditions]


async def make_pictures(
    space: SpaceView, assets: Sequence[OpenedAsset], watermark: Watermark, on_progress: Progress | None = None
) -> LinkPictures:
    """Redraw, seal and upload the preview of every asset that has one, a few at a time.

    *on_progress* hears how many are done, of how many. A picture that is damaged is passed over; if all are, the first
    one's refusal is raised. What was uploaded before a refusal is in no record, and the server collects it.
    """
    shown = [asset for asset in assets if _has_preview(asset)]
    made = LinkPictures({asset.asset_id: [] for asset in shown})
    todo, done, redraw = iter(shown), 0, watermark.begin()

    async def work(todo: Iterator[OpenedAsset]) -> None:
        nonlocal done
        reader = AssetReader(space)
        for asset in todo:
            try:
                redrawn = await _redraw(reader, asset, redraw)
            except Refused as refusal:
                if refusal.code not in _SET_ASIDE:
                    raise
                made.failures.append(refusal)
            else:
                made.renditions[asset.asset_id] = await _send(space, asset, redrawn)
            done += 1
            if on_progress:
                on_progress(done, len(shown))

    await _together([work(todo) for _ in range(_AT_ONCE)])
    if shown and len(made.failures) == len(shown):
        raise made.failures[0]
    return made


async def _together(works: Sequence[Awaitable[None]]) -> None:
    """Await all; the first refusal ends the others, and is raised as it is."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _has_preview(asset: OpenedAsset) -> bool:
    return any(ref.name is RenditionName.PREVIEW for ref in asset.body.renditions)


async def _redraw(reader: AssetReader, asset: OpenedAsset, redraw: Redraw) -> Redrawn:
    if asset.info(asset.ref(RenditionName.PREVIEW)).length_bytes > MAX_PREVIEW_SIZE_BYTES:
        raise Refused(Code.TOO_LARGE, "a preview is not that large")
    return await redraw(await reader.fetch_bytes(asset, RenditionName.PREVIEW))


async def _send(space: SpaceView, asset: OpenedAsset, redrawn: Redrawn) -> list[LinkRendition]:
    keys = _FreshKeys(asset.asset_id)
    pictures = {RenditionName.PREVIEW: redrawn.preview, RenditionName.THUMBNAIL: redrawn.thumbnail}
    made = []
    for name, picture in pictures.items():
        sealed = await asyncio.to_thread(seal_bytes, keys, name, picture.data)
        await upload_blob(
            space.session.connection,
            space.space_id,
            sealed.source,
            digest=sealed.ref.blob,
            size_bytes=sealed.ref.size_bytes,
        )
        made.append(_rendition(sealed, keys, picture))
    return made


class _FreshKeys:
    """Gives each rendition a random key, which no asset key leads to and which leads to none."""

    def __init__(self, asset_id: bytes) -> None:
        self.asset_id = asset_id
        self._keys: dict[bytes, bytes] = {}

    def rendition_key(self, _name: RenditionName, rendition_id: bytes) -> bytes:
        """Return the key of a rendition, made at the first call."""
        return self._keys.setdefault(rendition_id, secrets.token_bytes(KEY_SIZE_BYTES))


def _rendition(sealed: SealedFile, keys: _FreshKeys, picture: Picture) -> LinkRendition:
    ref = sealed.ref
    return LinkRendition(
        name=ref.name,
        rendition_id=ref.rendition_id,
        key=keys.rendition_key(ref.name, ref.rendition_id),
        blob=ref.blob,
        size_bytes=ref.size_bytes,
        header=ref.header,
        length_bytes=sealed.length_bytes,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
    )
