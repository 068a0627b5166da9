"""The nginx of deploy/nginx.conf, as a process of its own: the very file, with this machine's ports and paths in it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.killing import kill_with_children
from tests.support.ports import free_port
from tests.support.samples import REPOSITORY
from tools.ensure_program import find

_MAIN = """
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass
class Deployed:
    """A configuration that stands in its folder, and the address that it serves. `kill` ends it without warning."""

    folder: Path
    url: str
    program: str
    process: "subprocess.Popen[bytes] | None" = None

    def test(self) -> "subprocess.CompletedProcess[str]":
        """Let nginx judge its configuration."""
        command = [self.program, "-t", "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "error.log")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end of the block."""
        try:
            self.start()
            yield
        finally:
            if self.process is not None:
                self.process.terminate()
                self.process.wait(timeout=20)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self.folder / "error.log"
        process = self.process = subprocess.Popen([self.program, "-c", str(self.folder / "nginx.conf"), "-e", str(log)])
        until = time.monotonic() + 30
        while not self._listens():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def kill(self) -> None:
        """End it and its worker without warning."""
        if self.process is not None:
            kill_with_children(self.process.pid)
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=1).close()
        except OSError:
            return False
        return True


def deployed(folder: Path, servers: Sequence[str], cert: Path, key: Path) -> Deployed:
    """Put the configuration into *folder*, in front of *servers* (HOST:PORT each)."""
    program = find("nginx")
    assert program is not None, "nginx is not installed: apt-get install nginx-core"
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    site = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    for there, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("photos.example.org", "localhost"),
        ("/etc/safelight/tls/photos.pem", str(cert)),
        ("/etc/safelight/tls/photos.key", str(key)),
        ("/etc/nginx/safelight-upstream.conf", str(folder / "upstream.conf")),
    ):
        assert there in site
        site = site.replace(there, here)
    cluster = (REPOSITORY / "deploy" / "nginx.cluster.conf").read_text()
    several = cluster.replace("server first:8080", f"server {servers[0]}").replace("second:8080", servers[-1])
    upstream = several if len(servers) > 1 else f"server {servers[0]};"
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "site.conf").write_text(site)
    (folder / "upstream.conf").write_text(upstream)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))
    return Deployed(folder, f"https://localhost:{port}", program)
