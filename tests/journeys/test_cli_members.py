"""People and roles by the real command line, as an owner and those who come and go type it."""

from pathlib import Path

from tests.support.commands import Cli, new_account
from tests.support.server_process import ServerProcess


def _states(someone: Cli) -> list[tuple[str, str, str]]:
    rows = someone.json("member", "list", "--space", "Home")
    return [(row["name"], row["role"], row["state"]) for row in rows]


def test_someone_comes_rises_falls_and_goes(server: ServerProcess, tmp_path: Path) -> None:
    """Each step says what it did, and the last one which invitations are still open."""
    owner, max_ = (new_account(server, tmp_path / name, f"{name}-roles") for name in ("owner", "max"))
    owner.ok("space", "create", "Home", "--kind", "family")
    uri = owner.json("member", "invite", "Max", "--space", "Home", "--role", "previewer", "--expires", "2d")["uri"]
    owner.ok("member", "invite", "Ruth", "--space", "Home")
    assert max_.run("member", "join", stdin=uri + "\n").returncode == 0
    assert max_.json("space", "list") == []
    said = owner.run("member", "list", "--space", "Home")
    assert "Max" in said.stdout
    assert "Max joined, and was let in as previewer" in owner.run("asset", "list", "--space", "Home").stderr
    assert _states(owner)[1:] == [("Max", "previewer", "member"), ("Ruth", "viewer", "invited")]
    assert [space["role"] for space in max_.json("space", "list")] == ["previewer"]

    owner.ok("member", "role", "Max", "--space", "Home", "--role", "editor")
    assert [space["role"] for space in max_.json("space", "list")] == ["editor"]
    refused = max_.run("member", "remove", "(made the space)", "--space", "Home")
    assert refused.returncode == 1
    assert "[not-found]" in refused.stderr
    owner_id = max_.json("member", "list", "--space", "Home")[0]["id"]
    assert "[right-missing]" in max_.run("member", "remove", owner_id, "--space", "Home").stderr
    assert "[last-owner]" in owner.run("member", "role", owner_id, "--space", "Home", "--role", "viewer").stderr

    gone = owner.run("member", "remove", "Max", "--space", "Home")
    assert gone.returncode == 0
    assert "nobody can take that back" in gone.stdout
    assert "the invitations for Ruth" in gone.stderr
    assert max_.json("space", "list") == []
    assert "[invitation-expired]" in max_.run("member", "join", stdin=uri + "\n").stderr
    assert [state for _, _, state in _states(owner)] == ["member", "invited"]


def test_an_invitation_has_an_end_and_a_role_a_name(server: ServerProcess, tmp_path: Path) -> None:
    """More than 30 days, and roles that do not exist, are misuse; nothing was invited."""
    owner = new_account(server, tmp_path / "owner", "owner-misuse")
    owner.ok("space", "create", "Home", "--kind", "family")
    for wrong in (("--expires", "31d"), ("--expires", "soon"), ("--role", "king"), ("--role", "contributor")):
        assert owner.run("member", "invite", "Ruth", "--space", "Home", *wrong).returncode == 2
    assert len(_states(owner)) == 1
