"""A real server on a real socket with the real stores, and people who use it."""

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
import uvloop
from aiohttp import web

from safelight.server import data_folder
from safelight.server.app import build_app, runner_for
from safelight.server.domain.clock import wall_ms
from safelight.server.routes.services import SERVICES
from safelight.server.settings import Settings
from safelight.sync_protocol import signatures
from tests.support.api import Api
from tests.support.in_memory import folder_in_memory
from tests.support.protocol import Person, Signer, Writer


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The server runs on uvloop, so its tests do."""
    return {"uvloop": uvloop.new_event_loop}


class Clock:
    """A clock that tests can move."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def __call__(self) -> int:
        """The time."""
        return wall_ms() + self.offset_ms


@dataclass
class Server:
    """A running server."""

    api: Api
    app: web.Application
    settings: Settings
    clock: Clock
    runner: web.AppRunner

    async def invite(self) -> str:
        """Make an invite code."""
        return await self.app[SERVICES].accounts.new_invite(self.settings.invite_lifetime_s)

    async def account(self, name: str = "") -> tuple[Person, Api]:
        """Create an account and sign in on its first device."""
        person = Person(name)
        created = await self.api.post("/v1/accounts", person.create_request(await self.invite()))
        assert created.status == 200, created.body
        return person, await self.api.sign_in(person.signer)

    async def owner(self, **terms: str) -> "Owner":
        """Create an account with a space."""
        person, api = await self.account()
        writer = Writer(person, person.signer)
        await api.create_space(writer, **terms)
        return Owner(person, api, writer)


@dataclass
class Owner:
    """Someone with a space."""

    person: Person
    api: Api
    writer: Writer

    @property
    def space(self) -> str:
        """The path of the space."""
        return f"/v1/spaces/{self.writer.space_id.hex()}"

    @property
    def signer(self) -> Signer:
        """The device."""
        return self.writer.signer


StartServer = Callable[..., Awaitable[Server]]


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, in memory where there is enough."""
    with folder_in_memory(request, tmp_path) as folder:
        yield folder


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """Start servers with settings of the test's choice; at its end the clients leave, then all servers are stopped."""
    started: list[Server] = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def start(folder: Path | None = None, **settings: Any) -> Server:
            values = {"data": folder or tmp_path / f"data-{len(started)}", "listen": "127.0.0.1:0", **settings}
            server = await _start(Settings(**values), http)
            started.append(server)
            return server

        yield start
    for server in started:
        server.runner._shutdown_timeout = 0.1  # requests that a test broke off are not waited for
        await server.runner.cleanup()


async def _start(settings: Settings, http: aiohttp.ClientSession) -> Server:
    held = ExitStack()
    secrets = held.enter_context(data_folder.opened(settings.data, existing=settings.existing))
    clock = Clock()
    app = build_app(settings, secrets, settings.public_url or "http://127.0.0.1", wall=clock)

    async def let_go(_: web.Application) -> None:
        held.close()

    app.on_cleanup.append(let_go)
    runner = runner_for(app, settings)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    api = Api(f"http://{host}:{port}", http, signatures.public_key_of(secrets.signing_seed))
    return Server(api, app, settings, clock, runner)


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    """A server with the settings that it has by default."""
    return await start_server()


@pytest.fixture
async def owner(server: Server) -> Owner:
    """Someone with a space on `server`."""
    return await server.owner()


@pytest.fixture(autouse=True)
def no_mistakes() -> Any:
    """Whatever a test sends, the server never makes a mistake: no 500 is logged."""
    with structlog.testing.capture_logs() as logged:
        yield
    mistakes = [entry for entry in logged if entry["log_level"] == "error"]
    for mistake in mistakes:
        traceback.print_exception(mistake["exc_info"])
    assert not mistakes
