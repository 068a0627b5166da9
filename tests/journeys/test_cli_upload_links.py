"""Upload links by the real command line, as a couple and its wedding guests type it."""

import json
import os
from pathlib import Path

import pytest

from tests.support.commands import Cli, new_account
from tests.support.server_process import ServerProcess


def _pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{folder.name}-{number}.bin").write_bytes(os.urandom(3000))
    return folder


@pytest.mark.timeout(400)  # some thirty commands, a process each
def test_a_weddings_guests(server: ServerProcess, tmp_path: Path) -> None:
    """Made, sent, used without an account, listed, shown again, filled up, closed; each step says what it did."""
    owner = new_account(server, tmp_path / "owner", "owner-of-links")
    owner.ok("space", "create", "Family", "--kind", "family")
    owner.ok("album", "create", "Wedding", "--space", "Family")
    said = owner.run(
        "link", "create", "--upload", "--space", "Family", "--album", "Wedding", "--expires", "14d", "--max-files", "5"
    )
    assert said.returncode == 0
    url = said.stdout.splitlines()[0]
    assert url.startswith(server.url + "/s/")
    assert "add to Wedding and its space, and see nothing of it" in said.stderr
    assert "5 files and 10.0 GB of all guests together, from at most 100 guests" in said.stderr

    guest = Cli(tmp_path / "guest", {"SAFELIGHT_PASSWORD": ""})
    folder = _pictures(tmp_path / "party", 3)
    added = guest.run("link", "upload", url, str(folder))
    assert added.returncode == 0
    assert "Adding to Wedding. It takes 5 more files until" in added.stderr
    assert added.stdout.endswith("3 uploaded, 0 known.\n")
    again = guest.run("link", "upload", "-", str(folder), "--json", stdin=url + "\n")
    assert {key: json.loads(again.stdout)[key] for key in ("uploaded", "known", "failed")} == {
        "uploaded": 0,
        "known": 3,
        "failed": 0,
    }
    assert {row["name"] for row in owner.json("asset", "list", "--space", "Family")} == {
        path.name for path in folder.iterdir()
    }
    [album] = owner.json("album", "list", "--space", "Family")
    assert album["assets"] == 3
    out = tmp_path / "out"
    owner.ok("export", str(out), "--space", "Family")
    for path in folder.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()

    [listed] = owner.json("link", "list")
    assert (listed["kind"], listed["state"], listed["files"], listed["guests"]) == ("upload", "live", 3, 1)
    assert listed["url"] == url
    assert "3 of 5 files" in owner.ok("link", "list")
    shown = owner.ok("link", "show", listed["id"][:6])
    assert shown.startswith(url)
    assert "live, 3 of 5 files taken" in shown
    assert owner.json("camera", "list", "--space", "Family") == []

    other = Cli(tmp_path / "other")
    assert "[upload-link-full]" in other.run("link", "upload", url, str(_pictures(tmp_path / "more", 3))).stderr
    owner.ok("link", "revoke", listed["id"][:6])
    assert "[upload-link-over]" in other.refused("link", "upload", url, str(folder))
    assert owner.json("link", "list")[0]["state"] == "closed"


@pytest.mark.timeout(400)
def test_what_is_no_upload_link(server: ServerProcess, tmp_path: Path) -> None:
    """A link that shows, a cut one, one of elsewhere, and options that do not go together are told apart."""
    owner = new_account(server, tmp_path / "owner", "owner-of-others")
    owner.ok("space", "create", "Studio", "--kind", "work")
    owner.ok("space", "create", "Quiet", "--kind", "work")
    owner.ok("album", "create", "Day", "--space", "Studio")
    folder = _pictures(tmp_path / "some", 1)
    owner.ok("asset", "add", str(folder), "--space", "Studio", "--album", "Day")
    showing = owner.json("link", "create", "--space", "Studio", "--album", "Day")["url"]
    url = owner.json("link", "create", "--upload", "--space", "Studio")["url"]
    guest = Cli(tmp_path / "guest")
    assert "shows pictures and takes none" in guest.refused("link", "upload", showing, str(folder))
    assert "[link-address-cut]" in guest.refused("link", "upload", url[:-5], str(folder))
    assert "[link-address-mangled]" in guest.refused("link", "upload", url[:-5] + "aaaaa", str(folder))
    assert "[link-address-cut]" in guest.refused("link", "upload", url.partition("#")[0], str(folder))
    assert "[file-unreadable]" in guest.run("link", "upload", url, str(tmp_path / "nowhere")).stderr
    unknown = url.replace(url.split("/s/")[1][:4], "0000", 1)
    assert "[link-address-mangled]" in guest.refused("link", "upload", unknown, str(folder))

    create = ("link", "create", "--space", "Studio")
    for wrong in (
        (*create, "--upload", "--password"),
        (*create, "--upload", "--watermark", "Proof"),
        (*create, "--upload", "--quota", "much"),
        (*create, "--upload", "--expires", "2y"),
        (*create, "--upload", "--expires", "2099-01-01"),
        (*create, "--upload", "--max-guests", "100000"),
        (*create, "--album", "Day", "--quota", "5GB"),
        create,
    ):
        assert owner.run(*wrong).returncode == 2, wrong
    owner.ok("space", "policy", "Quiet", "--links", "none")
    assert "[policy-forbids]" in owner.refused("link", "create", "--upload", "--space", "Quiet")
    assert "[not-found]" in owner.run("link", "revoke", "ffffffffff").stderr
