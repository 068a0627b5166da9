"""Fixtures for tests in a real browser: one server with photographs, one Chromium, a fresh visitor for each test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser.studio import Studio, open_studio, run
from tests.support.server_process import server_process

_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is no secure context, as a computer in the same house would be reached.
    "--host-resolver-rules=MAP photos.example 127.0.0.1",
]
# What Chromium says of every answer that is a refusal.
_REFUSAL = "Failed to load resource: the server responded with a status of"
# Long enough for a busy machine; whoever waits goes on at once when it is there.
_PATIENCE_MS = 20_000
_OFFLINE = "Failed to load resource: net::ERR_INTERNET_DISCONNECTED"


@dataclass
class Visitor:
    """A browser of its own, and what went on in it. A warning, an error or a violated policy fails the test."""

    context: BrowserContext
    origin: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def page(self) -> Page:
        """Open a tab."""
        tab = self.context.new_page()
        tab.on("request", self._note)
        tab.on("console", self._listen)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        return tab

    def asked(self, part: str) -> list[str]:
        """The addresses with *part* in them that were asked of the server."""
        return [request.url for request in self.requests if part in request.url]

    def check(self) -> None:
        """Nothing was complained of, and nobody but the server was asked for anything."""
        assert self.complaints == []
        strangers = {
            request.url
            for request in self.requests
            if not request.url.startswith("blob:") and urlsplit(request.url).netloc != urlsplit(self.origin).netloc
        }
        assert strangers == set()

    def _note(self, request: Request) -> None:
        self.requests.append(request)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith((_REFUSAL, _OFFLINE)):
            self.complaints.append(message.text)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One server with one album of photographs for all tests in the browser."""
    folder: Path = tmp_path_factory.mktemp("studio")
    with server_process(folder / "data") as server:
        yield run(open_studio(server, folder))


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """The system's Chromium."""
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visitors(chromium: Browser, studio: Studio) -> Iterator[Callable[..., Visitor]]:
    """Make visitors, each with cookies and storage of their own; options are those of a Playwright context."""
    made: list[Visitor] = []

    def new(**options: Any) -> Visitor:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options})
        context.set_default_timeout(_PATIENCE_MS)
        made.append(Visitor(context, studio.server.url))
        return made[-1]

    yield new
    for visitor in made:
        visitor.context.close()
    for visitor in made:
        visitor.check()


@pytest.fixture
def visitor(visitors: Callable[..., Visitor]) -> Visitor:
    """One visitor, at a desk, who reads English."""
    return visitors()
