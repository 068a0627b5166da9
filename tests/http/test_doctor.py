"""`safelight-server doctor`: over a folder without a server, over one with, and through addresses and proxies."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from safelight.server import data_folder
from safelight.server.doctor.findings import Finding
from safelight.server.doctor.reach import CLAIMED, through
from safelight.server.routes.probes import HEADER
from tests.http.test_process import make_certificate, run, running
from tests.support.ports import free_port


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The command runs on uvloop, so its tests do."""
    return {"uvloop": uvloop.new_event_loop}


async def doctor(data: Path, *flags: str, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the command; its exit code, and the findings by subject (of several the worst)."""
    done = await asyncio.to_thread(run, "doctor", "--data", str(data), "--json", *flags, **environment)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    found: dict[str, dict[str, str]] = {}
    order = ("ok", "note", "problem")
    for finding in sorted(document["findings"], key=lambda finding: order.index(finding["level"])):
        found[finding["subject"]] = finding
    problems = [finding for finding in document["findings"] if finding["level"] == "problem"]
    assert done.returncode == bool(problems) == (document["level"] == "problem")
    return done.returncode, found


async def test_without_a_server(tmp_path: Path) -> None:
    """It looks at all that lies there, says what it could not look at, and leaves everything as it was."""
    data = tmp_path / "data"
    await asyncio.to_thread(run, "invite", "--data", str(data))
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    _, found = await doctor(data, "--public-url", "https://photos.example")
    for subject in (
        "folder",
        "key",
        "permissions",
        "owner",
        "one-disk",
        "database",
        "data-version",
        "clock",
        "public-url",
    ):
        assert found[subject]["level"] == "ok", found[subject]
    assert found["way"]["level"] == "note"
    assert "ready" not in found
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


async def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    """One problem, exit 1, and no folder is made."""
    code, found = await doctor(tmp_path / "nothing")
    assert (code, found["folder"]["level"]) == (1, "problem")
    assert not (tmp_path / "nothing").exists()


async def test_with_a_server(tmp_path: Path) -> None:
    """It is asked; its way through its own address is direct; what it goes by is what it was started with."""
    data = tmp_path / "data"
    async with running(data, SAFELIGHT_READY_FREE_BYTES="0") as server:
        _, found = await doctor(data, "--public-url", "https://elsewhere.example")
    for subject in ("database", "ready", "public-url", "way", "proxy", "open-files"):
        assert found[subject]["level"] in {"ok", "note"}, found[subject]
    assert server.url in found["public-url"]["sentence"]
    assert "no proxy" in found["proxy"]["sentence"]


async def test_for_people(tmp_path: Path) -> None:
    """It fits into 80 columns, but for paths, and ends in a summary."""
    data = tmp_path / "data"
    async with running(data):
        shown = await asyncio.to_thread(run, "doctor", "--data", str(data))
    wide = [line for line in shown.stdout.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    assert wide == []
    assert "well." in shown.stdout.splitlines()[-1]
    assert "\033" not in shown.stdout


async def test_a_command_in_the_folder(tmp_path: Path) -> None:
    """Another command that holds the folder is told."""
    data = tmp_path / "data"
    await asyncio.to_thread(run, "invite", "--data", str(data))
    with data_folder.opened(data, existing=True):
        _, found = await doctor(data)
    assert found["lock"]["level"] == "note"


async def test_nobody_else_is_remembered(tmp_path: Path) -> None:
    """Only a request with a word that was given out is told of: others leave nothing, and get no interim answer."""
    data = tmp_path / "data"
    async with running(data) as server, aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/health", headers={HEADER: "0" * 32}) as answer:
            assert answer.status == 200
        reader, writer = await asyncio.open_unix_connection(str(data / "control.sock"))
        writer.write(b'{"command": "probed"}\n')
        assert json.loads(await reader.readline()) == {}
        writer.close()


async def test_tls(tmp_path: Path) -> None:
    """The running server's own certificate is looked at, and the one that is shown at the address."""
    cert, key = make_certificate(tmp_path)
    key.chmod(0o600)
    data, port = tmp_path / "data", free_port()
    flags = ("--tls-cert", str(cert), "--tls-key", str(key), "--public-url", f"https://localhost:{port}")
    async with running(data, *flags, listen=f"127.0.0.1:{port}"):
        _, found = await doctor(data)
        assert "0 more days" in found["certificate"]["sentence"]
        assert found["way"]["level"] == "problem"  # nobody vouches for it
        trusted = await through(
            f"https://localhost:{port}", data_folder.control_path(data), interim=True, trust=str(cert)
        )
    assert {finding.subject: finding.level for finding in trusted} == {
        "certificate": "note",
        "way": "ok",
        "proxy": "ok",
    }


@asynccontextmanager
async def proxy(
    target: str, forwarded: Callable[[str, str], str | None], *, interim: str = "pass"
) -> AsyncIterator[str]:
    """A proxy in miniature: *forwarded* makes X-Forwarded-For of what came and who; *interim* passes, drops or ends."""
    host, port = target.removeprefix("http://").split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        came = next((line.split(": ")[1] for line in lines if line.lower().startswith("x-forwarded-for")), "")
        lines = [line for line in lines if not line.lower().startswith("x-forwarded-for")]
        made = forwarded(came, writer.get_extra_info("peername")[0])
        lines += [f"X-Forwarded-For: {made}"] if made is not None else []
        upstream.write("\r\n".join([*lines, "", ""]).encode())
        head = await upstream_reader.readuntil(b"\r\n\r\n")
        if interim == "take":
            head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        elif b" 104 " in head.split(b"\r\n")[0] and interim != "pass":
            if interim == "end":
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                upstream.close()
                return
            head = b""
        writer.write(head + await upstream_reader.read())
        writer.close()
        upstream.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


def extended(came: str, peer: str) -> str:
    """What a proxy should do."""
    return f"{came}, {peer}" if came else peer


@pytest.mark.parametrize(
    ("forwarded", "interim", "trusted", "expected"),
    [
        (extended, "pass", "127.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "ok"}),
        (extended, "drop", "127.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "ok"}),
        (lambda _, peer: peer, "pass", "127.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "ok"}),
        (extended, "end", "127.0.0.0/8", {"interim": "problem", "proxy": "ok"}),
        (extended, "take", "127.0.0.0/8", {"interim": "problem", "proxy": "ok"}),
        (extended, "pass", "10.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "problem"}),
        (lambda *_: None, "pass", "127.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "problem"}),
        (lambda came, _: came, "pass", "127.0.0.0/8", {"way": "ok", "interim": "ok", "proxy": "problem"}),
    ],
    ids=[
        "extends",
        "drops 104",
        "replaces",
        "ends at 104",
        "takes 104 as nginx does",
        "not trusted",
        "says nothing",
        "believes clients",
    ],
)
async def test_proxies(
    tmp_path: Path,
    forwarded: Callable[[str, str], str | None],
    interim: str,
    trusted: str,
    expected: dict[str, str],
) -> None:
    """What a proxy does wrong is found by going through it."""
    async with (
        running(tmp_path / "data", "--trusted-proxies", trusted) as server,
        proxy(server.url, forwarded, interim=interim) as url,
    ):
        found: list[Finding] = await through(url, data_folder.control_path(tmp_path / "data"), interim=True)
    assert {finding.subject: finding.level for finding in found} == expected, found
    assert all(finding.remedy for finding in found if finding.level == "problem")


async def test_an_address_of_somebody_else(tmp_path: Path) -> None:
    """An address that answers without leading here, and one that nobody answers at, are told."""
    async with running(tmp_path / "a"), running(tmp_path / "b") as other:
        path = data_folder.control_path(tmp_path / "a")
        [elsewhere] = await through(other.url, path, interim=True)
        [nobody] = await through(f"http://127.0.0.1:{free_port()}", path, interim=True)
    assert (elsewhere.level, nobody.level) == ("note", "note")
    assert "did not arrive" in elsewhere.sentence
    assert "cannot be reached" in nobody.sentence
    assert CLAIMED not in elsewhere.sentence
