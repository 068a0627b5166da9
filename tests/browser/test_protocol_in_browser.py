"""The pages' protocol in a real browser: its own WebCrypto and WebAssembly give what every vector says."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "safelight" / "web_share"
VECTORS = sorted((ROOT / "safelight" / "sync_protocol" / "vectors").glob("*.json"))
ORIGIN = "http://localhost:9"  # never asked: every answer comes from the built folder
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"
OPTIONS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Page]:
    """A page in Chromium that has `runVectors`, under the policy that the Argon2 worker has."""
    built = tmp_path_factory.mktemp("vectors")
    subprocess.run(["node", "tools/build_vectors_page.mjs", str(built)], cwd=WEB, check=True, timeout=120)

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN + "/")
        if name == "":
            body = '<!doctype html><script type="module" src="/vectors.js"></script>'
            headers = {"Content-Security-Policy": POLICY}
            route.fulfill(body=body, content_type="text/html", headers=headers)
        elif (built / name).is_file():
            route.fulfill(body=(built / name).read_bytes(), content_type="text/javascript")
        else:
            route.fulfill(status=404)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=OPTIONS)
        opened = browser.new_page()
        opened.route("**/*", answer)
        opened.goto(ORIGIN + "/")
        opened.wait_for_function("() => 'runVectors' in globalThis")
        yield opened
        browser.close()


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_vector_in_chromium(page: Page, path: Path) -> None:
    """Every operation gives in the browser what the file says, each failure by its class."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert page.evaluate("(file) => globalThis.runVectors(file)", document) == []
