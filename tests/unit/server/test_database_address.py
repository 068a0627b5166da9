"""Addresses of databases: a password that was not written as it must be is not shown to whoever reads the log."""

import pytest

from safelight.server.stores import postgres_connection
from safelight.server.stores.postgres_errors import DatabaseRefused

_PASSWORDS = ["sec/ret", "sec?ret", "sec#ret", "12/ret", "12?a=ret", "12#ret", "sec/re@t", "[sec"]


@pytest.mark.parametrize("password", _PASSWORDS)
async def test_a_password_that_ends_too_early(
    password: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """*Half a password as the name of a port or a database*: it is refused with the remedy, and without the half."""
    monkeypatch.setattr(postgres_connection, "START_PATIENCE_S", 0.1)
    with pytest.raises(DatabaseRefused, match=r"cannot use the database") as refused:
        await postgres_connection.reach(f"postgresql://safelight:{password}@127.0.0.1:1/safelight")
    said = f"{refused.value} {caplog.text}"
    assert "sec" not in said
    assert "ret" not in said
    assert "%2F" in said


@pytest.mark.parametrize(
    "rest",
    [
        "safelight:sec%2Fret@127.0.0.1:1/safelight",
        "safelight@127.0.0.1:1,[::1]:1/x",
        "/x?host=/nowhere",
        "a:b:c@[::1]:1/x",
    ],
)
async def test_addresses_that_can_be_read(rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are tried."""
    monkeypatch.setattr(postgres_connection, "START_PATIENCE_S", 0.1)
    with pytest.raises(DatabaseRefused) as refused:
        await postgres_connection.reach(f"postgresql://{rest}")
    assert "%2F" not in str(refused.value)
