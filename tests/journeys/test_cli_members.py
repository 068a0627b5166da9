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
    for wrong in (("--expires", "31d"), ("--expires", "soon"), ("--role", "king"), ("--role", "guest")):
        assert owner.run("member", "invite", "Ruth", "--space", "Home", *wrong).returncode == 2
    assert len(_states(owner)) == 1


def test_two_compare_their_words(server: ServerProcess, tmp_path: Path) -> None:
    """Who has come further gives the words of where the other is; what is no entry of the ledger has none."""
    owner, ruth = (new_account(server, tmp_path / name, f"{name}-words") for name in ("owner", "ruth"))
    owner.ok("space", "create", "Our Home", "--kind", "family")
    uri = owner.json("member", "invite", "Ruth", "--space", "Our Home", "--role", "previewer")["uri"]
    assert ruth.run("member", "join", stdin=uri + "\n").returncode == 0
    waiting = owner.json("member", "verify", "--space", "Our Home")  # looking lets nobody in
    assert (waiting["number"], len(waiting["members"])) == (3, 1)
    owner.ok("asset", "list", "--space", "Our Home")
    hers = ruth.json("member", "verify", "--space", "Our Home")
    assert len(hers["words"]) == 12
    assert (hers["number"], hers["newest"]) == (4, 4)
    assert [(one["name"], one["role"]) for one in hers["members"]] == [("", "owner"), ("Ruth", "previewer")]

    owner.ok("member", "invite", "Max", "--space", "Our Home")
    ours = owner.json("member", "verify", "--space", "Our Home")
    assert (ours["number"], ours["words"] == hers["words"]) == (5, False)
    assert owner.json("member", "verify", "--space", "Our Home", "--at", "4")["words"] == hers["words"]
    assert owner.json("member", "verify", "--space", "Our Home", "--at", "3")["members"] == waiting["members"]

    said = owner.ok("member", "verify", "--space", "Our Home", "--at", "4")
    shown = [line.split() for line in said.splitlines() if line.startswith(("   1", "   5"))]
    assert [line[1] for line in shown] == [hers["words"][0], hers["words"][4]]
    for part in (
        "Entry 4 of the ledger of Our Home:",
        "(you), owner",
        "Ruth, previewer",
        "the newest entry here is 5",
        "safelight member verify --space 'Our Home' --at N",
        "stop using this space",
        "not recovery words, which nobody may ever ask",
    ):
        assert part in said
    for number, why in (
        ("6", "--at 5"),
        ("0", "first entry is 1"),
        ("-1", "first entry is 1"),
        (str(10**30), "--at 5"),
    ):
        refused = owner.refused("member", "verify", "--space", "Our Home", "--at", number)
        assert "[bad-request]" in refused
        assert why in refused
    owner.ok("album", "create", "Best", "--space", "Our Home")  # a record: slot 6, which the ledger does not have
    owner.ok("member", "invite", "Eva", "--space", "Our Home")
    assert "last one before it is 5" in owner.refused("member", "verify", "--space", "Our Home", "--at", "6")
