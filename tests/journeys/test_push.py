"""A camera's roll goes in sealed and comes out whole: the real server, the real command line."""

import hashlib
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.support.commands import Cli, kill, new_account, new_camera
from tests.support.server_process import ServerProcess


@pytest.fixture
def owner(server: ServerProcess, tmp_path: Path) -> Cli:
    """An account with a family space."""
    cli = new_account(server, tmp_path / "owner", f"owner-{tmp_path.name}"[:64])
    cli.ok("space", "create", "Family", "--kind", "family")
    return cli


@pytest.fixture
def camera(owner: Cli, tmp_path: Path) -> Cli:
    """A camera of that space."""
    return new_camera(owner, "Family", tmp_path / "phone")


def _noise(folder: Path, count: int, size_bytes: int, seed: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    for number in range(count):
        (folder / f"IMG_{number:04}.JPG").write_bytes(chance.randbytes(size_bytes))
    return folder


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _exported(owner: Cli, folder: Path) -> dict[str, str]:
    """Export, and check what stands there by the list that comes with it."""
    owner.ok("export", str(folder), "--space", "Family")
    sums = {}
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / f"{name}.json").is_file()
        sums[name] = digest
    return sums


def test_a_whole_roll_and_back(owner: Cli, camera: Cli, shared_samples: Path, tmp_path: Path) -> None:
    """Everything in the roll, broken pictures included, goes up once and is exported byte for byte, with its time."""
    roll = tmp_path / "roll"
    shutil.copytree(shared_samples / "roll", roll)
    shutil.copytree(shared_samples / "broken", roll / "broken")
    (roll / ".nomedia").touch()
    (roll / "Thumbs.db").write_bytes(b"x")
    (roll / "link.jpg").symlink_to(next(iter((shared_samples / "roll").iterdir())))
    expected = {name: digest for name, digest in _digests(roll).items() if name not in {".nomedia", "Thumbs.db"}}

    first = camera.json("camera", "push", str(roll))
    assert (first["uploaded"], first["known"], first["failed"]) == (len(expected), 0, 0)
    assert {item["name"] for item in first["left_out"]} == {".nomedia", "Thumbs.db", "link.jpg"}
    second = camera.json("camera", "push", str(roll))
    assert (second["uploaded"], second["known"], second["failed"]) == (0, len(expected), 0)

    assert _exported(owner, tmp_path / "export") == expected
    for path in roll.rglob("*"):
        if path.name in expected:
            assert (tmp_path / "export" / path.name).stat().st_mtime_ns == path.stat().st_mtime_ns
    rows = owner.json("asset", "list", "--space", "Family")
    assert {row["name"] for row in rows} == set(expected)
    assert all({"id", "name", "taken", "size_bytes", "state"} <= set(row) for row in rows)
    assert sum("preview" in row["renditions"] for row in rows) >= 8


def test_only_originals_where_asked(owner: Cli, camera: Cli, shared_samples: Path) -> None:
    """With --no-renditions nothing is developed, and nothing but originals is stored."""
    camera.json("camera", "push", str(shared_samples / "roll"), "--no-renditions")
    rows = owner.json("asset", "list", "--space", "Family")
    assert rows
    assert all(row["renditions"] == ["original"] for row in rows)
    assert all(row["taken"] == "" for row in rows)


def test_the_same_bytes_under_two_names_are_one_asset(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """Two files with the same content: one is uploaded, the other known, also within one push."""
    roll = _noise(tmp_path / "roll", 6, 40_000)
    for number in range(6):
        shutil.copy(roll / f"IMG_{number:04}.JPG", roll / f"copy of IMG_{number:04}.JPG")
    (roll / "empty 1").touch()
    (roll / "empty 2").touch()
    done = camera.json("camera", "push", str(roll))
    assert (done["uploaded"], done["known"], done["failed"]) == (7, 7, 0)
    assert len(owner.json("asset", "list", "--space", "Family")) == 7


def test_killed_in_the_middle_and_pushed_again(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """After kill -9 with files on their way the next push completes the roll, and nothing is there twice."""
    roll = _noise(tmp_path / "roll", 300, 350_000)
    for seen_lines in (1, 12, 40):
        process = camera.start("camera", "push", str(roll), "--no-renditions")
        assert process.stdout is not None
        for _ in range(seen_lines):
            assert process.stdout.readline().startswith("+ ")
        kill(process)
    before = len(owner.json("asset", "list", "--space", "Family"))
    assert 40 <= before < 300
    last = camera.json("camera", "push", str(roll), "--no-renditions")
    # A commit that was under way at the kill may have landed after the count.
    assert 0 < last["uploaded"] <= 300 - before
    assert (last["uploaded"] + last["known"], last["failed"]) == (300, 0)
    rows = owner.json("asset", "list", "--space", "Family")
    assert sorted(row["name"] for row in rows) == sorted(_digests(roll))
    assert _exported(owner, tmp_path / "export") == _digests(roll)


def test_a_large_file_killed_goes_on_from_the_spool(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """A large file cut by kill -9 is not sealed anew: the spooled ciphertext goes on, then leaves the disk."""
    roll = _noise(tmp_path / "roll", 1, 150_000_000)
    process = camera.start("camera", "push", str(roll), "--no-renditions")
    deadline = time.monotonic() + 60
    while not (entries := list(camera.profile.rglob("spool/*/entry"))):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    kill(process)
    sealed = entries[0].parent / "original"
    assert sealed.stat().st_size >= 150_000_000
    inode = sealed.stat().st_ino
    original = (roll / "IMG_0000.JPG").read_bytes()[:4096]
    assert original not in sealed.read_bytes()
    assert owner.json("asset", "list", "--space", "Family") == []
    assert sealed.stat().st_ino == inode

    last = camera.json("camera", "push", str(roll), "--no-renditions")
    assert (last["uploaded"], last["known"], last["failed"]) == (1, 0, 0)
    assert list(camera.profile.rglob("spool/*")) == []
    assert _exported(owner, tmp_path / "export") == _digests(roll)


def test_what_fails_is_said_and_the_rest_goes_up(
    owner: Cli, camera: Cli, tmp_path: Path, server: ServerProcess
) -> None:
    """A folder that cannot be read is a failure with a reason and exit code 1; a missing one uploads nothing."""
    line = camera.refused("camera", "push", str(tmp_path / "absent"))
    assert line.startswith("safelight: The file or folder could not be used")
    (tmp_path / "file").touch()
    camera.refused("camera", "push", str(tmp_path / "file"))
    camera.refused("camera", "push", code=2)


def test_a_camera_reads_nothing_and_cannot_be_added_twice(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """A camera's profile opens no space; its pairing code, photographed, makes no second camera."""
    camera.refused("asset", "list", "--space", "Family")
    camera.refused("export", str(tmp_path / "export"), "--space", "Family")
    uri = owner.json("camera", "pair", "--space", "Family", "--name", "Tablet")["uri"]
    Cli(tmp_path / "tablet").ok("camera", "add", uri)
    line = Cli(tmp_path / "thief").refused("camera", "add", uri)
    assert "already used" in line
    states = {row["name"]: row["state"] for row in owner.json("camera", "list", "--space", "Family")}
    assert states == {"Phone": "added", "Tablet": "added"}


def test_a_revoked_camera_adds_nothing(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """After its revocation a camera's push is refused, and what it had added stays."""
    roll = _noise(tmp_path / "roll", 2, 1000)
    camera.json("camera", "push", str(roll))
    camera_id = owner.json("camera", "list", "--space", "Family")[0]["id"]
    owner.ok("camera", "revoke", camera_id, "--space", "Family")
    _noise(tmp_path / "roll", 4, 1000, seed=2)
    camera.refused("camera", "push", str(roll))
    assert len(owner.json("asset", "list", "--space", "Family")) == 2


def test_a_second_camera_knows_what_the_first_one_uploaded(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """The same photographs on another phone are known, by the record that the first one signed."""
    roll = _noise(tmp_path / "roll", 5, 9000)
    camera.json("camera", "push", str(roll))
    tablet = new_camera(owner, "Family", tmp_path / "tablet", "Tablet")
    done = tablet.json("camera", "push", str(roll))
    assert (done["uploaded"], done["known"]) == (0, 5)


def test_names_of_all_kinds_come_back(owner: Cli, camera: Cli, tmp_path: Path) -> None:
    """Long names, emoji, twins in NFC and NFD, devices' names, line breaks: all go up and are exported apart."""
    roll = tmp_path / "roll"
    roll.mkdir()
    names = [
        "x" * 251 + ".jpg",
        "🏖️ 写真.jpg",
        "caf\u00e9.jpg",
        "cafe\u0301.jpg",
        "CON",
        "con.jpg",
        "a\nb.jpg",
        "\u202egpj.exe",
        "-rf",
    ]
    for number, name in enumerate(names):
        (roll / name).write_bytes(f"content {number}".encode())
    done = camera.json("camera", "push", str(roll))
    assert (done["uploaded"], done["failed"]) == (len(names), 0)
    owner.ok("export", str(tmp_path / "export"), "--space", "Family")
    contents = {
        path.read_bytes()
        for path in (tmp_path / "export").iterdir()
        if path.suffix != ".json" and path.name != "SHA256SUMS"
    }
    assert contents == {f"content {number}".encode() for number in range(len(names))}


def test_no_blob_is_stored_that_no_record_names(owner: Cli, camera: Cli, server: ServerProcess, tmp_path: Path) -> None:
    """An undisturbed push leaves exactly one stored blob a file, and nothing of an upload."""

    def stored() -> set[Path]:
        return {path for path in (server.data / "blobs").rglob("*") if path.is_file()}

    before = stored()
    camera.json("camera", "push", str(_noise(tmp_path / "roll", 20, 5000)))
    assert len(stored() - before) == 20
    camera.json("camera", "push", str(tmp_path / "roll"))
    assert len(stored() - before) == 20
