"""Albums organised by the real command line: by their owner, and by a freelancer who was let."""

from pathlib import Path

import pytest

from tests.journeys.test_cli_grants import _join, _pictures
from tests.support.commands import new_account, new_camera
from tests.support.server_process import ServerProcess


@pytest.mark.timeout(600)  # some forty commands, a process each
def test_out_and_in_again_and_another_name(server: ServerProcess, tmp_path: Path) -> None:
    """Each step says what it did, what is undone how, and which links go on."""
    owner, fred = (new_account(server, tmp_path / name, f"{name}-organises") for name in ("owner", "fred"))
    owner.ok("space", "create", "Studio", "--kind", "work")
    camera = new_camera(owner, "Studio", tmp_path / "camera")
    camera.ok("camera", "push", str(_pictures(tmp_path / "one", "a.txt", "b.txt", "c.txt")))
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    owner.ok("album", "create", "Wedding", "--space", "Studio")
    owner.ok("album", "add", "Wedding", "--space", "Studio", "--all")
    link = owner.json("link", "create", "--album", "Wedding", "--space", "Studio")
    in_studio = ("--space", "Studio")

    said = owner.run("album", "remove", "Wedding", *in_studio, ids["a.txt"][:12])
    assert said.stdout == "1 asset taken out of Wedding. Nothing is deleted.\n"
    assert "safelight album add Wedding --space Studio" in said.stderr
    assert f"goes on showing them until revoked: safelight link revoke {link['id'][:12]}" in said.stderr
    assert "[not-found]" in owner.refused("album", "remove", "Wedding", *in_studio, ids["a.txt"])
    assert len(owner.json("asset", "list", "--space", "Studio")) == 3
    owner.ok("album", "add", "Wedding", *in_studio, ids["a.txt"])
    rows = owner.json("asset", "list", *in_studio, "--album", "Wedding")
    assert (len(rows), rows[-1]["name"]) == (3, "a.txt")

    assert owner.ok("album", "rename", "Wedding", "Anna & Bert", *in_studio) == "Wedding is called Anna & Bert.\n"
    assert "[not-found]" in owner.refused("album", "rename", "Wedding", "Again", *in_studio)
    _join(owner, fred, "Freelance Fred", "Studio")
    owner.ok("album", "grant", "Anna & Bert", *in_studio, "--to", "Freelance Fred")
    refused = fred.refused("album", "remove", "Anna & Bert", ids["b.txt"])
    assert "[right-missing]" in refused
    given = owner.run("album", "grant", "Anna & Bert", *in_studio, "--to", "Freelance Fred", "--can-organise")
    assert "They may take pictures out and rename it." in given.stdout
    [grant] = owner.json("album", "grants", *in_studio)
    assert (grant["can_organise"], grant["can_add"]) == (True, False)
    assert "view, organises" in owner.ok("album", "grants", *in_studio)

    said = fred.run("album", "remove", "Anna & Bert", ids["b.txt"][:8])
    assert said.stdout == "1 asset taken out of Anna & Bert. Nothing is deleted.\n"
    assert "Who organises its space can put them back." in said.stderr
    assert fred.json("album", "rename", "Anna & Bert", "Party")["name"] == "Party"
    assert [(one["name"], one["assets"]) for one in fred.json("album", "list")] == [("Party", 2)]
    [album] = owner.json("album", "list", *in_studio)
    assert (album["name"], album["assets"]) == ("Party", 2)
    assert owner.json("album", "remove", album["id"][:12], *in_studio, ids["c.txt"]) == {
        "removed": [ids["c.txt"]],
        "links": [link["id"]],
    }
    owner.ok("album", "revoke", "Party", *in_studio, "--from", "Freelance Fred")
    assert "[not-found]" in fred.refused("album", "rename", "Party", "Mine")


@pytest.mark.timeout(300)
def test_a_picture_that_is_added_from_a_folder_again(server: ServerProcess, tmp_path: Path) -> None:
    """*What somebody took out comes back with the next `asset add`*: it is left out, and that is said."""
    owner = new_account(server, tmp_path / "owner", "owner-organises-again")
    owner.ok("space", "create", "Studio", "--kind", "work")
    owner.ok("album", "create", "Wedding", "--space", "Studio")
    folder = str(_pictures(tmp_path / "one", "a.txt", "b.txt"))
    adding = ("asset", "add", folder, "--space", "Studio", "--album", "Wedding")
    owner.ok(*adding)
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    owner.ok("album", "remove", "Wedding", "--space", "Studio", ids["a.txt"])
    assert "1 file left out, taken out of Wedding before: safelight album add" in owner.run(*adding).stderr
    assert [one["assets"] for one in owner.json("album", "list", "--space", "Studio")] == [1]
