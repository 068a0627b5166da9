"""What a download costs, beside nginx with `sendfile` over the same files: speed, CPU, small blobs, stalled readers.

`python -m bench.downloads [--size-mb 512] [--repeats 5]` prints medians, both ways taking turns; exits 1 below 0.8 of
nginx's speed, above 3 times its CPU a GB, below 2,000 small blobs a second, or where 200 readers that take nothing
double the others' 99th percentile.
"""

import argparse
import asyncio
import hashlib
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.clients import bearer
from bench.nginx import cpu_seconds, nginx, settle
from bench.support import PASSWORD, Installation, installation, with_camera
from safelight.clients.engine.account_session import open_account
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.uploads import BytesSource, upload_blob

SPEED_FLOOR = 0.8
CPU_CEILING = 3.0
SMALL_FLOOR = 2000
STALLED_CEILING = 2.0
SMALL_SIZE_BYTES = 15_000
_READERS = 4
_SMALL_READERS = 8
_STALLED = 200
_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the two servers: where it listens, what to ask it for, and whose CPU counts."""

    name: str
    address: tuple[str, int]
    large: bytes
    small: bytes
    pid: int


def get(host: str, path: str, token: str = "") -> bytes:
    """Return a request."""
    bearer_line = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{bearer_line}\r\n".encode()


class Reader:
    """A connection kept open, which reads answers into one buffer and throws them away."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_BUFFER_BYTES)

    def fetch(self, request: bytes) -> int:
        """Send *request* and read all of its answer; return the body's size."""
        self.socket.sendall(request)
        view, filled = memoryview(self._buffer), 0
        while (end := self._buffer.find(b"\r\n\r\n", 0, filled)) < 0:
            filled += self._some(view[filled:])
        head = bytes(view[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        size_bytes = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        left = size_bytes - (filled - end - 4)
        while left > 0:
            left -= self._some(view[: min(left, _BUFFER_BYTES)])
        return size_bytes

    def _some(self, view: memoryview) -> int:
        if not (received := self.socket.recv_into(view)):
            raise RuntimeError("the connection was cut")
        return received


def in_threads(count: int, work: Callable[[], None]) -> float:
    """Do *work* in so many threads at once; return the seconds until all are done."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - started


def large(peer: Peer, size_bytes: int) -> tuple[float, float]:
    """Return GB a second and CPU seconds a GB of several readers of the large blob at once."""

    def read() -> None:
        reader = Reader(peer.address)
        with closing(reader.socket):
            if reader.fetch(peer.large) != size_bytes:
                raise RuntimeError(f"{peer.name} sent another size")

    before = cpu_seconds(peer.pid)
    seconds = in_threads(_READERS, read)
    gigabytes = _READERS * size_bytes / 1e9
    return gigabytes / seconds, (cpu_seconds(peer.pid) - before) / gigabytes


def small(peer: Peer, count: int = 500) -> float:
    """Return how many small blobs a second several readers get, each over one connection."""

    def read() -> None:
        reader = Reader(peer.address)
        with closing(reader.socket):
            for _ in range(count):
                reader.fetch(peer.small)

    return _SMALL_READERS * count / in_threads(_SMALL_READERS, read)


def p99_ms(peer: Peer, count: int = 1500) -> float:
    """Return the 99th percentile of one reader's waits for small blobs."""
    reader, waits = Reader(peer.address), []
    with closing(reader.socket):
        for _ in range(count):
            started = time.perf_counter()
            reader.fetch(peer.small)
            waits.append((time.perf_counter() - started) * 1000)
    return statistics.quantiles(waits, n=100)[98]


def p99_beside_stalled(peer: Peer) -> float:
    """The same while 200 others have asked for the large blob and take nothing of it."""
    with ExitStack() as stack:
        for _ in range(_STALLED):
            stalled = stack.enter_context(closing(Reader(peer.address).socket))
            stalled.sendall(peer.large)
        time.sleep(1)
        return p99_ms(peer)


async def prepare(made: Installation, blobs: list[bytes]) -> list[bytes]:
    """Store *blobs*; return a request for each, by the owner."""
    with ProfileFolder(made.folder / "owner") as folder:
        async with open_account(folder, PASSWORD) as account:
            with await find_space(account, "Family") as space:
                token = await bearer(account.connection, account.device)
                host, requests = urlsplit(made.url).netloc, []
                for blob in blobs:
                    name = hashlib.sha256(blob).digest()
                    await upload_blob(
                        account.connection, space.space_id, BytesSource(blob), digest=name, size_bytes=len(blob)
                    )
                    path = f"/v1/spaces/{space.space_id.hex()}/blobs/{name.hex()}"
                    requests.append(get(host, path, token))
                return requests


def measure(size_mb: int, repeats: int) -> bool:
    """Measure both, turn by turn; print the table; return whether every floor holds."""
    blobs = [os.urandom(1024 * 1024) * size_mb, os.urandom(SMALL_SIZE_BYTES)]
    names = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    with installation("--connections-per-address", "1000") as made:
        with_camera(made)
        ours = asyncio.run(prepare(made, blobs))
        size_bytes = len(blobs.pop(0))
        with nginx(made.folder / "nginx", made.folder / "data" / "blobs") as peer:
            url = urlsplit(made.url)
            theirs = [get("localhost", f"/{name[:2]}/{name}") for name in names]
            us = Peer("safelight", (str(url.hostname), int(url.port or 0)), ours[0], ours[1], made.server.pid)
            them = Peer("nginx", ("127.0.0.1", peer.port), theirs[0], theirs[1], peer.process.pid)
            rows: dict[str, list[tuple[float, float, float]]] = {us.name: [], them.name: []}
            for _ in range(repeats):
                for each in (us, them):
                    settle()
                    rows[each.name].append((*large(each, size_bytes), small(each)))
            quiet = [p99_ms(us) for _ in range(repeats)]
            beside = [p99_beside_stalled(us) for _ in range(repeats)]
    return report(rows, quiet, beside)


def report(rows: dict[str, list[tuple[float, float, float]]], quiet: list[float], beside: list[float]) -> bool:
    """Print the table; return whether every floor holds."""
    print(f"medians of {len(quiet)} repeats; {_READERS} readers of the large blob, {_SMALL_READERS} of the small one")
    print(f"{'':12}{'GB/s':>8}{'CPU s/GB':>10}{'15 kB blobs/s':>15}")
    medians = {}
    for name, values in rows.items():
        medians[name] = tuple(statistics.median(column) for column in zip(*values, strict=True))
        print("{:12}{:8.2f}{:10.2f}{:15.0f}".format(name, *medians[name]))
    us, them = medians.values()
    speed, cpu = us[0] / them[0], us[1] / them[1]
    p99, p99_beside = statistics.median(quiet), statistics.median(beside)
    print(f"speed {speed:.2f} of nginx's (floor {SPEED_FLOOR}), CPU {cpu:.1f} times nginx's (ceiling {CPU_CEILING})")
    print(
        f"p99 {p99:.2f} ms; beside {_STALLED} stalled readers {p99_beside:.2f} ms, {p99_beside / p99:.2f} times",
        end=" ",
    )
    print(f"(ceiling {STALLED_CEILING})")
    return speed >= SPEED_FLOOR and cpu <= CPU_CEILING and us[2] >= SMALL_FLOOR and p99_beside <= STALLED_CEILING * p99


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    return 0 if measure(options.size_mb, options.repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
