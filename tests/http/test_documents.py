"""What the server says of itself, and the pages that it serves."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.sync_protocol.messages.common import Health, ServerInfo
from safelight.web_share.pages import PAGE_POLICY, WORKER_POLICY, add_pages
from tests.http.conftest import Server, StartServer
from tests.support.raw_http import raw


async def test_health_and_info(server: Server) -> None:
    """Health, and what clients pin and obey."""
    assert (await server.api.get("/health")).as_(Health).status == "ok"
    info = (await server.api.get("/v1/server")).as_(ServerInfo)
    assert (info.server_key, info.protocol_version, info.warning) == (server.api.server_key, 1, "")
    assert info.upload_append_size_bytes > 2**32


async def test_the_warning_of_an_insecure_address(start_server: StartServer) -> None:
    """Where browsers would have no cryptography, the server says what will not work and what to do."""
    server = await start_server(public_url="http://192.168.1.5:8080")
    warning = (await server.api.get("/v1/server")).as_(ServerInfo).warning
    for said in ("http://192.168.1.5:8080", "links will not open", "--public-url", "deploy/"):
        assert said in warning


async def test_the_key_stays(start_server: StartServer) -> None:
    """The server's key is made once, and is readable by its owner alone."""
    first = await start_server()
    await first.runner.cleanup()
    again = await start_server(folder=first.settings.data)
    assert again.api.server_key == first.api.server_key
    assert (first.settings.data / "server.key").stat().st_mode & 0o777 == 0o600


async def test_openapi_holds_every_route(server: Server) -> None:
    """Every route that the router serves stands in the document, with its bodies and refusals, and no other does."""
    document = json.loads((await server.api.get("/v1/openapi.json")).body)
    assert document["openapi"].startswith("3.1")
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in server.app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/s/")
    }
    written = {(method, path) for path, item in document["paths"].items() for method in item}
    assert written == served
    for route in ROUTES:
        operation = document["paths"][openapi_path(route.path)][route.method.lower()]
        assert ("requestBody" in operation) == (route.method in {"POST", "PUT", "PATCH"})
        assert "400" in operation["responses"]
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert set(names) <= set(document["components"]["schemas"])
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server of a small build."""
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "link.html").write_text("<!doctype html><title>Shared photos</title>")
    (dist / "link-abc.js").write_text("export {}")
    (dist / "argon2-abc.js").write_text("export {}")
    app = web.Application()
    add_pages(app, dist)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_the_page_is_inert_and_the_same_for_every_link(server: Server) -> None:
    """Known, unknown and mangled links get the same bytes and headers, and nothing is counted."""
    answers = [await server.api.get(f"/s/{link}") for link in (os.urandom(16).hex(), "0" * 32, "mangled", "x" * 500)]
    assert len({answer.body for answer in answers}) == 1
    for answer in answers:
        headers = dict(answer.headers)
        headers.pop("Date")
        first = dict(answers[0].headers)
        first.pop("Date")
        assert headers == first


async def test_the_pages_headers(server: Server) -> None:
    """The page may load its own files and nothing else, tells nobody where it came from, and cannot be framed."""
    answer = await server.api.get(f"/s/{os.urandom(16).hex()}")
    if answer.status == 503:
        pytest.fail("The pages are not built: make setup.")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == PAGE_POLICY
    assert policy.startswith("default-src 'none';")
    for part in (
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "base-uri 'none'",
        "form-action 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    assert "Set-Cookie" not in answer.headers


async def test_the_pages_files(server: Server) -> None:
    """Files named for their content never change; only the password worker may compile WebAssembly."""
    page = (await server.api.get("/s/x")).body.decode()
    scripts = re.findall(r'src="(/s/-/[^"]+\.js)"', page)
    assert scripts
    for path in scripts:
        answer = await server.api.get(path)
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Security-Policy"] == PAGE_POLICY


@pytest.mark.parametrize(
    "path",
    [
        "../pages.py",
        "..%2fpages.py",
        "%2e%2e/pages.py",
        "%2e%2e%2fpages.py",
        "..\\pages.py",
        "x/../../pages.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "link-abc.js/../../secret.js",
        "link-abc.js%00.html",
        "link.html",
        "nothing.js",
        "",
    ],
)
async def test_files_beside_the_pages_are_not_served(pages: str, tmp_path: Path, path: str) -> None:
    """Sent byte for byte, as no client library would: neither above the build, nor the page under another name."""
    for name in ("pages.py", "secret.js", "link.html"):
        (tmp_path / name).write_text("a secret beside the build")
    async with raw(pages) as connection:
        await connection.request("GET", f"/s/-/{path}", {})
        answer = await connection.final()
    assert answer.status == 404
    assert b"secret" not in answer.body
    assert b"Shared photos" not in answer.body
    async with raw(pages) as connection:
        await connection.request("GET", "/s/-/link-abc.js", {})
        assert (await connection.final()).body == b"export {}"


async def test_the_password_worker(pages: str, server: Server) -> None:
    """Its response alone carries 'wasm-unsafe-eval'."""
    api = server.api
    async with api.http.get(f"{pages}/s/-/argon2-abc.js") as worker, api.http.get(f"{pages}/s/-/link-abc.js") as script:
        assert worker.headers["Content-Security-Policy"] == WORKER_POLICY
        assert "'wasm-unsafe-eval'" in WORKER_POLICY
        assert script.headers["Content-Security-Policy"] == PAGE_POLICY
