"""What stands in deploy/ works: the nginx in front of a real server, the unit's hardening, and files that parse."""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from safelight.server import data_folder
from safelight.server.doctor.reach import through
from safelight.server.settings import Settings, variable_of
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.links import OpenLink
from tests.http.test_process import make_certificate, run, running
from tests.support.api import Api
from tests.support.deployed_nginx import Deployed, deployed
from tests.support.protocol import Blob, Link, Person, Writer
from tests.support.samples import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
INSTRUCTIONS = frozenset(
    [
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ]
)
VARIABLES = {variable_of(setting.name) for setting in fields(Settings)}


@asynccontextmanager
async def behind_nginx(folder: Path, *flags: str) -> AsyncIterator[tuple[Deployed, Api, str]]:
    """A server behind the nginx of deploy/: both, the server's API through it, and an invite."""
    cert, key = make_certificate(folder)
    data = folder / "data"
    async with running(data, "--public-url", "https://localhost", *flags) as server:
        nginx = deployed(folder / "nginx", [server.url.removeprefix("http://")], cert, key)
        assert "syntax is ok" in nginx.test().stderr
        trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=cert))
        with nginx.running():
            async with aiohttp.ClientSession(connector=trust, cookie_jar=aiohttp.DummyCookieJar()) as http:
                api = Api(nginx.url, http, b"")
                api = Api(nginx.url, http, (await api.get("/v1/server")).as_(ServerInfo).server_key)
                code = (await asyncio.to_thread(run, "invite", "--data", str(data))).stdout.strip()
                yield nginx, api, code


async def test_a_photo_and_a_link_through_nginx(tmp_path: Path) -> None:
    """An upload larger than any default limit, the bell, and a link that opens; nothing stays in nginx's folders."""
    async with behind_nginx(tmp_path) as (nginx, anyone, code):
        person = Person()
        assert (await anyone.post("/v1/accounts", person.create_request(code))).status == 200
        api = await anyone.sign_in(person.signer)
        writer = Writer(person, person.signer)
        await api.create_space(writer)
        film, page = Blob(os.urandom(12_000_000)), Blob(os.urandom(20_000))
        await api.add_photo(writer, film, page)
        space = f"/v1/spaces/{writer.space_id.hex()}"
        assert (await api.get(f"{space}/blobs/{film.name.hex()}")).body == film.data
        headers = {"Authorization": f"Bearer {api.token}"}
        async with api.http.ws_connect(f"{api.url}{space}/bell", headers=headers) as bell:
            assert (await bell.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT
        link = Link(Blob(os.urandom(500)))
        link.view.append(page)
        await api.publish(writer, link)
        opened = await api.post(f"/v1/links/{link.link_id.hex()}/open", OpenLink(link.token))
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        shown = await api.send("GET", f"/v1/links/{link.link_id.hex()}/blobs/{page.name.hex()}", None, cookie)
        assert shown.body == page.data
        left = [path for kind in ("bodies", "proxy") for path in (nginx.folder / kind).rglob("*") if path.is_file()]
        assert left == []


@pytest.mark.parametrize("interim", ["no", "yes"])
async def test_the_doctor_goes_through_that_nginx(tmp_path: Path, interim: str) -> None:
    """It says who asks, and lets nobody claim another address; it takes a 104 for the answer, so it must get none."""
    async with behind_nginx(tmp_path, "--upload-interim", interim) as (nginx, _, _code):
        control = data_folder.control_path(tmp_path / "data")
        trust = str(tmp_path / "cert.pem")
        found = await through(nginx.url, control, interim=interim == "yes", trust=trust)
    levels = {finding.subject: finding.level for finding in found}
    well = {"certificate": "note", "way": "ok", "interim": "ok", "proxy": "ok"}
    assert levels == (well if interim == "no" else {"certificate": "note", "interim": "problem", "proxy": "ok"}), found


def test_what_runs_behind_nginx_sends_no_interim_answers() -> None:
    """The cluster's servers, and the command in nginx.conf."""
    environment = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text())["services"]["first"]["environment"]
    assert environment["SAFELIGHT_UPLOAD_INTERIM"] == "no"
    assert "--upload-interim no" in (DEPLOY / "nginx.conf").read_text()


async def test_the_server_needs_no_memory_that_is_written_and_run(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute in the unit: with the kernel's own form of it the server takes an account and signs."""
    script = (
        "import ctypes, os, sys; os.environ['MDWE'] = str(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0));"
        " os.execv(sys.argv[1], sys.argv[1:])"
    )
    data = tmp_path / "data"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, sys.executable, "-m", "safelight.server"),
        *("run", "--data", str(data), "--listen", "127.0.0.1:0"),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[-1]
        if b"MDWE=0\0" not in Path(f"/proc/{process.pid}/environ").read_bytes():  # noqa: ASYNC240 - a test
            pytest.skip("this kernel cannot forbid it (Linux 6.3 can)")
        code = (await asyncio.to_thread(run, "invite", "--data", str(data))).stdout.strip()
        async with aiohttp.ClientSession() as http:
            key = (await Api(url, http, b"").get("/v1/server")).as_(ServerInfo).server_key
            api, person = Api(url, http, key), Person()
            await api.post("/v1/accounts", person.create_request(code))
            api = await api.sign_in(person.signer)
            await api.create_space(Writer(person, person.signer))
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's own judge")
def test_the_unit(tmp_path: Path) -> None:
    """Systemd finds nothing wrong with it, and little that it could do beyond its work."""
    text = (DEPLOY / "safelight.service").read_text()
    unit = tmp_path / "safelight.service"
    unit.write_text(text.replace("/opt/safelight/.venv/bin/safelight-server", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert verified.stderr == ""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-300:]


def instructions() -> list[list[tuple[str, str]]]:
    """The Dockerfile's instructions, stage by stage."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        assert word in INSTRUCTIONS, line
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, " ".join(rest.split())))
    return stages


def test_the_dockerfile() -> None:
    """What runs is nobody's root, has no compiler, checks that it lives, and takes all packages by their hashes."""
    *before, last = instructions()
    words = [word for word, _ in last]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(last)["USER"].split(":")[0] not in {"0", "root"}
    assert "/health" in dict(last)["HEALTHCHECK"]
    assert not any("apt" in rest or "pip install" in rest for word, rest in last if word == "RUN")
    packages = " ".join(rest for word, rest in before[-1] if word == "RUN")
    assert "--require-hashes --no-deps --only-binary :all: --requirement requirements/run.txt" in packages
    for stage in instructions():
        for word, rest in stage:
            if word == "COPY" and not rest.startswith("--from"):
                for source in rest.split()[:-1]:
                    assert (REPOSITORY / source).exists(), source
    named = set(re.findall(r"SAFELIGHT_\w+", dict(last)["ENV"]))
    assert named <= VARIABLES


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cluster.yaml"])
def test_compose_files(name: str) -> None:
    """They parse, every setting in them exists with a value that it takes, and what they refer to is there."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    services = document["services"]
    servers = [service for service in services.values() if service["image"] == "safelight" and "environment" in service]
    assert servers
    for server in servers:
        assert (server["read_only"], server["cap_drop"]) == (True, ["ALL"])
        names = {key for key in server["environment"] if key.startswith("SAFELIGHT_")}
        assert names <= VARIABLES
        assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in document["volumes"] or source == "./tls" or (DEPLOY / source).is_file(), volume
        assert set(service.get("depends_on", ())) <= set(services)
        networks = service.get("networks", [])
        assert set(networks) <= set(document["networks"])
        assert "ports" not in service or "inside" not in networks or "outside" in networks


def test_the_clusters_addresses_fit_together() -> None:
    """The server believes the proxy's address and no other, and nginx asks the servers where they listen."""
    document = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text())
    environment = document["services"]["first"]["environment"]
    proxy = document["services"]["nginx"]["networks"]["inside"]["ipv4_address"]
    assert environment["SAFELIGHT_TRUSTED_PROXIES"] == f"{proxy}/32"
    asked = set(re.findall(r"^server (\w+):8080", (DEPLOY / "nginx.cluster.conf").read_text(), re.MULTILINE))
    assert asked == {"first", "second"} <= set(document["services"])
