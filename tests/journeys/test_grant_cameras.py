"""Cameras that fill a shared album, where something is wrong: a clock, or where they are pointed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import open_pusher
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.pointing import catch_up, point_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.roles import Tier
from tests.journeys.test_grants import Studio, _camera
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.pushing import Silent

DAY_MS = 24 * 60 * 60 * 1000


def _picture(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    (made / f"{name}.jpg").write_bytes(os.urandom(30_000))
    return made


@pytest.mark.parametrize("days", [3, -3])
async def test_a_camera_whose_clock_is_wrong(studio: Studio, days: int) -> None:
    """*A camera that fills an album stops for a wrong clock*: it adds to the space, and a laptop shows it later."""
    camera, camera_id = await _camera(studio, "booth")
    await studio.grant(Tier.FULL)
    async with studio.anna.space("Studio") as space:
        await point_camera(space, camera_id, await find_album(space, "Wedding"))
    made = [_picture(studio.folder, name) for name in ("one", "two")]
    with ProfileFolder(camera.path) as folder:
        async with open_pusher(folder, None, Silent()) as pusher:
            pusher._who.committer._clock = pusher._rolls._clock = lambda: now_ms() + days * DAY_MS
            for pictures in made:
                assert (await pusher.push(pictures)).counts[Outcome.UPLOADED] == 1
    assert await studio.seen(RenditionName.ORIGINAL) == []
    async with studio.anna.space("Studio") as space:
        assert await catch_up(space) == 2
        assert space.problems == []
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 2


async def test_a_camera_that_is_pointed_away_while_it_adds(studio: Studio) -> None:
    """What is under way is sealed anew, for the space alone, and nothing fails."""
    camera, camera_id = await _camera(studio, "booth")
    await studio.grant(Tier.FULL)
    async with studio.anna.space("Studio") as space:
        await point_camera(space, camera_id, await find_album(space, "Wedding"))
    with ProfileFolder(camera.path) as folder:
        async with open_pusher(folder, None, Silent()) as pusher:
            assert (await pusher.push(_picture(studio.folder, "one"))).counts[Outcome.UPLOADED] == 1
            refresh = pusher._who.refresh

            async def stale() -> object:
                """The camera looks, and only then it is pointed away."""
                state = await refresh()
                pusher._who = replace(pusher._who, refresh=refresh)
                async with studio.anna.space("Studio") as space:
                    await point_camera(space, camera_id, None)
                return state

            pusher._who = replace(pusher._who, refresh=stale)
            assert (await pusher.push(_picture(studio.folder, "two"))).counts[Outcome.UPLOADED] == 1
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 1
    async with studio.anna.space("Studio") as space:
        assert len(list(space.index.assets())) == 2
