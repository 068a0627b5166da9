"""Deletions with four eyes: an editor without the right to trash proposes, a manager confirms or declines."""

from pathlib import Path

import pytest

from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.proposals import (
    MAX_NOTE_LENGTH,
    Proposal,
    decide_deletion,
    find_proposal,
    list_proposals,
    propose_deletion,
)
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import restore_assets, trash_assets, trashed_assets
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role
from tests.support.commands import Cli, new_account, new_camera
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.refusing import refuses
from tests.support.server_process import ServerProcess


async def _team(server: ServerProcess, path: Path) -> tuple[Someone, Someone, Someone, list[bytes]]:
    """A space with three pictures: its owner, an editor who may propose and not trash, a previewer."""
    people = [await new_someone(server, path / name, f"{path.name[-40:]}-{name}") for name in ("owner", "ed", "pia")]
    owner, editor, previewer = people
    await new_space(owner, "Studio", "work")
    async with owner.space("Studio") as space:
        for number in range(3):
            photo = path / f"{number}.jpg"
            photo.write_bytes(f"photograph {number}".encode())
            await add_file(space, photo, preview=b"preview")
        await space.sync()
        ids = [place.asset_id for place in space.index.assets()]
        rights = [Right.ADD, Right.ORGANISE, Right.PROPOSE_DELETION]
        codes = [
            await invite_member(space, "Ed", Role.EDITOR, rights=rights),
            await invite_member(space, "Pia", Role.PREVIEWER),
        ]
    for someone, code in zip((editor, previewer), codes, strict=True):
        async with someone.session() as session:
            await join_space(session, code.uri)
    async with owner.space("Studio") as space:
        assert [each.refused for each in await admit_joined(space)] == [None, None]
    return owner, editor, previewer, ids


def _shown(found: list[Proposal]) -> list[tuple[str | None, list[bytes]]]:
    return [(one.note, [place.asset_id for place in one.places]) for one in found]


def _listed(space: SpaceView) -> list[bytes]:
    return [place.asset_id for place in space.index.assets()]


async def test_proposed_confirmed_and_declined(server: ServerProcess, tmp_path: Path) -> None:
    """Nothing goes before it is confirmed; what was declined may be proposed anew; who proposes decides nothing."""
    owner, editor, previewer, ids = await _team(server, tmp_path)
    async with editor.space("Studio") as space:
        with refuses(Code.RIGHT_MISSING):
            await trash_assets(space, ids)
        first = await propose_deletion(space, ids[:2], "out of focus ✂")
        again = await propose_deletion(space, ids)
        assert (first.changed, again.changed, again.already) == (ids[:2], ids[2:], ids[:2])
        assert (await propose_deletion(space, ids)).changed == []
        assert _shown(await list_proposals(space)) == [("out of focus ✂", ids[:2]), ("", ids[2:])]
        with refuses(Code.RIGHT_MISSING):
            await decide_deletion(space, (await list_proposals(space))[0], confirmed=True)
        assert _listed(space) == ids
        me = space.session.account_id
    async with previewer.space("Studio") as space:
        assert _shown(await list_proposals(space)) == [(None, ids[:2]), (None, ids[2:])]
        with refuses(Code.RIGHT_MISSING):
            await propose_deletion(space, ids)
    async with owner.space("Studio") as space:
        one, other = await list_proposals(space)
        assert (one.author_id, other.author_id) == (me, me)
        assert await find_proposal(space, one.proposal_id.hex()[:12]) == one
        assert await decide_deletion(space, one, confirmed=True) == ids[:2]
        assert await decide_deletion(space, other, confirmed=False) == ids[2:]
        assert await decide_deletion(space, one, confirmed=True) == []
        assert (_listed(space), await list_proposals(space)) == (ids[2:], [])
        assert [each.author_id for each in await trashed_assets(space)] == [space.session.account_id] * 2
        await restore_assets(space, ids)
    async with editor.space("Studio") as space:
        assert (await propose_deletion(space, ids[2:])).changed == ids[2:]


async def test_what_was_trashed_or_decided_meanwhile(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manager decides what is left of a proposal; who comes second decides nothing, and harms nothing."""
    owner, editor, _, ids = await _team(server, tmp_path)
    async with editor.space("Studio") as space:
        await propose_deletion(space, ids[:2])
    async with owner.space("Studio") as space:
        [proposal] = await list_proposals(space)
        await trash_assets(space, ids[:1])
        assert _shown(await list_proposals(space)) == [("", ids[1:2])]
        assert await decide_deletion(space, proposal, confirmed=False) == ids[1:2]

        # As if this device had not heard of it yet: the server says so, and it takes in what is new.
        with monkeypatch.context() as patch:
            patch.setattr(type(space.index), "proposed", lambda _, asset_ids: set(asset_ids))
            assert await decide_deletion(space, proposal, confirmed=True) == []
        assert _listed(space) == ids[1:]
        with monkeypatch.context() as patch:
            patch.setattr(type(space.index), "in_trash", lambda *_: set())
            with refuses(Code.UNCHANGED):
                await propose_deletion(space, ids[:1])
        with refuses(Code.BAD_REQUEST):
            await propose_deletion(space, ids, "x" * (MAX_NOTE_LENGTH + 1))
        assert (await propose_deletion(space, ids[1:2], "\U0001f984" * MAX_NOTE_LENGTH)).changed == ids[1:2]
        for prefix, code in (("", Code.NOT_FOUND), ("zz", Code.NOT_FOUND)):
            with refuses(code):
                await find_proposal(space, prefix)


@pytest.mark.timeout(300)  # some twenty commands, a process each
def test_by_the_command_line(server: ServerProcess, tmp_path: Path) -> None:
    """An editor proposes with a note; the owner lists, confirms one and declines another, and sees what it means."""
    owner, editor = (new_account(server, tmp_path / name, f"cli-proposals-{name}") for name in ("owner", "ed"))
    owner.ok("space", "create", "Studio", "--kind", "work")
    roll = tmp_path / "roll"
    roll.mkdir()
    for number in range(3):
        (roll / f"{number}.txt").write_bytes(f"file {number}".encode() * 100)
    new_camera(owner, "Studio", tmp_path / "phone").ok("camera", "push", str(roll))
    ids = {row["name"]: row["id"] for row in owner.json("asset", "list", "--space", "Studio")}
    _join(owner, editor)
    said = editor.ok("asset", "propose-deletion", ids["0.txt"], ids["1.txt"], "--space", "Studio", "--note", "blurred")
    assert "2 assets proposed for the trash of Studio." in said
    assert "asset proposals" in said
    second = editor.json("asset", "propose-deletion", ids["1.txt"], ids["2.txt"], "--space", "Studio")
    assert second == {"proposed": [ids["2.txt"]], "already": [ids["1.txt"]]}
    one, other = owner.json("asset", "proposals", "--space", "Studio")
    assert (one["proposed_by"], one["note"], other["note"]) == ("Ed", "blurred", "")
    assert sorted(asset["name"] for asset in one["assets"]) == ["0.txt", "1.txt"]
    assert "blurred" in owner.ok("asset", "proposals", "--space", "Studio")
    assert "[right-missing]" in editor.refused("asset", "confirm-deletion", one["id"], "--space", "Studio")
    owner.refused("asset", "confirm-deletion", one["id"], "ffffffff", "--space", "Studio")  # and nothing was done
    assert len(owner.json("asset", "list", "--space", "Studio")) == 3
    said = owner.ok("asset", "confirm-deletion", one["id"][:10], "--space", "Studio")
    assert "2 assets put into the trash of Studio." in said
    assert "Nothing is deleted" in said
    assert owner.json("asset", "decline-deletion", other["id"], "--space", "Studio") == {"kept": [ids["2.txt"]]}
    assert owner.json("asset", "proposals", "--space", "Studio") == []
    assert [row["name"] for row in owner.json("asset", "list", "--space", "Studio")] == ["2.txt"]
    owner.ok("asset", "restore", ids["0.txt"], "--space", "Studio")


def _join(owner: Cli, editor: Cli) -> None:
    uri = owner.json("member", "invite", "Ed", "--space", "Studio", "--role", "editor")["uri"]
    assert editor.run("member", "join", stdin=uri + "\n").returncode == 0
    assert "Ed" in owner.run("member", "list", "--space", "Studio").stdout
    owner.ok("album", "list", "--space", "Studio")
