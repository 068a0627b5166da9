"""A space that fills half way through a move or a mirroring: nothing is lost, nothing twice, and it says which."""

import sqlite3
from pathlib import Path

from safelight.server import data_folder
from tests.support.commands import Cli, new_account, new_camera
from tests.support.server_process import server_process

_SIZE_BYTES = 40_000


def _ids(cli: Cli, space: str) -> set[str]:
    return {row["id"] for row in cli.json("asset", "list", "--space", space)}


def _room(data: Path, kind: str, more_bytes: int) -> None:
    """Give the space of a kind room for so much more."""
    with sqlite3.connect(data_folder.database_path(data)) as rows:
        rows.execute("UPDATE spaces SET quota_bytes = used_bytes + ? WHERE kind = ?", (more_bytes, kind))


def test_a_move_that_fills_the_other_space(tmp_path: Path) -> None:
    """What came over before it was full stays in the first as well until the move is made again, with more room."""
    with server_process(tmp_path / "data") as server:
        owner = new_account(server, tmp_path / "owner", "owner")
        owner.ok("space", "create", "Family", "--kind", "family")
        owner.ok("space", "create", "Work", "--kind", "work")
        camera, roll = new_camera(owner, "Family", tmp_path / "phone"), tmp_path / "roll"
        roll.mkdir()
        for number in range(5):
            (roll / f"{number}.bin").write_bytes(bytes([number]) * _SIZE_BYTES)
        camera.ok("camera", "push", str(roll))
        ids = _ids(owner, "Family")
        where = ("--from", "Family", "--to", "Work")
        _room(server.data, "work", 3 * _SIZE_BYTES)
        for command in ("mirror", "move", "move"):
            said = owner.refused("asset", command, *where, "--all")
            assert "[quota-exceeded]" in said
            assert "Work: " in said
            assert _ids(owner, "Family") | _ids(owner, "Work") == ids
        _room(server.data, "work", 10 * _SIZE_BYTES)
        moved = owner.json("asset", "move", *where, "--all")
        assert (set(moved["moved"]), moved["failed"]) == (ids, {})
        assert (_ids(owner, "Family"), _ids(owner, "Work")) == (set(), ids)
        owner.ok("export", str(tmp_path / "export"), "--space", "Work")
        assert len(list((tmp_path / "export").rglob("*.bin"))) == 5
