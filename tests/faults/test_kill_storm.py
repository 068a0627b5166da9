"""Whatever moment the server is killed at, what it acknowledged is there, whole and once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.mutants import EAGER, EAGER_POSTGRES, HASTY, HASTY_BUCKET
from tests.faults.storm import Report, Storm
from tests.faults.storm_stores import InFolder, InPostgresAndBucket, StormStores
from tests.support.postgres import PostgresServer
from tests.support.seaweed import Seaweed

pytestmark = pytest.mark.timeout(900)  # half a minute each on a quiet machine

Stores = Callable[[], StormStores]


@pytest.fixture
def folder() -> Stores:
    """SQLite and a folder."""
    return InFolder


@pytest.fixture
def bucket(postgres: PostgresServer, seaweed: Seaweed) -> Stores:
    """PostgreSQL and a bucket."""
    return lambda: InPostgresAndBucket(postgres, seaweed)


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Stores:
    """Of the engine that the test names, new ones at each call."""
    make: Stores = request.getfixturevalue(request.param)
    return make


def is_sound(report: Report, kills: int, in_commits: int) -> None:
    """The kills were such that they count, and nothing is wrong after them."""
    print(report)  # noqa: T201 - shown where it fails, and by -rP
    assert report.violations == []
    assert report.in_flight >= max(kills, 0.8 * report.kills)
    assert report.in_commit >= in_commits
    assert report.acknowledged


@pytest.mark.parametrize(("stores", "kills"), [("folder", 8), ("bucket", 4)], indirect=["stores"])
def test_a_short_storm(stores: Stores, kills: int, tmp_path: Path) -> None:
    """A few kills with bytes on their way, one of them in a commit."""
    is_sound(Storm(tmp_path, seed=1, stores=stores()).run(kills), kills, 1)


# A thousand kills: 14 storms of 50 on SQLite and a folder, 6 on PostgreSQL and a bucket.
@pytest.mark.battery
@pytest.mark.parametrize(
    ("stores", "seed"),
    [("folder", seed) for seed in range(101, 115)] + [("bucket", seed) for seed in range(201, 207)],
    indirect=["stores"],
)
def test_a_storm(stores: Stores, seed: int, tmp_path: Path) -> None:
    """Fifty kills with bytes on their way, five of them in a commit."""
    is_sound(Storm(tmp_path, seed=seed, stores=stores()).run(50, in_commits=5), 50, 5)


@pytest.mark.parametrize(
    ("stores", "mutant"), [("folder", HASTY), ("bucket", HASTY_BUCKET)], indirect=["stores"], ids=["folder", "bucket"]
)
def test_the_storm_finds_a_server_that_promises_too_early(stores: Stores, mutant: str, tmp_path: Path) -> None:
    """The harness can fail: blobs that are stored a moment after they were promised are missed."""
    report = Storm(tmp_path, seed=2, stores=stores(), mutant=mutant).run(3)
    assert any("does not come back" in violation for violation in report.violations), report
    assert any("a row without its blob" in violation for violation in report.violations), report
    assert any("the check" in violation for violation in report.violations), report


@pytest.mark.parametrize(
    ("stores", "mutant"), [("folder", EAGER), ("bucket", EAGER_POSTGRES)], indirect=["stores"], ids=["folder", "bucket"]
)
def test_the_storm_finds_a_server_that_answers_before_it_commits(stores: Stores, mutant: str, tmp_path: Path) -> None:
    """The harness can fail: photographs that were acknowledged before their commit stood are missed.

    Such a server may trip over itself before a kill comes: then it is tried again.
    """
    for seed in range(2, 7):  # a race is tried until it is seen
        report = Storm(tmp_path / str(seed), seed=seed, stores=stores(), mutant=mutant).run(6, in_commits=6)
        assert report.violations != []
        if any(violation.startswith("acknowledged") for violation in report.violations):
            return
    raise AssertionError(report)
