"""What readers hold records to that approve, and links to albums that require it, by what came before in the log.

docs/spec/albums.md §6.
"""

from collections.abc import Iterable, Iterator

from safelight.clients.engine.index import AssetPlace, Index
from safelight.sync_protocol.approvals import ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import Added, AssetBody, PublishLinkBody, added_by
from safelight.sync_protocol.refusals import Code, Refused


def check_approvals(index: Index, body: ApproveAssetsBody) -> None:
    """*Another picture that comes to stand under an approval*: it names what the asset's own record says.

    Raises NOT_FOUND for what is not in the album, and ASSET_CONFLICT.
    """
    places = []
    for item in body.items:
        place = index.asset(item.asset_id) if index.is_in_album(body.album_id, item.asset_id) else None
        if place is None:
            raise Refused(Code.NOT_FOUND, f"the album has no asset {item.asset_id.hex()}")
        places.append(place)
    if not body.approved:
        return
    contents = {
        asset.asset_id: content_of(asset.asset_id, files_of(asset.renditions)) for asset in bodies(index, places)
    }
    for item in body.items:
        if contents.get(item.asset_id) != item.content:
            raise Refused(Code.ASSET_CONFLICT, f"the asset {item.asset_id.hex()} is not what was approved")


def check_approved(index: Index, body: PublishLinkBody) -> None:
    """*A server that lets a link past the approver*: where albums require approval, a link shows what its album may.

    Raises NOT_APPROVED. Of a link that names no asset's blob, a watermarked one, nobody but its maker can tell.
    """
    wanted = {*body.view_blobs, *body.full_blobs}
    approval_albums = index.approval_albums()
    if not wanted or not approval_albums:
        return
    places = index.all_album_assets(body.album_id)  # like the server: one in the trash is withheld, and approved
    if body.album_id in approval_albums:
        approved = index.approvals(body.album_id)
        places = [place for place in places if place.asset_id in approved]
    left = wanted.difference(ref.blob for asset in bodies(index, places) for ref in asset.renditions)
    if left:
        raise Refused(Code.NOT_APPROVED, f"{len(left)} of the link's files are of no approved picture in its album")


def bodies(index: Index, places: Iterable[AssetPlace]) -> Iterator[AssetBody]:
    """What the assets' own records say, each record read once as long as its assets follow one another."""
    number, record = 0, None
    for place in sorted(places, key=lambda each: (each.number, each.position)):
        if place.number != number:
            number, record = place.number, _record(index, place.number)
        if record is not None:
            yield record.assets[place.position]


def _record(index: Index, number: int) -> Added | None:
    envelope = index.envelope_at(number)
    if not envelope:
        return None
    entry = parse_entry(envelope)
    return added_by(entry.header.kind, entry.body)
