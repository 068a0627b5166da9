"""One server process for the journeys of a module."""

from collections.abc import Iterator

import pytest

from tests.support.server_process import ServerProcess, server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server, as people run it."""
    with server_process(tmp_path_factory.mktemp("server") / "data") as running:
        yield running
