"""Over a network that cuts, stalls, truncates, repeats and reorders: nothing is lost, nothing is there twice."""

import random
import secrets
import sys
from pathlib import Path

import pytest

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.export import export_space
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Refused
from tests.faults.bad_network import BadNetwork, bad_network
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import server_process

SHORT, LONG = 8, 100
_ATTEMPTS = 6


async def _photographs(
    folder: Path, count: int, seed: int, *, attempts: int = _ATTEMPTS, gives_up: bool = False
) -> BadNetwork:
    """Add so many files over the bad network, giving up none, and export over a good one."""
    contents = [secrets.token_bytes(random.Random(seed + number).randrange(1, 400_000)) for number in range(count)]
    with server_process(folder / "data") as server:
        async with bad_network(server.url, seed) as network:
            network.bad = False
            anna = await new_someone(server, folder / "anna", "anna", url=network.url)
            await new_space(anna, "Home")
            network.bad = True
            async with anna.space("Home") as space:
                space.session.connection.retries = Retries(attempts, first_pause_s=0.01, max_pause_s=0.05)
                for number, content in enumerate(contents):
                    file = folder / f"{number}.jpg"
                    file.write_bytes(content)
                    before = network.connections
                    while not await _added(space, file, gives_up=gives_up):
                        assert network.connections - before < 40 * _ATTEMPTS
                network.bad = False
                await space.sync()
                assert space.problems == []
                found = [asset async for asset in AssetReader(space).each()]
                names = [asset.full.name for asset in found if isinstance(asset, OpenedAsset) and asset.full]
                assert sorted(names) == sorted(f"{number}.jpg" for number in range(count))
                await export_space(space, folder / "out")
        for number, content in enumerate(contents):
            assert (folder / "out" / f"{number}.jpg").read_bytes() == content
    return network


async def _added(space: SpaceView, file: Path, *, gives_up: bool) -> bool:
    """Try once, as a person's next run would: what became of the last entry is asked for before anything else."""
    try:
        settled = await space.committer.settle()
        if settled is not None and settled.header.kind == RecordKind.ADD_ASSETS:
            return True
        await add_file(space, file)
    except Refused:
        return gives_up
    return True


async def test_a_bad_network(tmp_path: Path) -> None:
    """Every photograph is there once, byte for byte, in a number of attempts that has an end."""
    network = await _photographs(tmp_path, SHORT, 1)
    assert sum(network.done.values()) >= SHORT // 2


@pytest.mark.battery
async def test_a_bad_network_for_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, for far longer."""
    seed = random.SystemRandom().randrange(2**31)
    network = await _photographs(tmp_path, LONG, seed)
    assert sum(network.done.values()) > LONG
    assert len(network.done) == 5
    with capsys.disabled():
        told = f"{network.connections} connections, {dict(network.done)}"
        sys.stdout.write(f"\n{LONG} photographs, seed {seed}: {told}\n")


@pytest.mark.battery
async def test_a_bad_network_and_one_attempt(tmp_path: Path) -> None:
    """Where every request is tried once, a person tries again, and nothing is there twice."""
    await _photographs(tmp_path, 25, 1, attempts=1)


async def test_a_client_that_gives_up_is_caught(tmp_path: Path) -> None:
    """A client that takes an interruption for the end of it has lost a photograph."""
    with pytest.raises(AssertionError):
        await _photographs(tmp_path, SHORT, 1, attempts=1, gives_up=True)
