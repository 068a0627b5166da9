"""Fixtures for all tests."""

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.in_memory import enough_memory
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.samples import make_broken, make_roll, shared_folder
from tests.support.seaweed import Seaweed, seaweed_process
from tests.support.turns import turn
from tools.ensure_program import find


def pytest_configure() -> None:
    """Take Ctrl-C: a shell that starts the suite in the background has it ignored, and so has every child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Each test in its turn; what it waits is outside its timeout."""
    with turn(item):
        return (yield)


@pytest.fixture(scope="session")
def shared_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `roll/` and `broken/`: the real photographs of ../shared, else small ones made for this run.

    Read only: copy what a test changes. `roll/` may hold anything that a phone's roll holds.
    """
    real = shared_folder("samples")
    if real is not None:
        return real
    made = tmp_path_factory.mktemp("samples")
    make_roll(made / "roll")
    make_broken(made / "broken")
    return made


@pytest.fixture(scope="session")
def shared_vectors() -> Path | None:
    """The folder of public test vectors (../shared/vectors), or None where this machine has none.

    A test that wants them must not skip: where they are absent it checks our own, in `safelight/sync_protocol/vectors`.
    """
    return shared_folder("vectors")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium that browser tests start; `make test` installs it where it may."""
    path = find("chromium")
    if path is None:
        pytest.fail("No Chromium was found: install it, or name its path in SAFELIGHT_CHROMIUM.")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL on this machine, for all tests that want one; each has databases of its own there."""
    with postgres_server(enough_memory()) as running:
        running.make_template()
        yield running


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """A real S3, SeaweedFS on this machine, for all tests that want one."""
    with seaweed_process() as running:
        yield running
