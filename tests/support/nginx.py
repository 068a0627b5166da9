"""The real nginx in front of a server, in a folder of its own on a free port, as people put it there."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.ensure_program import find, install

_START_TIMEOUT_S = 20
_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{upstream};
            {directives}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx: its address, its version, and where it logs."""

    url: str
    version: tuple[int, ...]
    folder: Path

    @property
    def log(self) -> str:
        """What it complained of."""
        return (self.folder / "error.log").read_text()


@contextmanager
def nginx_before(url: str, folder: Path, *directives: str) -> Iterator[Nginx]:
    """Run nginx before the server at *url*, with *directives* in its location."""
    program = find("nginx") or (install("nginx") and find("nginx"))
    assert program, "these tests need nginx: apt-get install nginx-core, or name its path in SAFELIGHT_NGINX"
    folder.mkdir()
    folder.chmod(0o755)
    port = _free_port()
    upstream = urlsplit(url).netloc
    text = _CONFIG.format(folder=folder, port=port, upstream=upstream, directives="\n            ".join(directives))
    config = folder / "nginx.conf"
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    with subprocess.Popen([program, "-c", str(config), "-e", str(folder / "error.log")]) as process:
        try:
            _wait_for_port(port, process)
            yield Nginx(f"http://127.0.0.1:{port}", _version_of(program), folder)
        finally:
            process.terminate()


def _version_of(program: str) -> tuple[int, ...]:
    told = subprocess.run([program, "-v"], check=True, capture_output=True, text=True).stderr
    return tuple(int(part) for part in told.partition("/")[2].split()[0].split("."))


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline, "nginx takes too long to start"
            time.sleep(0.02)
