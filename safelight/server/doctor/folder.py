"""The data folder: that it is Safelight's, whole, its owner's alone, and all of one owner."""

import os
import pwd
from pathlib import Path

from safelight.server import data_folder
from safelight.server.data_folder import MARKER
from safelight.server.doctor.findings import Finding, note, ok, problem

_NAMES = ("server.key", "safelight.db", "safelight.db-wal", "safelight.db-shm", "blobs", "safelight.lock", MARKER)


def marker(folder: Path) -> list[Finding]:
    """Check that the folder is Safelight's and has its key."""
    try:
        ours = data_folder.is_ours(folder)
    except OSError as error:
        return [problem("folder", f"{folder} cannot be read ({error.strerror}).", "Run this as the server's user.")]
    if ours is None:
        sentence = f"{folder} does not carry Safelight's marker."
        remedy = (
            "Is the disk mounted, and is this the folder that the server is started with? If it is new: run it once."
        )
        return [problem("folder", sentence, remedy)]
    if not ours:
        sentence = f"{folder} was written by another version of Safelight."
        return [problem("folder", sentence, "Update Safelight to use it.")]
    return [ok("folder", f"{folder} is Safelight's.")]


def key(folder: Path) -> list[Finding]:
    """Check the file on which the server's identity rests."""
    path = folder / "server.key"
    if not path.exists():
        sentence = "server.key is missing: the next start would make another, and every client would refuse the server."
        return [problem("key", sentence, "Put it back from a backup before you start the server.")]
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        sentence = f"server.key can be read by others (mode {mode:04o}): they could sign as this server."
        return [problem("key", sentence, f"chmod 600 {path}")]
    return [ok("key", "server.key is its owner's alone.")]


def permissions(folder: Path) -> list[Finding]:
    """Check who may enter, who owns what, and whether the server could write."""
    findings = []
    mode = folder.stat().st_mode & 0o777
    if mode & 0o022:
        sentence = f"Others may write in the data folder (mode {mode:04o})."
        findings.append(problem("permissions", sentence, f"chmod 700 {folder}"))
    elif mode & 0o077:
        sentence = f"Others may look into the data folder (mode {mode:04o}): all is sealed, but sizes and times show."
        findings.append(note("permissions", sentence, f"chmod 700 {folder}"))
    else:
        findings.append(ok("permissions", "The data folder is its owner's alone."))
    owner = folder.stat().st_uid
    strange = [name for name in _NAMES if (folder / name).exists() and (folder / name).stat().st_uid != owner]
    if strange:
        sentence = (
            f"The data folder belongs to {_name(owner)}, but not {', '.join(strange)}: the server could not use it."
        )
        remedy = f"chown -R {_name(owner)} {folder}; run commands as that user (sudo -u {_name(owner)} …)."
        findings.append(problem("owner", sentence, remedy))
    elif os.geteuid() not in {0, owner}:
        sentence = f"The data folder belongs to {_name(owner)} and this command runs as {_name(os.geteuid())}."
        findings.append(note("owner", sentence, f"Run it as the server's user: sudo -u {_name(owner)} …"))
    else:
        findings.append(ok("owner", f"All of it belongs to {_name(owner)}."))
    return findings


def newest_file_ms(folder: Path) -> int:
    """When the newest of the folder's own files was changed, by the file system's clock."""
    times = [(folder / name).stat().st_mtime_ns for name in _NAMES if (folder / name).exists()]
    return max(times, default=0) // 1_000_000


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
