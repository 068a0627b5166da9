"""Links of one album, by the verified log alone: which of them show what can be withheld from no link any more."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from safelight.clients.engine.albums import Album
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import blobs_of
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import PublishLinkBody
from safelight.sync_protocol.wire import unpack


class _Standing(NamedTuple):
    """A link that stands: the slot of its record, how far its maker knew the log, and what it says."""

    number: int
    known: int
    body: PublishLinkBody


def drawn_links(space: SpaceView, album: Album) -> list[bytes]:
    """The album's links that stand and show pictures drawn for them, of which no server can tell what they show."""
    return [link.body.link_id for link in _standing(space, album) if link.body.made_blobs]


def links_that_go_on(space: SpaceView, album: Album, asset_ids: Sequence[bytes]) -> list[bytes]:
    """The album's links that go on showing assets which were taken out of it: until they are revoked.

    Where an album of the space requires approval the server gives a link what is in its album alone, and so those that
    were drawn for it are left.
    """
    blobs = set() if space.index.approval_albums() else blobs_of(space, asset_ids)
    found = []
    for number, known, body in _standing(space, album):
        shows = not blobs.isdisjoint(body.view_blobs) or not blobs.isdisjoint(body.full_blobs)
        drew = body.made_blobs and space.index.was_in_album(album.album_id, number, known, asset_ids)
        if shows or drew:
            found.append(body.link_id)
    return found


def _standing(space: SpaceView, album: Album) -> Iterator[_Standing]:
    now_ms = space.session.clock()
    for _, number, revoked in space.index.links():
        envelope = None if revoked else space.index.envelope_at(number)
        if not envelope:
            continue
        entry = parse_entry(envelope)
        body = unpack(entry.body, PublishLinkBody)
        over = 0 < body.policy.expires_ms <= now_ms
        if body.album_id == album.album_id and not over:
            yield _Standing(number, entry.header.log.number, body)
