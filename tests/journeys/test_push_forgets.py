"""A camera forgets: after its roll is closed, nothing in its profile or its memory opens what it uploaded."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.sync_protocol.sealing import keytree
from tests.support.canaries import disguises_of_bytes
from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerProcess

FILES = 12


def _keys(path: Path) -> dict[bytes, str]:
    """Every key that opens something, by its bytes: roll and asset keys as they were made, and what comes of them."""
    told = bytes(byte ^ 0xFF for byte in path.read_bytes())
    found: dict[bytes, str] = {}
    for start in range(0, len(told), 32):
        key = told[start : start + 32]
        roll_view, asset_view = keytree.roll_view_key(key), keytree.asset_view_key(key)
        found |= {
            key: "key",
            roll_view: "roll view key",
            keytree.roll_wrap_key(key): "roll wrap key",
            keytree.roll_view_wrap_key(roll_view): "roll view wrap key",
            asset_view: "asset view key",
            keytree.asset_metadata_key(key): "full metadata key",
            keytree.asset_metadata_key(asset_view): "view metadata key",
        }
    return found


def _memory(process_id: int) -> Iterator[bytes]:
    """All that a process has in memory, free blocks included."""
    with (
        Path(f"/proc/{process_id}/maps").open() as maps,
        Path(f"/proc/{process_id}/mem").open("rb", buffering=0) as memory,
    ):
        for line in maps:
            place, rights = line.split()[:2]
            start, end = (int(part, 16) for part in place.split("-"))
            if "r" not in rights or "[v" in line:
                continue
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                continue


def _found_in_memory(process_id: int, keys: dict[bytes, str]) -> set[str]:
    """Which keys stand at any place where an allocator would have put them."""
    found = set()
    for data in _memory(process_id):
        for offset in range(0, len(data) - 31, 8):
            name = keys.get(data[offset : offset + 32])
            if name:
                found.add(name)
    return found


def _look(camera: Cli, folder: Path, keys_path: Path, when: str) -> tuple[dict[bytes, str], set[str]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.forgetful_camera",
            str(camera.profile),
            str(folder),
            str(keys_path),
            when,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=camera.environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "look now\n"
    keys = _keys(keys_path)
    found = _found_in_memory(process.pid, keys)
    process.communicate("go on\n")
    assert process.returncode == 0
    return keys, found


def _fill(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(FILES):
        (folder / f"{number}.jpg").write_bytes(os.urandom(20_000))
    return folder


@pytest.fixture
def camera(server: ServerProcess, tmp_path: Path) -> Cli:
    """A camera of a space."""
    owner = new_account(server, tmp_path / "owner", tmp_path.name[:60])
    owner.ok("space", "create", "Family", "--kind", "family")
    return new_camera(owner, "Family", tmp_path / "phone")


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory by way of /proc")
def test_memory_holds_no_key_of_a_closed_roll(camera: Cli, tmp_path: Path) -> None:
    """Neither live objects nor freed blocks hold a roll key, an asset key or a key made of them, once it is closed."""
    keys, found = _look(camera, _fill(tmp_path / "roll"), tmp_path / "keys", "closed")
    assert len(keys) == 7 * (FILES + 1)
    assert found == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory by way of /proc")
def test_the_search_finds_the_keys_of_an_open_roll(camera: Cli, tmp_path: Path) -> None:
    """While the roll is open its wrap keys are in memory, and are found there: the search can fail."""
    _, found = _look(camera, _fill(tmp_path / "roll"), tmp_path / "keys", "open")
    assert {"roll wrap key", "roll view wrap key"} <= found


def test_the_profile_holds_no_key(camera: Cli, tmp_path: Path) -> None:
    """No file of the profile holds any of these keys, plain, in hex or in base64, nor a piece of a photograph."""
    folder = _fill(tmp_path / "roll")
    keys, _ = _look(camera, folder, tmp_path / "keys", "closed")
    pieces = [(folder / f"{number}.jpg").read_bytes()[:64] for number in range(FILES)]
    files = [path for path in camera.profile.rglob("*") if path.is_file()]
    assert len(files) > 2
    for path in files:
        data = path.read_bytes()
        assert not any(form in data for secret in (*keys, *pieces) for form in disguises_of_bytes(secret))
        assert path.stat().st_mode & 0o077 == 0
