"""Grants when something happens in between: a grantee's device is lost, an answer never comes, a role changes."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.generations import Place, open_grant_box
from safelight.clients.engine.granted import granted_albums
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import begin_epoch_that_is_due, set_role
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.sharing import end_grant, give_grant, list_grants
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.messages.spaces import CommitEntry
from safelight.sync_protocol.records import RecordKind, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from tests.hostile.proxy import Exchange, lying_server
from tests.journeys.test_grants import Studio
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.people import PASSWORD, new_someone, new_space
from tests.support.server_process import ServerProcess


async def test_a_grantees_stolen_laptop(studio: Studio) -> None:
    """*It opens the next keys of the album*: they are sealed to the new identity, which reads all, the old ones too."""
    first = await studio.add("first.jpg")
    await studio.grant(Tier.FULL)
    assert await studio.seen(RenditionName.ORIGINAL) == [first]
    async with studio.fred.session() as session:
        stolen = list(session.sealing_seeds())
        await renew_identity(session, " ".join(studio.fred.words), PASSWORD)
    async with studio.fred.session() as session:
        assert [outcome.refused for outcome in await tell_spaces(session)] == [None]
    assert await studio.seen(RenditionName.ORIGINAL) == [first]
    async with studio.anna.space("Studio") as space:
        assert await begin_epoch_that_is_due(space)
    second = await studio.add("second.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [first, second]
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        generation = space.state.albums[album.album_id].generation
        assert generation.number == 3
        with pytest.raises(Refused) as refused:
            open_grant_box(Place(studio.space_id, album.album_id), generation, studio.fred_id, stolen)
        assert refused.value.code is Code.EPOCH_MISMATCH


async def test_a_grantee_who_is_made_a_reader_and_a_grantee_again(studio: Studio) -> None:
    """Each time what the role and the grants say, and nobody's log stops for it."""
    first = await studio.add("first.jpg")
    await studio.grant(Tier.FULL)
    for role in (Role.PREVIEWER, Role.VIEWER, Role.GRANTEE):
        async with studio.anna.space("Studio") as space:
            await set_role(space, studio.fred_id, role)
        await studio.add(f"{role.value}.jpg", album="")
        if role is Role.VIEWER:
            async with studio.fred.space("Studio") as space:
                assert len(list(space.index.assets())) == 3
            async with studio.fred.session() as session:
                assert (await granted_albums(session)).albums == []
            continue
        assert await studio.seen(RenditionName.ORIGINAL) == [first]
    second = await studio.add("second.jpg")
    assert await studio.seen(RenditionName.ORIGINAL) == [first, second]


@pytest.mark.parametrize("cut_at", [LedgerKind.OPEN_GENERATION, RecordKind.SHOW_IN_ALBUM, LedgerKind.GIVE_GRANT])
async def test_a_grant_that_is_cut_off_and_repeated(server: ServerProcess, tmp_path: Path, cut_at: str) -> None:
    """Whichever answer never comes, the same command makes the rest of it, and nothing twice."""
    fred = await new_someone(server, tmp_path / "fred", f"fred-{os.urandom(4).hex()}")
    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", f"anna-{os.urandom(4).hex()}", url=proxy.url)
        space_id = await new_space(anna, "Studio", "work")
        async with anna.space("Studio") as space:
            await create_album(space, "Wedding")
            code = await invite_member(space, "Fred", Role.GRANTEE)
        async with fred.session() as session:
            await join_space(session, code.uri)
        async with anna.space("Studio") as space:
            [admitted] = await admit_joined(space)
        studio = Studio(anna, fred, admitted.account_id, space_id, tmp_path)
        first = await studio.add("first.jpg")
        cut = 0

        def lose_the_answer(exchange: Exchange) -> Exchange:
            nonlocal cut
            entry = parse_entry(msgspec.json.decode(exchange.request_body, type=CommitEntry).entry)
            if entry.header.kind != cut_at or cut == 20:
                return exchange
            cut += 1
            return exchange.cut()

        proxy.lie("POST", f"/v1/spaces/{space_id.hex()}/commits", lose_the_answer)
        for _ in range(6):
            with suppress(Refused):
                await studio.grant(Tier.FULL)
                break
            if cut > 2:
                proxy.be_honest()
        proxy.be_honest()
        async with anna.space("Studio") as space:
            await space.finish_interrupted()
            assert [(one.title, one.tier) for one in await list_grants(space)] == [("Wedding", Tier.FULL)]
            assert space.state.albums[(await find_album(space, "Wedding")).album_id].generation.number == 2
            assert space.problems == []
        assert cut > 0
        assert await studio.seen(RenditionName.ORIGINAL) == [first]
        async with anna.space("Studio") as space:
            album = await find_album(space, "Wedding")
            await end_grant(space, album, studio.fred_id)
            await give_grant(space, album, studio.fred_id, Tier.VIEW)
        assert await studio.seen(RenditionName.PREVIEW) == [b"preview of first.jpg"]
