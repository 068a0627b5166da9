"""An installation moves to PostgreSQL and a bucket and back, and nobody who uses it notices."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from safelight.server import data_folder
from tests.support.commands import new_account, new_camera
from tests.support.guest import open_link
from tests.support.postgres import PostgresServer
from tests.support.samples import REPOSITORY, make_roll
from tests.support.seaweed import Seaweed
from tests.support.server_process import server_process


@pytest.fixture
def address(postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL."""
    name = postgres.make_database("template0")
    yield postgres.address(name)
    postgres.drop_database(name)


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    """An empty prefix of a bucket."""
    place = seaweed.address()
    return f"s3://{place.bucket}/{place.prefix}"


def command(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `safelight-server`."""
    line = [sys.executable, "-m", "safelight.server", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=100, check=False)


def moved(*arguments: str | Path) -> str:
    """Move, which must succeed; returns what it says."""
    done = command("move", *arguments)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def refused(*arguments: str | Path) -> str:
    """The one line of a command that is refused."""
    done = command(*arguments)
    assert done.returncode == 1, (done.stdout, done.stderr)
    return done.stderr.splitlines()[-1]


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def untouched(data: Path) -> dict[str, bytes]:
    """Blobs and key of a data folder."""
    return {str(file): file.read_bytes() for file in [*data.glob("blobs/??/*"), data / "server.key"]}


class Family:
    """An owner, a camera, a roll, and a link to it."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        make_roll(folder / "roll")
        (folder / "roll" / "video.mov").write_bytes(random.Random(3).randbytes(9 * 1024 * 1024 + 5))
        with server_process(data) as server:
            self.listen = server.url.removeprefix("http://")
            self.owner = new_account(server, folder / "owner", "owner")
            self.owner.ok("space", "create", "Family", "--kind", "family")
            self.camera = new_camera(self.owner, "Family", folder / "phone")
            self.camera.ok("camera", "push", str(folder / "roll"))
            ids = [asset["id"] for asset in self.assets()]
            self.owner.ok("album", "create", "Best", "--space", "Family")
            self.owner.ok("album", "add", "Best", "--space", "Family", *ids)
            self.link = self.owner.json("link", "create", "--album", "Best", "--space", "Family")["url"]
            self.exported = self.export("before")

    def assets(self) -> list[dict[str, str]]:
        """What the owner sees."""
        found: list[dict[str, str]] = self.owner.json("asset", "list", "--space", "Family")
        return found

    def export(self, name: str) -> dict[str, bytes]:
        """Everything, exported."""
        self.owner.ok("export", str(self.folder / name), "--space", "Family")
        return files(self.folder / name)

    async def goes_on(self, name: str) -> None:
        """Everyone goes on as if nothing had been: the same sessions, receipts, link, and bytes."""
        assert self.export(f"export-{name}") == self.exported
        again = self.camera.json("camera", "push", str(self.folder / "roll"))
        assert (again["uploaded"], again["failed"]) == (0, 0)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            guest = await open_link(http, self.link)
            for asset in guest.assets:
                for rendition in asset.renditions:
                    assert await guest.see(asset, rendition)
        # And new things come in.
        self.more(name)
        self.exported = self.export(f"more-{name}")

    def more(self, name: str) -> None:
        """One more photograph."""
        (self.folder / f"roll-{name}").mkdir()
        (self.folder / f"roll-{name}" / f"{name}.jpg").write_bytes(os.urandom(30_000))
        pushed = self.camera.json("camera", "push", str(self.folder / f"roll-{name}"))
        assert (pushed["uploaded"], pushed["failed"]) == (1, 0)


@pytest.mark.timeout(300)
async def test_there_and_back(address: str, bucket: str, seaweed: Seaweed, tmp_path: Path) -> None:
    """From SQLite and a folder to PostgreSQL and a bucket, and back; the old place stays as it was, and stays shut."""
    old, new, newest = tmp_path / "old", tmp_path / "new", tmp_path / "newest"
    family = Family(tmp_path, old)
    before = untouched(old)
    there: list[str | Path] = [
        "--to-database",
        address,
        "--to-blobs",
        bucket,
        "--to-s3-endpoint",
        seaweed.endpoint,
        "--to-data",
        new,
    ]
    said = moved("--data", old, *there)
    assert f"run --data {new} --database ADDRESS --blobs {bucket}" in said
    assert address not in said
    assert untouched(old) == before
    assert str(new) in refused("run", "--data", old, "--listen", "127.0.0.1:0")
    assert "moved" in refused("move", "--data", old, "--to-data", tmp_path / "elsewhere")
    stores = ("--database", address, "--blobs", bucket, "--s3-endpoint", seaweed.endpoint)
    with server_process(new, *stores, listen=family.listen):
        await family.goes_on("there")
    assert command("check", "--data", new, *stores).returncode == 0

    moved("--data", new, *stores, "--to-data", newest)
    assert str(newest) in refused("run", "--data", new, *stores, "--listen", "127.0.0.1:0")
    with server_process(newest, listen=family.listen):
        await family.goes_on("back")
    assert command("check", "--data", newest).returncode == 0
    assert (newest / "server.key").read_bytes() == (old / "server.key").read_bytes()


def test_undone(tmp_path: Path) -> None:
    """Whoever wants the old place back is told how, and gets it."""
    family = Family(tmp_path, tmp_path / "data")
    assert "move --undo --data" in moved("--data", tmp_path / "data")
    assert "moved" in refused("invite", "--data", tmp_path / "data")
    assert "may start again" in moved("--data", tmp_path / "data", "--undo")
    with server_process(tmp_path / "data", listen=family.listen):
        assert family.export("again") == family.exported
    assert "not moved" in refused("move", "--data", tmp_path / "data", "--undo")


def test_targets_that_hold_something(postgres: PostgresServer, bucket: str, seaweed: Seaweed, tmp_path: Path) -> None:
    """A target that is not empty, or that belongs to someone, is refused, and the source may go on."""
    Family(tmp_path, tmp_path / "data")
    command("invite", "--data", tmp_path / "other")
    to: list[str | Path] = ["move", "--data", tmp_path / "data", "--to-data"]
    assert "belongs to another server" in refused(*to, tmp_path / "other")
    assert "another data folder" in refused(*to, tmp_path / "data")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "thesis.doc").touch()
    assert "thesis.doc" in refused(*to, tmp_path / "things")
    name = postgres.make_database()
    postgres.run("INSERT INTO invites VALUES ('\\x00', 1)", name)
    assert "not empty" in refused(*to, tmp_path / "new", "--to-database", postgres.address(name))
    postgres.drop_database(name)
    with server_process(tmp_path / "stranger", "--blobs", bucket, "--s3-endpoint", seaweed.endpoint):
        pass
    there: list[str | Path] = ["--to-blobs", bucket, "--to-s3-endpoint", seaweed.endpoint]
    assert "another Safelight server" in refused(*to, tmp_path / "new", *there)
    with server_process(tmp_path / "data"):
        assert "is using" in refused(*to, tmp_path / "new")


def test_damaged_blobs(tmp_path: Path) -> None:
    """What the source has not whole is named; it is left behind only when that is said."""
    Family(tmp_path, tmp_path / "data")
    damaged, missing = sorted((tmp_path / "data").glob("blobs/??/*"))[:2]
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    missing.unlink()
    done = command("move", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert damaged.name in done.stderr
    assert missing.name in done.stderr
    assert "2 blobs could not be moved" in done.stderr
    assert "repeat the move" in refused("invite", "--data", tmp_path / "data-moved")
    assert command("check", "--data", tmp_path / "data").returncode == 1  # the source is not marked
    assert "going on" in moved("--data", tmp_path / "data", "--without-damaged")
    document = command("check", "--data", tmp_path / "data-moved", "--json").stdout
    assert document.count('"kind":"missing"') == 2


@pytest.mark.timeout(300)
def test_killed_and_repeated(address: str, bucket: str, seaweed: Seaweed, tmp_path: Path) -> None:
    """Killed at any time, neither place is lost: the target does not start, and the same command goes on."""
    family = Family(tmp_path, tmp_path / "old")
    there: list[str | Path] = ["--to-database", address, "--to-blobs", bucket, "--to-s3-endpoint", seaweed.endpoint]
    arguments: list[str | Path] = ["move", "--data", tmp_path / "old", *there, "--to-data", tmp_path / "new"]
    stores = ("--database", address, "--blobs", bucket, "--s3-endpoint", seaweed.endpoint)
    line = [sys.executable, "-m", "safelight.server", *map(str, arguments)]
    in_flight = 0
    for after_s in (1.5, 2.0, 2.4, 2.8, 3.2):
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
        time.sleep(after_s)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "new" / "server.key").exists():
            in_flight += "repeat the move" in command("invite", "--data", tmp_path / "new", *stores[:2]).stderr
    assert in_flight or process.returncode == 0
    # In between the old place was used once more: what came then comes along.
    if not command("invite", "--data", tmp_path / "old").returncode:
        with server_process(tmp_path / "old", listen=family.listen):
            family.more("meanwhile")
            family.exported = family.export("meanwhile")
        assert command(*arguments).returncode == 0
    with server_process(tmp_path / "new", *stores, listen=family.listen):
        assert family.export("after") == family.exported


def test_one_changed_row_is_noticed(tmp_path: Path) -> None:
    """The comparison at the end is of every value: a target that keeps one otherwise is refused."""
    Family(tmp_path, tmp_path / "data")
    script = (
        "from safelight.server.stores import table_rows\n"
        "from safelight.server import __main__ as command\n"
        "add = table_rows.TableRows.add_table_rows\n"
        "async def worse(self, table, rows):\n"
        "    place = table.columns.index('time_ms') if table.name == 'entries' else None\n"
        "    if place is not None: rows = [(*r[:place], r[place] + 1, *r[place + 1:]) for r in rows]\n"
        "    await add(self, table, rows)\n"
        "table_rows.TableRows.add_table_rows = worse\n"
        "command.main()\n"
    )
    line = [sys.executable, "-c", script, "move", "--data", str(tmp_path / "data"), "--to-data", str(tmp_path / "new")]
    done = subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=100, check=False)
    assert done.returncode == 1
    assert "the rows changed" in done.stderr
    assert "is not all here" in refused("invite", "--data", tmp_path / "new")
    assert "going on" in moved("--data", tmp_path / "data", "--to-data", tmp_path / "new")


def test_open_uploads_stay_behind(tmp_path: Path) -> None:
    """Of an upload that is not complete nothing was promised: its row is not moved, and its part is not."""
    Family(tmp_path, tmp_path / "data")
    connection = sqlite3.connect(data_folder.database_path(tmp_path / "data"))
    connection.execute(
        "INSERT INTO uploads SELECT randomblob(16), device_id, account_id, space_id, created_ms, expires_ms, 5, NULL,"
        " NULL, 'open', x'' FROM uploads LIMIT 1"
    )
    connection.commit()
    connection.close()
    moved("--data", tmp_path / "data")
    connection = sqlite3.connect(data_folder.database_path(tmp_path / "data-moved"))
    assert connection.execute("SELECT COUNT(*) FROM uploads WHERE state = 'open'").fetchall() == [(0,)]
    assert connection.execute("SELECT COUNT(*) FROM uploads").fetchone()[0] > 0
    connection.close()
