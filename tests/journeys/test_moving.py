"""Moving, by the engine against a real server: into the other space first, and at no time in neither."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.clients.engine import moving
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.mirroring import Mirrored, mirror_assets
from safelight.clients.engine.moving import Moved, move_assets
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.trash import Changed, restore_assets, trash_assets
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Role
from tests.journeys.test_mirroring import _someone
from tests.support.people import Someone, new_someone, new_space
from tests.support.server_process import ServerProcess


@asynccontextmanager
async def _both(someone: Someone) -> AsyncIterator[tuple[SpaceView, SpaceView]]:
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Shop") as shop:
            await home.sync()
            await shop.sync()
            yield home, shop


def _ids(space: SpaceView) -> set[bytes]:
    return {place.asset_id for place in space.index.assets()}


async def _move(someone: Someone) -> tuple[Moved, set[bytes], set[bytes], set[bytes]]:
    """Move all that was ever added to Home; then what is in Home, in its trash, and in Shop."""
    async with _both(someone) as (home, shop):
        places = [*home.index.assets(), *(place for place, _ in home.index.trash())]
        moved = await move_assets(home, shop, places)
        return moved, _ids(home), {place.asset_id for place, _ in home.index.trash()}, _ids(shop)


async def test_moved_and_moved_before(server: ServerProcess, tmp_path: Path) -> None:
    """Everything is in the other space and in the trash of the first; a second time it was moved before."""
    someone = await _someone(server, tmp_path / "anna")
    moved, home, trash, shop = await _move(someone)
    assert (set(moved.moved), moved.already, moved.failed) == (trash, [], {})
    assert (len(trash), home, shop) == (2, set(), trash)
    again, *rest = await _move(someone)
    assert (again.moved, set(again.already), again.failed) == ([], trash, {})
    assert rest == [set(), trash, trash]


@pytest.mark.parametrize("at", ["mirroring", "trashing", "some trashed"])
async def test_interrupted_anywhere(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """What was cut off leaves every picture in one space at least, and goes on when it is repeated."""
    someone = await _someone(server, tmp_path / f"cut {at}".replace(" ", "-"), count=3)

    async def cut_mirroring(source: SpaceView, target: SpaceView, places: object, **_: object) -> Mirrored:
        await mirror_assets(source, target, list(source.index.assets())[:1])
        raise Refused(Code.SERVER_UNREACHABLE)

    async def cut_trashing(space: SpaceView, asset_ids: list[bytes]) -> Changed:
        if at == "some trashed":
            await trash_assets(space, asset_ids[:1])
        raise Refused(Code.SERVER_UNREACHABLE)

    with monkeypatch.context() as patch:
        if at == "mirroring":
            patch.setattr(moving, "mirror_assets", cut_mirroring)
        else:
            patch.setattr(moving, "trash_assets", cut_trashing)
        with pytest.raises(Refused):
            await _move(someone)
    async with _both(someone) as (home, shop):
        assert len(_ids(home) | _ids(shop)) == 3
        assert len(_ids(home)) == (2 if at == "some trashed" else 3)
    moved, home_left, trash, there = await _move(someone)
    assert (len(moved.moved) + len(moved.already), moved.failed, home_left) == (3, {}, set())
    assert (len(trash), there) == (3, trash)


async def test_what_is_in_the_trash_of_the_other_space(server: ServerProcess, tmp_path: Path) -> None:
    """It stays where it is, and is told of: a picture is never moved out of a space into nothing but a trash."""
    someone = await _someone(server, tmp_path / "dora")
    async with _both(someone) as (home, shop):
        one, other = sorted(_ids(home))
        await mirror_assets(home, shop, list(home.index.assets()))
        await trash_assets(shop, [one])
    moved, left, trash, there = await _move(someone)
    assert (moved.moved, {key: refusal.code for key, refusal in moved.failed.items()}) == (
        [other],
        {one: Code.IN_TRASH},
    )
    assert (left, trash, there) == ({one}, {other}, {other})
    async with _both(someone) as (home, shop):
        await trash_assets(home, [one])
    moved, left, trash, there = await _move(someone)
    assert [refusal.code for refusal in moved.failed.values()] == [Code.IN_TRASH]
    assert (moved.already, left, there) == ([other], set(), {other})
    assert moved.in_both == [one]  # in neither list: it is named


async def test_moved_to_and_fro_at_once(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Two who move the same picture, each out of the other's space*: whoever comes second puts theirs back."""
    someone = await _someone(server, tmp_path / "emil", count=1)
    async with _both(someone) as (home, shop):
        await mirror_assets(home, shop, list(home.index.assets()))
        [asset_id] = _ids(home)

        async def meanwhile(space: SpaceView, asset_ids: list[bytes]) -> Changed:
            await trash_assets(shop, asset_ids)
            return await trash_assets(space, asset_ids)

        with monkeypatch.context() as patch:
            patch.setattr(moving, "trash_assets", meanwhile)
            moved = await move_assets(home, shop, list(home.index.assets()))
        assert (moved.moved, moved.already, list(moved.failed)) == ([], [], [asset_id])
        assert (_ids(home), _ids(shop)) == ({asset_id}, set())
        await restore_assets(shop, [asset_id])


async def test_what_cannot_be_put_back_is_told_of(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A picture left in two trashes*, as the first space is full: it is not called moved, and it is named."""
    someone = await _someone(server, tmp_path / "greta", count=1)
    async with _both(someone) as (home, shop):
        await mirror_assets(home, shop, list(home.index.assets()))
        [asset_id] = _ids(home)

        async def meanwhile(space: SpaceView, asset_ids: list[bytes]) -> Changed:
            await trash_assets(shop, asset_ids)
            return await trash_assets(space, asset_ids)

        async def full(_space: SpaceView, asset_ids: set[bytes]) -> Changed:
            if asset_ids:
                raise Refused(Code.QUOTA_EXCEEDED)
            return Changed()

        with monkeypatch.context() as patch:
            patch.setattr(moving, "trash_assets", meanwhile)
            patch.setattr(moving, "restore_assets", full)
            moved = await move_assets(home, shop, list(home.index.assets()))
        assert (moved.moved, moved.already, moved.in_both) == ([], [], [asset_id])
        assert moved.failed[asset_id].code is Code.QUOTA_EXCEEDED


@pytest.mark.parametrize("everything", [False, True])
async def test_cut_off_before_it_looked_again(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    """*A picture in two trashes, for good*: cut off between trashing it and looking, the repeat puts it back.

    Also where that moves all that is in lists, and so does not name it; and what was deleted twice stays deleted.
    """
    someone = await _someone(server, tmp_path / f"hugo-{everything}")
    async with _both(someone) as (home, shop):
        await mirror_assets(home, shop, list(home.index.assets()))
        [one, deleted] = [place.asset_id for place in home.index.assets()]
        await trash_assets(home, [deleted])
        await trash_assets(shop, [deleted])

        async def cut_off(space: SpaceView, asset_ids: list[bytes]) -> Changed:
            await trash_assets(shop, asset_ids)
            await trash_assets(space, asset_ids)
            raise Refused(Code.SERVER_UNREACHABLE)

        with monkeypatch.context() as patch:
            patch.setattr(moving, "trash_assets", cut_off)
            with pytest.raises(Refused):
                await move_assets(home, shop, list(home.index.assets()))
    async with _both(someone) as (home, shop):
        assert (_ids(home), _ids(shop)) == (set(), set())
        places = [] if everything else [place for place, _ in home.index.trash()]
        moved = await move_assets(home, shop, places)
        assert (_ids(home), _ids(shop)) == ({one}, set())
        assert (moved.moved, moved.in_both) == ([], [] if everything else [deleted])
        assert moved.failed[one].code is Code.IN_TRASH
        # That was looked for: deleted now, it stays so.
        await trash_assets(home, [one])
        await move_assets(home, shop, [])
        assert _ids(home) == set()


async def test_who_may_not_trash_in_the_source(server: ServerProcess, tmp_path: Path) -> None:
    """It is said before anything is done: nothing is mirrored that could not be moved."""
    owner = await _someone(server, tmp_path / "fritz")
    async with owner.space("Home") as space:
        rights = [Right.ADD, Right.PROPOSE_DELETION]
        uri = (await invite_member(space, "Gina", Role.EDITOR, rights=rights)).uri
    gina = await new_someone(server, tmp_path / "gina", "gina-move")
    async with gina.session() as session:
        await join_space(session, uri)
    async with owner.space("Home") as space:
        assert [each.refused for each in await admit_joined(space)] == [None]
    await new_space(gina, "Shop", "work")
    with pytest.raises(Refused) as refused:
        await _move(gina)
    assert refused.value.code is Code.RIGHT_MISSING
    async with _both(gina) as (home, shop):
        assert (len(_ids(home)), _ids(shop)) == (2, set())
