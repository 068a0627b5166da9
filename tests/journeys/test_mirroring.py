"""Mirroring, by the engine against a real server: keys are wrapped anew, no byte goes again, nobody gets more."""

import os
from pathlib import Path

import pytest

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.mirroring import Mirrored, mirror_assets
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.sync_protocol.messages.blobs import BlobsHeld, HoldBlobs
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _someone(server: ServerProcess, path: Path, count: int = 2) -> Someone:
    """An account with the spaces "Home", which holds pictures, and "Shop", which is empty."""
    someone = await new_someone(server, path, f"{path.name}-mirror")
    await new_space(someone, "Home")
    await new_space(someone, "Shop", "work")
    async with someone.space("Home") as space:
        for number in range(count):
            photo = path.with_name(f"{path.name}-{number}.jpg")
            photo.write_bytes(f"picture {number}".encode() + os.urandom(5000))
            await add_file(space, photo, preview=f"small {number}".encode())
    return someone


async def _mirror(someone: Someone, source: str = "Home", target: str = "Shop") -> Mirrored:
    async with someone.session() as session:
        with await find_space(session, source) as first, await find_space(session, target) as second:
            await first.sync()
            await second.sync()
            return await mirror_assets(first, second, list(first.index.assets()))


async def _all(someone: Someone, space: str) -> list[tuple[bytes, str, bytes, bytes]]:
    """Of each asset its id, file name, original and preview."""
    async with someone.space(space) as view:
        reader = AssetReader(view)
        opened = [asset async for asset in reader.each() if isinstance(asset, OpenedAsset)]
        return [
            (
                asset.asset_id,
                asset.full.name if asset.full else "",
                await reader.fetch_bytes(asset, RenditionName.ORIGINAL) if asset.full else b"",
                await reader.fetch_bytes(asset, RenditionName.PREVIEW),
            )
            for asset in opened
        ]


async def _first(space: SpaceView) -> OpenedAsset:
    assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
    return min(assets, key=lambda asset: asset.asset_id)


async def test_keys_move_and_bytes_stay(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is there as it was, nothing was uploaded, a second run finds it, and the first space keeps its own."""
    someone = await _someone(server, tmp_path / "anna")
    blobs = {path.name for path in (server.data / "blobs").rglob("*") if path.is_file()}
    asked: list[str] = []
    request = Connection.request

    async def noting(self: Connection, method: str, path: str, *rest: object, **options: object) -> object:
        asked.append(f"{method} {path}")
        return await request(self, method, path, *rest, **options)  # type: ignore[arg-type]  # as it comes

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "request", noting)
        result = await _mirror(someone)
    assert (result.mirrored, result.known, result.failed) == (2, 0, {})
    assert not any("/v1/blobs" in line for line in asked)
    assert {path.name for path in (server.data / "blobs").rglob("*") if path.is_file()} == blobs
    assert sorted(await _all(someone, "Shop")) == sorted(await _all(someone, "Home"))
    again = await _mirror(someone)
    assert (again.mirrored, again.known) == (0, 2)
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Shop") as shop:
            await home.sync()
            await shop.sync()
            one, other = await _first(home), await _first(shop)
            assert one.body.fingerprint != other.body.fingerprint
            assert one.body.wrap_full != other.body.wrap_full


async def test_many_go_in_groups(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library goes a group at a time, and one that does not open is told of and stops nothing."""
    monkeypatch.setattr("safelight.clients.engine.mirroring._ASSETS_AT_ONCE", 2)
    someone = await _someone(server, tmp_path / "bert", count=5)
    opening = AssetReader.open
    async with someone.space("Home") as space:
        [broken, *_] = [place.asset_id for place in space.index.assets()]

    async def failing(self: AssetReader, place: object) -> OpenedAsset:
        if getattr(place, "asset_id", b"") == broken:
            raise Refused(Code.OPEN_FAILED)
        return await opening(self, place)  # type: ignore[arg-type]  # a place

    with monkeypatch.context() as patch:
        patch.setattr(AssetReader, "open", failing)
        result = await _mirror(someone)
    assert result.mirrored == 4
    assert list(result.failed) == [broken]
    assert (await _mirror(someone)).mirrored == 1
    assert len(await _all(someone, "Shop")) == 5


async def test_who_sees_previews_mirrors_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """*Claiming a stranger's blob by its name*: neither with the client nor by asking the server for it."""
    owner = await _someone(server, tmp_path / "carl")
    guest = await _someone(server, tmp_path / "dora", count=0)
    async with owner.space("Home") as space:
        uri = (await invite_member(space, "Dora", Role.PREVIEWER)).uri
        refs = {
            ref.name: ref.blob
            async for asset in AssetReader(space).each()
            if isinstance(asset, OpenedAsset)
            for ref in asset.body.renditions
        }
        home_id = space.space_id
    async with guest.session() as session:
        await join_space(session, uri)
    async with owner.space("Home") as space:
        await admit_joined(space)
    async with guest.session() as session:
        with await find_space(session, home_id.hex()) as source, await find_space(session, "Shop") as target:
            await source.sync()
            await target.sync()
            with pytest.raises(Refused) as refused:
                await mirror_assets(source, target, list(source.index.assets()))
            assert refused.value.code is Code.FORBIDDEN
            path = f"/v1/spaces/{target.space_id.hex()}/blobs"
            for names, fits in (
                ([refs[RenditionName.ORIGINAL]], False),
                ([refs[RenditionName.PREVIEW], refs[RenditionName.ORIGINAL]], False),
                ([os.urandom(32)], False),
                ([refs[RenditionName.PREVIEW]], True),
            ):
                asking = session.connection.request("POST", path, HoldBlobs(home_id.hex(), names), BlobsHeld)
                if fits:
                    assert (await asking).held == 1
                    continue
                with pytest.raises(Refused) as refused:
                    await asking
                assert refused.value.code is Code.NOT_FOUND


async def test_into_a_vault(server: ServerProcess, tmp_path: Path) -> None:
    """What is mirrored into a vault opens there with its passphrase, and stays in the space where it was."""
    someone = await _someone(server, tmp_path / "emil", count=1)
    someone.passphrase = "nine quiet owls"
    await new_space(someone, "Private", "vault")
    assert (await _mirror(someone, target="Private")).mirrored == 1
    assert await _all(someone, "Private") == await _all(someone, "Home")
