"""Mirroring, by the engine against a real server: keys are wrapped anew, no byte goes again, nobody gets more."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.files import seal_bytes
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.mirroring import Mirrored, mirror_assets
from safelight.clients.engine.rolls import Roll, RollRef
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.sync_protocol.messages.blobs import BlobsHeld, HoldBlobs
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import AssetBody, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.people import Someone, add_file, new_someone, new_space, send
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


async def test_something_else_under_its_id(server: ServerProcess, tmp_path: Path) -> None:
    """*A fake put into the target first, so that the picture counts as mirrored*: it is told of by name."""
    someone = await _someone(server, tmp_path / "fred")
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Shop") as shop:
            await home.sync()
            await shop.sync()
            asset = await _first(home)
            keeper = RollKeeper(shop.committer, session.device.device_id, sealing_to(lambda: shop.state))
            roll = await keeper.roll()
            fake = roll.adopt_asset(asset.asset_id, os.urandom(32))
            sealed = seal_bytes(fake, RenditionName.ORIGINAL, b"something else")
            await send(shop, sealed)
            assert asset.full is not None
            await AssetAdder(shop.committer).add(roll.ref, fake.finish([sealed.ref], asset.view, asset.full))
            keeper.close()
    result = await _mirror(someone)
    assert (result.mirrored, result.known) == (1, 0)
    assert {asset_id: refusal.code for asset_id, refusal in result.failed.items()} == {
        asset.asset_id: Code.ASSET_CONFLICT
    }


async def test_two_devices_at_once(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another device mirrored in the meantime is there, and no failure; named twice it is mirrored once."""
    someone = await _someone(server, tmp_path / "gina")
    async with someone.session() as session:
        with await find_space(session, "Home") as home, await find_space(session, "Shop") as shop:
            await home.sync()
            await shop.sync()
            places = list(home.index.assets())
            result = await mirror_assets(home, shop, places[:1] * 2)
            assert (result.mirrored, result.known, result.failed) == (1, 0, {})
            found, finds = shop.index.asset, iter([None])
            with monkeypatch.context() as patch:  # as if it had not been there when this one looked
                patch.setattr(shop.index, "asset", lambda asset_id: next(finds, found(asset_id)))
                result = await mirror_assets(home, shop, places)
            assert (result.mirrored, result.known, result.failed) == (1, 1, {})


async def test_an_asset_whose_blobs_nobody_gets(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*One damaged asset to stop all the others*: it is told of, and they are mirrored."""
    someone = await _someone(server, tmp_path / "hugo", count=3)
    opening = AssetReader.open
    async with someone.space("Home") as space:
        [broken, *_] = [place.asset_id for place in space.index.assets()]

    async def damaging(self: AssetReader, place: AssetPlace) -> OpenedAsset:
        asset = await opening(self, place)
        if place.asset_id != broken:
            return asset
        [original, *others] = asset.body.renditions
        lost = structs.replace(original, blob=os.urandom(32))
        return replace(asset, body=structs.replace(asset.body, renditions=[lost, *others]))

    with monkeypatch.context() as patch:
        patch.setattr(AssetReader, "open", damaging)
        result = await _mirror(someone)
    assert result.mirrored == 2
    assert [refusal.code for refusal in result.failed.values()] == [Code.NOT_FOUND]
    assert list(result.failed) == [broken]


async def test_a_server_that_signs_another_history_ends_it(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promise that does not verify is no one asset's failure: nothing more is sent after it."""
    someone = await _someone(server, tmp_path / "ines")

    async def broken(*_: object) -> None:
        raise Refused(Code.RECEIPT_INVALID)

    with monkeypatch.context() as patch:
        patch.setattr(AssetAdder, "add", broken)
        with pytest.raises(Refused) as refused:
            await _mirror(someone)
    assert refused.value.code is Code.RECEIPT_INVALID


async def test_new_keys_meanwhile(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody begins an epoch while assets are on their way, all of them go under it, and none fails."""
    someone = await _someone(server, tmp_path / "jana", count=8)
    other = await _someone(server, tmp_path / "karl", count=0)
    async with someone.space("Shop") as shop:
        uri = (await invite_member(shop, "Karl", Role.MANAGER)).uri
        shop_id = shop.space_id
    async with other.session() as session:
        await join_space(session, uri)
    async with someone.space("Shop") as shop:
        await admit_joined(shop)
    async with other.session() as others, someone.session() as session:
        with (
            await find_space(others, shop_id.hex()) as theirs,
            await find_space(session, "Home") as home,
            await find_space(session, "Shop") as shop,
        ):
            for space in (theirs, home, shop):
                await space.sync()
            adding, rolling = AssetAdder.add, RollKeeper.roll
            rotations = [theirs.rotate_epoch] * 2

            async def rotating(self: AssetAdder, roll: RollRef, asset: AssetBody) -> Receipt:
                if len(rotations) == 1:
                    await rotations.pop()()
                return await adding(self, roll, asset)

            async def rotating_before(self: RollKeeper) -> Roll:
                if len(rotations) == 2:
                    await rotations.pop()()
                return await rolling(self)

            monkeypatch.setattr(AssetAdder, "add", rotating)
            monkeypatch.setattr(RollKeeper, "roll", rotating_before)
            result = await mirror_assets(home, shop, list(home.index.assets()))
    assert (result.mirrored, result.failed) == (8, {})


async def test_several_that_look_at_once(server: ServerProcess, tmp_path: Path) -> None:
    """Assets that all have to be sealed anew look for what is new at once, and none takes it for another history."""
    someone = await _someone(server, tmp_path / "kurt", count=0)
    async with someone.space("Shop") as shop:
        keeper = RollKeeper(shop.committer, shop.session.device.device_id, sealing_to(lambda: shop.state))
        for _ in range(5):
            await keeper.roll()
            keeper.drop()
            await asyncio.gather(*(shop.sync() for _ in range(6)))


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
