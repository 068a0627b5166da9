"""Assets of a space that have the content of given files, by the fingerprints in their signed records."""

from collections.abc import Container

from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import added_by


def assets_of(space: SpaceView, fingerprints: Container[bytes]) -> list[AssetPlace]:
    """Return where the assets stand that have one of these *fingerprints*, oldest first, also in the trash.

    Goes through all records: asked of what a person just tried to add, not of all that there is.
    """
    found = []
    for envelope, _, _ in space.index.records_with_assets():
        entry = parse_entry(envelope)
        for asset in added_by(entry.header.kind, entry.body).assets:
            place = space.index.asset(asset.asset_id) if asset.fingerprint in fingerprints else None
            if place is not None:
                found.append(place)
    return found
