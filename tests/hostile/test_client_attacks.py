"""A lying server against the client's own machine: its memory, its patience, its disk, its terminal, its links."""

import asyncio
import functools
import gzip
import hashlib
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from safelight.clients.engine.account_changes import change_password
from safelight.clients.engine.accounts import create_account, login
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.pairing import parse_pairing_uri
from safelight.sync_protocol.refusals import Code, Refused
from tests.hostile.proxy import Exchange, Proxy
from tests.support.people import PASSWORD, Someone, add_file, new_space
from tests.support.server_process import ServerProcess

FEW = Retries(attempts=3, first_pause_s=0.01, max_pause_s=0.02)
NEW_PASSWORD = "another password"


def _overhear(proxy: Proxy, method: str, path: str) -> list[Exchange]:
    """Return a list that fills with the exchanges on *path*."""
    heard: list[Exchange] = []

    def keep(exchange: Exchange) -> Exchange:
        heard.append(exchange)
        return exchange

    proxy.lie(method, path, keep)
    return heard


async def test_an_answer_that_swells(victim: Someone, proxy: Proxy) -> None:
    """Compression bomb: nothing is asked for compressed, and nothing is unpacked."""
    bomb = gzip.compress(bytes(400 * 1024 * 1024), 9)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    proxy.lie("GET", "/v1/server", lambda e: replace(e, headers=headers, body=bomb))
    asked = _overhear(proxy, "GET", "/v1/server")
    async with Connection(proxy.url, retries=FEW) as connection:
        tracemalloc.start()
        try:
            with pytest.raises(Refused) as refused:
                await connection.server_info()
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
        finally:
            tracemalloc.stop()
    assert refused.value.code is Code.SERVER_UNREACHABLE
    assert {exchange.request_headers["Accept-Encoding"] for exchange in asked} == {"identity"}


async def test_a_server_that_sends_me_elsewhere(victim: Someone, proxy: Proxy) -> None:
    """Redirected: no request, and no bell, follows to another place."""
    space_id = await new_space(victim, "Home")
    elsewhere = _overhear(proxy, "GET", "/elsewhere")
    async with victim.session() as session:
        connection = session.connection
        connection.retries = FEW
        to_there = {"Location": f"{proxy.url}/elsewhere"}
        for status in (301, 302, 303, 307, 308):
            proxy.lie("GET", "/v1/spaces", functools.partial(replace, status=status, headers=to_there))
            with pytest.raises(Refused) as refused:
                await connection.request("GET", "/v1/spaces", None, dict)
            assert refused.value.code is Code.SERVER_UNREACHABLE
            rings = connection.open_bell(space_id)
            with pytest.raises((TimeoutError, Refused)):
                async with asyncio.timeout(0.2):
                    await anext(rings)
    assert elsewhere == []


async def test_an_upload_that_is_forgotten_again_and_again(victim: Someone, proxy: Proxy) -> None:
    """A server that makes an upload and then does not know it is tried a few times, not for ever."""
    space_id = await new_space(victim, "Home")
    data = bytes(1000)
    async with victim.session() as session:
        session.connection.retries = FEW
        made = _overhear(proxy, "POST", "/v1/blobs")
        problem = b'{"code":"not-found","title":"","status":404}'
        headers = {"Content-Type": "application/problem+json"}
        proxy.lie("POST", "/v1/blobs", lambda e: e.cut() if len(made) == 1 else e)  # so that it goes in pieces
        proxy.lie("HEAD", "/v1/blobs", lambda e: replace(e, status=404, body=problem, headers=headers))
        started = time.monotonic()
        with pytest.raises(Refused):
            async with asyncio.timeout(10):
                await upload_blob(
                    session.connection, space_id, data, digest=hashlib.sha256(data).digest(), size_bytes=len(data)
                )
        assert time.monotonic() - started < 5
    assert len(made) <= 2 * FEW.attempts


PUBLIC_URLS = [
    "http://photos.example",
    "javascript:alert(1)//",
    "https://h\x1b[31m",
    "https://user@h",
    "https://h/#x",
    "https://h/" + "x" * 3000,
]


@pytest.mark.parametrize("url", PUBLIC_URLS)
async def test_a_public_address_that_is_none(victim: Someone, proxy: Proxy, tmp_path: Path, url: str) -> None:
    """Where the server says that it is reached by plain http, or by no address, links and codes name the one known."""
    await new_space(victim, "Home", "work")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), public_url=url))
    async with victim.space("Home") as space:
        await add_file(space, photo, preview=b"x")
        await space.sync()
        assets = [asset async for asset in AssetReader(space).each()]
        await create_album(space, "A")
        album = await find_album(space, "A")
        await add_to_album(space, album, [asset for asset in assets if isinstance(asset, OpenedAsset)])
        made = await create_link(space, album, LinkWish())
        assert urlsplit(made.url).netloc == urlsplit(proxy.url).netloc
        pairing = parse_pairing_uri((await pair_camera(space, "Phone")).uri)
        assert pairing.server_url == proxy.url


async def test_words_are_shown_whatever_comes_after(
    server: ServerProcess, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the account is made its recovery words are shown, though the server then says nothing more."""
    monkeypatch.setattr(Retries, "pause_s", lambda *_, **__: 0.01)  # six attempts all the same
    proxy.lie("PUT", "/v1/keyring", lambda e: e.cut())
    proxy.lie("GET", "/v1/keyring", lambda e: e.cut())
    with ProfileFolder(tmp_path / "p") as folder:
        created = await create_account(
            folder, proxy.url, f"words.{time.time_ns()}", server.invite(), PASSWORD, use_system_keyring=False
        )
    assert len(created.recovery_words) == 24
    proxy.be_honest()
    async with Someone(tmp_path / "p", "words", []).session() as session:
        assert session.content.account_number == session.state.head.number


async def test_a_password_whose_change_was_not_confirmed(victim: Someone, proxy: Proxy) -> None:
    """The server took the new password and its answer was lost: the same command again brings this device along."""
    proxy.lie("POST", "/v1/accounts/.*/ledger", lambda e: e.cut())
    with ProfileFolder(victim.path) as folder:
        with pytest.raises(Refused) as refused:
            await change_password(folder, PASSWORD, NEW_PASSWORD, use_system_keyring=False)
        assert refused.value.code is Code.SERVER_UNREACHABLE
        proxy.be_honest()
        await change_password(folder, PASSWORD, NEW_PASSWORD, use_system_keyring=False)
    victim.password = NEW_PASSWORD
    async with victim.session() as session:
        assert session.state.head.number == 4


async def test_another_device_takes_the_new_password(victim: Someone, server: ServerProcess, tmp_path: Path) -> None:
    """Changed elsewhere: with the password it was set up with and the account's own, a device takes the latter."""
    other = Someone(tmp_path / "other", victim.name, [])
    with ProfileFolder(other.path) as folder:
        await login(folder, server.url, victim.name, PASSWORD, use_system_keyring=False)
    with ProfileFolder(victim.path) as folder:
        await change_password(folder, PASSWORD, NEW_PASSWORD, use_system_keyring=False)
    with ProfileFolder(other.path) as folder:
        for wrong in ("neither of them", "some third one"):
            with pytest.raises(Refused) as refused:
                await change_password(folder, PASSWORD, wrong, use_system_keyring=False)
            assert refused.value.code is Code.UNLOCK_FAILED
        await change_password(folder, PASSWORD, NEW_PASSWORD, use_system_keyring=False)
    other.password = NEW_PASSWORD
    async with other.session() as session:
        assert session.state.head.number == 5


@pytest.mark.parametrize("days", [-400, 400])
async def test_a_pairing_code_made_by_a_clock_that_is_wrong(victim: Someone, days: int) -> None:
    """A clock that is 400 days off makes no code that lives for 400 days, and none that is dead already: it is said."""
    await new_space(victim, "Home")
    async with victim.session() as session:
        session.clock = lambda: time.time_ns() // 1_000_000 + days * 86_400_000
        with await find_space(session, "Home") as space:
            await space.sync()
            with pytest.raises(Refused) as refused:
                await pair_camera(space, "Phone")
    assert refused.value.code is Code.LEDGER_RULE
    assert "clock" in refused.value.detail
