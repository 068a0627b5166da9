"""All routes of the server, in one table."""

from safelight.server.routes import (
    accounts,
    albums,
    bell,
    blobs,
    links,
    server,
    sessions,
    spaces,
    upload_links,
    uploads,
)
from safelight.server.routes.table import Route

ROUTES: list[Route] = [
    *server.ROUTES,
    *accounts.ROUTES,
    *sessions.ROUTES,
    *spaces.ROUTES,
    *albums.ROUTES,
    *bell.ROUTES,
    *blobs.ROUTES,
    *uploads.ROUTES,
    *links.ROUTES,
    *upload_links.ROUTES,
]
