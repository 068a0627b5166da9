"""A server whose blobs lie in a bucket: the same roll goes in, and the same comes out."""

import random
import subprocess
import sys
from pathlib import Path

import obstore
import pytest

from tests.support.commands import new_account, new_camera
from tests.support.samples import REPOSITORY
from tests.support.seaweed import CREDENTIALS, Seaweed
from tests.support.server_process import server_process

MIB = 1024 * 1024


def _roll(folder: Path) -> dict[str, bytes]:
    """Files below, at and above what is put in one piece."""
    folder.mkdir()
    chance = random.Random(7)
    sizes = {"small.jpg": 3_000, "photo.heic": 3 * MIB, "raw.dng": 8 * MIB, "video.mov": 37 * MIB + 11}
    roll = {name: chance.randbytes(size_bytes) for name, size_bytes in sizes.items()}
    for name, data in roll.items():
        (folder / name).write_bytes(data)
    return roll


def _run(data: Path, *options: str) -> str:
    """Start a server that must not come up; returns what it says, which is one line."""
    command = [sys.executable, "-m", "safelight.server", "run", "--data", str(data), "--listen", "127.0.0.1:0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False)
    assert done.returncode in {1, 2}, done.stdout
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def test_in_sealed_and_out_whole(seaweed: Seaweed, tmp_path: Path) -> None:
    """What a camera pushes lies in the bucket alone, is exported byte for byte, and is there after a restart."""
    address = seaweed.address()
    bucket = ("--blobs", f"s3://{address.bucket}/{address.prefix}", "--s3-endpoint", seaweed.endpoint)
    data, roll = tmp_path / "data", _roll(tmp_path / "roll")
    with server_process(data, *bucket) as server:
        owner = new_account(server, tmp_path / "owner", "owner")
        owner.ok("space", "create", "Family", "--kind", "family")
        camera = new_camera(owner, "Family", tmp_path / "phone")
        pushed = camera.json("camera", "push", str(tmp_path / "roll"))
        assert (pushed["uploaded"], pushed["failed"]) == (len(roll), 0)
        again = camera.json("camera", "push", str(tmp_path / "roll"))
        assert (again["uploaded"], again["known"]) == (0, len(roll))
        port = server.url.rpartition(":")[2]
    with server_process(data, *bucket, listen=f"127.0.0.1:{port}"):
        owner.ok("export", str(tmp_path / "export"), "--space", "Family")
    assert {name: (tmp_path / "export" / name).read_bytes() for name in roll} == roll

    keys = [meta["path"] for page in obstore.list(seaweed.store(address)) for meta in page]
    assert sum(key.startswith("blobs/") for key in keys) >= len(roll)
    assert not [key for key in keys if key.startswith(("uploads/", "probe/"))]
    assert not (data / "blobs").exists()
    log = (tmp_path / "data.log").read_text()
    assert not any(secret in log for secret in CREDENTIALS.values() if len(secret) > 10)


def test_the_wrong_place_for_blobs(seaweed: Seaweed, tmp_path: Path) -> None:
    """A server that has blobs in one place does not start over another, and says where they are."""
    address = seaweed.address()
    url = f"s3://{address.bucket}/{address.prefix}"
    bucket = ("--blobs", url, "--s3-endpoint", seaweed.endpoint)
    with server_process(tmp_path / "one", *bucket):
        pass
    assert url in _run(tmp_path / "one")
    assert "belong to another Safelight server" in _run(tmp_path / "two", *bucket)
    elsewhere = ("--blobs", f"{url}-elsewhere", "--s3-endpoint", seaweed.endpoint)
    assert "none of this server's blobs" in _run(tmp_path / "one", *elsewhere)
    with server_process(tmp_path / "four"):
        pass
    (tmp_path / "four" / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"a blob")
    assert "without --blobs" in _run(tmp_path / "four", *elsewhere)


@pytest.mark.parametrize(
    ("blobs", "endpoint", "said"),
    [
        ("s3://name-with:key@bucket", "", "s3://BUCKET/PREFIX"),
        ("https://example.com/bucket", "", "s3://BUCKET/PREFIX"),
        ("s3://bucket", "http://key:secret@127.0.0.1", "s3_endpoint is"),
        ("s3://bucket", "http://127.0.0.1:1", "cannot be used (no answer"),
    ],
)
def test_addresses_that_are_none(tmp_path: Path, blobs: str, endpoint: str, said: str) -> None:
    """What is no address of a bucket is misuse; where nothing answers, the one line says so."""
    assert said in _run(tmp_path / "data", "--blobs", blobs, "--s3-endpoint", endpoint)
