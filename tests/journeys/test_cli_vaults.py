"""A vault by the real command line: made, filled by a camera, shut, opened, its passphrase changed."""

import signal
from pathlib import Path

from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess
from tests.support.terminal import keys, killed, line, type_at

PASSPHRASE, ANOTHER = "nine quiet owls", "a lamp that turns"


def _with(cli: Cli, **variables: str) -> Cli:
    """The same profile, with something else in the environment."""
    return Cli(cli.profile, {**cli.variables, **variables})


def test_a_vault_from_its_making_to_another_passphrase(server: ServerProcess, tmp_path: Path) -> None:
    """A camera fills it without a passphrase; whoever reads types one, and what is wrong is said in a sentence."""
    shut = new_account(server, tmp_path / "owner", "owner-of-a-vault")
    assert "no terminal" in shut.refused("space", "create", "Private", "--kind", "vault", code=2)
    assert "[bad-request]" in _with(shut, SAFELIGHT_VAULT_PASSPHRASE="short").refused(
        "space", "create", "Private", "--kind", "vault"
    )
    owner = _with(shut, SAFELIGHT_VAULT_PASSPHRASE=PASSPHRASE)
    made = owner.run("space", "create", "Private", "--kind", "vault")
    assert made.returncode == 0
    assert "recovery words do not open it" in made.stderr
    owner.ok("space", "create", "Home", "--kind", "family")
    camera = _with(new_camera(owner, "Private", tmp_path / "phone"), SAFELIGHT_VAULT_PASSPHRASE="never asked for")
    roll = tmp_path / "roll"
    roll.mkdir()
    (roll / "IMG_1.JPG").write_bytes(encoded(picture(1, (320, 240)), "JPEG"))
    assert camera.json("camera", "push", str(roll))["uploaded"] == 1

    listed = sorted(shut.json("space", "list"), key=lambda row: str(row["name"]))
    assert [(row["name"], row["is_shut"]) for row in listed] == [("", True), ("Home", False)]
    assert "(shut)" in shut.ok("space", "list")
    assert "[space-unknown]" in shut.refused("asset", "list", "--space", "Private")
    vault_id = listed[0]["id"]
    assert "[vault-locked]" in shut.refused("asset", "list", "--space", vault_id)
    wrong = _with(shut, SAFELIGHT_VAULT_PASSPHRASE=ANOTHER)
    assert "[vault-locked]" in wrong.refused("asset", "list", "--space", "Private")
    assert shut.json("asset", "list", "--space", "Home") == []
    [asset] = owner.json("asset", "list", "--space", "Private")
    assert asset["name"] == "IMG_1.JPG"
    assert "[not-found]" in shut.refused("asset", "get", asset["id"], "--out", str(tmp_path / "out.jpg"))

    owner.ok("album", "create", "Kept", "--space", "Private")
    owner.ok("album", "add", "Kept", "--space", "Private", asset["id"])
    assert "[policy-forbids]" in owner.refused("link", "create", "--album", "Kept", "--space", "Private")
    assert "only a vault" in owner.refused("space", "passphrase", "Home")
    changed = _with(owner, SAFELIGHT_NEW_VAULT_PASSPHRASE=ANOTHER)
    changed.ok("space", "passphrase", "Private")
    assert "[vault-locked]" in owner.refused("asset", "list", "--space", "Private")
    assert wrong.ok("export", str(tmp_path / "export"), "--space", "Private")
    assert any(path.name == "IMG_1.JPG" for path in (tmp_path / "export").rglob("*"))


def test_another_comes_into_a_vault(server: ServerProcess, tmp_path: Path) -> None:
    """By invitation, with a passphrase of their own; the inviter's next command lets them in."""
    owner = new_account(server, tmp_path / "owner", "vault-host", SAFELIGHT_VAULT_PASSPHRASE=PASSPHRASE)
    guest = new_account(server, tmp_path / "guest", "vault-guest")
    owner.ok("space", "create", "Private", "--kind", "vault")
    uri = owner.json("member", "invite", "Ida", "--space", "Private", "--role", "previewer")["uri"]
    assert guest.run("member", "join", stdin=uri + "\n").returncode == 2
    guest = _with(guest, SAFELIGHT_VAULT_PASSPHRASE=ANOTHER)
    joined = guest.run("member", "join", stdin=uri + "\n")
    assert joined.returncode == 0, joined.stderr
    assert "passphrase of your own" in joined.stderr
    assert "Ida joined, and was let in as previewer" in owner.run("asset", "list", "--space", "Private").stderr
    assert guest.json("asset", "list", "--space", "Private") == []


def test_a_vault_at_a_terminal(server: ServerProcess, tmp_path: Path) -> None:
    """What is typed is never shown, each prompt says what it asks for, and each can be left at once."""
    owner = new_account(server, tmp_path / "owner", "vault-typed")
    code, shown = type_at(
        owner,
        *("space", "create", "Private", "--kind", "vault"),
        answers=[line("short"), line(PASSPHRASE), line("not the same"), line(PASSPHRASE), line(PASSPHRASE)],
    )
    assert (code, "at least 8 characters" in shown, "not the same" in shown) == (0, True, True)
    assert PASSPHRASE not in shown
    for leaves in (keys(b"\x03"), keys(b"\x04"), killed(signal.SIGTERM)):
        code, shown = type_at(owner, "asset", "list", "--space", "Private", answers=[leaves])
        assert (code, shown.count("safelight: stopped")) == (130, 1), shown
    code, shown = type_at(owner, "asset", "list", "--space", "Private", answers=[keys(b"\xff\xfe345678\n")])
    assert (code, "not valid text" in shown) == (2, True), shown
    for answer in ("", ANOTHER):
        code, shown = type_at(owner, "asset", "list", "--space", "Hmoe", answers=[line(answer)])
        assert (code, "no open space is called 'Hmoe'" in shown) == (1, True), shown
    code, shown = type_at(
        owner,
        *("space", "passphrase", "Private"),
        answers=[line(PASSPHRASE), line(ANOTHER), keys(b"\x03")],
    )
    assert (code, "new passphrase" in shown, "Traceback" in shown) == (130, True, False)
    code, shown = type_at(owner, "asset", "list", "--space", "Private", answers=[line(PASSPHRASE)])
    assert code == 0, "nothing was changed"
