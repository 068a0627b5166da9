"""A copy of the database before it is changed: whole and durable under its name, or not there at all."""

import os
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from safelight.server.stores import disk
from safelight.server.stores.postgres_errors import DatabaseRefused

_PAGES_AT_ONCE = 10_000


def back_up_sqlite(database: Path, folder: Path, revision: str, now_ms: int) -> Path:
    """Copy *database*, which nobody else uses, into *folder*; raises DatabaseRefused if it is damaged."""
    path = _begin(folder, revision, now_ms, "db")
    temporary = path.with_name(path.name + ".new")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    source, target = sqlite3.connect(database), sqlite3.connect(temporary)
    try:
        source.backup(target, pages=_PAGES_AT_ONCE)
        # As one file: with a write-ahead log beside it, a copy of the file alone might not be all of it.
        target.execute("PRAGMA journal_mode = DELETE").fetchall()
        [[said], *_] = target.execute("PRAGMA integrity_check(1)").fetchall()
    finally:
        source.close()
        target.close()
    if said != "ok":
        temporary.unlink()
        raise DatabaseRefused(f"the database is damaged ({said}); put it back from a backup before you upgrade")
    _publish(temporary, path)
    return path


def back_up_postgres(address: str, folder: Path, revision: str, now_ms: int) -> Path:
    """Let pg_dump write the database into *folder* and return where. Raises DatabaseRefused where it cannot."""
    program = shutil.which("pg_dump")
    if program is None:
        raise DatabaseRefused(
            "there is no pg_dump here to make a backup with. Make one where PostgreSQL runs (pg_dump --format=custom"
            " --file=safelight.dump NAME), then repeat this with --yes-i-have-a-backup"
        )
    path = _begin(folder, revision, now_ms, "dump")
    temporary = path.with_name(path.name + ".new")
    shown, password = without_password(address)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    command = [program, "--format=custom", f"--file={temporary}", f"--dbname={shown}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        temporary.unlink(missing_ok=True)
        said = done.stderr.strip().splitlines()
        raise DatabaseRefused(
            f"pg_dump could not make a backup ({said[0] if said else 'it said nothing'}). Make one yourself, then"
            " repeat this with --yes-i-have-a-backup"
        )
    _publish(temporary, path)
    return path


def without_password(address: str) -> tuple[str, str]:
    """An address as others may see it in the list of processes, and the password that stood in it."""
    split = urlsplit(address)
    query = parse_qsl(split.query)
    password = unquote(split.password or "") or dict(query).get("password", "")
    user, _, host = split.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    rest = urlencode([(name, value) for name, value in query if name != "password"])
    return f"{split.scheme}://{netloc}{split.path}{'?' if rest else ''}{rest}", password


def _begin(folder: Path, revision: str, now_ms: int, suffix: str) -> Path:
    """Make the folder, clear away what an earlier attempt left that was killed, and choose a name."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob("*.new*"):
        left.unlink()
    time = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return folder / f"{revision}-{time}.{suffix}"


def _publish(temporary: Path, path: Path) -> None:
    fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        disk.sync_file(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    disk.sync_folder(path.parent)
    disk.sync_folder(path.parent.parent)
