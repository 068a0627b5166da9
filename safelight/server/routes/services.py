"""What routes call: the domain's services and the settings they need, under typed application keys."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from aiohttp import web

from safelight.server.domain.accounts import Accounts
from safelight.server.domain.albums import Albums
from safelight.server.domain.bells import Bells
from safelight.server.domain.commits import Commits
from safelight.server.domain.downloads import Downloads
from safelight.server.domain.holding import Holding
from safelight.server.domain.links import Links
from safelight.server.domain.ports.meter import Meter
from safelight.server.domain.readiness import Readiness
from safelight.server.domain.sessions import Sessions
from safelight.server.domain.spaces import Spaces
from safelight.server.domain.upload_links import UploadLinks
from safelight.server.domain.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Services:
    """The domain, put together."""

    accounts: Accounts
    sessions: Sessions
    spaces: Spaces
    albums: Albums
    commits: Commits
    bells: Bells
    uploads: Uploads
    downloads: Downloads
    holding: Holding
    links: Links
    upload_links: UploadLinks
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class Serving:
    """How requests are served: what the server says of itself, and its limits on transfers."""

    version: str
    public_url: str
    secure: bool
    warning: str
    server_key: bytes
    append_size_bytes: int
    interim: bool
    stall_timeout_s: int
    request_timeout_s: int
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    log_requests: bool
    log_addresses: str


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
SERVING: web.AppKey[Serving] = web.AppKey("serving", Serving)
METER: web.AppKey[Meter] = web.AppKey("meter", Meter)
