"""What the benchmarks share: a real server with an account, a space and a camera, made by the commands people use."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.server import data_folder

_START_TIMEOUT_S = 20
_BIN = Path(sys.executable).parent
PASSWORD = "a password for the benchmark"


@dataclass(frozen=True, slots=True)
class Installation:
    """A running server, and a folder with profiles for an account and its camera."""

    server: subprocess.Popen[str]
    url: str
    folder: Path

    def environment(self, profile: str) -> dict[str, str]:
        """Return the environment of a command run under *profile*."""
        return {**os.environ, "SAFELIGHT_PROFILE": str(self.folder / profile), "SAFELIGHT_PASSWORD": PASSWORD}

    def command(self, *arguments: str | Path) -> list[str]:
        """Return a `safelight` command line."""
        return [str(_BIN / "safelight"), *map(str, arguments)]

    def run(self, profile: str, *arguments: str | Path) -> Any:
        """Run a `safelight` command with `--json` and return its document."""
        command = self.command(*arguments, "--json")
        done = subprocess.run(command, env=self.environment(profile), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return json.loads(done.stdout)


@contextmanager
def installation(*options: str) -> Iterator[Installation]:
    """Start a server with *options* in a temporary folder, and end it and delete the folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as name:
        folder = Path(name)
        with _running(folder / "data", *options) as (server, url):
            yield Installation(server, url, folder)


@contextmanager
def second_process(first: Installation, *options: str) -> Iterator[Installation]:
    """Start one more process of the same server, with its key and the same *options*, until the end of the block."""
    data = first.folder / "second"
    data.mkdir()
    for name in (data_folder.MARKER, "server.key"):
        shutil.copy(first.folder / "data" / name, data / name)
    with _running(data, *options) as (server, url):
        yield Installation(server, url, first.folder)


@contextmanager
def _running(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [str(_BIN / "safelight-server"), "run", "--data", str(data), "--listen", "127.0.0.1:0", *options]
    with data.with_name(f"{data.name}.log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield server, _listening(server)
    finally:
        server.terminate()
        server.wait(30)


def _listening(server: subprocess.Popen[str]) -> str:
    if server.stdout is None:
        raise RuntimeError("the server's output is not read")
    for line in server.stdout:
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
    raise RuntimeError("the server did not start")


def with_account(made: Installation, name: str) -> bytes:
    """Make an account, as the profile *name*; returns its id."""
    invite = [str(_BIN / "safelight-server"), "invite", "--data", str(made.folder / "data"), "--json"]
    code = json.loads(subprocess.run(invite, capture_output=True, text=True, check=True).stdout)["code"]
    account = made.run(name, "account", "create", "--server", made.url, "--name", name, "--invite", code)
    return bytes.fromhex(account["account_id"])


def with_space(made: Installation, space: str, camera: str) -> None:
    """Make a space of the profile `owner`, and a camera of it, as the profile *camera*."""
    made.run("owner", "space", "create", space, "--kind", "family")
    uri = made.run("owner", "camera", "pair", "--space", space, "--name", camera)["uri"]
    made.run(camera, "camera", "add", uri)


def with_camera(made: Installation) -> None:
    """Make an account, a space "Family" and a camera, as profiles `owner` and `camera`."""
    with_account(made, "owner")
    with_space(made, "Family", "camera")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_http(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Wait until *url* is answered, with whatever status."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own server on this machine
                return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    raise RuntimeError(f"nothing serves {url}")
