"""Members who add from their own computers: readers, contributors, and whom a grant lets add to one album."""

import json
import os
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account
from tests.support.server_process import ServerProcess


def _pictures(folder: Path, count: int = 2) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{folder.name}-{number}.bin").write_bytes(os.urandom(3000))
    return folder


def _join(owner: Cli, someone: Cli, name: str, role: str) -> None:
    uri = owner.json("member", "invite", name, "--space", "Studio", "--role", role)["uri"]
    assert someone.run("member", "join", stdin=uri + "\n").returncode == 0
    owner.ok("camera", "list", "--space", "Studio")  # which lets in who joined


def _names(cli: Cli, *where: str) -> set[str]:
    return {row["name"] for row in cli.json("asset", "list", *where)}


@pytest.fixture
def owner(server: ServerProcess, tmp_path: Path) -> Cli:
    """Who owns a studio with an album."""
    owner = new_account(server, tmp_path / "owner", f"owner-{os.urandom(4).hex()}")
    owner.ok("space", "create", "Studio", "--kind", "work")
    owner.ok("album", "create", "Wedding", "--space", "Studio")
    return owner


@pytest.mark.timeout(400)  # some thirty commands, a process each
def test_a_contributor_adds_and_sees_nothing(server: ServerProcess, tmp_path: Path, owner: Cli) -> None:
    """It names the space by its id, sends nothing twice, and is refused everything else; its role is its end."""
    carl = new_account(server, tmp_path / "carl", f"carl-{os.urandom(4).hex()}")
    _join(owner, carl, "Carl", "contributor")
    assert "(you only add)" in carl.ok("space", "list")
    space_id = carl.json("space", "list")[0]["id"]
    folder = _pictures(tmp_path / "carls")
    assert carl.ok("asset", "add", str(folder), "--space", space_id[:12]).endswith("2 uploaded, 0 known.\n")
    again = carl.json("asset", "add", str(folder), "--space", space_id)
    assert (again["uploaded"], again["known"]) == (0, 2)
    assert _names(owner, "--space", "Studio") == {path.name for path in folder.iterdir()}
    out = tmp_path / "out"
    owner.ok("export", str(out), "--space", "Studio")
    for path in folder.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    refused = carl.refused("asset", "list", "--space", space_id)
    assert "you add to this space and see nothing of it" in refused
    assert carl.run("asset", "add", str(folder), "--space", "Studio").returncode == 1
    assert carl.run("asset", "add", str(folder), "--space", space_id, "--album", "Wedding").returncode == 2
    assert carl.run("asset", "add", str(folder)).returncode == 2
    owner.ok("member", "remove", "Carl", "--space", "Studio")
    assert carl.run("asset", "add", str(_pictures(tmp_path / "late")), "--space", space_id).returncode == 1
    assert len(_names(owner, "--space", "Studio")) == 2


@pytest.mark.timeout(400)
def test_a_reader_adds(server: ServerProcess, tmp_path: Path, owner: Cli) -> None:
    """An owner or editor to the space and an album at once; nothing that anybody sent before is sent again."""
    folder = _pictures(tmp_path / "first")
    owner.ok("asset", "add", str(folder), "--space", "Studio", "--album", "Wedding")
    [album] = owner.json("album", "list", "--space", "Studio")
    assert album["assets"] == 2
    eve, vera = (new_account(server, tmp_path / name, f"{name}-{os.urandom(4).hex()}") for name in ("eve", "vera"))
    _join(owner, eve, "Eve", "editor")
    _join(owner, vera, "Vera", "viewer")
    (folder / "third.bin").write_bytes(os.urandom(1000))
    added = eve.json("asset", "add", str(folder), "--space", "Studio")
    assert (added["uploaded"], added["known"]) == (1, 2)
    owner.ok("album", "create", "Second", "--space", "Studio")
    told = eve.run("asset", "add", str(folder), "--space", "Studio", "--album", "Second")
    assert "3 files of the space put into Second as well" in told.stderr
    assert _names(owner, "--space", "Studio", "--album", "Second") == {path.name for path in folder.iterdir()}
    [third] = [row["id"] for row in owner.json("asset", "list", "--space", "Studio") if row["name"] == "third.bin"]
    owner.ok("asset", "trash", third, "--space", "Studio")
    told = eve.run("asset", "add", str(folder), "--space", "Studio")
    assert "1 file stayed in the trash of the space: safelight asset restore" in told.stderr
    assert third[:12] in told.stderr
    owner.ok("asset", "restore", third, "--space", "Studio")
    assert "[right-missing]" in vera.refused("asset", "add", str(folder), "--space", "Studio")
    assert "[right-missing]" in vera.refused("asset", "add", str(folder), "--space", "Studio", "--album", "Wedding")
    owner.ok("album", "grant", "Wedding", "--space", "Studio", "--to", "Vera", "--can-add")
    (folder / "fourth.bin").write_bytes(os.urandom(1000))
    added = vera.json("asset", "add", str(folder), "--space", "Studio", "--album", "Wedding")
    assert (added["uploaded"], added["known"]) == (1, 3)
    told = vera.run("asset", "add", str(folder), "--space", "Studio", "--album", "Wedding")
    assert "who organises does that" in told.stderr
    assert "[right-missing]" in vera.refused("asset", "add", str(_pictures(tmp_path / "else")), "--space", "Studio")
    assert _names(owner, "--space", "Studio", "--album", "Wedding") == {"first-0.bin", "first-1.bin", "fourth.bin"}


@pytest.mark.timeout(400)
def test_a_grantee_adds_to_one_album(server: ServerProcess, tmp_path: Path, owner: Cli) -> None:
    """As long as the grant stands and says so; while the album's keys are due it waits, and nothing is lost."""
    gus = new_account(server, tmp_path / "gus", f"gus-{os.urandom(4).hex()}")
    _join(owner, gus, "Gus", "grantee")
    mine = _pictures(tmp_path / "mine")
    owner.ok("asset", "add", str(mine), "--space", "Studio", "--album", "Wedding")
    owner.ok("album", "grant", "Wedding", "--space", "Studio", "--to", "Gus", "--tier", "full")
    folder = _pictures(tmp_path / "shot")
    assert "[right-missing]" in gus.run("asset", "add", str(folder), "--album", "Wedding").stderr
    assert "They may add to it." in owner.ok(
        "album", "grant", "Wedding", "--space", "Studio", "--to", "Gus", "--tier", "full", "--can-add"
    )
    [grant] = owner.json("album", "grants", "--space", "Studio")
    assert grant["can_add"] is True
    added = gus.json("asset", "add", str(folder), "--album", "Wedding")
    assert added["uploaded"] == 2
    everything = {path.name for path in (*mine.iterdir(), *folder.iterdir())}
    assert _names(gus, "--album", "Wedding") == everything
    assert _names(owner, "--space", "Studio", "--album", "Wedding") == everything
    # A camera is given up: the epoch is another, and the album's keys are due.
    camera = owner.json("camera", "pair", "--space", "Studio", "--name", "Old phone")
    owner.ok("camera", "revoke", camera["id"], "--space", "Studio")
    late = _pictures(tmp_path / "late")
    assert "[album-waits]" in gus.run("asset", "add", str(late), "--album", "Wedding").stderr
    owner.ok("asset", "add", str(mine), "--space", "Studio", "--album", "Wedding")
    assert gus.json("asset", "add", str(late), "--album", "Wedding")["uploaded"] == 2
    owner.ok("album", "revoke", "Wedding", "--space", "Studio", "--from", "Gus")
    assert gus.run("asset", "add", str(_pictures(tmp_path / "over")), "--album", "Wedding").returncode == 1
    assert len(_names(owner, "--space", "Studio")) == 6
    assert json.loads(owner.run("album", "grants", "--space", "Studio", "--json").stdout) == []
