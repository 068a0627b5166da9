"""Settings: one table of name, default, unit and sentence. Each is a flag of `run` and a SAFELIGHT_… variable.

docs/operations.md lists them all; a test compares.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from safelight.server.stores.bucket_address import BucketAddress
from safelight.sync_protocol.limits import MAX_BLOB_SIZE_BYTES

ENVIRONMENT_PREFIX = "SAFELIGHT_"
_DAY_S = 24 * 60 * 60


def _setting(sentence: str, unit: str = "", *, default: Any = MISSING, shown: bool = True) -> Any:
    return field(default=default, repr=shown, metadata={"sentence": sentence, "unit": unit})


class SettingInvalid(ValueError):
    """A setting's value is not one that it takes; the message names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, in the order of docs/operations.md."""

    data: Path = _setting("The folder that holds everything the server keeps.", "path")  # noqa: RUF009 - it is `field`
    database: str = _setting(
        "Where rows are kept: postgresql://USER@HOST/NAME is a PostgreSQL. Empty: in the data folder.",
        "address",
        default="",
        shown=False,  # it may carry a password
    )
    blobs: str = _setting(
        "Where blobs are kept: s3://BUCKET/PREFIX is a bucket. Empty: in the data folder.", "address", default=""
    )
    s3_endpoint: str = _setting(
        "The S3 service's address, where it is not AWS's own. Credentials come from AWS_ACCESS_KEY_ID and its like.",
        "URL",
        default="",
    )
    s3_timeout_s: int = _setting(
        "How long one request to the bucket may take, up to 8 MiB of a large file with it.", "seconds", default=60
    )
    listen: str = _setting(
        "The address and port to serve at; port 0 takes a free one.", "host:port", default="127.0.0.1:8080"
    )
    public_url: str = _setting(
        "The address at which people reach the server; links and pairing codes carry it. Empty: the one it listens at.",
        "URL",
        default="",
    )
    tls_cert: str = _setting("The certificate chain to serve https with, in PEM.", "path", default="")
    tls_key: str = _setting("The certificate's private key, in PEM.", "path", default="")
    existing: bool = _setting(
        "Refuse a data folder that Safelight has not marked as its own, as when the disk is not mounted.", default=False
    )
    trusted_proxies: str = _setting(
        "The networks whose X-Forwarded-For is believed, separated by commas.",
        "networks",
        default="127.0.0.0/8,::1/128",
    )
    log_format: Literal["console", "json"] = _setting(
        "How the log is written: for people (console) or for machines (json).", "console or json", default="console"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "The least important message that the log takes.", "debug, info, warning or error", default="info"
    )
    log_addresses: Literal["none", "truncated", "full"] = _setting(
        "What the log keeps of addresses: nothing, the network (/24 or /48), or all.",
        "none, truncated or full",
        default="truncated",
    )
    session_lifetime_s: int = _setting("How long a device's session lasts.", "seconds", default=_DAY_S)
    link_session_lifetime_s: int = _setting(
        "How long a guest's browser may look before it opens the link again, which costs no opening.",
        "seconds",
        default=_DAY_S,
    )
    invite_lifetime_s: int = _setting(
        "How long an invite code for a new account is good.", "seconds", default=7 * _DAY_S
    )
    unlock_burst: int = _setting(
        "How many wrong passwords an account name takes at once before it must wait.", "attempts", default=10
    )
    unlock_refill_s: int = _setting(
        "After how long one more attempt at a password is given back.", "seconds", default=30
    )
    address_burst: int = _setting(
        "How many wrong passwords, for accounts and links together, one address has at once.", "attempts", default=40
    )
    address_refill_s: int = _setting("After how long an address is given back one more attempt.", "seconds", default=10)
    link_burst: int = _setting(
        "How many wrong passwords a link takes at once before it must wait.", "attempts", default=20
    )
    link_refill_s: int = _setting("After how long a link is given back one more attempt.", "seconds", default=30)
    space_quota_bytes: int = _setting("How much a new space may hold; 0 sets no limit.", "bytes", default=0)
    upload_max_size_bytes: int = _setting("The largest single upload.", "bytes", default=MAX_BLOB_SIZE_BYTES)
    upload_append_size_bytes: int = _setting(
        "The largest body of one upload request, for a proxy in front that takes no more; 0 sets no limit.",
        "bytes",
        default=0,
    )
    upload_lifetime_s: int = _setting("How long an unfinished upload is kept.", "seconds", default=7 * _DAY_S)
    upload_max_open: int = _setting("How many unfinished uploads a device may have.", "uploads", default=256)
    upload_max_uncommitted_bytes: int = _setting(
        "How much a device may have uploaded that no record names yet.", "bytes", default=64 * 2**30
    )
    upload_max_uncommitted_blobs: int = _setting(
        "How many blobs a device may have uploaded that no record names yet; a watermarked link needs 20,200.",
        "blobs",
        default=50_000,
    )
    upload_interim: bool = _setting(
        "Send interim responses (104) during uploads; turn off behind a proxy that takes them for the answer.",
        default=True,
    )
    unreferenced_grace_s: int = _setting(
        "How long a finished upload that no record names is kept; must outlast uploads and commits.",
        "seconds",
        default=7 * _DAY_S,
    )
    jobs_interval_s: int = _setting("How often expired uploads and sessions are cleared away.", "seconds", default=600)
    listing_interval_s: int = _setting(
        "How often the store is listed for blobs and parts of uploads that nothing knows of.",
        "seconds",
        default=_DAY_S,
    )
    header_timeout_s: int = _setting(
        "How long a connection may take to send a request's header, and stay idle between two.", "seconds", default=25
    )
    stall_timeout_s: int = _setting(
        "How long a transfer may stand still, in either direction, before it is cut.", "seconds", default=25
    )
    request_timeout_s: int = _setting(
        "How long a whole request that is not a transfer may take.", "seconds", default=60
    )
    connections_per_address: int = _setting("How many connections one address may hold.", "connections", default=512)
    metrics_listen: str = _setting(
        "The address and port of a second listener with metrics for Prometheus, which asks nobody who they are. Empty:"
        " none.",
        "host:port",
        default="",
    )
    ready_free_bytes: int = _setting(
        "Below how much free space /ready says that storage is full.", "bytes", default=2**30
    )
    stop_delay_s: int = _setting(
        "How long a server that was told to stop still serves and says so at /ready, so that a balancer notices.",
        "seconds",
        default=0,
    )

    def __post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingInvalid("tls_cert and tls_key go together")
        if self.unreferenced_grace_s < 1 or self.upload_lifetime_s < 1:
            raise SettingInvalid("unreferenced_grace_s and upload_lifetime_s are at least 1 second")
        if self.s3_timeout_s < 1:
            raise SettingInvalid("s3_timeout_s is at least 1 second")
        if self.database and not self.database.startswith(("postgresql://", "postgres://")):
            raise SettingInvalid("database is postgresql://USER@HOST/NAME")
        if self.blobs:
            try:
                BucketAddress.parse(self.blobs, self.s3_endpoint)
            except ValueError as error:
                raise SettingInvalid(str(error)) from None
        split_listen(self.listen)
        if self.metrics_listen:
            split_listen(self.metrics_listen, "metrics_listen")
        proxies(self.trusted_proxies)
        if self.public_url and not _is_origin(self.public_url):
            raise SettingInvalid("public_url is https:// (or http:// for localhost) and a host, without a path")


def split_listen(listen: str, name: str = "listen") -> tuple[str, int]:
    """Return host and port of *listen*; IPv6 addresses stand in brackets. Raises SettingInvalid, which says *name*."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SettingInvalid(f"{name} is HOST:PORT, for example 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def proxies(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that *text* lists."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingInvalid(f"trusted_proxies: {error}") from None


def host_of(url: str) -> str:
    """Return the host of *url*, or an empty string."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_origin(url: str) -> bool:
    split = urlsplit(url)
    rest = (split.path.rstrip("/"), split.query, split.fragment, split.username)
    return split.scheme in {"http", "https"} and bool(host_of(url)) and not any(rest)


def is_secure(url: str) -> bool:
    """Whether every browser allows cryptography at *url*, and clients take it: https, or this machine."""
    return urlsplit(url).scheme == "https" or _is_this_machine(host_of(url))


def _is_this_machine(host: str) -> bool:
    """Whether *host* is `localhost` or a loopback address, as clients judge it.

    Names below `localhost` are not: not every browser trusts them, and many systems ask the network for them.
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def flag_of(name: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.upper()


def parse_value(name: str, text: str) -> Any:
    """Read the text of a setting from a flag or variable; raises SettingInvalid."""
    setting = next(item for item in fields(Settings) if item.name == name)
    kind: Any = setting.type
    if kind is bool:
        if text.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise SettingInvalid(f"{name} is yes or no")
        return text.lower() in {"1", "true", "yes"}
    if kind is int:
        if not text.isdecimal():
            raise SettingInvalid(f"{name} is a whole number ({setting.metadata['unit']})")
        return int(text)
    if kind is Path:
        return Path(text)
    choices = getattr(kind, "__args__", None)
    if choices and text not in choices:
        raise SettingInvalid(f"{name} is one of {', '.join(choices)}")
    return text


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Put settings together: flags first, then the environment, then defaults. Raises SettingInvalid."""
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        given = flags.get(setting.name)
        text = given if given is not None else environment.get(variable_of(setting.name))
        if text is not None:
            values[setting.name] = parse_value(setting.name, text)
    if "data" not in values:
        raise SettingInvalid("name the data folder with --data DIR")
    return Settings(**values)
