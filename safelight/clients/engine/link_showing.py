"""What a link shows: of each asset the renditions, each with its own key, and display metadata; never an asset's keys.

*Places through a full link* and *the clean preview through a watermarked link* end here: what is not put in stays in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from safelight.clients.engine.assets import OpenedAsset
from safelight.clients.engine.link_pictures import LinkPictures
from safelight.sync_protocol.links import LinkAsset, LinkRendition
from safelight.sync_protocol.records import RenditionName

_VIEW = (RenditionName.PREVIEW, RenditionName.THUMBNAIL)
_FULL = (*_VIEW, RenditionName.ORIGINAL)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the link shows: the assets as guests get them, and the blobs that its sessions may fetch."""

    assets: Sequence[LinkAsset]
    originals: bool
    view_blobs: Sequence[bytes] = ()
    full_blobs: Sequence[bytes] = ()
    made: LinkPictures = field(default_factory=LinkPictures)

    @property
    def tier(self) -> Literal["view", "full"]:
        """The tier of the link."""
        return "full" if self.originals else "view"


def as_they_are(assets: Sequence[OpenedAsset], *, originals: bool) -> Shown:
    """Show the assets' own renditions, the original only if *originals* says so."""
    names = _FULL if originals else _VIEW
    return Shown(
        [
            _show(asset, n, _own_renditions(asset, names), _name(asset) if originals else "")
            for n, asset in enumerate(assets, 1)
        ],
        originals,
        _blobs(assets, _VIEW),
        _blobs(assets, (RenditionName.ORIGINAL,)) if originals else (),
    )


def watermarked(assets: Sequence[OpenedAsset], made: LinkPictures) -> Shown:
    """Show the pictures made for the link: nothing of the assets' own renditions, neither key nor name, is in this."""
    shown = [_show(asset, n, made.renditions.get(asset.asset_id, [])) for n, asset in enumerate(assets, 1)]
    return Shown(shown, originals=False, made=made)


def _own_renditions(asset: OpenedAsset, names: Sequence[RenditionName]) -> list[LinkRendition]:
    """The asset's renditions with the key of each: never the asset's key, which would open the others, too."""
    return [
        LinkRendition(
            name=ref.name,
            rendition_id=ref.rendition_id,
            key=asset.keys.rendition_key(ref),
            blob=ref.blob,
            size_bytes=ref.size_bytes,
            header=ref.header,
            length_bytes=(info := asset.info(ref)).length_bytes,
            media_type=info.media_type,
            width=info.width,
            height=info.height,
        )
        for ref in asset.body.renditions
        if ref.name in names
    ]


def _show(asset: OpenedAsset, number: int, renditions: list[LinkRendition], name: str = "") -> LinkAsset:
    """What a guest gets of an asset: the renditions shown, and display metadata; the name only with the original."""
    view = asset.view
    return LinkAsset(
        number=number,
        asset_id=asset.asset_id,
        kind=view.kind,
        renditions=renditions,
        width=view.width,
        height=view.height,
        duration_ms=view.duration_ms,
        thumbhash=view.thumbhash,
        caption=view.caption,
        taken_local=view.taken_local,
        name=name,
    )


def _name(asset: OpenedAsset) -> str:
    return asset.full.name if asset.full else ""


def _blobs(assets: Sequence[OpenedAsset], names: Sequence[RenditionName]) -> list[bytes]:
    return [ref.blob for asset in assets for ref in asset.body.renditions if ref.name in names]
