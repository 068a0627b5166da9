"""`safelight-server check` finds what is damaged, missing and nobody's, and changes nothing that is well."""

import asyncio
import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from safelight.server import data_folder
from safelight.server.domain.clock import wall_ms
from safelight.server.domain.ports.blobs import AfterRead
from safelight.server.stores import blobs as blob_rows
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.upkeep import rehash
from safelight.server.upkeep.check import Check
from safelight.server.upkeep.events import CheckRequest, Finding, Progress
from safelight.sync_protocol.refusals import Refused
from tests.conformance.library import some_id
from tests.faults.stored import Stored, check, clears, flip, make

OLD_S = 40 * 24 * 60 * 60
REPAIR = CheckRequest(repair=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """An installation; never damaged."""
    return Stored(make(tmp_path_factory.mktemp("made")))


@pytest.fixture
def stored(made: Stored, tmp_path: Path) -> Stored:
    """A copy of it, for one test."""
    return made.copy(tmp_path / "data")


def kinds(findings: list[Finding]) -> list[str]:
    """What was found, in order."""
    return [finding.kind for finding in findings]


def add_stray(stored: Stored, data: bytes = b"", *, old: bool = True) -> Path:
    """A blob's file that no row names."""
    data = data or secrets.token_bytes(1000)
    name = hashlib.sha256(data).hexdigest()
    file = stored.folder / "blobs" / name[:2] / name
    file.write_bytes(data)
    if old:
        os.utime(file, (time.time() - OLD_S,) * 2)
    return file


def change(stored: Stored, sql: str, *values: object) -> None:
    """Change rows behind the server's back."""
    connection = sqlite3.connect(data_folder.database_path(stored.folder))
    assert connection.execute(sql, values).rowcount
    connection.commit()
    connection.close()


def value(stored: Stored, sql: str) -> object:
    """What one row says."""
    connection = sqlite3.connect(data_folder.database_path(stored.folder))
    [[found]] = connection.execute(sql)
    connection.close()
    return found


async def test_all_is_well(stored: Stored) -> None:
    """Of an installation that nobody damaged everything is looked at, nothing found, and nothing changed."""
    before = stored.everything()
    for request in (CheckRequest(), REPAIR):
        findings, summary = await stored.check(request)
        assert findings == []
        assert (summary.checked, summary.blobs, summary.spaces, summary.accounts) == (len(before), len(before), 1, 1)
        assert summary.checked_bytes == sum(map(len, before.values()))
    assert stored.everything() == before


@pytest.mark.parametrize("repair", [False, True])
async def test_one_flipped_bit(stored: Stored, repair: bool) -> None:
    """A blob with one bit flipped is found, named with who has it, and left as it is; put back, it is well."""
    victim = stored.blobs()[1]
    whole = victim.read_bytes()
    flip(victim)
    before = stored.everything()
    [finding], _ = await stored.check(CheckRequest(repair=repair))
    assert (finding.kind, finding.subject, finding.repaired) == ("damaged", victim.name, False)
    assert "1 asset" in finding.detail
    assert "backup" in finding.remedy
    assert stored.everything() == before
    # Until it is healed, every check looks at it, however little it was asked to look at.
    findings, _ = await stored.check(CheckRequest(older_than_s=OLD_S))
    assert kinds(findings) == ["damaged"]
    victim.write_bytes(whole)
    assert (await stored.check(CheckRequest(older_than_s=OLD_S)))[0] == []


async def test_a_damaged_blob_is_healed_by_its_bytes(stored: Stored) -> None:
    """Whoever uploads the same bytes again heals it."""
    victim = stored.blobs()[0]
    whole = victim.read_bytes()
    flip(victim, 0)
    assert kinds((await stored.check())[0]) == ["damaged"]
    async with stored.opened() as (database, blobs):
        appender = await blobs.append(some_id(), 0)
        await appender.write(whole)
        await appender.finish()
        await appender.close()
        assert (await check(database, blobs))[0] == []


@pytest.mark.parametrize("repair", [False, True])
async def test_missing_blob(stored: Stored, repair: bool) -> None:
    """A row without its blob is found, whichever share is hashed, and the row stays."""
    victim = stored.blobs()[-1]
    victim.unlink()
    for request in (CheckRequest(share=0.01, repair=repair), CheckRequest(repair=repair)):
        findings, _ = await stored.check(request)
        assert [(finding.kind, finding.subject) for finding in findings] == [("missing", victim.name)]
    assert value(stored, f"SELECT COUNT(*) FROM space_blobs WHERE name = x'{victim.name}'") == 1


async def test_cut_short(stored: Stored) -> None:
    """A blob that lost its end is damaged."""
    victim = stored.blobs()[0]
    os.truncate(victim, 1000)
    findings, _ = await stored.check(REPAIR)
    assert {(finding.kind, finding.subject) for finding in findings} == {("damaged", victim.name)}
    assert victim.stat().st_size == 1000


async def test_orphans_go_after_their_grace(stored: Stored) -> None:
    """A blob that nobody names goes with --repair, a grace time after it was first seen, and never before."""
    stray, young = add_stray(stored), add_stray(stored, old=False)
    before = stored.everything()
    for request in (CheckRequest(), REPAIR):
        findings, _ = await stored.check(request, grace_s=3600)
        assert [(finding.kind, finding.subject, finding.repaired) for finding in findings] == [
            ("orphan", stray.name, False)
        ]
    assert stored.everything() == before
    findings, _ = await stored.check(CheckRequest())
    assert stored.everything() == before
    findings, _ = await stored.check(REPAIR)
    assert [finding.repaired for finding in findings] == [True, True]
    del before[stray.name], before[young.name]
    assert stored.everything() == before
    assert (await stored.check())[0] == []


async def referenced_meanwhile(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An orphan that is uploaded again between the listing and the deleting; returns its file after a repair."""
    data = secrets.token_bytes(5000)
    stray = add_stray(stored, data)
    async with stored.opened() as (database, blobs):
        forget = database.forget_orphan

        async def forget_later(name: bytes) -> bool:
            connection = sqlite3.connect(data_folder.database_path(stored.folder), timeout=20)
            connection.execute(
                "INSERT INTO space_blobs SELECT ?, space_id, 5000, '', 0, x'', 0 FROM spaces",
                [bytes.fromhex(stray.name)],
            )
            connection.commit()
            connection.close()
            return await forget(name)

        monkeypatch.setattr(database, "forget_orphan", forget_later)
        findings, _ = await check(database, blobs, REPAIR)
        assert not [finding for finding in findings if finding.repaired] or not stray.exists()
    return stray


async def test_named_between_listing_and_deleting(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that becomes somebody's after it was listed as nobody's stays."""
    assert (await referenced_meanwhile(stored, monkeypatch)).exists()


async def test_bytes_go_in_turn(stored: Stored) -> None:
    """While another clears away, a check deletes nothing: *bytes that were uploaded again since are deleted late*."""
    stray = add_stray(stored, secrets.token_bytes(5000))
    async with stored.opened() as (database, blobs):
        clearing = clears(database, blobs)
        async with clearing.alone():
            checking = asyncio.create_task(check(database, blobs, REPAIR, clearing=clearing))
            for _ in range(500):
                if await database.forgotten_blobs(1):
                    break
                await asyncio.sleep(0.01)
            assert await database.forgotten_blobs(1)
            await asyncio.sleep(0.1)
            assert stray.exists()
        await checking
        assert not stray.exists()


async def test_mutant_that_does_not_ask_again(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that deletes without asking the rows once more is caught by the test above."""
    nothing_names_it = blob_rows.SQL["old_orphans"].__class__("mutant", "SELECT 1 WHERE :name IS NULL", ("name",))
    monkeypatch.setitem(blob_rows.SQL, "is_named", nothing_names_it)
    assert not (await referenced_meanwhile(stored, monkeypatch)).exists()


async def test_mutant_that_looks_at_sizes_only(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that compares sizes and hashes nothing misses a flipped bit: the test of it would fail."""

    async def sizes(self: DirectoryBlobs, names: Sequence[bytes], after_read: AfterRead) -> list[bool]:
        return [await self.open(name) is not None for name in names]

    flip(stored.blobs()[0])
    monkeypatch.setattr(DirectoryBlobs, "verify_each", sizes)
    assert (await stored.check())[0] == []


async def test_parts_of_nothing(stored: Stored) -> None:
    """An old part of an upload that no row knows goes with --repair; one of an upload that is open stays."""
    part = stored.folder / "blobs" / "uploads" / some_id().hex()
    part.write_bytes(b"part")
    os.utime(part, (time.time() - OLD_S,) * 2)
    findings, _ = await stored.check(grace_s=3600)
    assert kinds(findings) == ["part"]
    assert part.exists()
    findings, _ = await stored.check(REPAIR, grace_s=3600)
    assert [finding.repaired for finding in findings] == [True]
    assert not part.exists()


async def test_a_store_that_is_not_mounted(stored: Stored) -> None:
    """An empty place where blobs were is one finding; nothing is noted, so that the blobs are well when it is back."""
    away = stored.folder / "away"
    (stored.folder / "blobs").rename(away)
    add_stray_in_new = stored.folder / "blobs"
    for prefix in range(256):
        (add_stray_in_new / f"{prefix:02x}").mkdir(parents=True)
    (add_stray_in_new / "uploads").mkdir()
    stray = add_stray(stored)
    [finding], summary = await stored.check(REPAIR)
    assert finding.kind == "store"
    assert "mounted" in finding.remedy
    assert summary.checked == 0
    assert stray.exists()
    shutil.rmtree(add_stray_in_new)
    away.rename(add_stray_in_new)
    assert (await stored.check())[0] == []


async def test_a_listing_that_fails(stored: Stored) -> None:
    """A folder that cannot be listed ends the check: what it held is not said to be missing, and nothing is deleted."""
    stray = add_stray(stored)
    async with stored.opened() as (database, blobs):
        (stored.folder / "blobs" / "ff").rename(stored.folder / "gone")
        with pytest.raises((OSError, Refused)):
            await check(database, blobs, REPAIR)
    (stored.folder / "gone").rename(stored.folder / "blobs" / "ff")
    assert stray.exists() or stray.parent.name == "ff"


async def test_an_empty_database_over_full_blobs(stored: Stored) -> None:
    """Rows that know none of the blobs are the wrong ones: no blob goes."""
    database = data_folder.database_path(stored.folder)
    for file in database.parent.glob("safelight.db*"):
        file.unlink()
    before = stored.everything()
    for file in stored.blobs():
        os.utime(file, (time.time() - OLD_S,) * 2)
    findings, _ = await stored.check(REPAIR)
    assert kinds(findings) == ["store"]
    assert stored.everything() == before


@pytest.mark.parametrize(
    ("sql", "kind", "repaired"),
    [
        ("UPDATE space_blobs SET refs = refs + 1", "count", True),
        ("UPDATE spaces SET used_bytes = used_bytes - 1", "count", True),
        ("UPDATE space_blobs SET size_bytes = size_bytes + 1 WHERE size_bytes > 100000", "row", True),
        ("UPDATE spaces SET chain = randomblob(32)", "log", False),
        ("UPDATE spaces SET number = number + 1", "log", False),
        ("UPDATE spaces SET epoch = epoch + 1", "log", False),
        ("UPDATE entries SET chain = randomblob(32) WHERE number = 2", "log", False),
        (
            "UPDATE entries SET envelope = CAST(substr(envelope, 1, 80) || x'00' || substr(envelope, 82) AS BLOB)",
            "log",
            False,
        ),
        ("DELETE FROM entries WHERE number = 3", "log", False),
        ("UPDATE members SET role = 'viewer'", "log", False),
        ("INSERT INTO album_rules SELECT space_id, randomblob(16), 1 FROM spaces", "log", False),
        (
            "INSERT INTO album_files SELECT space_id, randomblob(16), randomblob(32), randomblob(16), 1 FROM spaces",
            "log",
            False,
        ),
        ("UPDATE positions SET counter = counter - 1", "log", False),
        ("UPDATE account_entries SET envelope = CAST(envelope || x'00' AS BLOB)", "account", False),
        ("UPDATE account_entries SET envelope = CAST(envelope AS TEXT)", "account", False),
        ("UPDATE devices SET key = randomblob(32) WHERE space_id = x''", "account", False),
        ("DELETE FROM space_blobs WHERE size_bytes < 100000", "row", False),
    ],
)
async def test_damaged_rows(stored: Stored, sql: str, kind: str, repaired: bool) -> None:
    """A row that was changed is found; counts and sizes are put right by --repair, and what people signed is not."""
    change(stored, sql)
    before = stored.everything()
    findings, _ = await stored.check(grace_s=OLD_S)
    assert kind in kinds(findings)
    assert not any(finding.repaired for finding in findings)
    again, _ = await stored.check(REPAIR, grace_s=OLD_S)
    assert any(finding.repaired for finding in again) == repaired
    assert (kind in kinds((await stored.check(grace_s=OLD_S))[0])) != repaired
    assert stored.everything() == before


async def test_shares(stored: Stored) -> None:
    """Shares go around: what was checked longest ago comes first, until all were."""
    count = len(stored.blobs())
    async with stored.opened() as (database, blobs):
        for _ in range(2):
            assert (await check(database, blobs, CheckRequest(share=0.5)))[1].checked == -(-count // 2)
        assert await database.unchecked_blobs(b"", 10) == []
        assert (await check(database, blobs, CheckRequest(older_than_s=OLD_S)))[1].checked == 0
        assert (await check(database, blobs, CheckRequest()))[1].checked == count


async def test_stopped_and_gone_on_with(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked when it was stopped stays noted; the next run over everything does the rest and no more."""
    count = len(stored.blobs())
    async with stored.opened() as (database, blobs):
        monkeypatch.setattr(rehash, "_GROUP_BYTES", 1)
        request = CheckRequest(rate_bytes=2_000_000)
        begun = Check(database, blobs, wall_ms, 0, request, lambda: True, clears(database, blobs))
        async with aclosing(begun.events()) as events:
            async for event in events:
                if isinstance(event, Progress) and event.stage == "hashing" and event.done:
                    break
        left = len(await database.unchecked_blobs(b"", 100))
        assert 0 < left < count
        assert (await check(database, blobs))[1].checked == left
        assert (await check(database, blobs))[1].checked == count


async def test_no_faster_than_it_may(stored: Stored) -> None:
    """A rate holds over all workers together."""
    size_bytes = sum(map(len, stored.everything().values()))
    started_s = time.monotonic()
    await stored.check(CheckRequest(rate_bytes=size_bytes // 2))
    assert time.monotonic() - started_s > 0.9  # two seconds, of which one is for free


async def test_beside_uploads_and_commits(stored: Stored) -> None:
    """What is uploaded while the check runs is neither missing nor nobody's."""
    async with stored.opened() as (database, blobs):
        going = True

        async def upload() -> None:
            while going:
                appender = await blobs.append(some_id(), 0)
                await appender.write(secrets.token_bytes(2000))
                await appender.finish()
                await appender.close()

        uploading = asyncio.create_task(upload())
        findings, _ = await check(database, blobs, grace_s=3600)
        going = False
        await uploading
        assert findings == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM trashed_blobs",
        "UPDATE trashed_blobs SET name = x'00'",
        "DELETE FROM trashed_blobs WHERE asset_id = (SELECT MIN(asset_id) FROM trashed_blobs)",
        "DELETE FROM proposed_assets",
    ],
)
async def test_rows_of_the_trash(stored: Stored, sql: str) -> None:
    """*A picture that was taken back, and is given out since its rows were lost*: found by the log, and put right."""
    count = "SELECT (SELECT COUNT(*) FROM trashed_blobs) * 10 + (SELECT COUNT(*) FROM proposed_assets)"
    before = value(stored, count)
    change(stored, sql)
    [finding], _ = await stored.check()
    assert (finding.kind, finding.repaired) == ("row", False)
    assert "trash" in finding.detail
    [finding], _ = await stored.check(REPAIR)
    assert finding.repaired
    assert (await stored.check())[0] == []
    assert value(stored, count) == before
