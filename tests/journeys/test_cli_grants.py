"""Granted albums by the real command line, as a studio, its freelancer and a grandparent type it."""

import json
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account
from tests.support.server_process import ServerProcess


def _join(owner: Cli, someone: Cli, name: str, space: str) -> None:
    uri = owner.json("member", "invite", name, "--space", space, "--role", "grantee")["uri"]
    assert someone.run("member", "join", stdin=uri + "\n").returncode == 0


def _camera(owner: Cli, folder: Path, space: str) -> tuple[Cli, str]:
    code = owner.json("camera", "pair", "--space", space, "--name", "Booth")
    camera = Cli(folder / "camera")
    assert camera.run("camera", "add", "-", stdin=code["uri"] + "\n").returncode == 0
    return camera, code["id"]


def _pictures(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(f"bytes of {name}".encode() * 1000)
    return folder


@pytest.mark.timeout(400)  # some forty commands, a process each
def test_a_freelancer_gets_one_gallery_and_nothing_else(server: ServerProcess, tmp_path: Path) -> None:
    """Invited, granted, shown, exported, widened, revoked; each step says what it did."""
    owner, fred = (new_account(server, tmp_path / name, f"{name}-grants") for name in ("owner", "fred"))
    owner.ok("space", "create", "Studio", "--kind", "work")
    camera, camera_id = _camera(owner, tmp_path, "Studio")
    camera.ok("camera", "push", str(_pictures(tmp_path / "one", "a.txt", "b.txt", "private.txt")))
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    for title in ("Wedding", "Private"):
        owner.ok("album", "create", title, "--space", "Studio")
    owner.ok("album", "add", "Wedding", "--space", "Studio", ids["a.txt"])
    owner.ok("album", "add", "Private", "--space", "Studio", ids["private.txt"])
    _join(owner, fred, "Freelance Fred", "Studio")
    assert fred.json("album", "list") == []

    said = owner.run("album", "grant", "Wedding", "--space", "Studio", "--to", "Freelance Fred", "--expires", "30d")
    assert "joined, and was let in as grantee" in said.stderr
    assert "previews, never an original" in said.stdout
    [album] = fred.json("album", "list")
    assert (album["name"], album["assets"], album["tier"]) == ("Wedding", 1, "view")
    assert [(space["name"], space["role"]) for space in fred.json("space", "list")] == [("", "grantee")]
    assert "see album list" in fred.ok("space", "list")
    [row] = fred.json("asset", "list", "--album", "Wedding")
    assert (row["id"], row["name"]) == (ids["a.txt"], "")
    assert "[forbidden]" in fred.run("export", str(tmp_path / "out"), "--album", "Wedding").stderr
    assert "[forbidden]" in fred.run("asset", "get", ids["a.txt"], "--album", "Wedding", "--out", "x").stderr

    owner.ok("album", "grant", "Wedding", "--space", "Studio", "--to", "Freelance Fred", "--tier", "full")
    owner.ok("camera", "point", camera_id, "--space", "Studio", "--album", "Wedding")
    assert [one["album"] for one in owner.json("camera", "list", "--space", "Studio")] == ["Wedding"]
    camera.ok("camera", "push", str(_pictures(tmp_path / "two", "live.txt")))
    out = tmp_path / "out"
    fred.ok("export", str(out), "--album", "Wedding")
    assert {path.name for path in out.glob("*.txt")} == {"a.txt", "live.txt"}
    assert (out / "live.txt").read_bytes() == (tmp_path / "two" / "live.txt").read_bytes()
    got = tmp_path / "a.txt"
    fred.ok("asset", "get", ids["a.txt"][:8], "--album", "Wedding", "--out", str(got))
    assert got.read_bytes() == (tmp_path / "one" / "a.txt").read_bytes()
    for wrong in (("--album", "Private"), ("--space", "Studio"), ("--space", album["space_id"][:12])):
        assert fred.run("asset", "list", *wrong).returncode == 1
    assert fred.run("asset", "list").returncode == 2

    [grant] = owner.json("album", "grants", "--space", "Studio")
    assert (grant["album"], grant["name"], grant["tier"], grant["expires_ms"]) == (
        "Wedding",
        "Freelance Fred",
        "full",
        0,
    )
    refused = owner.run("album", "grant", "Wedding", "--space", "Studio", "--to", "Freelance Fred", "--tier", "view")
    assert "end the grant first" in refused.stderr
    said = owner.run("album", "revoke", "Wedding", "--space", "Studio", "--from", "Freelance Fred")
    assert "cannot be taken back" in said.stderr
    assert fred.json("album", "list") == []
    assert owner.json("album", "grants", "--space", "Studio") == []
    again = owner.run("album", "revoke", "Wedding", "--space", "Studio", "--from", "Freelance Fred")
    assert (again.returncode, "[ledger-rule]" in again.stderr) == (1, True)
    owner.ok("camera", "point", camera_id, "--space", "Studio", "--away")
    assert owner.run("camera", "point", camera_id, "--space", "Studio").returncode == 2


def test_a_grandparent_sees_two_albums_of_two_families(server: ServerProcess, tmp_path: Path) -> None:
    """Previews only, side by side, also where both albums have one name."""
    anna, bert, gran = (new_account(server, tmp_path / name, f"{name}-gran") for name in ("anna", "bert", "gran"))
    for owner in (anna, bert):
        owner.ok("space", "create", "Home", "--kind", "family")
        owner.ok("album", "create", "Summer", "--space", "Home")
        _join(owner, gran, "Gran", "Home")
        owner.ok("album", "grant", "Summer", "--space", "Home", "--to", "Gran")
    albums = gran.json("album", "list")
    assert [album["name"] for album in albums] == ["Summer", "Summer"]
    assert len({album["space_id"] for album in albums}) == 2
    refused = gran.run("asset", "list", "--album", "Summer")
    assert "more than one album" in refused.stderr
    assert gran.json("asset", "list", "--album", albums[0]["id"][:12]) == []
    assert json.loads(gran.ok("space", "list", "--json"))[0]["role"] == "grantee"


def test_a_vaults_albums_are_granted_to_nobody(server: ServerProcess, tmp_path: Path) -> None:
    """The refusal says so."""
    owner = new_account(server, tmp_path / "owner", "owner-vaultgrants")
    owner.variables["SAFELIGHT_VAULT_PASSPHRASE"] = "a passphrase of its own"
    owner.ok("space", "create", "Deep", "--kind", "vault")
    owner.ok("album", "create", "Secret", "--space", "Deep")
    code = owner.json("camera", "pair", "--space", "Deep", "--name", "Booth")
    refused = owner.run("camera", "point", code["id"], "--space", "Deep", "--album", "Secret")
    assert "[policy-forbids]" in refused.stderr


def test_who_goes_leaves_grants_behind_and_the_command_says_so(server: ServerProcess, tmp_path: Path) -> None:
    """A manager's grants go on without the manager; whoever removes them is told."""
    owner, max_, fred = (new_account(server, tmp_path / name, f"{name}-leaves") for name in ("owner", "max", "fred"))
    owner.ok("space", "create", "Studio", "--kind", "work")
    owner.ok("album", "create", "Wedding", "--space", "Studio")
    uri = owner.json("member", "invite", "Max", "--space", "Studio", "--role", "manager")["uri"]
    assert max_.run("member", "join", stdin=uri + "\n").returncode == 0
    _join(owner, fred, "Fred", "Studio")
    owner.ok("asset", "list", "--space", "Studio")
    max_.ok("album", "grant", "Wedding", "--space", "Studio", "--to", "Fred")
    said = owner.run("member", "remove", "Max", "--space", "Studio")
    assert said.returncode == 0
    assert "1 grant that they gave goes on, of Wedding: safelight album grants" in said.stderr
    assert [row["name"] for row in owner.json("album", "grants", "--space", "Studio")] == ["Fred"]
    assert fred.json("album", "list")[0]["name"] == "Wedding"
    again = owner.json("member", "remove", "Max", "--space", "Studio")
    assert [grant["album"] for grant in again["grants"]] == ["Wedding"]
