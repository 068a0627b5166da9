"""A lying server in front of the real one, and the people that it lies to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hostile.proxy import Proxy, lying_server
from tests.support.people import Someone, new_someone
from tests.support.server_process import ServerProcess, server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The real server."""
    with server_process(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
async def proxy(server: ServerProcess) -> AsyncIterator[Proxy]:
    """The server as its clients see it."""
    async with lying_server(server.url) as running:
        yield running


@pytest.fixture
async def victim(server: ServerProcess, proxy: Proxy, tmp_path: Path) -> Someone:
    """Someone whose account and profile were made while the server was honest."""
    name = f"v{tmp_path.name[-40:]}".replace("[", ".").replace("]", ".")
    return await new_someone(server, tmp_path / "victim", name, url=proxy.url)
