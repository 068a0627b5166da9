"""Links that outlive their maker, or the policy, by the real command line: they are named, and kept or revoked."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess


@dataclass
class Studio:
    """A space with one photograph in an album, its owner, and Max, who may make links."""

    owner: Cli
    max: Cli

    @property
    def max_id(self) -> str:
        """Max's account."""
        rows = self.owner.json("member", "list", "--space", "Our Studio")
        return str(next(row["id"] for row in rows if row["name"] == "Max"))

    def link(self, maker: Cli, label: str, *more: str) -> str:
        """Make a link."""
        made = maker.json("link", "create", "--album", "Best", "--space", "Our Studio", "--label", label, *more)
        return str(made["id"])

    def states(self) -> dict[str, tuple[str, str]]:
        """Each link's state and maker, by its label."""
        return {row["label"]: (row["state"], row["maker"]) for row in self.owner.json("link", "list")}


@pytest.fixture
def studio(server: ServerProcess, tmp_path: Path) -> Studio:
    """A work space in which Max is a manager."""
    owner, max_ = (new_account(server, tmp_path / name, f"{name}-{tmp_path.name}"[:60]) for name in ("owner", "max"))
    owner.ok("space", "create", "Our Studio", "--kind", "work")
    (tmp_path / "roll").mkdir()
    (tmp_path / "roll" / "IMG_1.JPG").write_bytes(encoded(picture(1, (320, 240)), "JPEG"))
    new_camera(owner, "Our Studio", tmp_path / "phone").ok("camera", "push", str(tmp_path / "roll"))
    owner.ok("album", "create", "Best", "--space", "Our Studio")
    owner.ok("album", "add", "Best", "--space", "Our Studio", "--all")
    uri = owner.json("member", "invite", "Max", "--space", "Our Studio", "--role", "manager")["uri"]
    assert max_.run("member", "join", stdin=uri + "\n").returncode == 0
    owner.ok("asset", "list", "--space", "Our Studio")
    return Studio(owner, max_)


def test_links_of_who_was_removed(studio: Studio) -> None:
    """A removal names the links that the person made, and the same command revokes what is left of them later."""
    owner, max_id = studio.owner, studio.max_id
    first, second = studio.link(studio.max, "Proofs"), studio.link(studio.max, "Press kit", "--expires", "7d")
    studio.link(owner, "Mine")
    assert studio.states()["Proofs"] == ("live", "Max")
    assert studio.states()["Mine"] == ("live", "(you)")

    gone = owner.run("member", "remove", "Max", "--space", "Our Studio")
    assert gone.returncode == 0, gone.stderr
    lines = gone.stderr.splitlines()
    assert "2 links that they made go on" in lines[0]
    assert [second[:12] in lines[1], "Press kit" in lines[1], "until 20" in lines[1]] == [True] * 3
    assert [first[:12] in lines[2], "Proofs" in lines[2], "no end" in lines[2]] == [True] * 3
    assert "safelight link revoke ID" in lines[3]
    assert "addresses of 1 other link" in lines[4]
    assert studio.states()["Proofs"] == ("live", "(no longer a member)")

    owner.ok("link", "revoke", first)  # as a run of --revoke-links that is cut off leaves it
    again = owner.json("member", "remove", "Max", "--space", "Our Studio", "--revoke-links")
    assert (again["id"], again["state"]) == (max_id, "removed")
    assert [(link["id"], link["label"], link["state"]) for link in again["links"]] == [(second, "Press kit", "revoked")]
    assert {label: state for label, (state, _) in studio.states().items()} == {
        "Proofs": "revoked",
        "Press kit": "revoked",
        "Mine": "live",
    }
    assert owner.json("member", "remove", max_id, "--space", "Our Studio")["links"] == []


def test_links_are_revoked_in_the_same_run(studio: Studio) -> None:
    """With --revoke-links nothing of theirs opens any more; how to finish a run that is cut is said before."""
    owner, max_id = studio.owner, studio.max_id
    made = studio.link(studio.max, "Proofs")
    gone = owner.run("member", "remove", "Max", "--space", "Our Studio", "--revoke-links")
    assert gone.returncode == 0, gone.stderr
    assert f"safelight member remove {max_id} --space 'Our Studio' --revoke-links" in gone.stderr
    assert "Revoked: 1 link" in gone.stdout
    assert made[:12] in gone.stderr
    assert studio.states() == {"Proofs": ("revoked", "(no longer a member)")}


def test_links_of_who_makes_no_more(studio: Studio) -> None:
    """Whoever may not make links any more is named with those that they made; whoever may is not."""
    made = studio.link(studio.max, "Proofs")
    lowered = studio.owner.json("member", "role", "Max", "--space", "Our Studio", "--role", "viewer")
    assert [(link["id"], link["state"]) for link in lowered["links"]] == [(made, "live")]
    said = studio.owner.run("member", "role", "Max", "--space", "Our Studio", "--role", "editor")
    assert "1 link that they made goes on" in said.stderr
    raised = studio.owner.json("member", "role", "Max", "--space", "Our Studio", "--role", "manager")
    assert raised["links"] == []
    refused = studio.max.refused("member", "remove", "(you)", "--space", "Our Studio", "--revoke-links")
    assert "[not-found]" in refused


def test_links_that_outlive_a_policy(studio: Studio) -> None:
    """A narrower policy holds for new links; those from before are named, with the command that ends them."""
    owner, max_ = studio.owner, studio.max
    assert owner.json("space", "policy", "Our Studio") == {
        "links": "full",
        "min_version": 1,
        "changed": False,
        "links_beyond": [],
    }
    full = studio.link(max_, "Originals")
    previews = studio.link(owner, "Previews", "--no-originals")
    done = owner.run("space", "policy", "Our Studio", "--links", "view")
    assert done.returncode == 0, done.stderr
    assert "From now on: view" in done.stdout
    lines = done.stderr.splitlines()
    assert "1 link that may give out originals, made before, goes on as it is" in lines[0]
    assert [full[:12] in lines[1], "Originals" in lines[1]] == [True] * 2
    assert lines[2:] == ["End one: safelight link revoke ID"]
    assert owner.json("space", "policy", "Our Studio", "--links", "view")["changed"] is False
    made = max_.json("link", "create", "--album", "Best", "--space", "Our Studio")
    assert made["originals"] is False

    none = max_.json("space", "policy", "Our Studio", "--links", "none")  # a manager may, too
    assert {row["id"]: row["originals"] for row in none["links_beyond"]} == {
        full: True,
        previews: False,
        made["id"]: False,
    }
    refused = owner.refused("link", "create", "--album", "Best", "--space", "Our Studio")
    assert "[policy-forbids]" in refused
    for each in none["links_beyond"]:
        owner.ok("link", "revoke", each["id"])
    assert owner.json("space", "policy", "Our Studio")["links_beyond"] == []


def test_who_may_not_set_a_policy(studio: Studio) -> None:
    """An editor reads it and sets nothing, and nobody allows more than the kind of the space does."""
    owner, max_ = studio.owner, studio.max
    studio.link(owner, "Originals")
    owner.ok("member", "role", "Max", "--space", "Our Studio", "--role", "editor")
    assert "[right-missing]" in max_.refused("space", "policy", "Our Studio", "--links", "none")
    owner.ok("member", "role", "Max", "--space", "Our Studio", "--role", "previewer")
    assert max_.json("space", "policy", "Our Studio")["links"] == "full"
    owner.ok("space", "create", "Home", "--kind", "family")
    refused = owner.refused("space", "policy", "Home", "--links", "full")
    assert "[ledger-rule]" in refused
    assert "a family space cannot allow" in refused
    assert owner.run("space", "policy", "Home", "--links", "some").returncode == 2
    assert owner.json("space", "policy", "Home")["links"] == "view"
