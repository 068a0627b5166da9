"""Members who add to an album that was granted to them: while its keys are due, and after an add that was cut off."""

import os
from pathlib import Path

import pytest

from safelight.clients.camera import push as push_module
from safelight.clients.camera.members_add import adder_without_reading
from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.camera.push import pushing
from safelight.clients.engine.adding import AssetAdder
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.granted import find_granted
from safelight.clients.engine.members import set_role
from safelight.clients.engine.sharing import give_grant
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from tests.journeys.test_grants import Studio, refused_with
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.pushing import Silent


async def _let_add(studio: Studio, *albums: str) -> None:
    async with studio.anna.space("Studio") as space:
        for album in albums:
            await give_grant(space, await find_album(space, album), studio.fred_id, Tier.FULL, can_add=True)


async def _add(studio: Studio, folder: Path, album: str) -> Tally:
    """What `asset add FOLDER --album ALBUM` does."""
    async with studio.fred.session() as session:
        view, _, granted = await find_granted(session, album)
        who = adder_without_reading(view, granted.album_id)
        async with pushing(who, session.folder.space_folder(who.space_id) / who.spool, None, Silent()) as pusher:
            return await pusher.push(folder)


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(os.urandom(30_000))
    return folder


async def test_a_contributor_waits_for_the_albums_keys(studio: Studio, tmp_path: Path) -> None:
    """*A picture that counts as sent, and is in no album for ever*: who names an album adds to it, or waits."""
    async with studio.anna.space("Studio") as space:
        await set_role(space, studio.fred_id, Role.CONTRIBUTOR)
    await _let_add(studio, "Wedding")
    async with studio.anna.space("Studio") as space:
        await space.rotate_epoch()
    folder = _folder(tmp_path)
    with refused_with(Code.ALBUM_WAITS):
        await _add(studio, folder, "Wedding")
    await _let_add(studio, "Private")  # by a laptop that runs, and begins
    await studio.add("annas.jpg")  # the album's keys
    assert (await _add(studio, folder, "Wedding")).counts[Outcome.UPLOADED] == 1
    assert (folder / "one.jpg").read_bytes() in await studio.seen(RenditionName.ORIGINAL)


async def test_another_album_after_one_that_was_cut_off(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A large file in the spool for one album counts as sent to another*: each album gets its own."""
    await _let_add(studio, "Wedding", "Private")
    monkeypatch.setattr(push_module, "MAX_IN_MEMORY_SIZE_BYTES", 1)
    folder = _folder(tmp_path)

    async def unreachable(*_: object) -> None:
        raise Refused(Code.SERVER_UNREACHABLE)

    with monkeypatch.context() as cut:
        cut.setattr(AssetAdder, "add", unreachable)
        with refused_with(Code.SERVER_UNREACHABLE):
            await _add(studio, folder, "Wedding")
    for album in ("Private", "Wedding"):
        assert (await _add(studio, folder, album)).counts[Outcome.UPLOADED] == 1
        assert await studio.seen(RenditionName.ORIGINAL, album) == [(folder / "one.jpg").read_bytes()]
