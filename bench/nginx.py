"""nginx, the peer that our HTTP is measured beside: started in a folder of its own on a free port, and ended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.support import free_port, wait_for_http
from tools.ensure_program import find

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_CONFIG = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {root}; }}
        location /put/ {{
            alias {folder}/put/;
            dav_methods PUT;
            client_max_body_size 0;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx: its address, and the folder under which `/put/` stores what is PUT."""

    port: int
    stored: Path
    process: "subprocess.Popen[bytes]"


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Nginx]:
    """Serve the files of *root*, and take PUT below `/put/` into *folder*."""
    program = find("nginx")
    if program is None:
        sys.exit("This compares with nginx, which is not installed: apt-get install nginx-core")
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "put").mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    # Its workers stay who we are: they read what only we may read.
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(user + _CONFIG.format(folder=folder, root=root, port=port))
    with subprocess.Popen([program, "-c", str(config), "-e", str(folder / "error.log")]) as process:
        try:
            wait_for_http(process, f"http://127.0.0.1:{port}/")
            yield Nginx(port, folder / "put", process)
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and the processes that it started, all threads, in seconds."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS_A_SECOND


def settle() -> None:
    """Let the machine come to rest between two ways, so that one does not pay for the other's writing."""
    subprocess.run(["sync"], check=True)
    time.sleep(0.2)
