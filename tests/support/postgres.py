"""A real PostgreSQL for tests: a server of their own, in a folder of its own, and a database for each test."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from safelight.server.stores.migrate import upgrade_postgres
from tests.support.killing import kill_with_children
from tools.ensure_program import find

T = TypeVar("T")

ROLE = "safelight"
_START_TIMEOUT_S = 30
# Everything that a test says to be durable is: fsync stays on, as the server that we test insists.
_OPTIONS = {"listen_addresses": "", "max_connections": "100", "shared_buffers": "32MB", "wal_level": "minimal",
            "max_wal_senders": "0", "log_min_messages": "warning"}  # fmt: skip


@dataclass
class PostgresServer:
    """One server, reached through a socket in its folder. `stop` and `kill` end it; `start` goes on where it stood."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def make(self) -> None:
        """Make the cluster."""
        # --no-sync: the empty cluster itself need not survive this machine; what tests write later is synced.
        arguments = ["-D", self._data, "-U", ROLE, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = [program("initdb"), *arguments, "--wal-segsize=4"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as_its_user())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"--{name}={value}" for name, value in {**_OPTIONS, **self.options}.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", self._data, "-k", str(self.folder), *settings],
                stdout=log,
                stderr=log,
                **self._as_its_user(),
            )
        until = time.monotonic() + _START_TIMEOUT_S
        ready = [program("pg_isready"), "--quiet", "-h", str(self.folder)]
        while subprocess.run(ready, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """End it: at once and in order (SIGINT), or as a crash that it recovers from when it starts again (SIGQUIT)."""
        if self.process is not None:
            self.process.send_signal(by)
            self.process.wait(timeout=_START_TIMEOUT_S)
            self.process = None

    def kill(self) -> None:
        """End all of its processes at once, without warning."""
        if self.process is not None:
            kill_with_children(self.process.pid)
            self.process.wait()
            self.process = None

    def address(self, database: str) -> str:
        """How to reach *database*."""
        return f"postgresql://{ROLE}@/{database}?host={self.folder}"

    def make_template(self) -> None:
        """Make the database that others are copies of: empty, with all tables."""
        self.run("CREATE DATABASE template")
        _in_a_thread(lambda: upgrade_postgres(self.address("template")))

    def make_database(self, template: str = "template") -> str:
        """Make a database with all tables and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and end whoever still uses it."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, sql: str, database: str = "postgres") -> list[Any]:
        """Run a statement on a connection of its own, and return what it finds."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self.address(database))
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return _in_a_thread(ask)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _as_its_user(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root; an unprivileged user then owns its folder and runs it."""
        common: dict[str, Any] = {"cwd": self.folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if os.geteuid():
            return common
        user = _unprivileged()
        return {**common, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def postgres_server(within: Path | None = None, /, **options: str) -> Iterator[PostgresServer]:
    """A new server with these settings until the end of the block; its folder lies *within* that one, if named."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-postgres-", dir=within))
    try:
        if not os.geteuid():
            os.chown(folder, _unprivileged().pw_uid, _unprivileged().pw_gid)
        server = PostgresServer(folder, options)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    """Where one of PostgreSQL's programs is."""
    postgres = find("postgresql")
    if postgres is None:
        raise AssertionError("No PostgreSQL was found: install it, or name its `postgres` in SAFELIGHT_POSTGRES.")
    return str(Path(postgres).resolve().parent / name)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("there is neither a user `postgres` nor `nobody` to run PostgreSQL as")


@dataclass
class CommitCutter:
    """Stands between an engine and PostgreSQL. Armed, it cuts the next commit: as it comes, or as its answer does."""

    folder: Path
    cut: str = ""  # "", "before" it reaches PostgreSQL or "after" it was done there
    cuts: int = 0

    def address(self, database: str) -> str:
        """How to reach *database* through it."""
        return f"postgresql://{ROLE}@/{database}?host={self.folder}"


@asynccontextmanager
async def commit_cutter(server: PostgresServer) -> AsyncIterator[CommitCutter]:
    """A way to *server* that loses connections in the middle of COMMIT."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-cutter-"))
    cutter = CommitCutter(folder)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        up_reader, up_writer = await asyncio.open_unix_connection(str(server.folder / ".s.PGSQL.5432"))
        losing = False

        async def upward() -> None:
            nonlocal losing
            while data := await reader.read(65536):
                if cutter.cut and b"COMMIT\0" in data:
                    losing, when, cutter.cut = True, cutter.cut, ""
                    cutter.cuts += 1
                    if when == "before":
                        return
                up_writer.write(data)
                await up_writer.drain()

        async def downward() -> None:
            while data := await up_reader.read(65536):
                if losing:
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(upward()), asyncio.create_task(downward())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            up_writer.transport.abort()
            serving.discard(task)

    listener = await asyncio.start_unix_server(serve, str(folder / ".s.PGSQL.5432"))
    try:
        yield cutter
    finally:
        listener.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        shutil.rmtree(folder)


def _in_a_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *work* to its end in a loop of its own, whether or not this thread has one that runs."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(work())).result()
