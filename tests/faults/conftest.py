"""What the harnesses share."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL as elsewhere, but on a disk, which commits wait for: a kill is to find them waiting."""
    with postgres_server() as running:
        running.make_template()
        yield running
