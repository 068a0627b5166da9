"""Whichever write, sync, rename or open fails: it is said, nothing false is promised, and no sync is tried again."""

import errno
from pathlib import Path

import pytest

from safelight.server.stores import disk
from safelight.server.stores.engine_sqlite import SqliteDatabase
from tests.faults import mutants
from tests.faults.failing import FAULTS, Fault, Rig
from tests.faults.machine import needs_tracing

pytestmark = pytest.mark.timeout(300)

_BLOB_SYNC, _DATABASE_SYNC = (fault for fault in FAULTS if fault.calls == "fsync,fdatasync")

_FEW = {"blobs_0 writev ENOSPC", "blobs_0 rename,renameat,renameat2 EIO", "sqlite-writer pwrite64 ENOSPC"}


@pytest.fixture(autouse=True)
def allowed() -> None:
    """Where processes cannot be traced, all of this is skipped by name."""
    needs_tracing()


async def test_a_few_faults(tmp_path: Path) -> None:
    """One or two of the kinds that matter most."""
    rig = await Rig.make(tmp_path)
    chosen = [_BLOB_SYNC, _DATABASE_SYNC, *(fault for fault in FAULTS if str(fault) in _FEW)]
    for fault, when in [*((fault, 1) for fault in chosen), (_BLOB_SYNC, 4), (_DATABASE_SYNC, 4)]:
        assert (await rig.run(fault, when)).wrong == []


async def test_a_log_that_was_left_behind(tmp_path: Path) -> None:
    """What a killed server wrote last is made durable before anyone is shown it, or the next one does not begin.

    Found by the third sync of a start failing: SQLite passes over what fails as it closes, and the server went on.
    """
    rig = await Rig.make(tmp_path, killed=True)
    for when in (1, 2, 3):
        assert (await rig.start(when, empty=False)).wrong == []


@pytest.mark.battery
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_every_fault(tmp_path: Path, fault: Fault) -> None:
    """The first, the second and so on, until a run passes in which nothing fails any more."""
    rig, when = await Rig.make(tmp_path), 1
    while (outcome := await rig.run(fault, when)).injected:
        assert outcome.wrong == []
        when += 1
    assert outcome.wrong == []
    assert when > 1


@pytest.mark.battery
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "in use"])
async def test_every_sync_of_a_start(tmp_path: Path, empty: bool) -> None:
    """A server that cannot make its folder durable says so in a line and ends; it begins when the disk works."""
    rig, when = await Rig.make(tmp_path, killed=True), 1
    while (outcome := await rig.start(when, empty=empty)).injected:
        assert outcome.wrong == []
        when += 1
    assert outcome.wrong == []
    assert when > 1


async def test_the_databases_log_has_its_name_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite passes over a folder that cannot be synced when its log is new; the server does not, and says so.

    Found by the second of the database's syncs failing: commits were acknowledged in a file whose name might be lost.
    """

    def fail(folder: Path) -> None:
        assert (folder / "safelight.db-wal").exists()
        raise disk.SyncFailure(errno.EIO, "the folder cannot be synced")

    monkeypatch.setattr(disk, "sync_folder", fail)
    with pytest.raises(disk.SyncFailure):
        await SqliteDatabase.open(tmp_path / "safelight.db")


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (mutants.SWALLOWED_SYNC_ERRORS, "a failed disk is called ok"),
        (mutants.FORGIVING, "a failed disk is called ok"),
        (mutants.SYNC_TRIED_AGAIN, "was synced again"),
    ],
    ids=["swallows", "forgives", "retries"],
)
async def test_a_server_that_hides_a_fault_is_found(tmp_path: Path, mutant: str, sentence: str) -> None:
    """The harness can fail: a store that believes a failed sync, forgets it, or tries it again, is seen through."""
    rig = await Rig.make(tmp_path)
    wrong = (await rig.run(_BLOB_SYNC, 3, mutant)).wrong
    assert any(sentence in what for what in wrong), wrong
