"""The data folder: its lock and marker, and the server's own secrets.

```
safelight.lock    held by the one process that uses the folder; let go of when it ends, however it ends
safelight-data    the marker: this folder is Safelight's, and in which form
moving            an installation is being moved here, and nothing but that move uses the folder
server.key        the server's signing seed and its secret for cookies and false answers (mode 0600)
control.sock      where the running server takes commands
safelight.db      the database, or instead of it:
postgresql        says that the database is elsewhere
backups/          copies of the database, made before upgrades
blobs/            ciphertext, each file named for its SHA-256, and the parts of uploads
```
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from safelight.sync_protocol.limits import KEY_SIZE_BYTES

MARKER = "safelight-data"
_LOCK = "safelight.lock"
_MARKER_TEXT = "This folder belongs to a Safelight server. Format 1.\n"
_MOVING = "moving"
_KEY = "server.key"
_KEY_HEADING = "safelight server key 1"
# What may lie in a folder that counts as empty: a fresh file system's own, and what a start leaves that was cut short.
_HARMLESS = frozenset({"lost+found", ".DS_Store", _LOCK, f"{MARKER}.new", _MOVING, f"{_MOVING}.new"})


class DataFolderRefused(Exception):
    """The data folder cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerSecrets:
    """`signing_seed` signs receipts; `secret` keys cookies, challenges and deterministic false answers."""

    signing_seed: bytes
    secret: bytes


def database_path(folder: Path) -> Path:
    """Where the SQLite database lies."""
    return folder / "safelight.db"


def moved_path(folder: Path) -> Path:
    """What says that the database is not in the folder."""
    return folder / "postgresql"


def blobs_path(folder: Path) -> Path:
    """Where the folder store lies."""
    return folder / "blobs"


def backups_path(folder: Path) -> Path:
    """Where upgrades put their copies of the database."""
    return folder / "backups"


def control_path(folder: Path) -> Path:
    """Where the running server's control socket lies."""
    return folder / "control.sock"


def is_ours(folder: Path) -> bool | None:
    """Whether *folder* carries our marker, as this version writes it; None where it carries none. Raises OSError."""
    try:
        return (folder / MARKER).read_text() == _MARKER_TEXT
    except (FileNotFoundError, NotADirectoryError):
        return None


def in_use(folder: Path) -> bool:
    """Whether a server or a command holds *folder* at this moment."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def opened(folder: Path, *, existing: bool, key_of: Path | None = None) -> Iterator[ServerSecrets]:
    """Take *folder* for this process alone, made and marked as needed, for as long as the block runs.

    With *existing* it must carry the marker already. Where an installation is being moved in from the data folder
    *key_of*, a new one gets that one's secrets, and stays shut to everyone else until `moved_in`. Raises
    DataFolderRefused.
    """
    _check(folder, existing=existing)
    lock = _lock(folder)
    try:
        moves_in = key_of is not None and not (folder / _KEY).exists()
        if moves_in:
            write_durably(folder / _MOVING, "", 0o644)  # first of all, so that at no moment anyone else may begin here
        elif key_of is None and (folder / _MOVING).exists():
            raise DataFolderRefused(
                f"an installation is being moved to {folder} and is not all here yet: repeat the move first"
            )
        if not (folder / MARKER).is_file():
            write_durably(folder / MARKER, _MARKER_TEXT, 0o644)
        if key_of is not None and moves_in:
            write_durably(folder / _KEY, (key_of / _KEY).read_text(), 0o600)
        yield _load_secrets(folder / _KEY)
    finally:
        os.close(lock)


def moved_in(folder: Path) -> None:
    """Note durably that what was moved to *folder* is all there; a repeat does nothing."""
    (folder / _MOVING).unlink(missing_ok=True)
    _sync_folder(folder)


def _check(folder: Path, *, existing: bool) -> None:
    """Find that *folder* is ours, or may become so; writes nothing in it."""
    marker = folder / MARKER
    if marker.is_file():
        if marker.read_text() != _MARKER_TEXT:
            raise DataFolderRefused(f"{folder} was written by another version of Safelight; update to use it")
        return
    if existing:
        raise DataFolderRefused(f"{folder} does not carry Safelight's marker; is the disk mounted?")
    _make_durably(folder)
    strangers = sorted(entry.name for entry in folder.iterdir() if entry.name not in _HARMLESS)
    if strangers:
        raise DataFolderRefused(f"{folder} holds other things ({strangers[0]} …); name an empty folder")


def _make_durably(folder: Path) -> None:
    """Make *folder* and what is missing above it, for its owner alone; their names outlive a power loss."""
    if folder.exists():
        return
    _make_durably(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    """Return the open lock file; closing it lets others in. It is never removed, which would let two in at once."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DataFolderRefused(f"another Safelight server or command is using {folder}") from None
    return lock


def _load_secrets(path: Path) -> ServerSecrets:
    """Return the server's secrets, made once and then kept in a file of mode 0600."""
    if not path.exists():
        seed, secret = secrets.token_bytes(KEY_SIZE_BYTES), secrets.token_bytes(KEY_SIZE_BYTES)
        write_durably(path, f"{_KEY_HEADING}\n{seed.hex()}\n{secret.hex()}\n", 0o600)
    lines = path.read_text().split("\n")
    try:
        heading, seed_hex, secret_hex = lines[:3]
        loaded = ServerSecrets(bytes.fromhex(seed_hex), bytes.fromhex(secret_hex))
    except ValueError:
        raise DataFolderRefused(f"{path} is damaged; put it back from a backup") from None
    if heading != _KEY_HEADING or len(loaded.signing_seed) != KEY_SIZE_BYTES or len(loaded.secret) != KEY_SIZE_BYTES:
        raise DataFolderRefused(f"{path} is damaged; put it back from a backup")
    return loaded


def write_durably(path: Path, text: str, mode: int) -> None:
    """Write a file that is either whole or absent after a power loss, and never readable by others in between."""
    temporary = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync_folder(path.parent)
