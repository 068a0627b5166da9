"""An agency's team by the real command line: who uploads, who approves, who shares and who revokes, each alone."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.commands import Cli, new_account, new_camera
from tests.support.guest import open_link
from tests.support.samples import encoded, picture
from tests.support.server_process import ServerProcess

IN = ("--space", "Agency")
PROOFS = ("Proofs", *IN)
TEAM = ("owner", "uploader", "approver", "sharer", "revoker")


def _join(owner: Cli, someone: Cli, name: str, role: str, rights: str) -> None:
    uri = owner.json("member", "invite", name, *IN, "--role", role, "--rights", rights)["uri"]
    assert someone.run("member", "join", stdin=uri + "\n").returncode == 0
    owner.ok("asset", "list", *IN)


def _guest_sees(url: str) -> list[str]:
    """Which of a link's assets a guest sees, by id, as a browser fetches their previews."""

    async def look() -> list[str]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            guest = await open_link(http, url)
            seen = []
            for asset in guest.assets:
                status, _ = await guest.fetch(asset.renditions[0].blob)
                if status == 200:
                    seen.append(asset.asset_id.hex())
            return seen

    return asyncio.run(look())


@dataclass
class Team:
    """The agency's people, each with a profile, and the album's three pictures."""

    owner: Cli
    uploader: Cli
    approver: Cli
    sharer: Cli
    revoker: Cli
    ids: list[str] = field(default_factory=list)


def _meet(server: ServerProcess, folder: Path) -> Team:
    owner, *others = (new_account(server, folder / name, f"{name}-approvals") for name in TEAM)
    uploader, approver, sharer, revoker = others
    team = Team(owner, uploader, approver, sharer, revoker)
    team.owner.ok("space", "create", "Agency", "--kind", "work")
    team.owner.ok("album", "create", *PROOFS)
    _join(team.owner, team.uploader, "Uploading Uli", "editor", "add,organise")
    _join(team.owner, team.approver, "Approving Anna", "previewer", "approve")
    _join(team.owner, team.sharer, "Sharing Sam", "editor", "link")
    _join(team.owner, team.revoker, "Revoking Rita", "viewer", "revoke-link")
    listed = {row["name"]: (row["role"], row["rights"]) for row in team.owner.json("member", "list", *IN)}
    assert listed["Approving Anna"] == ("previewer", ["approve"])
    assert "previewer: approve" in team.owner.ok("member", "list", *IN)
    return team


@pytest.mark.timeout(600)  # some eighty commands, a process each
def test_a_team_parts_its_rights(server: ServerProcess, tmp_path: Path) -> None:
    """Each does their part and is refused another's; links show what is approved, and not what is so no more."""
    team = _meet(server, tmp_path)
    _uploads_and_goes_no_further(team, tmp_path)
    _approves_what_can_be_seen(team, tmp_path)
    link, drawn = _shares_what_is_approved(team)
    first, second, third = team.ids

    # A withdrawal reaches the link that is out; of the watermarked one it says what is left to do.
    done = team.approver.run("album", "disapprove", *PROOFS, second)
    assert (done.returncode, f"safelight link revoke {drawn['id'][:12]}" in done.stderr) == (0, True)
    assert _guest_sees(link["url"]) == [first]
    assert team.approver.json("album", "disapprove", *PROOFS, second)["withdrawn"] == []

    # The revoker revokes, and nothing besides.
    for command in (("album", "approve", *PROOFS, third), ("link", "create", "--album", *PROOFS)):
        assert "[right-missing]" in team.revoker.refused(*command), command
    team.revoker.ok("link", "revoke", drawn["id"])
    assert {row["id"]: row["state"] for row in team.owner.json("link", "list")}[drawn["id"]] == "revoked"

    # Approval is switched off by who approves; then links show all.
    team.approver.ok("album", "approval", *PROOFS, "--off")
    assert _guest_sees(link["url"]) == [first, second]
    assert team.sharer.json("link", "create", "--album", *PROOFS)["assets"] == 3

    # Rights are given and taken like roles.
    team.owner.ok("member", "role", "Sharing Sam", *IN, "--role", "editor", "--rights", "none")
    assert "[right-missing]" in team.sharer.refused("link", "create", "--album", *PROOFS)
    wrong = team.owner.run("member", "role", "Approving Anna", *IN, "--role", "previewer", "--rights", "link")
    assert (wrong.returncode, "may have of these: approve" in wrong.stderr) == (2, True)


def _uploads_and_goes_no_further(team: Team, folder: Path) -> None:
    uploader, pictures = team.uploader, folder / "pictures"
    camera = new_camera(uploader, "Agency", folder / "camera")
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(encoded(picture(number), "JPEG"))
    camera.ok("camera", "push", str(pictures))
    team.ids = [row["id"] for row in uploader.json("asset", "list", *IN)]
    uploader.ok("album", "add", *PROOFS, *team.ids)
    assert uploader.json("album", "approval", *PROOFS, "--on")["approval"] is True
    for command in (("album", "approve", *PROOFS, team.ids[0]), ("album", "approval", *PROOFS, "--off")):
        assert "[right-missing]" in uploader.refused(*command)
    # Without anything approved, there is nothing to share.
    said = team.sharer.refused("link", "create", "--album", *PROOFS)
    assert "of 3 in the album none is" in said
    assert "[not-approved]" in said


def _approves_what_can_be_seen(team: Team, folder: Path) -> None:
    approver, (first, second, _) = team.approver, team.ids
    [album] = approver.json("album", "list", *IN)
    assert (album["name"], album["approval"]) == ("Proofs", True)
    rows = approver.json("asset", "list", *IN, "--album", "Proofs")
    assert [(row["id"], row["approved"]) for row in rows] == [(asset_id, False) for asset_id in team.ids]
    seen = folder / "seen.webp"
    approver.ok("asset", "get", first, "--rendition", "preview", "--out", str(seen))
    assert seen.stat().st_size
    assert "[forbidden]" in approver.refused("asset", "get", first, "--out", str(folder / "original"))
    assert approver.json("album", "approve", *PROOFS, first, second[:10]) == {"approved": [first, second]}
    assert approver.json("album", "approve", *PROOFS, first) == {"approved": []}
    assert approver.refused("album", "approve", *PROOFS, code=2)
    for command in (
        ("album", "create", "Mine", *IN),
        ("album", "add", *PROOFS, first),
        ("link", "create", "--album", *PROOFS),
    ):
        assert approver.run(*command).returncode == 1, command


def _shares_what_is_approved(team: Team) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a link and a watermarked one; no album to go round the approver."""
    sharer, (first, second, third) = team.sharer, team.ids
    rows = {row["id"]: row for row in sharer.json("asset", "list", *IN, "--album", "Proofs")}
    assert [rows[asset_id]["approver"] for asset_id in team.ids] == ["Approving Anna", "Approving Anna", ""]
    assert rows[first]["approved_ms"] > 0
    assert "by Approving Anna" in sharer.ok("asset", "list", *IN, "--album", "Proofs")
    done = sharer.run("link", "create", "--album", *PROOFS, "--json")
    link, drawn = json.loads(done.stdout), sharer.json("link", "create", "--album", *PROOFS, "--watermark", "Proof")
    assert "1 picture is left out" in done.stderr
    assert [(made["assets"], made["left_out"]) for made in (link, drawn)] == [(2, 1), (2, 1)]
    assert _guest_sees(link["url"]) == _guest_sees(drawn["url"]) == [first, second]
    for command in (
        ("album", "create", "Mine", *IN),
        ("album", "approve", *PROOFS, third),
        ("album", "disapprove", *PROOFS, first),
        ("link", "revoke", link["id"]),
    ):
        assert "[right-missing]" in sharer.refused(*command), command
    return link, drawn
