"""What changes while a camera pushes: files, the space's epoch, the roll, the network."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from safelight.clients.camera import push as push_module
from safelight.clients.camera import sealing
from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import Pusher, open_pusher
from safelight.clients.camera.scan import Found, scan
from safelight.clients.engine import rolls
from safelight.clients.engine.adding import AssetAdder
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.cameras import add_camera
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.rolls import NewAsset
from safelight.clients.engine.sharing import standing_keys
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.forgetful_camera import Silent
from tests.support.people import Someone, new_someone, new_space
from tests.support.server_process import ServerProcess


@pytest_asyncio.fixture
async def owner(server: ServerProcess, tmp_path: Path) -> Someone:
    """Someone with a space and a camera in `tmp_path/phone`."""
    someone = await new_someone(server, tmp_path / "owner", tmp_path.name[:60])
    await new_space(someone, "Family")
    async with someone.space("Family") as space:
        code = await pair_camera(space, "Phone")
    with ProfileFolder(tmp_path / "phone") as held:
        await add_camera(held, code.uri)
    return someone


@pytest_asyncio.fixture
async def pusher(owner: Someone, tmp_path: Path) -> AsyncIterator[Pusher]:
    """The camera, open."""
    with ProfileFolder(tmp_path / "phone") as held:
        async with open_pusher(held, None, Silent()) as opened:
            yield opened


async def _stored(owner: Someone) -> dict[str, bytes]:
    """Name and SHA-256 of every asset, as its owner reads it."""
    async with owner.space("Family") as space:
        found = [one async for one in AssetReader(space).each()]
    assert all(isinstance(one, OpenedAsset) for one in found)
    return {one.full.name: one.full.sha256 for one in found if isinstance(one, OpenedAsset) and one.full}


def _roll(folder: Path, count: int, size_bytes: int = 5000) -> list[Found]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.jpg").write_bytes(number.to_bytes(2, "big") * (size_bytes // 2))
    return [item for item in scan(folder) if isinstance(item, Found)]


async def test_a_file_that_changes_while_it_is_read_is_read_again(
    owner: Someone, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes up in the end is one whole version of the file, and only that one."""
    (found,) = _roll(tmp_path / "roll", 1)
    real, reads = sealing.expose, []

    def change_meanwhile(item: Found, asset: NewAsset, spool: Path | None) -> sealing.Negative:
        reads.append(item.stamp)
        if len(reads) < 3:
            found.path.write_bytes(b"version %d" % len(reads) * 400)
        return real(item, asset, spool)

    monkeypatch.setattr(sealing, "expose", change_meanwhile)
    monkeypatch.setattr(push_module, "_PAUSE_S", 0.01)
    tally = await pusher.push(tmp_path / "roll")
    assert tally.counts[Outcome.UPLOADED] == 1
    assert len(reads) == 3
    assert await _stored(owner) == {"000.jpg": hashlib.sha256(found.path.read_bytes()).digest()}


async def test_a_file_that_never_stands_still_fails_alone(
    owner: Someone, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some tries a file that always changes is given up, with the reason, and the others are up."""
    found = _roll(tmp_path / "roll", 3)[1]
    real = sealing.expose

    def always_change(item: Found, asset: NewAsset, spool: Path | None) -> sealing.Negative:
        if item.path == found.path:
            with item.path.open("ab") as file:
                file.write(b"more")
        return real(item, asset, spool)

    monkeypatch.setattr(sealing, "expose", always_change)
    monkeypatch.setattr(push_module, "_PAUSE_S", 0.01)
    tally = await pusher.push(tmp_path / "roll")
    assert tally.counts[Outcome.UPLOADED] == 2
    ((name, outcome, reason),) = tally.reasons
    assert (name, outcome) == ("001.jpg", Outcome.FAILED)
    assert "changed" in reason
    assert set(await _stored(owner)) == {"000.jpg", "002.jpg"}


async def test_a_new_epoch_in_the_middle(owner: Someone, pusher: Pusher, tmp_path: Path) -> None:
    """What was sealed to the old epoch is sealed anew from its file, under a new roll; all of it opens."""
    first, second, third = _roll(tmp_path / "roll", 3)
    assert await pusher.push_file(first) == (Outcome.UPLOADED, "")
    async with owner.space("Family") as space:
        await space.rotate_epoch()
    assert await pusher.push_file(second) == (Outcome.UPLOADED, "")
    assert await pusher.push_file(third) == (Outcome.UPLOADED, "")
    assert set(await _stored(owner)) == {"000.jpg", "001.jpg", "002.jpg"}


async def test_a_full_roll_is_followed_by_another(
    owner: Someone, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files than a roll may hold go up under several rolls, none refused, none lost."""
    monkeypatch.setattr(rolls, "MAX_ASSETS_PER_ROLL", 7)
    _roll(tmp_path / "roll", 40)
    tally = await pusher.push(tmp_path / "roll")
    assert tally.counts[Outcome.UPLOADED] == 40
    assert len(await _stored(owner)) == 40


async def test_many_copies_and_little_memory(owner: Someone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies that wait for one another never hold the memory that the first of them needs."""
    monkeypatch.setattr(push_module, "MEMORY_SIZE_BYTES", 30_000)
    folder = tmp_path / "roll"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:03}.jpg").write_bytes((number % 3).to_bytes(1, "big") * 20_000)
    with ProfileFolder(tmp_path / "phone") as held:
        async with asyncio.timeout(60), open_pusher(held, None, Silent()) as pusher:
            tally = await pusher.push(folder)
    assert (tally.counts[Outcome.UPLOADED], tally.counts[Outcome.KNOWN]) == (3, 57)


async def test_a_roll_closed_at_rest_is_opened_anew(owner: Someone, pusher: Pusher, tmp_path: Path) -> None:
    """A watching camera that closed its roll goes on with the next file under a new one."""
    first, second = _roll(tmp_path / "roll", 2)
    assert (await pusher.push_file(first))[0] is Outcome.UPLOADED
    pusher.close()
    assert (await pusher.push_file(second))[0] is Outcome.UPLOADED
    assert len(await _stored(owner)) == 2


async def _point(owner: Someone, album: str) -> None:
    """Point the camera at an album, shared for it if it is not yet; away, if none is named."""
    async with owner.space("Family") as space:
        (camera_id,) = space.state.cameras
        found = await find_album(space, album) if album else None
        if found:
            await standing_keys(space, found)
        await space.commit(LedgerKind.POINT_CAMERA, PointCameraBody(camera_id, found.album_id if found else b""))


async def _in_album(owner: Someone, album: str) -> int:
    async with owner.space("Family") as space:
        return (await find_album(space, album)).asset_count


async def test_pointed_away_in_the_middle(owner: Someone, pusher: Pusher, tmp_path: Path) -> None:
    """What was sealed to the album's keys as well is sealed anew, to the space alone: nothing is left behind."""
    async with owner.space("Family") as space:
        await create_album(space, "Wedding")
    await _point(owner, "Wedding")
    first, second = _roll(tmp_path / "roll", 2)
    (tmp_path / "empty").mkdir()
    await pusher.push(tmp_path / "empty")
    assert await pusher.push_file(first) == (Outcome.UPLOADED, "")
    await _point(owner, "")
    assert await pusher.push_file(second) == (Outcome.UPLOADED, "")
    assert set(await _stored(owner)) == {"000.jpg", "001.jpg"}
    assert await _in_album(owner, "Wedding") == 1


async def test_pointed_away_while_the_spool_waits(
    owner: Someone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A camera that no push helps any more*: the spool holds a file for an album that it may not add to by now."""
    async with owner.space("Family") as space:
        await create_album(space, "Wedding")
    await _point(owner, "Wedding")
    _roll(tmp_path / "roll", 2)
    monkeypatch.setattr(push_module, "MAX_IN_MEMORY_SIZE_BYTES", 1)

    async def unreachable(*_: object) -> None:
        raise Refused(Code.SERVER_UNREACHABLE)

    with ProfileFolder(tmp_path / "phone") as held:
        with monkeypatch.context() as cut:
            cut.setattr(AssetAdder, "add", unreachable)
            async with open_pusher(held, None, Silent()) as pusher:
                with pytest.raises(Refused):
                    await pusher.push(tmp_path / "roll")
        assert list((tmp_path / "phone").rglob("spool/*/entry"))
        await _point(owner, "")
        async with open_pusher(held, None, Silent()) as pusher:
            tally = await pusher.push(tmp_path / "roll")
    assert tally.counts[Outcome.UPLOADED] == 2
    assert len(await _stored(owner)) == 2
    assert await _in_album(owner, "Wedding") == 0
    assert not list((tmp_path / "phone").rglob("spool/*/entry"))


async def test_what_an_album_took_is_known_when_its_keys_are_others(owner: Someone, tmp_path: Path) -> None:
    """*Every picture uploaded again*: a record counts as long as its signer stands, whatever became of the album."""
    async with owner.space("Family") as space:
        await create_album(space, "Wedding")
    await _point(owner, "Wedding")
    _roll(tmp_path / "roll", 3)
    with ProfileFolder(tmp_path / "phone") as held:
        async with open_pusher(held, None, Silent()) as pusher:
            assert (await pusher.push(tmp_path / "roll")).counts[Outcome.UPLOADED] == 3
    assert await _in_album(owner, "Wedding") == 3
    await _point(owner, "")
    async with owner.space("Family") as space:
        await space.rotate_epoch()
    with ProfileFolder(tmp_path / "phone") as held:
        async with open_pusher(held, None, Silent()) as again:
            assert (await again.push(tmp_path / "roll")).counts[Outcome.KNOWN] == 3
