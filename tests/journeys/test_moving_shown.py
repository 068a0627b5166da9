"""Moving what a link or an upload link shows, and proposals of somebody who was removed since."""

from pathlib import Path

from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.moving import move_assets
from safelight.clients.engine.proposals import decide_deletion, list_proposals, propose_deletion
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.trash import restore_assets
from safelight.sync_protocol.roles import Right, Role
from tests.support.guests import Guest, upload_link
from tests.support.people import Someone, new_someone, new_space
from tests.support.server_process import ServerProcess


async def test_what_an_upload_links_guest_added(server: ServerProcess, tmp_path: Path) -> None:
    """It moves like any other picture; the guest that has it still does not send it again, and adds others."""
    someone = await new_someone(server, tmp_path / "ivo", "ivo-shown")
    await new_space(someone, "Home")
    await new_space(someone, "Shop")
    guest = Guest(tmp_path / "guest", await upload_link(someone, "Home"))
    folder = guest.pictures(2)
    await guest.push(folder)
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Shop") as shop:
            await home.sync()
            await shop.sync()
            places = list(home.index.assets())
            moved = await move_assets(home, shop, places)
            assert (len(moved.moved), moved.failed) == (2, {})
            assert {place.asset_id for place in shop.index.assets()} == {place.asset_id for place in places}
    again = await guest.push(folder)
    assert sum(again.counts.values()) == 2
    await guest.adds()
    async with someone.space("Home") as home:
        assert len(list(home.index.assets())) == 1
        assert home.problems == []


async def test_what_somebody_proposed_who_was_removed(server: ServerProcess, tmp_path: Path) -> None:
    """It stays proposed, with its note, and is decided by who may; the removed one decides and proposes nothing."""
    owner = await new_someone(server, tmp_path / "owner", "owner-shown")
    await new_space(owner, "Home")
    guest = Guest(tmp_path / "guest", await upload_link(owner, "Home"))
    await guest.adds(2)
    gina = await _let_in(owner, await new_someone(server, tmp_path / "gina", "gina-shown"))
    async with gina.space("Home") as home:
        ids = [place.asset_id for place in home.index.assets()]
        await propose_deletion(home, ids, "blurred")
        gina_id = home.session.account_id
    async with owner.space("Home") as home:
        await remove_member(home, gina_id)
        [proposal] = await list_proposals(home)
        assert (proposal.author_id, proposal.note) == (gina_id, "blurred")
        assert await decide_deletion(home, proposal, confirmed=True) == ids
        assert await list_proposals(home) == []
        await restore_assets(home, ids)
        assert await list_proposals(home) == []
        assert home.problems == []
    folder = owner.path / "spaces" / home.space_id.hex()
    (folder / "index.sqlite").unlink()
    async with owner.space("Home") as home:
        assert (home.problems, await list_proposals(home)) == ([], [])
        assert len(list(home.index.assets())) == 2


async def _let_in(owner: Someone, other: Someone) -> Someone:
    async with owner.space("Home") as space:
        uri = (await invite_member(space, "Gina", Role.EDITOR, rights=[Right.ADD, Right.PROPOSE_DELETION])).uri
    async with other.session() as session:
        await join_space(session, uri)
    async with owner.space("Home") as space:
        assert [each.refused for each in await admit_joined(space)] == [None]
    return other
