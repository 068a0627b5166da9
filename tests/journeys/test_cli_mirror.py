"""Mirroring by the real command line."""

from pathlib import Path

from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess


def _ids(cli: Cli, space: str) -> list[str]:
    return sorted(row["id"] for row in cli.json("asset", "list", "--space", space))


def test_chosen_assets_and_albums(server: ServerProcess, tmp_path: Path) -> None:
    """By id, by album, all; a second time nothing; what makes no sense is refused in one line."""
    owner = new_account(server, tmp_path / "owner", "mirroring-owner")
    for name, kind in (("Family", "family"), ("Work", "work")):
        owner.ok("space", "create", name, "--kind", kind)
    camera = new_camera(owner, "Family", tmp_path / "phone")
    roll = tmp_path / "roll"
    roll.mkdir()
    for number in range(3):
        (roll / f"IMG_{number}.JPG").write_bytes(encoded(picture(number, (320, 240)), "JPEG"))
    camera.ok("camera", "push", str(roll))
    ids = _ids(owner, "Family")
    mirror = ("asset", "mirror", "--from", "Family", "--to", "Work")
    assert owner.json(*mirror, ids[0]) == {"mirrored": 1, "known": 0, "failed": {}}
    owner.ok("album", "create", "Best", "--space", "Family")
    owner.ok("album", "add", "Best", "--space", "Family", ids[0], ids[1])
    assert owner.json(*mirror, "--album", "Best") == {"mirrored": 1, "known": 1, "failed": {}}
    assert "1 asset mirrored into Work; 2 were there already." in owner.ok(*mirror, "--all")
    assert _ids(owner, "Work") == ids
    owner.ok("export", str(tmp_path / "export"), "--space", "Work")
    for number in range(3):
        [copy] = (tmp_path / "export").rglob(f"IMG_{number}.JPG")
        assert copy.read_bytes() == (roll / f"IMG_{number}.JPG").read_bytes()
    assert "same space" in owner.refused("asset", "mirror", "--from", "Work", "--to", "Work", "--all")
    assert "[not-found]" in owner.refused(*mirror, "ffffffffff")
    assert "[space-unknown]" in owner.refused("asset", "mirror", "--from", "Nowhere", "--to", "Work", "--all")
    owner.refused(*mirror, code=2)
    owner.refused(*mirror, "--all", "--album", "Best", code=2)


def test_moving(server: ServerProcess, tmp_path: Path) -> None:
    """Into the other space and the trash of the first, with what stays behind said; what makes no sense is refused."""
    owner = new_account(server, tmp_path / "owner", "moving-owner")
    for name, kind in (("Family", "work"), ("Work", "work")):
        owner.ok("space", "create", name, "--kind", kind)
    camera, roll = new_camera(owner, "Family", tmp_path / "phone"), tmp_path / "roll"
    roll.mkdir()
    for number in range(3):
        (roll / f"IMG_{number}.JPG").write_bytes(encoded(picture(number, (320, 240)), "JPEG"))
    camera.ok("camera", "push", str(roll))
    ids = _ids(owner, "Family")
    owner.ok("album", "create", "Best", "--space", "Family")
    owner.ok("album", "add", "Best", "--space", "Family", *ids[:2])
    link = owner.json("link", "create", "--album", "Best", "--space", "Family")["id"]
    move = ("asset", "move", "--from", "Family", "--to", "Work")
    done = owner.run(*move, ids[0])
    assert "1 asset moved into Work." in done.stdout
    assert "trash of Family" in done.stdout
    assert "asset restore" in done.stdout
    assert link[:12] in done.stderr
    moved = owner.json(*move, *ids[:2])
    assert (moved["moved"], moved["already"], moved["failed"]) == ([ids[1]], [ids[0]], {})
    assert [one["id"] for one in moved["withheld_links"]] == [link]
    assert (_ids(owner, "Family"), _ids(owner, "Work")) == (ids[2:], ids[:2])
    assert "0 assets moved into Work." in owner.ok(*move, "--album", "Best")
    owner.ok("asset", "trash", ids[2], "--space", "Family")
    assert "stayed where they were" in owner.run(*move, ids[2]).stderr
    owner.ok("asset", "restore", *ids, "--space", "Family")
    assert "same space" in owner.refused("asset", "move", "--from", "Work", "--to", "Work", "--all")
    owner.refused(*move, code=2)
    owner.ok("export", str(tmp_path / "export"), "--space", "Work")
    assert len(list((tmp_path / "export").rglob("*.JPG"))) == 2
