"""The command line as scripts use it: the fields that stay, one line of error, the exit codes, the environment."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import PASSWORD, Cli, new_account, new_camera
from tests.support.samples import encoded, exif, picture
from tests.support.server_process import ServerProcess


@pytest.fixture
def owner(server: ServerProcess, tmp_path: Path) -> Cli:
    """An account without a space."""
    return new_account(server, tmp_path / "owner", tmp_path.name[:60])


def _roll(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(count):
        data = encoded(picture(number, (320, 240)), "JPEG", exif=exif(taken=f"2024:03:0{number + 1} 12:34:56"))
        (folder / f"IMG_{number}.JPG").write_bytes(data)
    return folder


def test_from_an_invite_to_a_link(server: ServerProcess, tmp_path: Path) -> None:
    """Every command of the main path, in order, with the JSON fields that scripts rely on."""
    owner = Cli(tmp_path / "owner", {"SAFELIGHT_LINK_PASSWORD": "open sesame"})
    made = owner.json("account", "create", "--server", server.url, "--name", "main-path", "--invite", server.invite())
    assert len(made["recovery_words"]) == 24
    owner.json("space", "create", "Work", "--kind", "work")
    assert [(space["name"], space["kind"]) for space in owner.json("space", "list")] == [("Work", "work")]
    uri = owner.json("camera", "pair", "--space", "Work", "--name", "Phone")["uri"]
    assert uri.startswith("safelight:")
    camera = Cli(tmp_path / "phone")
    camera.ok("camera", "add", uri)
    pushed = camera.json("camera", "push", str(_roll(tmp_path / "roll")))
    assert {key: pushed[key] for key in ("uploaded", "known", "failed")} == {"uploaded": 3, "known": 0, "failed": 0}

    rows = sorted(owner.json("asset", "list", "--space", "Work"), key=lambda row: row["name"])
    assert [row["name"] for row in rows] == ["IMG_0.JPG", "IMG_1.JPG", "IMG_2.JPG"]
    assert rows[1]["taken"] == "2024-03-02T12:34:56"
    assert rows[1]["size_bytes"] == (tmp_path / "roll" / "IMG_1.JPG").stat().st_size
    assert rows[1]["state"] == "stored"
    out = tmp_path / "out.jpg"
    owner.ok("asset", "get", rows[1]["id"], "--out", str(out))
    assert out.read_bytes() == (tmp_path / "roll" / "IMG_1.JPG").read_bytes()
    owner.ok("asset", "get", rows[1]["id"][:8], "--out", str(out), "--rendition", "preview", "--space", "Work")
    assert out.read_bytes()[8:12] == b"WEBP"

    owner.json("album", "create", "Summer", "--space", "Work")
    assert owner.json("album", "add", "Summer", "--space", "Work", rows[2]["id"], rows[0]["id"][:10])["added"] == 2
    assert owner.json("album", "list", "--space", "Work")[0]["assets"] == 2
    link = owner.json(
        "link", "create", "--album", "Summer", "--space", "Work", "--password", "--expires", "7d", "--max-opens", "3"
    )
    assert link["url"].startswith(f"{server.url}/s/{link['id']}#")
    assert link["originals"] is True
    listed = owner.json("link", "list")
    assert [(row["id"], row["state"], row["max_opens"], row["password"]) for row in listed] == [
        (link["id"], "live", 3, True)
    ]
    assert owner.json("link", "show", link["id"][:6])["url"] == link["url"]
    owner.ok("link", "revoke", link["id"])
    assert owner.json("link", "list")[0]["state"] == "revoked"


def test_a_family_space_gives_view_links_and_says_so(owner: Cli, tmp_path: Path) -> None:
    """In a family space a link is made without originals even where nobody said so, with a note; never with them."""
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    camera.ok("camera", "push", str(_roll(tmp_path / "roll", 1)))
    owner.ok("album", "create", "A", "--space", "Family")
    owner.refused("link", "create", "--album", "A", "--space", "Family")  # empty
    owner.ok("album", "add", "A", "--space", "Family", "--all")
    done = owner.run("link", "create", "--album", "A", "--space", "Family", "--json")
    assert json.loads(done.stdout)["originals"] is False
    assert "without originals" in done.stderr
    quiet = owner.run("link", "create", "--album", "A", "--space", "Family", "--no-originals", "--json")
    assert quiet.stderr == ""


def test_a_watermarked_link(owner: Cli, tmp_path: Path) -> None:
    """Its text stands in lists and never in the space; what cannot be drawn is refused before anything is asked."""
    owner.ok("space", "create", "Studio", "--kind", "work")
    camera = new_camera(owner, "Studio", tmp_path / "phone")
    camera.ok("camera", "push", str(_roll(tmp_path / "roll", 2)))
    owner.ok("album", "create", "A", "--space", "Studio")
    owner.ok("album", "add", "A", "--space", "Studio", "--all")
    create = ("link", "create", "--album", "A", "--space", "Studio", "--watermark")
    done = owner.run(*create, "  Proof · Проба ", "--json")
    made = json.loads(done.stdout)
    assert (made["watermark"], made["originals"], made["assets"], made["failed"]) == ("Proof · Проба", False, 2, 0)
    assert done.stderr == ""
    assert [row["watermark"] for row in owner.json("link", "list")] == ["Proof · Проба"]
    assert owner.json("link", "show", made["id"])["watermark"] == "Proof · Проба"
    assert "Watermarked: Proof · Проба" in owner.ok("link", "show", made["id"])
    assert "Proof · Проба" in owner.ok("link", "list")
    assert "U+65E5" in owner.refused(*create, "日本")
    assert "needs a text" in owner.refused(*create, "  ")
    assert "one line" in owner.refused(*create, "two\nlines")
    assert len(owner.json("link", "list")) == 1


def test_a_second_device_recovery_and_a_new_password(server: ServerProcess, owner: Cli, tmp_path: Path) -> None:
    """Log in elsewhere, change the password, recover with the words from standard input: all see the same space."""
    name = tmp_path.name[:60]
    owner.ok("space", "create", "Family", "--kind", "family")
    laptop = Cli(tmp_path / "laptop")
    laptop.json("account", "login", "--server", server.url, "--name", name)
    assert [space["name"] for space in laptop.json("space", "list")] == ["Family"]
    wrong = Cli(tmp_path / "wrong", {"SAFELIGHT_PASSWORD": "not the password"})
    assert "do not match" in wrong.refused("account", "login", "--server", server.url, "--name", name)
    assert "do not match" in wrong.refused("account", "login", "--server", server.url, "--name", "nobody-of-that-name")
    owner.variables["SAFELIGHT_NEW_PASSWORD"] = "a new password, longer"
    owner.ok("account", "password")
    owner.refused("space", "list")  # the old one
    owner.variables["SAFELIGHT_PASSWORD"] = "a new password, longer"
    assert owner.json("space", "list")


def test_recovery_with_the_words(server: ServerProcess, tmp_path: Path) -> None:
    """The words, as they were printed, give the account back on a new computer with a new password."""
    first = Cli(tmp_path / "first")
    made = first.json("account", "create", "--server", server.url, "--name", "forgetful", "--invite", server.invite())
    first.ok("space", "create", "Family", "--kind", "family")
    second = Cli(tmp_path / "second", {"SAFELIGHT_PASSWORD": "the password after"})
    arguments = ("account", "recover", "--server", server.url, "--name", "forgetful")
    assert second.run(*arguments, stdin="not the words").returncode == 1
    words = " ".join(made["recovery_words"]).upper()
    assert second.run(*arguments, stdin=f"  {words}\n").returncode == 0
    assert [space["name"] for space in second.json("space", "list")] == ["Family"]


def test_a_pairing_code_from_standard_input(owner: Cli, tmp_path: Path) -> None:
    """A code need not stand in the command, where other users of the computer can read it: with - it is one line."""
    owner.ok("space", "create", "Family", "--kind", "family")
    for name, arguments in (("one", ("-",)), ("two", ())):
        uri = owner.json("camera", "pair", "--space", "Family", "--name", name)["uri"]
        camera = Cli(tmp_path / name)
        done = camera.run("camera", "add", *arguments, stdin=f"  {uri}\nnext line\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert camera.json("camera", "push", str(_roll(tmp_path / f"roll {name}", 1)))["failed"] == 0
        empty = Cli(tmp_path / "empty").run("camera", "add", *arguments, stdin="\n")
        assert empty.returncode == 2
        assert "no pairing code on standard input" in empty.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("space",),
        ("space", "create", "X"),
        ("space", "create", "X", "--kind", "public"),
        ("link", "create", "--album", "A", "--space", "S", "--max-opens", "many"),
        ("link", "create", "--album", "A", "--space", "S", "--expires", "whenever"),
        ("link", "create", "--album", "A", "--space", "S", "--expires", "2020-01-31"),
        ("album", "add", "A", "--space", "S"),
        ("asset", "get", "3f"),
        ("asset", "get", "3f", "--out", "x", "--rendition", "negative"),
    ],
)
def test_misuse_is_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What cannot be meant is exit code 2, said on stderr, before anything is asked or sent."""
    done = Cli(tmp_path / "profile").run(*arguments)
    assert done.returncode == 2, done
    assert done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_refusals_are_one_line_and_exit_1(server: ServerProcess, owner: Cli, tmp_path: Path) -> None:
    """No profile, no server, plain http to elsewhere, a wrong password, unknown things: one line each, no trace."""
    nobody = Cli(tmp_path / "nobody")
    assert "no Safelight profile" in nobody.refused("space", "list")
    create = ("--name", "x", "--invite", "y")
    assert "https" in nobody.refused("account", "create", "--server", "http://example.org", *create)
    assert "invite" in nobody.refused("account", "create", "--server", server.url, *create)
    assert "password" in Cli(owner.profile, {"SAFELIGHT_PASSWORD": "wrong, wrong"}).refused("space", "list")
    owner.refused("asset", "list", "--space", "No such space")
    owner.refused("asset", "get", "abcdef", "--out", str(tmp_path / "x"))
    owner.refused("link", "revoke", "abcdef")
    owner.refused("camera", "push", str(tmp_path))  # an account's profile is no camera's
    owner.refused("camera", "add", "safelight:pair#notacode")
    owner.refused("account", "login", "--server", server.url, "--name", "someone")  # the profile is taken


def test_whoever_stole_an_invitation_is_kept_out_by_withdrawing_it(
    server: ServerProcess, owner: Cli, tmp_path: Path
) -> None:
    """Neither looking who is there nor withdrawing lets in who joined; any other command does."""
    owner.ok("space", "create", "Home", "--kind", "family")
    thief = new_account(server, tmp_path / "thief", f"{tmp_path.name[:50]}-thief")
    for role in ("previewer", "viewer"):
        thief.ok("member", "join", owner.json("member", "invite", "Ruth", "--space", "Home", "--role", role)["uri"])
        states = [row["state"] for row in owner.json("member", "list", "--space", "Home")]
        assert states == ["member", "joined, to be let in"]
        if role == "previewer":
            owner.ok("member", "withdraw", "Ruth", "--space", "Home")
            assert len(owner.json("member", "list", "--space", "Home")) == 1
    owner.ok("asset", "list", "--space", "Home")
    assert [row["state"] for row in owner.json("member", "list", "--space", "Home")] == ["member", "member"]


def test_without_a_terminal_a_missing_password_is_misuse(owner: Cli) -> None:
    """A script that set no password is told which variable to set."""
    environment = {key: value for key, value in owner.environment.items() if key != "SAFELIGHT_PASSWORD"}
    done = subprocess.run(
        [sys.executable, "-m", "safelight.clients.cli", "space", "list"],
        check=False,
        input="",
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 2
    assert "SAFELIGHT_PASSWORD" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_one_process_at_a_time_uses_a_profile(owner: Cli, tmp_path: Path) -> None:
    """A second command on a profile in use says so; nothing is written twice."""
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    watching = camera.start("camera", "run", str(_roll(tmp_path / "roll", 1)))
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("Watching")
        assert "Another Safelight process" in camera.refused("camera", "push", str(tmp_path / "roll"))
    finally:
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert "Traceback" not in err
    assert "Stopped" in out


def test_watching_uploads_what_comes_and_waits_for_what_grows(owner: Cli, tmp_path: Path) -> None:
    """`camera run` uploads what is there and what comes; a file that is still being written goes up once, whole."""
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    roll = _roll(tmp_path / "roll", 1)
    watching = camera.start("camera", "run", str(roll), "--no-renditions")
    assert watching.stdout is not None
    try:
        lines = [watching.stdout.readline()]
        while not lines[-1].startswith("+ IMG_0.JPG"):
            lines.append(watching.stdout.readline())
        with (roll / "growing.mov").open("wb") as growing:
            for _ in range(8):
                growing.write(bytes(50_000))
                growing.flush()
                time.sleep(0.4)
        while not lines[-1].startswith("+ growing.mov"):
            lines.append(watching.stdout.readline())
    finally:
        watching.send_signal(signal.SIGTERM)
        _, err = watching.communicate(timeout=30)
    assert err == ""
    assert watching.returncode == 0
    rows = {row["name"]: row["size_bytes"] for row in owner.json("asset", "list", "--space", "Family")}
    assert rows == {"IMG_0.JPG": (roll / "IMG_0.JPG").stat().st_size, "growing.mov": 400_000}


def test_ctrl_c_ends_a_push_in_order(owner: Cli, tmp_path: Path) -> None:
    """Interrupted, a push says so in one line and exits 130; the next one completes it."""
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    roll = tmp_path / "roll"
    roll.mkdir()
    for number in range(80):
        (roll / f"{number}.bin").write_bytes(number.to_bytes(2, "big") * 300_000)
    process = camera.start("camera", "push", str(roll))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("+ ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "safelight: stopped\n"
    done = camera.json("camera", "push", str(roll))
    assert done["uploaded"] + done["known"] == 80
    assert len(owner.json("asset", "list", "--space", "Family")) == 80


def test_export_twice_fetches_once(owner: Cli, tmp_path: Path) -> None:
    """A second export into the same folder writes nothing; a damaged file is fetched again."""
    owner.ok("space", "create", "Family", "--kind", "family")
    camera = new_camera(owner, "Family", tmp_path / "phone")
    camera.ok("camera", "push", str(_roll(tmp_path / "roll")))
    target = tmp_path / "export"
    assert owner.json("export", str(target), "--space", "Family")["written"] == 3
    said = owner.ok("export", str(target), "--space", "Family")
    assert said == "Nothing to write: 3 files are there already, all as they should be.\n"
    (target / "IMG_1.JPG").write_bytes(b"damaged")
    named, summary = owner.ok("export", str(target), "--space", "Family").splitlines()
    assert named == "IMG_1.JPG"
    assert summary.startswith("1 file written, 2 were there already, in ")
    (target / "IMG_1.JPG").write_bytes(b"damaged")
    assert owner.json("export", str(target), "--space", "Family") == {"written": 1, "present": 2, "failed": {}}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], check=False, cwd=target, capture_output=True)
    assert checked.returncode == 0
