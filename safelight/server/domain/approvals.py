"""What records say of approval: what comes into albums and out of them, what is approved there, and if it must be."""

from safelight.server.domain.ports.commits import AlbumRules, Approvals, IntoAlbum, OutOfAlbum
from safelight.sync_protocol.approvals import AlbumRulesBody, ApproveAssetsBody
from safelight.sync_protocol.records import AddAlbumAssetsBody, AddToAlbumBody, RemoveFromAlbumBody, ShowInAlbumBody


def into_album(body: object) -> IntoAlbum | None:
    """Return what a record brings into an album, whichever its kind."""
    match body:
        case AddToAlbumBody():
            return IntoAlbum(body.album_id, [item.asset_id for item in body.items])
        case ShowInAlbumBody():
            return IntoAlbum(body.album_id, [item.asset.asset_id for item in body.items])
        case AddAlbumAssetsBody():
            return IntoAlbum(body.album_id, [asset.asset_id for asset in body.assets])
        case _:
            return None


def out_of_album(body: object) -> OutOfAlbum | None:
    """Return what a record takes out of an album."""
    return OutOfAlbum(body.album_id, body.asset_ids) if isinstance(body, RemoveFromAlbumBody) else None


def album_rules(body: object) -> AlbumRules | None:
    """Return what an album's links are held to from a record on."""
    return AlbumRules(body.album_id, body.requires_approval) if isinstance(body, AlbumRulesBody) else None


def approvals(body: object) -> Approvals | None:
    """Return what a record approves, or withdraws approval of."""
    if not isinstance(body, ApproveAssetsBody):
        return None
    return Approvals(body.album_id, body.approved, [(item.asset_id, item.content) for item in body.items])
