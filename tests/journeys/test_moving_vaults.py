"""Moving into a vault and out of it: what is a vault's is neither on the disk nor in the log, and nothing is lost."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.moving import move_assets
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.trash import restore_assets, trash_assets
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess

_NAME = "canary-name-of-a-picture.jpg"
_CONTENT = b"canary of its bytes" * 300


@asynccontextmanager
async def _opened(someone: Someone) -> AsyncIterator[tuple[SpaceView, SpaceView]]:
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Private") as vault:
            await home.sync()
            await vault.sync()
            yield home, vault


async def _with_vault(server: ServerProcess, path: Path) -> Someone:
    someone = await new_someone(server, path, f"{path.name}-vault")
    someone.passphrase = "nine quiet owls"
    await new_space(someone, "Home")
    await new_space(someone, "Private", "vault")
    return someone


def _envelopes(space: SpaceView) -> list[bytes]:
    numbers = range(1, space.reader.log.number + 1)
    return [space.index.envelope_at(number) or b"" for number in numbers]


def _hunt(folder: Path, *wanted: bytes) -> list[Path]:
    """The files below *folder* that hold one of *wanted*, as it is or as letters."""
    shapes = [shape for one in wanted for shape in (one, one.hex().encode(), base64.b64encode(one))]
    return [file for file in folder.rglob("*") if file.is_file() and any(s in file.read_bytes() for s in shapes)]


@pytest.mark.parametrize("out", [False, True])
async def test_nothing_of_a_vault_is_left_lying_about(server: ServerProcess, tmp_path: Path, out: bool) -> None:
    """Neither its log, its blobs, nor a name: in the profile, in the server's log, or in its data."""
    someone = await _with_vault(server, tmp_path / f"mover-{out}")
    photo = tmp_path / f"{out}" / _NAME
    photo.parent.mkdir()
    photo.write_bytes(_CONTENT)
    async with _opened(someone) as (home, vault):
        source, target = (vault, home) if out else (home, vault)
        await add_file(source, photo, preview=b"canary of its preview")
        await source.sync()
        moved = await move_assets(source, target, list(source.index.assets()))
        [asset_id] = moved.moved
        # In the trash of the one and out of it again, while it is in the other.
        await restore_assets(source, [asset_id])
        await trash_assets(source, [asset_id])
        kept = _envelopes(vault)[1:]
        opened = [found async for found in AssetReader(target).each() if isinstance(found, OpenedAsset)]
        assert [asset.full.name for asset in opened if asset.full] == [_NAME]
    plain = (_NAME.encode(), _CONTENT[:40], b"canary of its preview")
    assert _hunt(someone.path, *kept, *plain) == []
    vault_folder = someone.path / "spaces" / vault.space_id.hex()
    assert [file.name for file in vault_folder.iterdir()] == ["memory.json"]
    assert _hunt(server.data, *plain) == []
    log = server.data.with_name(f"{server.data.name}.log").read_bytes()
    assert not any(one in log for one in (*plain, asset_id.hex().encode()))
