"""Whatever moment the server is killed at, what it acknowledged is there, whole and once."""

from pathlib import Path

import pytest

from tests.faults.storm import HASTY, Storm

pytestmark = pytest.mark.timeout(600)  # half a minute each on a quiet machine


def test_a_short_storm(tmp_path: Path) -> None:
    """Eight kills with bytes on their way."""
    report = Storm(tmp_path, seed=1).run(8)
    assert report.violations == []
    assert report.in_flight >= 0.8 * report.kills
    assert report.in_flight >= 8
    assert report.acknowledged


@pytest.mark.battery
@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15])
def test_a_storm(tmp_path: Path, seed: int) -> None:
    """Fifty kills in all, each round with another rhythm."""
    report = Storm(tmp_path, seed=seed).run(10)
    assert report.violations == []
    assert report.in_flight >= 0.8 * report.kills
    assert report.acknowledged


def test_the_storm_finds_a_server_that_promises_too_early(tmp_path: Path) -> None:
    """The harness can fail: blobs that are stored a moment after they were promised are missed."""
    report = Storm(tmp_path, seed=2, mutant=HASTY).run(3)
    assert any("does not come back" in violation for violation in report.violations), report
