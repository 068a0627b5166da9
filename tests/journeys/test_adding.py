"""Adding by the engine against a real server: assets that wait together share a commit, and fail apart."""

import asyncio
import secrets
from pathlib import Path

import pytest

from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.files import seal_bytes
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.rolls import NewAsset
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import AssetBody, FullPart, RenditionName, ViewPart
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.people import new_someone, new_space, send
from tests.support.server_process import ServerProcess


async def _sealed(space: SpaceView, asset: NewAsset, *, upload: bool = True) -> AssetBody:
    sealed = seal_bytes(asset, RenditionName.ORIGINAL, secrets.token_bytes(100))
    if upload:
        await send(space, sealed)
    full = FullPart("x.jpg", sealed.sha256, sealed.length_bytes, "image/jpeg", 0)
    return asset.finish([sealed.ref], ViewPart(kind="photo"), full)


def _keeper(space: SpaceView) -> RollKeeper:
    return RollKeeper(space.committer, space.session.device.device_id, sealing_to(lambda: space.state))


async def test_assets_that_wait_together_share_a_commit(server: ServerProcess, tmp_path: Path) -> None:
    """Fifty assets at once take a few entries; each gets the receipt of the entry that carries it."""
    anna = await new_someone(server, tmp_path / "anna", "many")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        keeper, adder = _keeper(space), AssetAdder(space.committer)
        roll = await keeper.roll()
        bodies = [await _sealed(space, roll.new_asset()) for _ in range(50)]
        receipts = await asyncio.gather(*(adder.add(roll.ref, body) for body in bodies))
        assert len({receipt.number for receipt in receipts}) <= 3
        await space.sync()
        assert {place.asset_id for place in space.index.assets()} == {body.asset_id for body in bodies}
        assert {place.number for place in space.index.assets()} == {receipt.number for receipt in receipts}


async def test_one_refused_asset_takes_no_other_with_it(server: ServerProcess, tmp_path: Path) -> None:
    """An asset whose blob is missing, and one that is there already, are refused each for itself."""
    anna = await new_someone(server, tmp_path / "anna", "apart")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        keeper, adder = _keeper(space), AssetAdder(space.committer)
        roll = await keeper.roll()
        good = [await _sealed(space, roll.new_asset()) for _ in range(3)]
        missing = await _sealed(space, roll.new_asset(), upload=False)
        await adder.add(roll.ref, good[0])
        results = await asyncio.gather(
            *(adder.add(roll.ref, body) for body in (good[1], missing, good[0], good[2])), return_exceptions=True
        )
        codes = [result.code if isinstance(result, Refused) else None for result in results]
        assert codes == [None, Code.BLOB_MISSING, Code.ASSET_CONFLICT, None]
        await space.sync()
        assert len(list(space.index.assets())) == 3


async def test_a_roll_of_an_old_epoch_is_refused_and_replaced(server: ServerProcess, tmp_path: Path) -> None:
    """After a new epoch an asset is sealed anew under a new roll."""
    anna = await new_someone(server, tmp_path / "anna", "epochs")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        keeper, adder = _keeper(space), AssetAdder(space.committer)
        roll = await keeper.roll()
        body = await _sealed(space, roll.new_asset())
        await space.rotate_epoch()
        with pytest.raises(Refused) as refused:
            await adder.add(roll.ref, body)
        assert refused.value.code is Code.EPOCH_OLD
        newer = await keeper.roll()
        assert newer.roll_id != roll.roll_id
        await adder.add(newer.ref, await _sealed(space, newer.new_asset()))
        keeper.close()
        assert await keeper.roll() is not newer


async def test_a_lost_index_is_built_again(server: ServerProcess, tmp_path: Path) -> None:
    """The local index is a copy: deleted, damaged or of another version, it comes back from the log."""
    anna = await new_someone(server, tmp_path / "anna", "index")
    space_id = await new_space(anna, "Home")
    async with anna.space("Home") as space:
        roll = await _keeper(space).roll()
        await AssetAdder(space.committer).add(roll.ref, await _sealed(space, roll.new_asset()))
    path = anna.path / "spaces" / space_id.hex() / "index.sqlite"
    for damage in (None, b"not a database at all"):
        path.unlink()
        if damage:
            path.write_bytes(damage)
        async with anna.space("Home") as space:
            assert len(list(space.index.assets())) == 1
            assert space.problems == []


async def test_the_bell_rings_for_a_commit(server: ServerProcess, tmp_path: Path) -> None:
    """Whoever listens hears that the log went on."""
    anna = await new_someone(server, tmp_path / "anna", "bell")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        rings = space.session.connection.open_bell(space.space_id)
        assert (await anext(rings)).number == 0
        await space.rotate_epoch()
        async with asyncio.timeout(10):
            while (await anext(rings)).number < space.reader.log.number:
                pass
        await rings.aclose()
