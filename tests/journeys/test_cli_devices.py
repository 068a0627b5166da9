"""Devices by the real command line: listed, shut out, lost."""

from pathlib import Path

from tests.support.commands import Cli, new_account
from tests.support.server_process import ServerProcess


def test_a_laptop_is_lost(server: ServerProcess, tmp_path: Path) -> None:
    """What was done is said, what is wrong in one line; the lost one is out, and its owner goes on."""
    owner = Cli(tmp_path / "owner")
    made = owner.json("account", "create", "--server", server.url, "--name", "losing", "--invite", server.invite())
    words = " ".join(made["recovery_words"])
    owner.ok("space", "create", "Home", "--kind", "family")
    laptop = Cli(tmp_path / "laptop")
    laptop.ok("account", "login", "--server", server.url, "--name", "losing")
    laptop.ok("space", "list")
    tablet = Cli(tmp_path / "tablet")
    tablet.ok("account", "login", "--server", server.url, "--name", "losing")
    states = {device["id"]: device["state"] for device in owner.json("device", "list")}
    assert sorted(states.values()) == ["signed in", "signed in", "this device"]
    [mine] = [id_ for id_, state in states.items() if state == "this device"]
    lost, other = (next(d["id"] for d in each.json("device", "list") if d["is_this"]) for each in (laptop, tablet))
    assert "this device" in owner.refused("device", "revoke", mine)
    assert "[not-found]" in owner.refused("device", "revoke", "nothing")

    assert owner.json("device", "revoke", other)["spaces"][0]["code"] == ""
    assert "revoked" in tablet.refused("space", "list")
    wrong = owner.run("device", "lost", lost, stdin="one two three")
    assert wrong.returncode == 1
    assert "[words-invalid]" in wrong.stderr
    done = owner.run("device", "lost", lost[:10], stdin=words)
    assert done.returncode == 0, done.stderr
    assert "New keys have begun in 1 of 1 spaces" in done.stdout
    assert "It was last heard of: 20" in done.stdout
    assert "Log in anew" in done.stderr
    assert "revoked" in laptop.refused("space", "list")
    assert [space["name"] for space in owner.json("space", "list")] == ["Home"]
    assert owner.json("asset", "list", "--space", "Home") == []
    again = Cli(tmp_path / "again")
    again.ok("account", "login", "--server", server.url, "--name", "losing")
    assert [space["name"] for space in again.json("space", "list")] == ["Home"]


def test_devices_are_listed_for_people(server: ServerProcess, tmp_path: Path) -> None:
    """A row a device: its id, when it was added, when it was last heard of, and whether it still counts."""
    owner = new_account(server, tmp_path / "owner", "lister-of-devices")
    [row] = owner.ok("device", "list").splitlines()
    id_, added, last_seen, state = row.split("\t")
    assert owner.json("device", "list")[0]["id"].startswith(id_)
    assert last_seen.startswith(added)
    assert state == "this device"
