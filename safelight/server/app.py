"""The application: the one place where settings, stores, rules, routes and pages meet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib.metadata import version

from aiohttp import web

from safelight.server import data_folder
from safelight.server.blob_store import open_blobs
from safelight.server.connections import CountingRunner
from safelight.server.database import open_database
from safelight.server.domain.accounts import Accounts, Throttles
from safelight.server.domain.albums import Albums
from safelight.server.domain.bells import Bells
from safelight.server.domain.clock import ServerClock, monotonic_ms, wall_ms
from safelight.server.domain.commits import Commits
from safelight.server.domain.downloads import Downloads
from safelight.server.domain.holding import Holding
from safelight.server.domain.leases import Leases
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.links import Links
from safelight.server.domain.neighbours import Neighbours
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.meter import Meter, Unmetered
from safelight.server.domain.readiness import Readiness
from safelight.server.domain.sessions import Sessions
from safelight.server.domain.spaces import Spaces
from safelight.server.domain.throttle import Throttle
from safelight.server.domain.upload_links import UploadLinks
from safelight.server.domain.uploads import UploadRules, Uploads
from safelight.server.jobs.clearing import LEASE_S, Clearing
from safelight.server.jobs.expiry import Expiry
from safelight.server.jobs.orphans import Orphans
from safelight.server.metered_blobs import metered
from safelight.server.metrics import Metrics
from safelight.server.metrics_listener import MetricsListener
from safelight.server.routes.all import ROUTES
from safelight.server.routes.bell import SOCKETS, Sockets, close_sockets
from safelight.server.routes.openapi import build_document
from safelight.server.routes.probes import Probes
from safelight.server.routes.problems import add_common_headers, problems
from safelight.server.routes.server import DOCUMENT, PROBES
from safelight.server.routes.services import METER, SERVICES, SERVING, Services, Serving
from safelight.server.routes.table import add_routes
from safelight.server.settings import Settings, is_secure, proxies
from safelight.sync_protocol import signatures
from safelight.web_share.pages import add_pages

DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
BLOBS: web.AppKey[Blobs] = web.AppKey("blobs", Blobs)
CLOCK: web.AppKey[ServerClock] = web.AppKey("clock", ServerClock)
CLEARING: web.AppKey[Clearing] = web.AppKey("clearing", Clearing)
EXPIRY: web.AppKey[Expiry] = web.AppKey("expiry", Expiry)

_SHUTDOWN_S = 10
_LINGER_S = 3
_READ_SIZE_BYTES = 256 * 1024

INSECURE_WARNING = (
    "is neither https nor this machine: browsers will have no cryptography there, so links will not open, and clients"
    " refuse it. Put https in front (deploy/ has examples for Caddy, Tailscale and a Cloudflare tunnel) and name that"
    " address with --public-url."
)


def build_app(
    settings: Settings, secrets: data_folder.ServerSecrets, public_url: str, *, wall: Callable[[], int] = wall_ms
) -> web.Application:
    """Put the application together; its resources open when it starts and close when it ends."""
    app = web.Application(middlewares=[problems])
    app[SERVING] = _serving(settings, secrets, public_url)
    metrics = Metrics(app[SERVING].version) if settings.metrics_listen else None
    app[METER] = metrics or Unmetered()
    app[DOCUMENT] = build_document(ROUTES, app[SERVING].version)
    app[SOCKETS] = Sockets()
    app[PROBES] = Probes(monotonic_ms)
    add_routes(app, ROUTES)
    add_pages(app)
    app.on_response_prepare.append(add_common_headers)
    app.on_shutdown.append(close_sockets)

    async def stores(app: web.Application) -> AsyncIterator[None]:
        async for _ in _open_stores(app, settings):
            yield

    async def domain(app: web.Application) -> AsyncIterator[None]:
        highest_ms = await app[DATABASE].highest_time_ms()
        app[CLOCK] = ServerClock(wall, monotonic_ms, highest_ms, settings.unreferenced_grace_s)
        services = build_services(settings, secrets, app[DATABASE], app[BLOBS], app[CLOCK], app[METER])
        app[SERVICES] = services
        neighbours = Neighbours(app[DATABASE], services.bells, services.uploads)
        app[DATABASE].tell(neighbours)
        async with services.commits.running(), neighbours.listened_to():
            yield

    async def jobs(app: web.Application) -> AsyncIterator[None]:
        grace_s = settings.unreferenced_grace_s
        orphans = Orphans(app[DATABASE], app[BLOBS], settings.listing_interval_s, grace_s)
        app[CLEARING] = clearing = Clearing(app[DATABASE], app[BLOBS], Leases(app[DATABASE], LEASE_S))
        expiry = Expiry(
            app[DATABASE], app[BLOBS], app[CLOCK], settings.jobs_interval_s, grace_s, orphans, app[METER], clearing
        )
        app[EXPIRY] = expiry
        await clearing.finish()
        task = asyncio.create_task(expiry.run_forever())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def listener(app: web.Application) -> AsyncIterator[None]:
        if metrics is None:
            yield
            return
        listener = MetricsListener(metrics, app[SERVICES].readiness, app[DATABASE], app[SOCKETS])
        async for _ in listener.listening(settings.metrics_listen):
            yield

    app.cleanup_ctx.extend([stores, domain, jobs, listener])
    return app


def runner_for(app: web.Application, settings: Settings) -> web.AppRunner:
    """Return what runs the application over HTTP: closing slow connections, and giving bodies as they came."""
    return CountingRunner(
        app,
        settings.connections_per_address,
        proxies(settings.trusted_proxies),
        settings.stall_timeout_s,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=settings.header_timeout_s,
        lingering_time=_LINGER_S,
        auto_decompress=False,
        read_bufsize=_READ_SIZE_BYTES,
    )


def build_services(
    settings: Settings,
    secrets: data_folder.ServerSecrets,
    database: Database,
    blobs: Blobs,
    clock: ServerClock,
    meter: Meter = Unmetered(),  # noqa: B008 - it keeps nothing
) -> Services:
    """Put the domain together over its ports."""
    ledgers, bells = Ledgers(database), Bells()
    throttles = Throttles(
        names=Throttle(settings.unlock_burst, settings.unlock_refill_s, monotonic_ms),
        links=Throttle(settings.link_burst, settings.link_refill_s, monotonic_ms),
        addresses=Throttle(settings.address_burst, settings.address_refill_s, monotonic_ms),
    )
    return Services(
        accounts=Accounts(database, ledgers, clock, throttles, secret=secrets.secret),
        sessions=Sessions(
            database,
            clock,
            secret=secrets.secret,
            server_key=signatures.public_key_of(secrets.signing_seed),
            lifetime_s=settings.session_lifetime_s,
        ),
        spaces=Spaces(database, ledgers, clock),
        albums=Albums(database, ledgers, clock),
        commits=Commits(
            database,
            ledgers,
            bells,
            clock,
            signing_seed=secrets.signing_seed,
            space_quota_bytes=settings.space_quota_bytes,
            meter=meter,
        ),
        bells=bells,
        uploads=Uploads(
            database,
            blobs,
            ledgers,
            clock,
            UploadRules(
                lifetime_s=settings.upload_lifetime_s,
                max_size_bytes=settings.upload_max_size_bytes,
                max_open=settings.upload_max_open,
                max_uncommitted_bytes=settings.upload_max_uncommitted_bytes,
                max_uncommitted_blobs=settings.upload_max_uncommitted_blobs,
            ),
        ),
        downloads=Downloads(database, blobs, ledgers, clock),
        holding=Holding(
            database,
            ledgers,
            clock,
            settings.upload_max_uncommitted_bytes,
            settings.upload_max_uncommitted_blobs,
        ),
        links=Links(
            database,
            blobs,
            ledgers,
            clock,
            throttles,
            secret=secrets.secret,
            session_lifetime_s=settings.link_session_lifetime_s,
        ),
        upload_links=UploadLinks(database, ledgers, clock),
        readiness=Readiness(database, blobs, monotonic_ms, ready_free_bytes=settings.ready_free_bytes),
    )


async def _open_stores(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    """Whoever runs the application holds the data folder: see `data_folder.opened`."""
    app[DATABASE] = database = await open_database(settings, app[SERVING].server_key)
    try:
        blobs = await open_blobs(settings, database, app[SERVING].server_key)
        app[BLOBS] = metered(blobs, app[METER]) if settings.metrics_listen else blobs
        try:
            yield
        finally:
            await blobs.close()
    finally:
        await database.close()


def _serving(settings: Settings, secrets: data_folder.ServerSecrets, public_url: str) -> Serving:
    secure = is_secure(public_url)
    return Serving(
        version=version("safelight"),
        public_url=public_url,
        secure=secure,
        warning="" if secure else f"{public_url} {INSECURE_WARNING}",
        server_key=signatures.public_key_of(secrets.signing_seed),
        append_size_bytes=settings.upload_append_size_bytes,
        interim=settings.upload_interim,
        stall_timeout_s=settings.stall_timeout_s,
        request_timeout_s=settings.request_timeout_s,
        trusted_proxies=proxies(settings.trusted_proxies),
        log_requests=settings.log_level == "debug",
        log_addresses=settings.log_addresses,
    )
