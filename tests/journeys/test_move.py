"""An installation moves to PostgreSQL and a bucket and back, and nobody who uses it notices."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from safelight.server import data_folder
from tests.support.commands import Cli, new_account, new_camera
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> "Family":
    """A family for all tests, none of which may change it."""
    return Family.make(tmp_path_factory.mktemp("family"))


@pytest.fixture
def family(made: "Family", tmp_path: Path) -> "Family":
    """The same family once more, in the test's own folder."""
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Family(tmp_path, made.listen, made.link)


@pytest.fixture
def target_for(postgres: PostgresServer, seaweed: Seaweed, tmp_path: Path) -> Iterator["MakeTarget"]:
    """Make new places to move a data folder to."""
    databases: list[str] = []

    def make(source: Path) -> Target:
        databases.append(postgres.make_database("template0"))
        data = tmp_path / f"new-{len(databases)}"
        return Target(source, data, postgres.address(databases[-1]), seaweed)

    yield make
    for name in databases:
        postgres.drop_database(name)


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
    """An owner, a camera, a roll, a link to it, and the data folder `old` of the server that has them."""

    def __init__(self, folder: Path, listen: str, link: str) -> None:
        self.folder = folder
        self.listen = listen
        self.link = link
        self.old = folder / "old"
        self.owner = Cli(folder / "owner")
        self.camera = Cli(folder / "phone")
        self.exported = files(folder / "before")

    @classmethod
    def make(cls, folder: Path) -> "Family":
        """Make all of it in *folder*, which may then be copied elsewhere."""
        make_roll(folder / "roll")
        (folder / "roll" / "video.mov").write_bytes(random.Random(3).randbytes(9 * 1024 * 1024 + 5))
        with server_process(folder / "old") as server:
            owner = new_account(server, folder / "owner", "owner")
            owner.ok("space", "create", "Family", "--kind", "family")
            camera = new_camera(owner, "Family", folder / "phone")
            camera.ok("camera", "push", str(folder / "roll"))
            ids = [asset["id"] for asset in owner.json("asset", "list", "--space", "Family")]
            owner.ok("album", "create", "Best", "--space", "Family")
            owner.ok("album", "add", "Best", "--space", "Family", *ids)
            link = owner.json("link", "create", "--album", "Best", "--space", "Family")["url"]
            owner.ok("export", str(folder / "before"), "--space", "Family")
        return cls(folder, server.url.removeprefix("http://"), link)

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
async def test_there_and_back(family: Family, address: str, bucket: str, seaweed: Seaweed, tmp_path: Path) -> None:
    """From SQLite and a folder to PostgreSQL and a bucket, and back; the old place stays as it was, and stays shut."""
    old, new, newest = tmp_path / "old", tmp_path / "new", tmp_path / "newest"
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


def test_undone(family: Family, tmp_path: Path) -> None:
    """Whoever wants the old place back is told how, and gets it."""
    assert "move --undo --data" in moved("--data", family.old)
    assert "moved" in refused("invite", "--data", family.old)
    assert "may start again" in moved("--data", family.old, "--undo")
    with server_process(family.old, listen=family.listen):
        assert family.export("again") == family.exported
    assert "not moved" in refused("move", "--data", family.old, "--undo")


def test_targets_that_hold_something(
    family: Family, postgres: PostgresServer, bucket: str, seaweed: Seaweed, tmp_path: Path
) -> None:
    """A target that is not empty, or that belongs to someone, is refused, and the source may go on."""
    command("invite", "--data", tmp_path / "other")
    to: list[str | Path] = ["move", "--data", family.old, "--to-data"]
    assert "belongs to another server" in refused(*to, tmp_path / "other")
    assert "another data folder" in refused(*to, family.old)
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
    with server_process(family.old):
        assert "is using" in refused(*to, tmp_path / "new")


def test_damaged_blobs(family: Family, tmp_path: Path) -> None:
    """What the source has not whole is named; it is left behind only when that is said."""
    damaged, missing = sorted((family.old).glob("blobs/??/*"))[:2]
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    missing.unlink()
    done = command("move", "--data", family.old)
    assert done.returncode == 1
    assert damaged.name in done.stderr
    assert missing.name in done.stderr
    assert "2 blobs could not be moved" in done.stderr
    assert "repeat the move" in refused("invite", "--data", tmp_path / "old-moved")
    assert command("check", "--data", family.old).returncode == 1  # the source is not marked
    assert "going on" in moved("--data", family.old, "--without-damaged")
    document = command("check", "--data", tmp_path / "old-moved", "--json").stdout
    assert document.count('"kind":"missing"') == 2


# Ends the process before its Nth change of the place that it moves to, as a power loss would.
_DIES = """
import os, signal, sys
from safelight.server import data_folder
from safelight.server import __main__ as command
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.s3_bucket import Bucket
left = int(sys.argv.pop(1))
def dies_at_last(owner, name):
    change = getattr(owner, name)
    def counted(*arguments, **values):
        global left
        left -= (name, arguments[1:]) != ("delete", ([],))  # nothing deleted changes nothing
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **values)
    setattr(owner, name, counted)
for owner, names in (
    (data_folder, ("write_durably", "moved_in")),
    (PostgresDatabase, ("_write",)),
    (Bucket, ("put_new", "put_over", "put_parts", "delete")),
):
    for name in names:
        dies_at_last(owner, name)
command.main()
"""


_NEVER = 1_000_000


class Target:
    """A new place to move to: a data folder, an empty PostgreSQL, and a prefix of a bucket."""

    def __init__(self, source: Path, data: Path, address: str, seaweed: Seaweed) -> None:
        place = seaweed.address()
        blobs = f"s3://{place.bucket}/{place.prefix}"
        self.data = data
        self.stores: list[str | Path] = ["--database", address, "--blobs", blobs, "--s3-endpoint", seaweed.endpoint]
        self.move: list[str | Path] = ["move", "--data", source, "--to-database", address, "--to-blobs", blobs]
        self.move += ["--to-s3-endpoint", seaweed.endpoint, "--to-data", data]

    def dies(self, change: int) -> bool:
        """Move, and die before so many changes are made; False where fewer were enough."""
        line = [sys.executable, "-c", _DIES, str(change), *map(str, self.move)]
        done = subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=100, check=False)
        assert done.returncode in {0, -signal.SIGKILL}, (change, done.stderr)
        return done.returncode != 0

    def stays_shut(self) -> bool:
        """Whether nobody but the move may begin here. A folder that does not exist yet is nobody's."""
        if not self.data.exists() or {entry.name for entry in self.data.iterdir()} <= {"safelight.lock"}:
            return True
        return "repeat the move" in refused("invite", "--data", self.data, *self.stores[:2])


MakeTarget = Callable[[Path], Target]


@pytest.mark.timeout(300)
def test_killed_as_it_begins(family: Family, target_for: MakeTarget, tmp_path: Path) -> None:
    """Killed between any two of a move's first changes, the target stays shut, and the same command goes on.

    A bucket that was to be claimed after the database said that it was let nobody go on.
    """
    for change in range(1, 9):
        target = target_for(family.old)
        assert target.dies(change)
        assert target.stays_shut()
        assert target.dies(change + 4)


@pytest.mark.timeout(300)
def test_killed_and_repeated(family: Family, target_for: MakeTarget, tmp_path: Path) -> None:
    """Killed again and again, neither place is lost, and in the end everything is there."""
    target = target_for(family.old)
    assert target.dies(30)
    assert target.stays_shut()
    # In between the old place is used once more: what comes then comes along.
    with server_process(tmp_path / "old", listen=family.listen):
        family.more("meanwhile")
        family.exported = family.export("meanwhile")
    deaths = 0
    while target.dies(12 + 4 * deaths):
        deaths += 1
        assert target.stays_shut()
    assert deaths >= 2
    with server_process(target.data, *map(str, target.stores), listen=family.listen):
        assert family.export("after") == family.exported


@pytest.mark.battery
@pytest.mark.timeout(3600)
def test_killed_before_every_change(family: Family, target_for: MakeTarget, tmp_path: Path) -> None:
    """Whichever change of a move it dies before, the same command goes on and brings everything."""
    deaths = 0
    while (target := target_for(family.old)).dies(deaths + 1):
        deaths += 1
        assert target.stays_shut()
        assert not target.dies(_NEVER), deaths
        with server_process(target.data, *map(str, target.stores), listen=family.listen):
            assert family.export(f"after-{deaths}") == family.exported
        assert command("move", "--undo", "--data", family.old).returncode == 0
    assert deaths > 40


def test_one_changed_row_is_noticed(family: Family, tmp_path: Path) -> None:
    """The comparison at the end is of every value: a target that keeps one otherwise is refused."""
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
    line = [sys.executable, "-c", script, "move", "--data", str(family.old), "--to-data", str(tmp_path / "new")]
    done = subprocess.run(line, capture_output=True, text=True, cwd=REPOSITORY, timeout=100, check=False)
    assert done.returncode == 1
    assert "the rows changed" in done.stderr
    assert "is not all here" in refused("invite", "--data", tmp_path / "new")
    assert "going on" in moved("--data", family.old, "--to-data", tmp_path / "new")


def test_open_uploads_stay_behind(family: Family, tmp_path: Path) -> None:
    """Of an upload that is not complete nothing was promised: its row is not moved, and its part is not."""
    connection = sqlite3.connect(data_folder.database_path(family.old))
    connection.execute(
        "INSERT INTO uploads SELECT randomblob(16), device_id, account_id, space_id, created_ms, expires_ms, 5, NULL,"
        " NULL, 'open', x'' FROM uploads LIMIT 1"
    )
    connection.commit()
    connection.close()
    moved("--data", family.old)
    connection = sqlite3.connect(data_folder.database_path(tmp_path / "old-moved"))
    assert connection.execute("SELECT COUNT(*) FROM uploads WHERE state = 'open'").fetchall() == [(0,)]
    assert connection.execute("SELECT COUNT(*) FROM uploads").fetchone()[0] > 0
    connection.close()
