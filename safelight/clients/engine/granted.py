"""The albums that others granted to this account, in all its spaces (docs/spec/albums.md)."""

from dataclasses import dataclass, field

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.grant_view import GrantView
from safelight.clients.engine.granted_assets import GrantedAlbum, GrantedReader
from safelight.clients.engine.spaces import SpaceList, list_spaces
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import TIERS, Tier


@dataclass(frozen=True, slots=True)
class Granted:
    """Granted albums, each with the view that opens it.

    *refused* says, by space id, what could not be read and why, *closed* the same of single albums, by theirs.
    """

    albums: list[tuple[GrantView, GrantedAlbum]] = field(default_factory=list)
    refused: dict[bytes, Refused] = field(default_factory=dict)
    closed: dict[bytes, Refused] = field(default_factory=dict)


async def granted_albums(session: AccountSession, listing: SpaceList | None = None) -> Granted:
    """Open every album that is granted to this account, also where it reads the space's previews besides."""
    listing = listing or await list_spaces(session)
    found = Granted(refused=dict(listing.refused))
    previewing = {summary.space_id for summary in listing.spaces if TIERS[summary.role] is Tier.VIEW}
    views = list(listing.granted)
    views += [GrantView(session, known) for known in session.content.spaces if known.space_id in previewing]
    for view in views:
        try:
            if view.space_id in previewing:
                await view.sync()
            found.albums.extend((view, album) for album in view.albums())
            found.closed.update(view.closed)
        except Refused as refusal:
            if refusal.code is Code.SERVER_UNREACHABLE:
                raise
            found.refused[view.space_id] = refusal
    return found


async def find_granted(session: AccountSession, title: str) -> tuple[GrantView, GrantedReader, GrantedAlbum]:
    """Return the granted album of that title or with that id, as `album list` shows it.

    Raises NOT_FOUND, BAD_REQUEST for more than one, and what stands in the way where there is none.
    """
    granted = await granted_albums(session)
    # An id first: *an album that is called like another's id*, in somebody else's space.
    found = [each for each in granted.albums if title in (each[1].album_id.hex(), each[1].album_id.hex()[:12])]
    found = found or [each for each in granted.albums if title == each[1].title]
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, "more than one album of that title was granted to you; use its id")
    if not found:
        serious = [refusal for refusal in granted.refused.values() if refusal.code is not Code.SPACE_INJECTED]
        serious += granted.closed.values()
        raise serious[0] if serious else Refused(Code.NOT_FOUND, f"no album {title[:32]!r} is granted to you")
    view, album = found[0]
    return view, view.reader(album), album
