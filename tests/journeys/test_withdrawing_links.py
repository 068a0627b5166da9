"""Links are withdrawn by as much of their id as is theirs alone, whatever they are for."""

import pytest

from safelight.clients.cli.link import withdraw
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.upload_links import open_upload_link
from safelight.sync_protocol import ids
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.upload_entries import UploadTerms
from tests.journeys.test_grants import Studio, refused_with
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture


async def test_an_upload_link_beside_another(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """*An upload link that begins like another link* stays open though "withdrawn" was said: neither ends by that."""
    await studio.add("first.jpg")
    async with studio.anna.space("Studio") as space:
        shows = (await create_link(space, await find_album(space, "Wedding"), LinkWish())).link_id
        terms = UploadTerms(now_ms() + 60_000, 5, 10**6, 5)
        monkeypatch.setattr(ids, "new_id", lambda: shows)
        with refused_with(Code.LEDGER_RULE):
            await open_upload_link(space, terms)
        taken = shows[:6] + bytes(10)
        monkeypatch.setattr(ids, "new_id", lambda: taken)
        await open_upload_link(space, terms)
        await space.sync()
        with refused_with(Code.BAD_REQUEST):
            await withdraw(space, shows.hex()[:12])
        assert not space.state.upload_links[taken].closed
        assert await withdraw(space, taken.hex()) == taken
        assert await withdraw(space, shows.hex()) == shows
        assert space.state.upload_links[taken].closed
        assert [revoked for _, _, revoked in space.index.links()] == [1]
