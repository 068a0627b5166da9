"""Upgrades: nothing but `upgrade` changes what older code wrote, a backup stands before it, and it may die anywhere."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safelight.server import data_folder
from safelight.server.stores import migrate
from safelight.server.upkeep.backup import without_password
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.wire import Signed
from tests.support.ledgers import Person, Space
from tests.support.postgres import PostgresServer, program
from tests.support.samples import REPOSITORY

NEWEST = max(path.name[:4] for path in Path(migrate.__file__).parent.glob("migrations/versions/0*.py"))
LATER = f"{int(NEWEST) + 1:04}"
NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{NEWEST}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("later", sa.Column("key", sa.Text(), primary_key=True))
    op.execute("INSERT INTO later (key) SELECT key FROM meta")
    op.add_column("meta", sa.Column("more", sa.BigInteger(), nullable=False, server_default="7"))
"""

# Runs the command as a Safelight that knows one migration more, and ends without warning at the Nth step.
WRAPPER = """
import os, signal, sys
import sqlalchemy
from safelight.server import __main__ as command
from safelight.server.stores import migrate

steps = int(os.environ.get("DIES_AT", "0"))
count = 0

def step(what):
    global count
    count += 1
    if os.environ.get("COUNTS"):
        open(os.environ["COUNTS"], "a").write(what + "\\n")
    if count == steps:
        os.kill(os.getpid(), signal.SIGKILL)

def before(function):
    def stepping(*arguments, **named):
        step(function.__name__)
        return function(*arguments, **named)
    return stepping

for name in ("fsync", "rename", "open", "unlink"):
    setattr(os, name, before(getattr(os, name)))

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def _statement(connection, cursor, statement, parameters, context, executemany):
    step(statement.split()[0])

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "commit")
def _commit(connection):
    step("COMMIT")

migrate.VERSION_LOCATIONS += os.environ["MIGRATIONS"].split()
if not os.environ.get("MANY"):
    command.main()
for line in sys.stdin:  # one run each, in a child: starting anew would take a second
    child = os.fork()
    if not child:
        steps, count = int(line), 0
        os.dup2(2, 1)
        code = 0
        try:
            command.main()
        except SystemExit as end:
            code = int(end.code or 0)
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a Safelight to come."""
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / f"{LATER}_later.py").write_text(NEXT)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of today."""
    folder = tmp_path / "data"
    command("invite", "--data", str(folder))
    connection = sqlite3.connect(data_folder.database_path(folder))
    connection.execute("INSERT INTO meta VALUES ('old', x'01')")
    connection.commit()
    connection.close()
    return folder


def command(*arguments: str, migrations: Path | None = None, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `safelight-server`, with more migrations than there are, or as it is."""
    start = ["-m", "safelight.server"] if migrations is None else ["-c", WRAPPER]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        check=False,
        env={**os.environ, "MIGRATIONS": str(migrations or ""), **variables},
    )


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command that refused says, in one line."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    [line] = done.stderr.splitlines()
    return line


def tables(path: Path) -> tuple[str, set[str], list[tuple[object, ...]]]:
    """Revision, tables and small rows of a database."""
    connection = sqlite3.connect(path)
    [[found]] = connection.execute("SELECT version_num FROM alembic_version")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    rows = connection.execute("SELECT * FROM meta WHERE key = 'old'").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return found, names, rows


def backups(data: Path) -> list[Path]:
    """The copies that were made."""
    folder = data_folder.backups_path(data)
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_new_folder_needs_none(tmp_path: Path, later: Path) -> None:
    """A new database is of the newest form at once."""
    assert command("invite", "--data", str(tmp_path / "new"), migrations=later).returncode == 0
    assert "nothing to do" in command("upgrade", "--data", str(tmp_path / "new"), migrations=later).stdout
    assert not backups(tmp_path / "new")


def test_upgrade(data: Path, later: Path) -> None:
    """`run` refuses older data and says what to do; `upgrade` keeps a copy of it as it was, and changes it once."""
    before = tables(data_folder.database_path(data))
    for arguments in (["run", "--listen", "127.0.0.1:0"], ["invite"], ["check"]):
        assert "safelight-server upgrade" in refused(command(*arguments, "--data", str(data), migrations=later))
    assert not backups(data)
    done = command("upgrade", "--data", str(data), migrations=later)
    assert done.returncode == 0, done.stderr
    assert f"upgraded from {NEWEST} to {LATER}" in done.stdout
    [copy] = backups(data)
    assert copy.name.startswith(f"{NEWEST}-")
    assert copy.stat().st_mode & 0o077 == 0
    assert tables(copy) == before
    revision, names, rows = tables(data_folder.database_path(data))
    assert (revision, names - before[1], rows) == (LATER, {"later"}, [("old", b"\1", 7)])
    assert "nothing to do" in command("upgrade", "--data", str(data), migrations=later).stdout
    assert backups(data) == [copy]


def test_what_people_signed_is_read_first(data: Path, later: Path) -> None:
    """*Upgraded, and a space that opens for nobody*: a ledger that this Safelight refuses is said before any change.

    A grant was once written without what it may add; a space that had one was dead after its upgrade.
    """
    space = Space(Person("anna")).create()
    signed = space.entry(LedgerKind.SET_POLICY, OlderBody(1))
    path = data_folder.database_path(data)
    with sqlite3.connect(path) as rows:
        row = (space.state.space_id, "family", 2, b"", 2, b"", 1, 0, 0, 0)
        rows.execute(f"INSERT INTO spaces VALUES ({', '.join('?' * len(row))})", row)
        for number, envelope in ((1, space.frames[0].envelope), (2, signed.envelope)):
            entry = (space.state.space_id, number, 0, 1, 0, b"", number, bytes([number]), b"", b"", envelope)
            rows.execute(f"INSERT INTO entries VALUES ({', '.join('?' * len(entry))})", entry)
    before = tables(path)
    said = refused(command("upgrade", "--data", str(data), migrations=later))
    assert f"space {space.state.space_id.hex()[:12]}, from slot 2 on" in said
    assert (tables(path), backups(data)) == (before, [])
    done = command("upgrade", "--data", str(data), "--with-unreadable-spaces", migrations=later)
    assert f"upgraded from {NEWEST} to {LATER}" in done.stdout, done.stderr


class OlderBody(Signed, frozen=True):
    """What no rule of today takes."""

    version: int


def test_older_code_on_newer_data(data: Path, later: Path) -> None:
    """What a newer Safelight wrote is refused by this one, whichever command it is, and left as it is."""
    command("upgrade", "--data", str(data), migrations=later)
    before = data_folder.database_path(data).read_bytes()
    for arguments in (["run", "--listen", "127.0.0.1:0"], ["invite"], ["check"], ["upgrade"]):
        assert "written by a newer Safelight" in refused(command(*arguments, "--data", str(data)))
    assert data_folder.database_path(data).read_bytes() == before


def test_killed_at_every_step(data: Path, later: Path, tmp_path: Path) -> None:
    """Killed at any statement, sync or rename, it goes on when it is run again; until then all is as it was."""
    counts = tmp_path / "counts"
    original = tables(data_folder.database_path(data))
    pristine = data_folder.database_path(data).read_bytes()
    assert command("upgrade", "--data", str(data), migrations=later, COUNTS=str(counts)).returncode == 0
    steps = counts.read_text().split()
    assert {"fsync", "rename", "CREATE", "ALTER", "COMMIT"} <= set(steps)
    upgraded = tables(data_folder.database_path(data))
    with many_runs(data, later) as run:
        for dies_at in range(1, len(steps) + 1):
            for copy in backups(data):
                copy.unlink()
            data_folder.database_path(data).write_bytes(pristine)
            assert run(dies_at) == -signal.SIGKILL
            found = tables(data_folder.database_path(data))
            assert found in (original, upgraded)
            whole = [copy for copy in backups(data) if copy.suffix == ".db"]
            assert all(tables(copy) == original for copy in whole)
            assert whole or found == original
            assert run(0) == 0
            assert tables(data_folder.database_path(data)) == upgraded
            assert any(tables(copy) == original for copy in backups(data))
            assert not [copy for copy in backups(data) if copy.suffix != ".db"]


@contextmanager
def many_runs(data: Path, migrations: Path) -> Iterator[Callable[[int], int]]:
    """A way to run `upgrade` often: it dies at that step, if it is not 0; returns how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRAPPER, "upgrade", "--data", str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "MIGRATIONS": str(migrations), "MANY": "yes"},
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def run(dies_at: int) -> int:
        stdin.write(f"{dies_at}\n")
        stdin.flush()
        return int(stdout.readline())

    try:
        yield run
    finally:
        stdin.close()
        stdout.close()
        process.wait()


def test_damaged_database(data: Path, later: Path) -> None:
    """What is damaged is not upgraded: a copy of damage is no backup."""
    path = data_folder.database_path(data)
    page = bytearray(path.read_bytes())
    page[3 * 4096 : 5 * 4096] = bytes(2 * 4096)
    path.write_bytes(page)
    done = command("upgrade", "--data", str(data), migrations=later)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not [copy for copy in backups(data) if copy.suffix == ".db"]


def test_while_the_server_runs(data: Path, later: Path) -> None:
    """Under a running server nothing is changed."""
    with data_folder.opened(data, existing=True):
        assert "another Safelight server" in refused(command("upgrade", "--data", str(data), migrations=later))


@pytest.mark.parametrize("backup", ["pg_dump", "own", "none"])
def test_postgresql(postgres: PostgresServer, tmp_path: Path, later: Path, backup: str) -> None:
    """pg_dump makes the backup where there is one; else nothing is changed until its owner says that there is one."""
    name = postgres.make_database()
    try:
        at = ["--data", str(tmp_path / "data"), "--database", postgres.address(name)]
        assert command("invite", *at).returncode == 0
        assert "safelight-server upgrade" in refused(command("invite", *at, migrations=later))
        tools = str(Path(program("pg_dump")).parent) if backup == "pg_dump" else ""
        path = os.pathsep.join(filter(None, [tools, str(tmp_path / "no programs")]))
        flags = ["--yes-i-have-a-backup"] if backup == "own" else []
        done = command("upgrade", *at, *flags, migrations=later, PATH=path)
        if backup == "none":
            assert "pg_dump --format=custom" in refused(done)
            assert "safelight-server upgrade" in refused(command("invite", *at, migrations=later))
            return
        assert f"upgraded from {NEWEST} to {LATER}" in done.stdout, done.stderr
        assert [copy.suffix for copy in backups(tmp_path / "data")] == ([".dump"] if backup == "pg_dump" else [])
        assert command("invite", *at, migrations=later).returncode == 0
        assert "written by a newer Safelight" in refused(command("invite", *at))
    finally:
        postgres.drop_database(name)


@pytest.mark.parametrize(
    ("address", "shown", "password"),
    [
        ("postgresql://me:s%40cret@host/name", "postgresql://me@host/name", "s@cret"),
        ("postgresql://me@host/name?password=x&sslmode=require", "postgresql://me@host/name?sslmode=require", "x"),
        ("postgresql:///name?host=/run/pg", "postgresql:///name?host=%2Frun%2Fpg", ""),
    ],
)
def test_passwords_stay_out_of_the_list_of_processes(address: str, shown: str, password: str) -> None:
    """pg_dump is given the password apart from the address."""
    assert without_password(address) == (shown, password)


def test_the_real_migrations_are_found() -> None:
    """What tests add to is the list of those there are."""
    assert migrate.VERSION_LOCATIONS == ["safelight.server.stores:migrations/versions"]
