"""What an upload costs that is hashed and durable, beside nginx's DAV PUT to the same disk, which is neither.

`python -m bench.uploads [--size-mb 8] [--blobs 48] [--repeats 5]` prints medians, both ways taking turns, with eight
clients at once and with one; exits 1 below 0.8 and 0.5 of nginx's speed.
"""

import argparse
import asyncio
import base64
import hashlib
import itertools
import os
import shutil
import socket
import statistics
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from bench.clients import bearer
from bench.downloads import in_threads
from bench.nginx import nginx, settle
from bench.support import PASSWORD, Installation, installation, with_camera
from safelight.clients.engine.account_session import open_account
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.spaces import find_space

FLOORS = {8: 0.8, 1: 0.5}
_STARTS = itertools.count(1)

Head = Callable[[int, int, bytes], bytes]  # the request's head, of a blob's number, its size and its SHA-256


class Sender:
    """A connection kept open, over which one blob after another is sent."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, head: bytes, start: bytes, rest: memoryview) -> None:
        """Send a blob that begins with *start*; its answer must say that it is stored."""
        self.socket.sendall(head + start)
        self.socket.sendall(rest)
        answer = b""
        while b"\r\n\r\n" not in answer:
            if not (piece := self.socket.recv(65536)):
                raise RuntimeError("the connection was cut")
            answer += piece
        top, _, body = answer.partition(b"\r\n\r\n")
        if top.split(b" ")[1] not in {b"200", b"201", b"204"}:
            raise RuntimeError(answer.decode(errors="replace"))
        lengths = [line.split(b":")[1] for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        left = int(lengths[0]) - len(body) if lengths else 0
        while left > 0:
            left -= len(self.socket.recv(left))


def upload(address: tuple[str, int], head: Head, noise: bytes, clients: int, blobs: int) -> float:
    """Upload so many blobs, no two alike, by so many clients at once; return MB a second."""
    starts = [next(_STARTS) for _ in range(blobs)]
    digests = {start: _digest(start, noise) for start in starts}
    waiting, lock = iter(starts), threading.Lock()

    def work() -> None:
        sender = Sender(address)
        with closing(sender.socket):
            while True:
                with lock:
                    number = next(waiting, None)
                if number is None:
                    return
                top = head(number, len(noise), digests[number])
                sender.send(top, number.to_bytes(8, "big"), memoryview(noise)[8:])

    return blobs * len(noise) / 1e6 / in_threads(clients, work)


def _digest(number: int, noise: bytes) -> bytes:
    hasher = hashlib.sha256(number.to_bytes(8, "big"))
    hasher.update(memoryview(noise)[8:])
    return hasher.digest()


async def our_head(made: Installation) -> Head:
    """Return what makes our requests: a whole blob in one creation, with its digest, as our own clients send it."""
    with ProfileFolder(made.folder / "owner") as folder:
        async with open_account(folder, PASSWORD) as account:
            with await find_space(account, "Family") as space:
                token = await bearer(account.connection, account.device)
                path = f"/v1/blobs?space={space.space_id.hex()}"
    host = urlsplit(made.url).netloc

    def head(_: int, size_bytes: int, digest: bytes) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nUpload-Complete: ?1\r\n"
            f"Repr-Digest: sha-256=:{base64.b64encode(digest).decode()}:\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {size_bytes}\r\n\r\n"
        ).encode()

    return head


def their_head(number: int, size_bytes: int, _: bytes) -> bytes:
    """Return a request that stores a file."""
    return f"PUT /put/{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size_bytes}\r\n\r\n".encode()


def measure(size_mb: int, blobs: int, repeats: int) -> bool:
    """Measure both, turn by turn; print the table; return whether both floors hold."""
    noise = os.urandom(size_mb * 1_000_000)
    limits = ("--upload-max-uncommitted-bytes", "1000000000000", "--connections-per-address", "1000")
    with installation(*limits) as made:
        with_camera(made)
        head, url = asyncio.run(our_head(made)), urlsplit(made.url)
        with nginx(made.folder / "nginx", made.folder / "data" / "blobs") as peer:
            ours, theirs = (str(url.hostname), int(url.port or 0)), ("127.0.0.1", peer.port)
            rows: dict[int, list[tuple[float, float]]] = {clients: [] for clients in FLOORS}
            for _ in range(repeats):
                for clients, speeds in rows.items():
                    settle()
                    mine = upload(ours, head, noise, clients, blobs)
                    settle()
                    speeds.append((mine, upload(theirs, their_head, noise, clients, blobs)))
                    _empty(peer.stored)
    print(f"{blobs} blobs of {size_mb} MB, medians of {repeats} repeats, MB a second")
    print(f"{'clients':>8}{'safelight':>12}{'nginx':>10}{'ratio':>8}{'floor':>8}")
    held = True
    for clients, speeds in rows.items():
        ratio = statistics.median(mine / other for mine, other in speeds)
        mine, other = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(f"{clients:8}{mine:12.0f}{other:10.0f}{ratio:8.2f}{FLOORS[clients]:8}")
        held = held and ratio >= FLOORS[clients]
    return held


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=8)
    parser.add_argument("--blobs", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    return 0 if measure(options.size_mb, options.blobs, options.repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
