"""Uploads through the real nginx, as people put it before the server: with its limits, its buffers and its quirks."""

import asyncio
import hashlib
import secrets
from pathlib import Path

import pytest

from safelight.clients.engine import uploads
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.nginx import nginx_before
from tests.support.people import Someone, new_someone, new_space
from tests.support.raw_http import RawConnection, raw
from tests.support.server_process import ServerProcess, server_process

MIB = 1024 * 1024
QUICK = Retries(attempts=3, first_pause_s=0.01, max_pause_s=0.02)


@pytest.fixture(scope="module")
def data() -> bytes:
    """A blob longer than what nginx takes at once."""
    return secrets.token_bytes(MIB) * 101


async def upload(url: str, anna: Someone, space_id: bytes, data: bytes, retries: Retries = QUICK) -> None:
    """Upload *data* by way of *url*."""
    async with anna.session() as session:
        key, device = session.connection.server_key, session.device
        async with Connection(url, server_key=key, device=device, retries=retries) as connection:
            digest = hashlib.sha256(data).digest()
            await upload_blob(connection, space_id, data, digest=digest, size_bytes=len(data))


def stored(server: ServerProcess, data: bytes) -> bool:
    """Whether the blob lies whole in the server's folder."""
    name = hashlib.sha256(data).hexdigest()
    return (server.data / "blobs" / name[:2] / name).read_bytes() == data


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_through_stock_nginx(
    server: ServerProcess, tmp_path: Path, data: bytes, buffering: str, version: str
) -> None:
    """Pieces of 32 MiB pass where bodies over 100 MB do not, buffered or not, though this server sends 104s."""
    anna = await new_someone(server, tmp_path / "anna", f"nginx.{buffering}.{version}")
    space_id = await new_space(anna, "Home")
    more = secrets.token_bytes(16) + data
    directives = (
        "client_max_body_size 100m;",
        f"proxy_request_buffering {buffering};",
        f"proxy_http_version {version};",
    )
    with nginx_before(server.url, tmp_path / "nginx", *directives) as nginx:
        await asyncio.wait_for(upload(nginx.url, anna, space_id, more), 60)
        assert "too large" not in nginx.log
    assert stored(server, more)


async def test_a_proxy_that_takes_less_than_a_piece(server: ServerProcess, tmp_path: Path) -> None:
    """By itself nginx takes 1 MB: its 413, which is no answer of ours, halves the pieces until they pass."""
    anna = await new_someone(server, tmp_path / "anna", "less")
    space_id = await new_space(anna, "Home")
    data = secrets.token_bytes(5 * MIB + 1)
    with nginx_before(server.url, tmp_path / "nginx", "proxy_http_version 1.1;") as nginx:
        await asyncio.wait_for(upload(nginx.url, anna, space_id, data), 60)
        assert "too large" in nginx.log
    assert stored(server, data)


async def test_a_proxy_that_takes_next_to_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """Where the smallest piece does not pass either, attempts end with what a person can act on."""
    anna = await new_someone(server, tmp_path / "anna", "nothing")
    space_id = await new_space(anna, "Home")
    with nginx_before(server.url, tmp_path / "nginx", "client_max_body_size 100k;") as nginx:
        with pytest.raises(Refused) as refused:
            await asyncio.wait_for(upload(nginx.url, anna, space_id, secrets.token_bytes(MIB)), 60)
        assert refused.value.code is Code.TOO_LARGE


async def test_the_limit_that_the_server_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that tells what fits into one request is not sent more, once that is known."""
    sent: list[int] = []
    append = uploads._Upload._append

    async def noted(self: uploads._Upload, path: str, start: int, end: int) -> object:
        sent.append(end - start)
        return await append(self, path, start, end)

    monkeypatch.setattr(uploads._Upload, "_append", noted)
    with server_process(tmp_path / "data", "--upload-append-size-bytes", "700000") as server:
        anna = await new_someone(server, tmp_path / "anna", "told")
        space_id = await new_space(anna, "Home")
        await upload(server.url, anna, space_id, secrets.token_bytes(33 * MIB))
    assert max(sent) == 700_000


async def creation(connection: RawConnection, space_id: bytes, size_bytes: int, version: str) -> None:
    """Begin a creation as a phone does that speaks the draft, with all of its content."""
    headers = {"Upload-Complete": "?1", "Content-Length": str(size_bytes), "Upload-Draft-Interop-Version": version}
    await connection.request("POST", f"/v1/blobs?space={space_id.hex()}", headers)


async def through_nginx(server: ServerProcess, tmp_path: Path, http: str, *, size_bytes: int = 20 * MIB) -> int:
    """Upload as a phone does, through nginx that speaks *http* to the server; the first status that comes back."""
    anna = await new_someone(server, tmp_path / "anna", "phone")
    space_id = await new_space(anna, "Home")
    directives = ("client_max_body_size 100m;", "proxy_request_buffering off;", f"proxy_http_version {http};")
    async with anna.session() as session:
        token = await session.connection._session_token()
        with nginx_before(server.url, tmp_path / "nginx", *directives) as nginx:
            async with raw(nginx.url, token) as connection:
                await creation(connection, space_id, size_bytes, "8")
                sending = asyncio.create_task(connection.send(secrets.token_bytes(MIB) * (size_bytes // MIB)))
                try:
                    return (await asyncio.wait_for(connection.response(), 5)).status
                finally:
                    sending.cancel()


@pytest.mark.parametrize("options", [(), ("--upload-interim", "no")], ids=["with-104", "without-104"])
async def test_interim_responses_and_nginx(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Nginx that speaks HTTP/1.1 to the server takes 104 for the answer; the setting that turns them off helps.

    A newer nginx may pass 104s on or drop them. With the setting the answer comes whatever it does.
    """
    with server_process(tmp_path / "data", *options) as server:
        try:
            status = await through_nginx(server, tmp_path, "1.1")
        except (TimeoutError, asyncio.IncompleteReadError):
            status = 0  # it waits for an answer that it believes to have had
        assert status == 200 if options else status in {0, 104, 200}


async def test_nginx_that_speaks_the_older_http(server: ServerProcess, tmp_path: Path) -> None:
    """By default nginx speaks HTTP/1.0 to the server, which has no interim responses: none is sent."""
    assert await through_nginx(server, tmp_path, "1.0") == 200


async def test_beside_the_bell(server: ServerProcess, tmp_path: Path) -> None:
    """Configured for the bell, which needs HTTP/1.1 and an upgrade, nginx passes uploads of our clients on as well."""
    anna = await new_someone(server, tmp_path / "anna", "example")
    space_id = await new_space(anna, "Home")
    data = secrets.token_bytes(3 * MIB)
    directives = (
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_upgrade;",
        "client_max_body_size 0;",
        "proxy_request_buffering off;",
    )
    with nginx_before(server.url, tmp_path / "nginx", *directives) as nginx:
        await asyncio.wait_for(upload(nginx.url, anna, space_id, data), 60)
        async with anna.session() as session:
            token = await session.connection._session_token()
        async with raw(nginx.url, token) as connection:
            upgrade = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            await connection.request("GET", f"/v1/spaces/{space_id.hex()}/bell", upgrade)
            head = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 101")
    assert stored(server, data)
