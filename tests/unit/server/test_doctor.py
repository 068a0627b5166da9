"""The doctor's eyes: what it makes of clocks, disks, folders, databases and certificates, and how it tells it."""

import os
import sqlite3
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safelight.server import data_folder
from safelight.server.doctor import certificates, disks, folder, machine, rows
from safelight.server.doctor.findings import Finding, as_document, as_text, note, ok, problem
from safelight.server.doctor.reach import CLAIMED, Way, _judge, address
from safelight.server.stores.migrate import Standing, upgrade_sqlite
from tests.http.test_process import make_certificate

NOW_MS = machine.OLDEST_BELIEVED_MS + 10**10


def levels(findings: list[Finding]) -> dict[str, str]:
    """Each subject with its level."""
    return {finding.subject: finding.level for finding in findings}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as a server leaves it."""
    path = tmp_path / "data"
    with data_folder.opened(path, existing=False):
        upgrade_sqlite(str(data_folder.database_path(path)))
    for name in ("uploads", "00", "01"):
        (path / "blobs" / name).mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("now_ms", "stored_ms", "file_ms", "level", "said"),
    [
        (NOW_MS, 0, 0, "ok", "nothing stored is later"),
        (NOW_MS, NOW_MS + 59_000, NOW_MS, "ok", ""),
        (NOW_MS, NOW_MS + 3 * 86_400_000, 0, "problem", "3 days before a time that was stored here"),
        (NOW_MS, 0, NOW_MS + 7_300_000, "problem", "2 hours before a time that a file in the data folder carries"),
        (1_000_000, 0, 0, "problem", "1970-01-01"),
    ],
)
def test_clocks(now_ms: int, stored_ms: int, file_ms: int, level: str, said: str) -> None:
    """A clock behind what was stored is a problem, whether it was set back or its battery is dead."""
    [finding] = machine.clock(now_ms, stored_ms, file_ms)
    assert finding.level == level
    assert said in finding.sentence
    assert bool(finding.remedy) == (level == "problem")


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/nas rw - nfs4 server:/photos rw,vers=4.2
31 22 8:17 / /media/my\\040stick rw - vfat /dev/sdb1 rw
32 22 0:50 / /tmp rw - tmpfs tmpfs rw
33 22 8:33 / /srv/fast rw - ext4 /dev/sdc1 rw,nobarrier
34 22 8:49 / /srv/broken ro,relatime - ext4 /dev/sdd1 ro,errors=remount-ro
35 22 8:65 / /srv/win rw - ntfs3 /dev/sde1 rw
36 22 0:60 / /srv/layer rw - overlay overlay rw,lowerdir=a
37 22 8:81 / /srv/nas rw - xfs /dev/sdf1 rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "level", "said"),
    [
        ("/srv/safelight", "ok", "ext4 (mounted at /)"),
        ("/media/my stick/data", "problem", "vfat"),
        ("/tmp/data", "problem", "memory"),
        ("/srv/fast/data", "problem", "nobarrier"),
        ("/srv/broken/data", "problem", "read-only"),
        ("/srv/win/data", "note", "ntfs3"),
        ("/srv/layer", "problem", "container"),
        ("/srv/nas/data", "ok", "xfs"),
        ("/srv/nasty", "ok", "ext4"),
    ],
)
def test_file_systems(path: str, level: str, said: str) -> None:
    """Each by what it does to photographs; the one that was mounted last at a place counts."""
    [finding] = disks.kind(disks.mount_of(Path(path), MOUNTS))
    assert (finding.level, said in finding.sentence) == (level, True), finding


def test_a_network_file_system() -> None:
    """SQLite does not work there."""
    [finding] = disks.kind(disks.mount_of(Path("/srv/nas/data"), "\n".join(MOUNTS.splitlines()[:2])))
    assert finding.level == "problem"
    assert "nfs4" in finding.sentence


def test_no_mounts() -> None:
    """Where the system does not say, nothing is said."""
    assert disks.kind(disks.mount_of(Path("/x"), "")) == []


def test_room(tmp_path: Path) -> None:
    """Less than /ready wants is a problem."""
    assert levels(disks.room(tmp_path, 2**60))["room"] == "problem"
    assert levels(disks.room(tmp_path, 0))["room"] in {"ok", "note"}


def test_one_file_system(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of blobs that lies elsewhere cannot take finished uploads."""
    blobs = data / "blobs"
    assert levels(disks.one_file_system(blobs)) == {"one-disk": "ok"}
    (blobs / "01").rmdir()
    (blobs / "01").symlink_to("/proc")
    [finding] = disks.one_file_system(blobs)
    assert finding.level == "problem"
    assert str(blobs / "01") in finding.sentence


def test_a_sound_folder(data: Path) -> None:
    """Nothing is wrong with what a server makes."""
    found = [*folder.marker(data), *folder.key(data), *folder.permissions(data)]
    assert {finding.level for finding in found} == {"ok"}


def test_folders_that_are_not_sound(data: Path, tmp_path: Path) -> None:
    """A missing marker, another version's, a missing or open key, and others who may enter."""
    assert levels(folder.marker(tmp_path)) == {"folder": "problem"}
    assert levels(folder.marker(tmp_path / "nothing")) == {"folder": "problem"}
    (data / "safelight-data").write_text("Format 2")
    assert "another version" in folder.marker(data)[0].sentence
    (data / "server.key").chmod(0o640)
    assert folder.key(data)[0].remedy == f"chmod 600 {data / 'server.key'}"
    (data / "server.key").unlink()
    assert "missing" in folder.key(data)[0].sentence
    data.chmod(0o755)
    assert levels(folder.permissions(data))["permissions"] == "note"
    data.chmod(0o777)
    assert levels(folder.permissions(data))["permissions"] == "problem"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_a_command_of_roots_left_behind(data: Path) -> None:
    """A folder with files of two owners is one that the server cannot use."""
    os.chown(data, 65534, 65534)
    found = {finding.subject: finding for finding in folder.permissions(data)}
    assert found["owner"].level == "problem"
    assert "server.key" in found["owner"].sentence
    assert "chown -R" in found["owner"].remedy


def test_a_sound_database(data: Path) -> None:
    """Whole, of the newest version; looking leaves nothing behind."""
    path = data_folder.database_path(data)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for alone in (False, True):
        if alone:
            connection.close()
        else:
            connection.execute("INSERT INTO invites VALUES (x'00', 1)")
        before = sorted(path.name for path in data.iterdir())
        found = rows.of_sqlite(path)
        assert {finding.level for finding in found.findings} == {"ok"}
        assert sorted(path.name for path in data.iterdir()) == before
        assert ("safelight.db-wal" in before) is not alone


def test_a_damaged_database(data: Path) -> None:
    """Pages that were overwritten are found; so is a file that is no database, or none."""
    path = data_folder.database_path(data)
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(os.urandom(8 * 4096))
    assert rows.of_sqlite(path).findings[0].level == "problem"
    path.write_bytes(b"no database" * 1000)
    [finding] = rows.of_sqlite(path).findings
    assert "cannot be read" in finding.sentence
    path.unlink()
    [finding] = rows.of_sqlite(path).findings
    assert "no database" in finding.sentence


def test_versions_of_the_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newer Safelight wrote is a problem, and what an older one wrote, with the command that mends it."""
    path = data_folder.database_path(data)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    found = {finding.subject: finding for finding in rows.of_sqlite(path).findings}
    assert found["data-version"].level == "problem"
    assert "newer" in found["data-version"].sentence
    monkeypatch.setattr(rows, "standing_of", lambda _: Standing.OLDER)
    found = {finding.subject: finding for finding in rows.of_sqlite(path).findings}
    assert found["data-version"].level == "problem"
    assert "upgrade" in found["data-version"].remedy


def test_a_database_too_large_to_look_through(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the look ends, and says so."""
    monkeypatch.setattr(rows, "_STEPS_BETWEEN_LOOKS", 1)
    found = rows.of_sqlite(data_folder.database_path(data), check_s=-1).findings
    assert levels(found)["database"] == "note"


def test_a_wal_that_grew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much that waits is told."""
    monkeypatch.setattr(rows, "LARGE_WAL_BYTES", -1)
    assert levels(rows.of_sqlite(data_folder.database_path(data)).findings)["wal"] == "note"


def test_versions() -> None:
    """An SQLite before the repair is told with why it does no harm; so is a server older than what is installed."""
    assert machine.sqlite_version((3, 51, 3)).level == "ok"
    assert machine.sqlite_version((3, 51, 2)).level == "note"
    assert levels(machine.versions("0.0.0"))["running-version"] == "note"
    assert "running-version" not in levels(machine.versions(""))


def test_open_files(tmp_path: Path) -> None:
    """Too few are told."""
    limits = tmp_path / "limits"
    assert machine.open_files(limits) == []
    for allowed, level in (("1024", "note"), ("65536", "ok"), ("unlimited", "ok")):
        limits.write_text(f"Limit Soft Hard Units\nMax open files            {allowed}     524288   files\n")
        assert levels(machine.open_files(limits)) == {"open-files": level}


def test_certificates(tmp_path: Path) -> None:
    """For the right name and long enough is well; ending soon, of another name, or without its key is told."""
    cert, key = make_certificate(tmp_path)
    key.chmod(0o600)
    found = certificates.in_file(cert, key, "localhost")
    assert levels(found) == {"certificate": "note"}  # good for a day
    assert "0 more days" in found[0].sentence
    assert "is not for photos.example" in certificates.in_file(cert, key, "photos.example")[-1].sentence
    key.chmod(0o644)
    assert levels(certificates.in_file(cert, key, ""))["certificate-key"] == "problem"
    other = tmp_path / "other"
    other.mkdir()
    _, other_key = make_certificate(other)
    assert "cannot be used together" in certificates.in_file(cert, other_key, "")[0].sentence
    assert certificates.in_file(cert, tmp_path / "none.pem", "")[0].level == "problem"


def test_how_long_certificates_last() -> None:
    """Expired, soon, and far away."""
    now = datetime.now(UTC)
    for days, level in ((-3, "problem"), (5, "note"), (60, "ok")):
        ends = certificates.Ends((now + timedelta(days=days, hours=1)).timestamp())
        assert ends.finding("It", now.timestamp()).level == level


def seen(**changes: object) -> dict[str, object]:
    """What a server saw of the doctor's request, through a proxy that does all that it should."""
    good = {"peer": "10.0.0.2", "peer_port": 1, "peer_trusted": True, "forwarded": [CLAIMED, "192.0.2.9"]}
    return {**good, "client": "192.0.2.9", **changes}


@pytest.mark.parametrize(
    ("statuses", "request_seen", "subject", "level"),
    [
        ([104, 200], seen(), "proxy", "ok"),
        ([200], seen(), "interim", "ok"),
        ([104], seen(), "interim", "problem"),
        ([], seen(), "interim", "problem"),
        ([502], seen(), "interim", "problem"),
        ([200], None, "way", "note"),
        ([403], seen(), "way", "problem"),
        ([200], seen(forwarded=[]), "proxy", "problem"),
        ([200], seen(forwarded=[CLAIMED]), "proxy", "problem"),
        ([200], seen(peer_trusted=False), "proxy", "problem"),
        ([200], seen(peer_port=4711), "proxy", "ok"),
    ],
)
def test_ways(statuses: list[int], request_seen: dict[str, object] | None, subject: str, level: str) -> None:
    """What came back and what arrived, together, tell what the proxies in between do."""
    found = levels(_judge("https://photos.example", Way(statuses, own_port=4711), request_seen, interim=True))
    assert found[subject] == level


def test_public_addresses() -> None:
    """Https or this computer; else links will not open."""
    assert address("https://photos.example")[0].level == "ok"
    assert address("http://127.0.0.1:8080")[0].level == "ok"
    assert address("http://192.168.1.5")[0].level == "problem"
    assert address("")[0].level == "note"


FINDINGS = [
    ok("a", "This is as it should be."),
    problem("b", "Something is not as it should be " * 4 + "/a/path/" + "x" * 90, "Do this, then that. " * 6),
    note("c", "Worth to know.", "Think of it."),
]


def test_for_people() -> None:
    """What needs doing comes first, no line is wider than 80 columns, and paths stay whole, to be copied."""
    text = as_text("Safelight's data folder /srv/safelight: no server runs.", FINDINGS, colours=False)
    lines = [line for line in text.splitlines() if "/a/path/" not in line]
    assert max(len(line) for line in lines) <= 80
    assert "/a/path/" + "x" * 90 in text
    assert text.index("problem  ") < text.index("note  ") < text.index("ok  ")
    assert text.endswith("1 problem and 1 note; 1 thing is well.\n")
    assert text == textwrap.dedent(text)
    assert "\033[31m" in as_text("", FINDINGS, colours=True)
    assert as_text("", FINDINGS[:1], colours=False).endswith("All that was looked at is well.\n")


def test_for_programs() -> None:
    """The worst level, and each finding with a stable word."""
    document = as_document(FINDINGS)
    assert document["level"] == "problem"
    told = {"subject": "c", "level": "note", "sentence": "Worth to know.", "remedy": "Think of it."}
    assert document["findings"][2] == told
    assert as_document(FINDINGS[:1])["level"] == "ok"
