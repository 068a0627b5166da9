"""Files that are written where others may have been before: links, pipes and folders in the way stay as they are."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.export import export_space
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


@pytest_asyncio.fixture
async def space(server: ServerProcess, tmp_path: Path) -> AsyncIterator[SpaceView]:
    """A space with one photograph."""
    (tmp_path / "p.jpg").write_bytes(b"picture")
    anna = await new_someone(server, tmp_path / "anna", f"w{tmp_path.name[-40:]}".replace("[", ".").replace("]", "."))
    await new_space(anna, "Home")
    async with anna.space("Home") as opened:
        await add_file(opened, tmp_path / "p.jpg")
        await opened.sync()
        yield opened


def _left_over(folder: Path) -> list[Path]:
    return list(folder.glob(".safelight*"))


async def _only(space: SpaceView) -> tuple[AssetReader, OpenedAsset]:
    reader = AssetReader(space)
    (asset,) = [found async for found in reader.each()]
    assert isinstance(asset, OpenedAsset)
    return reader, asset


async def test_a_link_laid_for_the_temporary_file(
    space: SpaceView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who guesses the temporary file's name and lays a link there gets nothing overwritten, and no photograph."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "00" * size)
    reader, asset = await _only(space)
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / f".safelight-{'00' * 16}.part").symlink_to(precious)
    with pytest.raises(Refused) as refused:
        await reader.fetch_file(asset, RenditionName.ORIGINAL, out / "p.jpg")
    assert refused.value.code is Code.FILE_UNREADABLE
    assert precious.read_bytes() == b"precious"
    assert _left_over(out) == []


@pytest.mark.parametrize("what", ["pipe", "folder", "link to a pipe"])
async def test_what_is_no_file_is_not_replaced(space: SpaceView, tmp_path: Path, what: str) -> None:
    """`--out /dev/null` must not make an ordinary file of it, whoever asks."""
    reader, asset = await _only(space)
    target = tmp_path / "target"
    if what == "folder":
        target.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        target = target if what == "link to a pipe" else tmp_path / "pipe"
        if what == "link to a pipe":
            target.symlink_to(tmp_path / "pipe")
    before = target.lstat()
    with pytest.raises(Refused) as refused:
        await reader.fetch_file(asset, RenditionName.ORIGINAL, target)
    assert refused.value.code is Code.FILE_UNREADABLE
    assert target.lstat().st_ino == before.st_ino
    assert stat.S_IFMT(target.lstat().st_mode) == stat.S_IFMT(before.st_mode)
    assert _left_over(tmp_path) == []


@pytest.mark.parametrize("name", ["p.jpg", "p.jpg.json"])
@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
async def test_an_export_beside_what_is_no_file(space: SpaceView, tmp_path: Path, name: str, what: str) -> None:
    """A pipe, a folder or a link that has the name, or the sidecar's, stays; the photograph gets another name."""
    out = tmp_path / "out"
    out.mkdir()
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    if what == "pipe":
        os.mkfifo(out / name)
    elif what == "folder":
        (out / name).mkdir()
    else:
        (out / name).symlink_to(precious)
    report = await export_space(space, out)
    assert report.failed == {}
    assert (out / "p (2).jpg").read_bytes() == b"picture"
    assert precious.read_bytes() == b"precious"
    assert (out / "p (2).jpg.json").is_file()
    assert not stat.S_ISREG((out / name).lstat().st_mode)


async def test_a_pipe_in_place_of_the_list(space: SpaceView, tmp_path: Path) -> None:
    """A SHA256SUMS that is no file is not waited for."""
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / "SHA256SUMS")
    with pytest.raises(Refused) as refused:
        await export_space(space, out)
    assert refused.value.code is Code.FILE_UNREADABLE
