"""The settings table: documented, read from flags and environment, and strict."""

from contextlib import nullcontext
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from safelight.clients.engine.answers import check_server_url
from safelight.server.settings import (
    SettingInvalid,
    Settings,
    flag_of,
    is_secure,
    load,
    split_listen,
    variable_of,
)
from safelight.sync_protocol.refusals import Refused
from tests.support.samples import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "operations.md").read_text()


def shown(default: object) -> str:
    """A default as the document shows it."""
    if default is MISSING or default == "":
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"`{default}`"


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_each_setting_is_documented(setting: object) -> None:
    """docs/operations.md has one row a setting: flag, variable, default, unit, sentence."""
    name, metadata = setting.name, setting.metadata  # type: ignore[attr-defined]  # a field
    cells = (
        f"`{flag_of(name)}`",
        f"`{variable_of(name)}`",
        shown(setting.default),  # type: ignore[attr-defined]  # a field
        metadata["unit"],
        metadata["sentence"],
    )
    assert f"| {' | '.join(cells)} |" in DOCUMENT.replace("|  |", "|  |")


def test_no_other_setting_is_documented() -> None:
    """The document's table has no row too many."""
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `--")]
    assert len(rows) == len(fields(Settings))


def test_flags_go_before_the_environment() -> None:
    """A flag wins over a variable, a variable over the default."""
    environment = {"SAFELIGHT_DATA": "/env", "SAFELIGHT_LOG_LEVEL": "debug", "SAFELIGHT_EXISTING": "yes"}
    settings = load({"data": "/flag", "listen": None}, environment)
    assert (settings.data, settings.log_level, settings.existing) == (Path("/flag"), "debug", True)
    assert settings.listen == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"data": "x", "existing": "perhaps"},
        {"data": "x", "upload_lifetime_s": "-1"},
        {"data": "x", "upload_lifetime_s": "0"},
        {"data": "x", "upload_lifetime_s": "1.5"},
        {"data": "x", "log_addresses": "some"},
        {"data": "x", "listen": "8080"},
        {"data": "x", "listen": "host:99999"},
        {"data": "x", "public_url": "ftp://host"},
        {"data": "x", "public_url": "https://"},
        {"data": "x", "public_url": "https://photos.example/below"},
        {"data": "x", "public_url": "https://me@photos.example"},
        {"data": "x", "tls_key": "key.pem"},
        {"data": "x", "trusted_proxies": "10.0.0.0/99"},
    ],
)
def test_values_that_are_none(flags: dict[str, str]) -> None:
    """A wrong value is refused by name."""
    with pytest.raises(SettingInvalid):
        load(flags, {})


def test_listen_addresses() -> None:
    """IPv6 addresses stand in brackets."""
    assert split_listen("[::1]:80") == ("::1", 80)
    assert split_listen("0.0.0.0:0") == ("0.0.0.0", 0)


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("https://photos.example", True),
        ("http://localhost:8080", True),
        ("http://a.localhost", False),
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://photos.example", False),
        ("http://192.168.1.5", False),
        ("http://localhost.example", False),
    ],
)
def test_where_browsers_allow_cryptography(url: str, secure: bool) -> None:
    """https, or this very machine; not a name below localhost, which not every browser trusts and no client takes."""
    assert is_secure(url) is secure
    with nullcontext() if secure else pytest.raises(Refused, match="insecure-server"):
        check_server_url(url)
