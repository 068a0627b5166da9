"""On a full disk nothing is promised that is not kept, reading goes on, and room makes everything work again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import mutants
from tests.faults.full_disk import FullDisk, Outcome
from tests.faults.machine import leftovers, needs_mounts

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Every mount is gone at the end, however that comes."""
    needs_mounts()
    yield
    assert leftovers(tmp_path) == []


def held(outcome: Outcome, rounds: int) -> None:
    """Nothing was wrong, and the disk was full as often as it should be."""
    assert outcome.wrong == []
    assert outcome.rounds == rounds
    assert outcome.refused >= 5 * rounds
    assert outcome.stored > rounds


async def test_a_disk_that_is_full_a_few_times(tmp_path: Path) -> None:
    """Eight rounds."""
    held(await FullDisk(tmp_path, seed=1).run(8), 8)


@pytest.mark.battery
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(200, 210))
async def test_a_disk_that_is_full_often(tmp_path: Path, seed: int) -> None:
    """Forty rounds of each of ten."""
    held(await FullDisk(tmp_path, seed=seed).run(40), 40)


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (mutants.HASTY, "404"),
        (mutants.FULL_IS_BROKEN, "was told of a full disk"),
        (mutants.ROW_AT_ONCE, "row without its blob"),
    ],
    ids=["hasty", "for ever", "row at once"],
)
async def test_a_server_that_does_not_wait_for_the_disk_is_found(tmp_path: Path, mutant: str, sentence: str) -> None:
    """The harness can fail: bytes promised before they fit are missed, and a full disk is no broken one."""
    outcome = await FullDisk(tmp_path, seed=2, mutant=mutant).run(3)
    assert any(sentence in wrong for wrong in outcome.wrong), outcome
