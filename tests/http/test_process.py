"""The real command: `safelight-server`, started and stopped as its operator does."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from safelight.sync_protocol.messages.common import ServerInfo
from tests.http.conftest import Owner
from tests.support.api import Api
from tests.support.protocol import Blob, Person, Writer
from tests.support.raw_http import raw

COMMAND = [sys.executable, "-m", "safelight.server"]


@dataclass
class Running:
    """A server process and its address."""

    process: asyncio.subprocess.Process
    url: str


@asynccontextmanager
async def running(data: Path, *flags: str, listen: str = "127.0.0.1:0", **environment: str) -> AsyncIterator[Running]:
    """Run the server until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("run", "--data", str(data), "--listen", listen, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line.startswith("listening on "), (line, await process.stderr.read() if process.stderr else b"")
        yield Running(process, line.removeprefix("listening on ").strip())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def info_of(url: str) -> ServerInfo:
    """What a server says of itself."""
    async with aiohttp.ClientSession() as http:
        return (await Api(url, http, b"").get("/v1/server")).as_(ServerInfo)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_server_never_loads_what_decrypts() -> None:
    """Everything that the server is made of can be loaded without a line of the code that opens sealed things."""
    script = "import sys, safelight.server.__main__; print([name for name in sys.modules if 'sealing' in name])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


async def test_run_and_stop(tmp_path: Path) -> None:
    """One line when ready, nothing else on stdout; a clean end at SIGTERM."""
    async with running(tmp_path / "data") as server:
        async with aiohttp.ClientSession() as http, http.get(f"{server.url}/health") as answer:
            assert answer.status == 200
        server.process.send_signal(signal.SIGTERM)
        out, error = await asyncio.wait_for(server.process.communicate(), 15)
    assert (server.process.returncode, out, error) == (0, b"", b"")


async def test_invites(tmp_path: Path) -> None:
    """An invite is made by the running server, or alone where none runs; both make accounts."""
    data = tmp_path / "data"
    alone = run("invite", "--data", str(data)).stdout.strip()
    async with running(data) as server:
        asked = json.loads((await asyncio.to_thread(run, "invite", "--data", str(data), "--json")).stdout)["code"]
        async with aiohttp.ClientSession() as http:
            for code in (alone, asked):
                api = Api(server.url, http, b"")
                assert (await api.post("/v1/accounts", Person().create_request(code))).status == 200


async def test_a_folder_with_a_long_path(tmp_path: Path) -> None:
    """The control socket works where the folder's path is longer than sockets take."""
    data = tmp_path / ("a" * 60) / ("b" * 60)
    async with running(data):
        assert (await asyncio.to_thread(run, "invite", "--data", str(data))).returncode == 0


async def test_one_server_a_folder(tmp_path: Path) -> None:
    """A second server on the same folder is refused in one line."""
    async with running(tmp_path / "data"):
        second = await asyncio.to_thread(run, "run", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
    assert "another Safelight server" in second.stderr


@pytest.mark.parametrize(
    ("prepare", "flags", "said"),
    [
        (lambda folder: None, ["--existing"], "is the disk mounted?"),
        (lambda folder: folder.mkdir(), ["--existing"], "is the disk mounted?"),
        (lambda folder: (folder.mkdir(), (folder / "thesis.doc").touch()), [], "thesis.doc"),
        (lambda folder: (folder.mkdir(), (folder / "safelight-data").write_text("Format 2")), [], "another version"),
        (lambda folder: folder.touch(), [], "data"),
    ],
)
def test_folders_that_are_refused(
    tmp_path: Path, prepare: Callable[[Path], object], flags: list[str], said: str
) -> None:
    """A folder that is not ours is left alone, and one that should be there is not made anew."""
    folder = tmp_path / "data"
    prepare(folder)
    result = run("run", "--data", str(folder), "--listen", "127.0.0.1:0", *flags)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert said in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--data", "x", "--listen", "8080"],
        ["--data", "x", "--listen", "a:b"],
        ["--data", "x", "--session-lifetime-s", "long"],
        ["--data", "x", "--log-format", "xml"],
        ["--data", "x", "--public-url", "photos.example"],
        ["--data", "x", "--tls-cert", "cert.pem"],
        ["--data", "x", "--trusted-proxies", "everyone"],
    ],
)
def test_misuse(flags: list[str]) -> None:
    """A wrong flag is one line on stderr, and exit 2."""
    result = run("run", *flags)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


async def test_the_warning(tmp_path: Path) -> None:
    """A public address without https is warned of when the server starts, and to clients."""
    async with running(tmp_path / "data", "--public-url", "http://photos.example") as server:
        info = await info_of(server.url)
        assert info.public_url == "http://photos.example"
        assert "links will not open" in info.warning
        server.process.terminate()
        _, error = await server.process.communicate()
    assert error.decode().startswith("warning: http://photos.example is neither https nor this machine")


async def test_switches(tmp_path: Path) -> None:
    """A switch alone is yes, and may say yes or no."""
    async with running(tmp_path / "data", "--upload-interim", "no"):
        pass
    async with running(tmp_path / "data", "--existing", "--upload-interim"):
        pass


async def test_settings_from_the_environment(tmp_path: Path) -> None:
    """A variable sets what no flag does."""
    async with running(tmp_path / "data", SAFELIGHT_PUBLIC_URL="https://photos.example/") as server:
        info = await info_of(server.url)
    assert (info.public_url, info.warning) == ("https://photos.example", "")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    no_password = serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, no_password))
    return cert_path, key_path


async def test_tls(tmp_path: Path) -> None:
    """With certificate and key the server speaks https by itself."""
    cert, key = make_certificate(tmp_path)
    async with running(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=cert)
        url = server.url.replace("127.0.0.1", "localhost")
        async with aiohttp.ClientSession() as http, http.get(f"{url}/health", ssl=trust) as answer:
            assert answer.status == 200


async def test_killed_and_started_again(tmp_path: Path) -> None:
    """What was acknowledged before kill -9 is there afterwards, and the feed goes on where it was."""
    data = tmp_path / "data"
    blob = Blob(os.urandom(200_000))
    async with running(data) as server, aiohttp.ClientSession() as http:
        code = (await asyncio.to_thread(run, "invite", "--data", str(data))).stdout.strip()
        info = await info_of(server.url)
        api, person = Api(server.url, http, info.server_key), Person()
        assert (await api.post("/v1/accounts", person.create_request(code))).status == 200
        api = await api.sign_in(person.signer)
        writer = Writer(person, person.signer)
        await api.create_space(writer)
        await api.add_photo(writer, blob)
        server.process.kill()
        await server.process.wait()
    async with running(data, "--existing") as server, aiohttp.ClientSession() as http:
        again = Owner(person, Api(server.url, http, info.server_key, api.token), writer)
        assert (await again.api.get(f"{again.space}/blobs/{blob.name.hex()}")).body == blob.data
        await again.api.commit(writer, writer.open_roll())


async def test_logs_hold_no_secrets(tmp_path: Path) -> None:
    """The log at its most talkative holds no token, name, id, code or whole address."""
    data = tmp_path / "data"
    async with running(data, "--log-level", "debug", "--log-format", "json") as server:
        code = (await asyncio.to_thread(run, "invite", "--data", str(data))).stdout.strip()
        async with aiohttp.ClientSession() as http:
            info = await info_of(server.url)
            api, person = Api(server.url, http, info.server_key), Person("canary-name")
            headers = {"X-Forwarded-For": "203.0.113.77"}
            await api.post("/v1/accounts", person.create_request(code), **headers)
            api = await api.sign_in(person.signer)
            writer = Writer(person, person.signer)
            await api.create_space(writer)
            await api.get(f"/v1/spaces/{writer.space_id.hex()}/log")
            await api.post("/v1/spaces", b'{"canary-body": 1}')
        async with raw(server.url) as connection:
            connection.writer.write(b"canary nonsense\r\n\r\n")
            await connection.rest_size_bytes()
        server.process.terminate()
        _, error = await server.process.communicate()
    lines = [json.loads(line) for line in error.decode().splitlines()]
    assert {line["route"] for line in lines if line["event"] == "request"} >= {"/v1/accounts", "/v1/spaces/{space}/log"}
    assert "203.0.113.0/24" in error.decode()
    whole = ("203.0.113.77", "127.0.0.1")
    secrets = (code, "canary", api.token, person.account_id.hex(), writer.space_id.hex(), *whole)
    for secret in secrets:
        assert secret not in error.decode()
