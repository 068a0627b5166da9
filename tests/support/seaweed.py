"""SeaweedFS as a real S3: one process on loopback in a folder of its own, and prefixes of one bucket."""

import os
import secrets
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

import obstore
from obstore.store import S3Store

from safelight.server.stores.bucket_address import BucketAddress

BUCKET = "photographs"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "safelight-tests",
    "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
    "AWS_REGION": "us-east-1",
}
_START_TIMEOUT_S = 60


@dataclass
class Seaweed:
    """A SeaweedFS: `kill` ends it without warning; `start` goes on where it stood, at the same address."""

    folder: Path
    ports: list[int]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        """Start it, and wait until it takes an object."""
        with (self.folder / "log").open("ab") as log:
            command = _command(self.folder, self.ports)
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        _wait_until_ready(self)

    def kill(self) -> None:
        """End it without warning. What it acknowledged is in its files, which outlive the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def address(self, prefix: str = "") -> BucketAddress:
        """A prefix of the bucket, one of its own unless it is named."""
        return BucketAddress(BUCKET, prefix or secrets.token_hex(8), self.endpoint)

    def store(self, address: BucketAddress) -> S3Store:
        """The same prefix without anything of ours in between, to look at it and to damage it."""
        return S3Store(
            address.bucket,
            prefix=address.prefix,
            config={"endpoint": self.endpoint},
            client_options={"allow_http": True},
        )


@contextmanager
def seaweed_process() -> Iterator[Seaweed]:
    """Run SeaweedFS, with its own credentials in the environment, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="weed"))  # short: sockets lie in it
    ports = _free_ports(8)
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    seaweed = Seaweed(folder, ports)
    try:
        seaweed.start()
        yield seaweed
    finally:
        seaweed.kill()  # its data is thrown away with it
        for port in ports:
            for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-grpc-{port}.sock"):
                left.unlink(missing_ok=True)
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)


def _command(folder: Path, ports: list[int]) -> list[str]:
    """Everything stays on this machine, and nothing is reported to anyone."""
    s3, s3_grpc, filer, filer_grpc, volume, volume_grpc, master, master_grpc = map(str, ports)
    return [
        str(Path(sys.executable).with_name("weed")),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",  # it is the only one; else it waits ten seconds for others at every start
        f"-master.port={master}",
        f"-master.port.grpc={master_grpc}",
        "-master.volumeSizeLimitMB=64",
        f"-volume.port={volume}",
        f"-volume.port.grpc={volume_grpc}",
        "-volume.max=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.port.grpc={filer_grpc}",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.port.grpc={s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock",
        "-s3.iam=false",
    ]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()


def _wait_until_ready(seaweed: Seaweed) -> None:
    """It is ready once it takes an object; the first one makes the bucket."""
    store = S3Store(
        BUCKET,
        config={"endpoint": seaweed.endpoint},
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(seaweed.endpoint, timeout=2):
                pass
        except urllib.error.HTTPError:
            pass
        except OSError:
            if time.monotonic() > deadline or seaweed.process is None or seaweed.process.poll() is not None:
                raise AssertionError((seaweed.folder / "log").read_text()[-4000:]) from None
            time.sleep(0.1)
            continue
        try:
            obstore.put(store, "ready", b"ready")
            return
        except obstore.exceptions.BaseError:
            if time.monotonic() > deadline:
                raise AssertionError((seaweed.folder / "log").read_text()[-4000:]) from None
            time.sleep(0.2)
