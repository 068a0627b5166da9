"""The trash by the real command line: what goes in is shown to nobody else, stays stored, and comes out whole."""

import json
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess


def _roll(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"IMG_{number}.JPG").write_bytes(encoded(picture(number, (320, 240)), "JPEG"))
    return folder


def _names(cli: Cli, *where: str) -> list[str]:
    return sorted(row["name"] for row in cli.json("asset", "list", *where))


@pytest.mark.timeout(400)  # some forty commands, a process each
def test_into_the_trash_and_back(server: ServerProcess, tmp_path: Path) -> None:
    """Out of lists, exports, albums and new links; known to cameras; listed with who and when; restored as it was."""
    owner = new_account(server, tmp_path / "owner", "trashing-owner")
    owner.ok("space", "create", "Studio", "--kind", "work")
    camera, roll = new_camera(owner, "Studio", tmp_path / "phone"), _roll(tmp_path / "roll", 3)
    camera.ok("camera", "push", str(roll))
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    gone, others = ids["IMG_0.JPG"], ["IMG_1.JPG", "IMG_2.JPG"]
    owner.ok("album", "create", "All", "--space", "Studio")
    owner.ok("album", "add", "All", "--space", "Studio", "--all")
    plain = owner.json("link", "create", "--album", "All", "--space", "Studio", "--label", "plain")["id"]
    drawn = owner.json("link", "create", "--album", "All", "--space", "Studio", "--watermark", "Proof")["id"]

    done = owner.run("asset", "trash", gone[:10], "--space", "Studio")
    assert done.returncode == 0, done
    assert "1 asset put into the trash of Studio." in done.stdout
    assert "Nothing is deleted" in done.stdout
    assert "asset restore" in done.stdout
    assert [line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")] == [plain[:12], drawn[:12]]
    assert "link revoke" in done.stderr
    again = owner.json("asset", "trash", gone, "--space", "Studio")
    assert (again["trashed"], again["already"]) == ([], [gone])
    assert [link["id"] for link in again["withheld_links"]] == [plain]
    assert [link["id"] for link in again["showing_links"]] == [drawn]
    assert "0 assets put into the trash of Studio; 1 was there already" in owner.ok(
        "asset", "trash", gone, "--space", "Studio"
    )

    assert _names(owner, "--space", "Studio") == others
    assert _names(owner, "--space", "Studio", "--album", "All") == others
    [row] = owner.json("asset", "list", "--space", "Studio", "--trash")
    assert (row["id"], row["name"], row["trashed_by"], row["trashed_ms"] > 0) == (gone, "IMG_0.JPG", "(you)", True)
    assert "IMG_0.JPG" in owner.ok("asset", "list", "--space", "Studio", "--trash")
    owner.ok("export", str(tmp_path / "out"), "--space", "Studio")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.JPG")) == others
    assert "[in-trash]" in owner.refused("album", "add", "All", "--space", "Studio", gone)
    assert owner.json("link", "create", "--album", "All", "--space", "Studio")["assets"] == 2
    owner.ok("asset", "get", gone, "--space", "Studio", "--out", str(tmp_path / "looked.jpg"))
    assert (tmp_path / "looked.jpg").read_bytes() == (roll / "IMG_0.JPG").read_bytes()
    (roll / "IMG_0.JPG").rename(roll / "renamed.JPG")
    tablet = new_camera(owner, "Studio", tmp_path / "tablet")
    pushed = tablet.json("camera", "push", str(roll))
    assert (pushed["uploaded"], pushed["known"]) == (0, 3)
    assert "0 uploaded, 3 known.\nKnown is also what lies in the space's trash" in tablet.ok(
        "camera", "push", str(roll)
    )

    assert "1 asset restored from the trash of Studio." in owner.ok("asset", "restore", gone, "--space", "Studio")
    assert owner.json("asset", "restore", gone, "--space", "Studio") == {"restored": [], "already": [gone]}
    assert _names(owner, "--space", "Studio", "--album", "All") == ["IMG_0.JPG", *others]
    assert owner.json("asset", "list", "--space", "Studio", "--trash") == []


def test_what_makes_no_sense(server: ServerProcess, tmp_path: Path) -> None:
    """An unknown id, a trash without its space, nothing named, a viewer who tries: one line each, nothing is done."""
    owner, viewer = (new_account(server, tmp_path / name, f"trash-{name}") for name in ("owner", "viewer"))
    owner.ok("space", "create", "Home", "--kind", "family")
    new_camera(owner, "Home", tmp_path / "phone").ok("camera", "push", str(_roll(tmp_path / "roll", 1)))
    [row] = owner.json("asset", "list", "--space", "Home")
    assert "[not-found]" in owner.refused("asset", "trash", row["id"], "ffffffffff", "--space", "Home")
    owner.refused("asset", "list", "--trash", code=2)
    owner.refused("asset", "list", "--trash", "--space", "Home", "--album", "x", code=2)
    owner.refused("asset", "trash", "--space", "Home", code=2)
    uri = owner.json("member", "invite", "Vera", "--space", "Home", "--role", "viewer")["uri"]
    assert viewer.run("member", "join", stdin=uri + "\n").returncode == 0
    assert len(owner.json("asset", "list", "--space", "Home")) == 1
    for what in ("trash", "restore"):
        assert "[right-missing]" in viewer.refused("asset", what, row["id"], "--space", "Home")
    assert viewer.json("asset", "list", "--space", "Home", "--trash") == []


@pytest.mark.timeout(400)
def test_a_grantee_is_told(server: ServerProcess, tmp_path: Path) -> None:
    """Of an album that was granted, a picture in the trash is listed as withheld, not exported, and stops no other."""
    owner, fred = (new_account(server, tmp_path / name, f"trash-{name}") for name in ("studio", "fred"))
    owner.ok("space", "create", "Studio", "--kind", "work")
    roll = _roll(tmp_path / "roll", 3)
    new_camera(owner, "Studio", tmp_path / "phone").ok("camera", "push", str(roll))
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    owner.ok("album", "create", "Wedding", "--space", "Studio")
    owner.ok("album", "add", "Wedding", "--space", "Studio", "--all")
    uri = owner.json("member", "invite", "Fred", "--space", "Studio", "--role", "grantee")["uri"]
    assert fred.run("member", "join", stdin=uri + "\n").returncode == 0
    owner.ok("asset", "trash", ids["IMG_2.JPG"], "--space", "Studio")
    owner.ok("album", "grant", "Wedding", "--space", "Studio", "--to", "Fred", "--tier", "full")
    owner.ok("asset", "trash", ids["IMG_0.JPG"], "--space", "Studio")

    listed = fred.run("asset", "list", "--album", "Wedding", "--json")
    assert "1 picture" in listed.stderr
    assert {row["name"]: row["state"] for row in json.loads(listed.stdout)} == {
        "IMG_0.JPG": "withheld",
        "IMG_1.JPG": "stored",
    }
    exported = fred.run("export", str(tmp_path / "out"), "--album", "Wedding", "--json")
    assert exported.returncode == 1
    assert list(json.loads(exported.stdout)["failed"]) == [ids["IMG_0.JPG"]]
    assert "took it back" in json.loads(exported.stdout)["failed"][ids["IMG_0.JPG"]]
    assert (tmp_path / "out" / "IMG_1.JPG").read_bytes() == (roll / "IMG_1.JPG").read_bytes()
    assert not (tmp_path / "out" / "IMG_0.JPG").exists()
    got = fred.refused("asset", "get", ids["IMG_0.JPG"], "--album", "Wedding", "--out", str(tmp_path / "x"))
    assert "[withheld]" in got
    owner.ok("asset", "restore", ids["IMG_0.JPG"], "--space", "Studio")
    assert fred.json("export", str(tmp_path / "out"), "--album", "Wedding")["written"] == 1
    # What was in the trash when the album was shared is the members' alone, until it is added to it anew.
    owner.ok("asset", "restore", ids["IMG_2.JPG"], "--space", "Studio")
    assert len(fred.json("asset", "list", "--album", "Wedding")) == 2
    assert owner.json("album", "add", "Wedding", "--space", "Studio", ids["IMG_2.JPG"]) == {"added": 1}
    assert fred.json("export", str(tmp_path / "out"), "--album", "Wedding")["written"] == 1
