"""Whenever the power goes, what was promised is there: the real server's disk, as a loss may leave it.

A file is served through a recorder (FUSE), made a disk by a loop device, and holds ext4 with the data folder.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import mutants
from tests.faults.machine import leftovers, needs_mounts
from tests.faults.power import Outcome, record, try_out

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Every mount and loop device is gone at the end, however that comes."""
    needs_mounts(recorder=True)
    yield
    assert leftovers(tmp_path) == []


def held(outcome: Outcome) -> None:
    """Nothing was lost, and there was something to lose."""
    assert outcome.wrong == []
    assert outcome.with_volatile >= 0.5 * outcome.states
    assert outcome.promises >= 5 * outcome.states


async def test_a_few_power_losses(tmp_path: Path) -> None:
    """Twenty states."""
    held(await try_out(tmp_path, await record(tmp_path, seed=1, photos=4), 20, seed=1))


@pytest.mark.battery
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_many_power_losses(tmp_path: Path, seed: int) -> None:
    """Two hundred states of each of ten recordings."""
    held(await try_out(tmp_path, await record(tmp_path, seed=seed, photos=8), 200, seed=seed))


@pytest.mark.parametrize(
    "mutant",
    [mutants.NO_FILE_SYNC, mutants.NO_FOLDER_SYNC, mutants.NO_DATABASE_SYNC],
    ids=["files", "folders", "database"],
)
async def test_a_server_that_does_not_sync_is_found(tmp_path: Path, mutant: str) -> None:
    """The harness can fail: without one of the syncs, something promised is lost."""
    recording = await record(tmp_path, seed=2, photos=6, mutant=mutant)
    assert (await try_out(tmp_path, recording, 100, seed=2, until_wrong=True)).wrong
