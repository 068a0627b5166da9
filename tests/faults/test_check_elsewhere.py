"""`safelight-server check` over PostgreSQL and a bucket: what `test_check.py` has of SQLite and a folder.

A bucket says itself when an object came, so nothing in it is old: where a test wants that, the grace is none.
"""

import asyncio
import hashlib
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from safelight.server import data_folder
from safelight.server.upkeep.events import CheckRequest, Finding
from tests.conformance.library import some_id
from tests.faults.stored import check as check_stores
from tests.faults.stored_elsewhere import StoredElsewhere
from tests.support.postgres import PostgresServer
from tests.support.samples import REPOSITORY
from tests.support.seaweed import Seaweed
from tests.support.server_process import server_process

REPAIR = CheckRequest(repair=True)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, seaweed: Seaweed
) -> Iterator[StoredElsewhere]:
    """An installation; never damaged."""
    stored = StoredElsewhere.make(tmp_path_factory.mktemp("made"), postgres, seaweed)
    yield stored
    stored.drop()


@pytest.fixture
def stored(made: StoredElsewhere, tmp_path: Path) -> Iterator[StoredElsewhere]:
    """A copy of it, for one test."""
    copied = made.copy(tmp_path / "data")
    yield copied
    copied.drop()


def kinds(findings: list[Finding]) -> list[str]:
    """What was found, in order."""
    return [finding.kind for finding in findings]


def name_of(key: str) -> str:
    """The name of a blob from its key."""
    return key.rpartition("/")[2]


def add_stray(stored: StoredElsewhere) -> str:
    """A blob's object that no row names; returns its key."""
    data = secrets.token_bytes(1000)
    name = hashlib.sha256(data).hexdigest()
    stored.put(f"blobs/{name[:2]}/{name}", data)
    return f"blobs/{name[:2]}/{name}"


async def test_all_is_well(stored: StoredElsewhere) -> None:
    """Of an installation that nobody damaged everything is looked at, nothing found, and nothing changed."""
    before = stored.everything()
    for request in (CheckRequest(), REPAIR):
        findings, summary = await stored.check(request, grace_s=0)
        assert findings == []
        assert (summary.checked, summary.blobs, summary.spaces, summary.accounts) == (len(before), len(before), 1, 1)
        assert summary.checked_bytes == sum(map(len, before.values()))
    assert stored.everything() == before


@pytest.mark.parametrize("repair", [False, True])
async def test_one_flipped_bit(stored: StoredElsewhere, repair: bool) -> None:
    """A blob with one bit flipped is found, named with who has it, and left as it is; put back, it is well."""
    victim = stored.blobs()[1]
    whole = stored.get(victim)
    stored.flip(victim)
    before = stored.everything()
    [finding], _ = await stored.check(CheckRequest(repair=repair))
    assert (finding.kind, finding.subject, finding.repaired) == ("damaged", name_of(victim), False)
    assert "1 asset" in finding.detail
    assert stored.everything() == before
    assert kinds((await stored.check(CheckRequest(older_than_s=3600)))[0]) == ["damaged"]
    stored.put(victim, whole)
    assert (await stored.check(CheckRequest(older_than_s=3600)))[0] == []


async def test_a_damaged_blob_is_healed_by_its_bytes(stored: StoredElsewhere) -> None:
    """Whoever uploads the same bytes again heals it."""
    victim = stored.blobs()[0]
    whole = stored.get(victim)
    stored.flip(victim)
    assert kinds((await stored.check())[0]) == ["damaged"]
    async with stored.opened() as (database, blobs):
        appender = await blobs.append(some_id(), 0)
        await appender.write(whole)
        await appender.finish()
        await appender.close()
        assert (await check_stores(database, blobs, grace_s=3600))[0] == []


@pytest.mark.parametrize("repair", [False, True])
async def test_missing_blob(stored: StoredElsewhere, repair: bool) -> None:
    """A row without its blob is found, whichever share is hashed, and the row stays."""
    victim = stored.blobs()[-1]
    stored.delete(victim)
    for request in (CheckRequest(share=0.01, repair=repair), CheckRequest(repair=repair)):
        findings, _ = await stored.check(request)
        assert [(finding.kind, finding.subject) for finding in findings] == [("missing", name_of(victim))]
    [row] = stored.sql(f"SELECT COUNT(*) AS rows FROM space_blobs WHERE name = '\\x{name_of(victim)}'")
    assert row["rows"] == 1


async def test_cut_short(stored: StoredElsewhere) -> None:
    """A blob that lost its end is damaged."""
    victim = stored.blobs()[0]
    stored.put(victim, stored.get(victim)[:1000])
    findings, _ = await stored.check(REPAIR)
    assert {(finding.kind, finding.subject) for finding in findings} == {("damaged", name_of(victim))}
    assert len(stored.get(victim)) == 1000


async def test_orphans_go_after_their_grace(stored: StoredElsewhere) -> None:
    """A blob that nobody names is noted, and goes with --repair, and never before its grace."""
    before = stored.everything()
    stray = add_stray(stored)
    assert (await stored.check(REPAIR))[0] == []
    [finding], _ = await stored.check(CheckRequest(), grace_s=0)
    assert (finding.kind, finding.subject, finding.repaired) == ("orphan", name_of(stray), False)
    assert set(stored.blobs()) == {*before, stray}
    [finding], _ = await stored.check(REPAIR, grace_s=0)
    assert (finding.kind, finding.subject, finding.repaired) == ("orphan", name_of(stray), True)
    assert stored.everything() == before


async def test_parts_of_nothing(stored: StoredElsewhere) -> None:
    """A part of an upload that no row knows goes with --repair, also what was held back of it, and not before."""
    upload_id = some_id().hex()
    for key in (f"uploads/{upload_id}/{0:016x}", f"uploads/{upload_id}/held-{'ab' * 8}/{9:016x}"):
        stored.put(key, b"part")
    assert (await stored.check(REPAIR))[0] == []
    [finding], _ = await stored.check(grace_s=0)
    assert (finding.kind, finding.subject) == ("part", upload_id)
    [finding], _ = await stored.check(REPAIR, grace_s=0)
    assert finding.repaired
    assert (await stored.check(grace_s=0))[0] == []


async def test_a_prefix_that_lost_its_blobs(stored: StoredElsewhere) -> None:
    """Nothing where blobs were is one finding; nothing is noted or deleted, so that all is well when they are back."""
    before = stored.everything()
    for key in before:
        stored.delete(key)
    stray = add_stray(stored)
    [finding], summary = await stored.check(REPAIR, grace_s=0)
    assert finding.kind == "store"
    assert summary.checked == 0
    assert stored.blobs() == [stray]
    stored.delete(stray)
    for key, data in before.items():
        stored.put(key, data)
    assert (await stored.check())[0] == []


_OTHER_HASH = "sha256('another')"
_DAMAGE = [
    ("UPDATE space_blobs SET refs = refs + 1", "count", True),
    ("UPDATE spaces SET used_bytes = used_bytes - 1", "count", True),
    ("UPDATE space_blobs SET size_bytes = size_bytes + 1 WHERE size_bytes > 100000", "row", True),
    (f"UPDATE spaces SET chain = {_OTHER_HASH}", "log", False),
    ("UPDATE spaces SET number = number + 1", "log", False),
    ("UPDATE spaces SET epoch = epoch + 1", "log", False),
    (f"UPDATE entries SET chain = {_OTHER_HASH} WHERE number = 2", "log", False),
    ("UPDATE entries SET envelope = set_byte(envelope, 80, get_byte(envelope, 80) # 1)", "log", False),
    ("DELETE FROM entries WHERE number = 3", "log", False),
    ("UPDATE members SET role = 'viewer'", "log", False),
    ("UPDATE positions SET counter = counter - 1", "log", False),
    ("UPDATE account_entries SET envelope = envelope || '\\x00'", "account", False),
    (f"UPDATE devices SET key = {_OTHER_HASH} WHERE space_id = ''", "account", False),
    ("DELETE FROM space_blobs WHERE size_bytes < 100000", "row", False),
]


# A check of a bucket lists it 256 times: of each kind of finding one is tried here, and the others in the battery.
_FIRST = {next(place for place, case in enumerate(_DAMAGE) if case[1] == kind) for _, kind, _ in _DAMAGE}


@pytest.mark.parametrize(
    ("sql", "kind", "repaired"),
    [case if place in _FIRST else pytest.param(*case, marks=pytest.mark.battery) for place, case in enumerate(_DAMAGE)],
)
async def test_damaged_rows(stored: StoredElsewhere, sql: str, kind: str, repaired: bool) -> None:
    """A row that was changed is found; counts and sizes are put right by --repair, and what people signed is not."""
    stored.sql(sql)
    before = stored.everything()
    findings, _ = await stored.check()
    assert kind in kinds(findings)
    assert not any(finding.repaired for finding in findings)
    again, _ = await stored.check(REPAIR)
    assert any(finding.repaired for finding in again) == repaired
    assert (kind in kinds((await stored.check())[0])) != repaired
    assert stored.everything() == before


def command(stored: StoredElsewhere, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `check` as people do."""
    line = [sys.executable, "-m", "safelight.server", "check", "--data", str(folder), *stored.options, *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=120, check=False)


@pytest.mark.parametrize("running", [0, 1, 2])
def test_as_people_run_it(stored: StoredElsewhere, tmp_path: Path, running: int) -> None:
    """The same alone, by a server that runs, and by each of two; what one repairs the other finds well."""
    other = stored.folder.with_name("other")
    other.mkdir()
    for name in (data_folder.MARKER, "server.key"):
        shutil.copy(stored.folder / name, other / name)
    folders = [stored.folder, other][: max(running, 1)]
    damaged, missing = stored.blobs()[:2]
    whole = {key: stored.get(key) for key in (damaged, missing)}

    def found(folder: Path, *arguments: str) -> list[tuple[str, str, bool]]:
        done = command(stored, folder, "--json", *arguments)
        assert done.stdout, done.stderr
        document = json.loads(done.stdout)
        assert done.returncode == (0 if document["clean"] else 1)
        return sorted((each["kind"], each["subject"][:64], each["repaired"]) for each in document["findings"])

    def try_out() -> None:
        for folder in folders:
            assert found(folder) == []
        stored.flip(damaged)
        stored.delete(missing)
        stored.sql("UPDATE spaces SET used_bytes = used_bytes - 1")
        bad = [("damaged", name_of(damaged), False), ("missing", name_of(missing), False)]
        for folder in folders:
            assert [row for row in found(folder) if row[0] != "count"] == bad
        assert [row[0] for row in found(folders[0], "--repair") if row[2]] == ["count"]
        assert found(folders[-1]) == bad
        for key, data in whole.items():
            stored.put(key, data)
        for folder in folders:
            assert found(folder) == []

    with_servers(folders[:running], stored, try_out)


def with_servers(folders: list[Path], stored: StoredElsewhere, work: Callable[[], None]) -> None:
    """Do *work* while a server runs over each of *folders*."""
    if not folders:
        work()
        return
    with server_process(folders[0], *stored.options):
        with_servers(folders[1:], stored, work)


async def test_two_at_once(stored: StoredElsewhere) -> None:
    """Two checks that repair at once, as two servers may, do not disturb each other; afterwards all is well."""
    stray = add_stray(stored)
    stored.sql("UPDATE space_blobs SET refs = refs + 1")
    await stored.check(grace_s=0)
    before = stored.everything()
    outcomes = await asyncio.gather(*(stored.check(REPAIR, grace_s=0) for _ in range(2)))
    assert {kind for findings, _ in outcomes for kind in kinds(findings)} <= {"orphan", "count"}
    assert (await stored.check(grace_s=0))[0] == []
    assert stored.everything() == {key: data for key, data in before.items() if key != stray}
