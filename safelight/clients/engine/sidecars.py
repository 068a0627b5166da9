"""Sidecars: what was known of an asset, as readable JSON beside its exported original."""

import base64

import msgspec

from safelight.clients.engine.assets import OpenedAsset
from safelight.sync_protocol.refusals import Code, Refused


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


def sidecar_bytes(asset: OpenedAsset) -> bytes:
    """Return a sidecar's file."""
    return msgspec.json.format(msgspec.json.encode(sidecar(asset)), indent=2) + b"\n"


def sidecar_asset(data: bytes) -> str:
    """Return the id of the asset that a sidecar is of; empty if *data* is no sidecar of ours."""
    try:
        return msgspec.json.decode(data, type=_Named).id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


class _Named(msgspec.Struct, frozen=True):
    id: str = ""
