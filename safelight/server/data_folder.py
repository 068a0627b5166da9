"""The data folder: its marker, and the server's own secrets.

```
safelight-data    the marker: this folder is Safelight's, and in which form
server.key        the server's signing seed and its secret for cookies and false answers (mode 0600)
control.sock      where the running server takes commands
safelight.db      the database, and beside it the lock that its one server holds
blobs/            ciphertext, each file named for its SHA-256, and the parts of uploads
```
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safelight.sync_protocol.limits import KEY_SIZE_BYTES

MARKER = "safelight-data"
_MARKER_TEXT = "This folder belongs to a Safelight server. Format 1.\n"
_KEY_HEADING = "safelight server key 1"
# What may lie in a folder that counts as empty: a fresh file system's own.
_HARMLESS = frozenset({"lost+found", ".DS_Store"})


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


def blobs_path(folder: Path) -> Path:
    """Where the folder store lies."""
    return folder / "blobs"


def control_path(folder: Path) -> Path:
    """Where the running server's control socket lies."""
    return folder / "control.sock"


def prepare(folder: Path, *, existing: bool) -> None:
    """Make *folder* ours, or check that it is; afterwards it carries the marker. Raises DataFolderRefused."""
    marker = folder / MARKER
    if marker.is_file():
        if marker.read_text() != _MARKER_TEXT:
            raise DataFolderRefused(f"{folder} was written by another version of Safelight; update to use it")
        return
    if existing:
        raise DataFolderRefused(f"{folder} does not carry Safelight's marker; is the disk mounted?")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    strangers = sorted(entry.name for entry in folder.iterdir() if entry.name not in _HARMLESS)
    if strangers:
        raise DataFolderRefused(f"{folder} holds other things ({strangers[0]} …); name an empty folder")
    _write_durably(marker, _MARKER_TEXT, 0o644)


def load_secrets(folder: Path) -> ServerSecrets:
    """Return the server's secrets, made once and then kept in a file of mode 0600."""
    path = folder / "server.key"
    if not path.exists():
        seed, secret = secrets.token_bytes(KEY_SIZE_BYTES), secrets.token_bytes(KEY_SIZE_BYTES)
        _write_durably(path, f"{_KEY_HEADING}\n{seed.hex()}\n{secret.hex()}\n", 0o600)
    lines = path.read_text().split("\n")
    try:
        heading, seed_hex, secret_hex = lines[:3]
        loaded = ServerSecrets(bytes.fromhex(seed_hex), bytes.fromhex(secret_hex))
    except ValueError:
        raise DataFolderRefused(f"{path} is damaged; put it back from a backup") from None
    if heading != _KEY_HEADING or len(loaded.signing_seed) != KEY_SIZE_BYTES or len(loaded.secret) != KEY_SIZE_BYTES:
        raise DataFolderRefused(f"{path} is damaged; put it back from a backup")
    return loaded


def _write_durably(path: Path, text: str, mode: int) -> None:
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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
