"""Links are withdrawn by as much of their id as is theirs alone, whatever they are for."""

import pytest

from safelight.clients.cli.link import withdraw
from safelight.clients.engine import upload_links
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.link_listing import find_link
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.upload_links import open_upload_link
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.upload_entries import UploadTerms
from tests.journeys.test_grants import Studio, refused_with
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture


@pytest.mark.parametrize("same", [True, False], ids=["the same id", "the same beginning"])
async def test_an_upload_link_beside_another(studio: Studio, monkeypatch: pytest.MonkeyPatch, same: bool) -> None:
    """*An upload link with the id of another link* stays open though "withdrawn" was said: both end, or none does."""
    await studio.add("first.jpg")
    async with studio.anna.space("Studio") as space:
        shows = (await create_link(space, await find_album(space, "Wedding"), LinkWish())).link_id
        taken = shows if same else shows[:6] + bytes(10)
        monkeypatch.setattr(upload_links.ids, "new_id", lambda: taken)
        await open_upload_link(space, UploadTerms(now_ms() + 60_000, 5, 10**6, 5))
        await space.sync()
        if same:
            assert await withdraw(space, taken.hex()) == taken
        else:
            with refused_with(Code.BAD_REQUEST):
                await withdraw(space, shows.hex()[:12])
        await space.sync()
        revoked = {link_id for link_id, _, revoked in space.index.links() if revoked}
        assert space.state.upload_links[taken].closed is same
        assert (find_link(space, shows.hex()) in revoked) is same
