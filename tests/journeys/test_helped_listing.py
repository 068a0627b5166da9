"""A listing with helper processes, against a real server: the same rows, and no keys of a vault in any of them."""

from pathlib import Path

import pytest

from safelight.clients.engine import listing, space_view
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.helper_work import ListedAsset
from safelight.clients.engine.listing import listed_assets
from safelight.clients.engine.space_view import SpaceView
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _listed(space: SpaceView) -> list[ListedAsset]:
    return [listed async for listed in listed_assets(AssetReader(space))]


async def _filled(space: SpaceView, folder: Path, count: int) -> None:
    for number in range(count):
        file = folder / f"IMG_{number}.JPG"
        file.write_bytes(f"picture {number}".encode())
        await add_file(space, file)
    await space.sync()


async def test_a_space_is_listed_alike(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space that counts as large is read and listed with helpers, with the same rows; they end with it."""
    anna = await new_someone(server, tmp_path / "anna", "helped-anna")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        await _filled(space, tmp_path, 4)
        alone = await _listed(space)
        assert space._helpers is None
    monkeypatch.setattr(listing, "MANY", 2)
    monkeypatch.setattr(space_view, "MANY", 2)
    monkeypatch.setattr(space_view, "useful_count", lambda: 2)
    async with anna.space("Home") as space:
        assert await _listed(space) == alone
        helpers = space.helpers()
        assert helpers.count == 2
        processes = [helper.process for helper in helpers._helpers]
        helpers._helpers[0].process.kill()
        assert await _listed(space) == alone
        assert helpers.count == 0
    assert [listed.name for listed in alone] == [f"IMG_{number}.JPG" for number in range(4)]
    assert all(process.returncode is not None for process in processes)


async def test_a_vault_is_opened_here(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a vault is, its keys are sent to no other process."""
    anna = await new_someone(server, tmp_path / "anna", "helped-vault")
    anna.passphrase = "a passphrase for the vault"
    await new_space(anna, "Safe", "vault")
    monkeypatch.setattr(listing, "MANY", 1)
    monkeypatch.setattr(space_view, "useful_count", lambda: 2)
    async with anna.space("Safe") as space:
        await _filled(space, tmp_path, 2)
        assert [listed.name for listed in await _listed(space)] == ["IMG_0.JPG", "IMG_1.JPG"]
        assert space._helpers is None
