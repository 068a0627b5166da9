"""Serves the built pages and their headers. What answers at /s/<link> is the same for every link, known or not.

`vite build` names each file but the page itself for its content, so those never change; src/pages/trusted.ts says which
policy the pages need.
"""

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

DIST = Path(__file__).parent / "dist"
_PAGE = "link.html"
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types svelte-trusted-html safelight-worker"
)
PAGE_POLICY = _POLICY.format(scripts="'self'")
# Only the worker that turns a password into a key may compile WebAssembly.
WORKER_POLICY = _POLICY.format(scripts="'self' 'wasm-unsafe-eval'")
_WASM_WORKER = "argon2-"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_DENIED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "microphone",
    "midi",
    "payment",
    "usb",
)
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _DENIED),
}
_NOT_BUILT = "The pages are not built. Run `make setup`, or install a release, which brings them.\n"


@dataclass(frozen=True, slots=True)
class _Built:
    """The build as it was when the page had this modification time."""

    modified_ns: int
    files: dict[str, bytes]


class Pages:
    """The built pages, read once and again when they are built anew."""

    def __init__(self, dist: Path = DIST) -> None:
        self._dist = dist
        self._built = _Built(0, {})

    async def page(self, _: web.Request) -> web.Response:
        """Answer a link's address. Nothing is looked up: a preview bot costs nothing and learns nothing."""
        content = self._file(_PAGE)
        if content is None:
            return web.Response(status=503, text=_NOT_BUILT)
        headers = {**HEADERS, "Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        return web.Response(body=content, headers=headers, content_type="text/html", charset="utf-8")

    async def asset(self, request: web.Request) -> web.Response:
        """Answer a file that the page loads."""
        name = request.match_info["name"]
        content = self._file(name)
        media_type = _MEDIA_TYPES.get(Path(name).suffix)
        if content is None or media_type is None or name == _PAGE:
            raise web.HTTPNotFound
        policy = WORKER_POLICY if name.startswith(_WASM_WORKER) else PAGE_POLICY
        headers = {
            **HEADERS,
            "Content-Security-Policy": policy,
            "Cache-Control": "public, max-age=31536000, immutable" if "-" in name else "no-cache",
        }
        charset = "utf-8" if media_type.startswith(("text/", "application/json")) else None
        return web.Response(body=content, headers=headers, content_type=media_type, charset=charset)

    def _file(self, name: str) -> bytes | None:
        """Return a file of the build; names are looked up among those read, never on the disk."""
        try:
            modified_ns = (self._dist / _PAGE).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if modified_ns != self._built.modified_ns:
            files = {path.name: path.read_bytes() for path in self._dist.iterdir() if path.is_file()}
            self._built = _Built(modified_ns, files)
        return self._built.files.get(name)


def add_pages(app: web.Application, dist: Path = DIST) -> None:
    """Serve the pages: /s/<link> and what it loads from /s/-/."""
    pages = Pages(dist)
    for method in ("GET", "HEAD"):
        app.router.add_route(method, "/s/-/{name:[A-Za-z0-9_.-]+}", pages.asset)
        app.router.add_route(method, "/s/{link:[^/]+}", pages.page)
