"""The folder that an export writes to: what is ours in it, and what is someone else's and stays as it is.

All of it blocks: run it in a thread.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path

from safelight.clients.engine import durable
from safelight.clients.engine.safe_names import (
    checksum_line,
    folded,
    numbered,
    read_checksum_line,
    safe_name,
    sidecar_name,
)
from safelight.clients.engine.sidecars import sidecar_asset
from safelight.sync_protocol.refusals import Code, Refused

CHECKSUMS_NAME = "SHA256SUMS"
_MAX_SIDECAR_SIZE_BYTES = 16 * 1024 * 1024  # what it says came out of one record


class ExportFolder:
    """Names, files and checksums of one export. Use `prepare` first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._strict = False
        self._taken = {folded(CHECKSUMS_NAME)}
        self._known: dict[str, bytes] = {}
        self._sums: dict[str, bytes] = {}

    def prepare(self) -> None:
        """Make the folder, see what it takes, and clear away what a stopped export left. FILE_UNREADABLE otherwise."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for left_over in self.path.glob(".safelight-*.part"):
                left_over.unlink(missing_ok=True)
            self._strict = not self._takes('.safelight-probe:"*?')
        except OSError as error:
            raise Refused(Code.FILE_UNREADABLE, f"{self.path}: {error.strerror}") from None
        if _is_in_the_way(self.path / CHECKSUMS_NAME):
            raise Refused(Code.FILE_UNREADABLE, f"{self.path / CHECKSUMS_NAME} is no ordinary file")
        lines = (durable.read_file(self.path / CHECKSUMS_NAME) or b"").decode("utf-8", "replace").split("\n")
        self._known = dict(found for line in lines if (found := read_checksum_line(line)))

    def _takes(self, name: str) -> bool:
        probe = self.path / name
        try:
            probe.touch()
        except OSError:
            # Only what Windows takes, or nothing at all: then the next line says so.
            (self.path / ".safelight-probe").touch()
            (self.path / ".safelight-probe").unlink()
            return False
        probe.unlink()
        return True

    def name_original(self, name: str, asset_id: bytes, sha256: bytes) -> str:
        """Return the name for an original: its own, made safe, unless another file has it."""
        made = first = safe_name(name, strict=self._strict)
        number = 1
        while self._is_taken(made) or self._is_strangers(made, asset_id, sha256):
            number += 1
            made = numbered(first, number)
        self._take(made)
        return made

    def name_part(self, name: str, length_bytes: int, modified_ns: int) -> str:
        """Return the name for another file of an asset (its motion, its raw)."""
        made, number = name, 1
        while self._is_taken(made) or self._is_other_part(made, length_bytes, modified_ns):
            number += 1
            made = numbered(name, number)
        self._take(made)
        return made

    def _is_taken(self, name: str) -> bool:
        return folded(name) in self._taken or folded(sidecar_name(name)) in self._taken

    def _take(self, name: str) -> None:
        self._taken |= {folded(name), folded(sidecar_name(name))}

    def _is_strangers(self, name: str, asset_id: bytes, sha256: bytes) -> bool:
        """Whether a file of that name, or a sidecar, is not of this asset: what no export wrote stays."""
        path, beside_path = self.path / name, self.path / sidecar_name(name)
        if _is_in_the_way(path) or _is_in_the_way(beside_path, max_size_bytes=_MAX_SIDECAR_SIZE_BYTES):
            return True
        beside = durable.read_file(beside_path)
        if beside is not None:
            return sidecar_asset(beside) != asset_id.hex()
        if not path.exists() or self._known.get(name) == sha256:
            return False
        return _hash(path) != sha256

    def _is_other_part(self, name: str, length_bytes: int, modified_ns: int) -> bool:
        path = self.path / name
        if not os.path.lexists(path) or name in self._known:
            return False
        found = path.lstat()
        return (found.st_size, found.st_mtime_ns) != (length_bytes, modified_ns)

    def right_digest(self, name: str, length_bytes: int, sha256: bytes | None) -> bytes | None:
        """Return the digest of a file that is there from an earlier run and is right; None if it must be fetched."""
        path = self.path / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size != length_bytes:
            return None
        digest = _hash(path)
        return digest if digest == (sha256 or self._known.get(name)) else None

    def digest_of(self, name: str) -> bytes:
        """Return the digest of a file that was just written."""
        return _hash(self.path / name)

    def keep_sum(self, name: str, digest: bytes) -> None:
        """List a file that is there and right."""
        self._sums[name] = digest

    def write_sidecar(self, name: str, content: bytes) -> None:
        """Write a sidecar, unless it is there as it should be."""
        path = self.path / sidecar_name(name)
        if durable.read_file(path) != content:
            _publish(path, content)

    def write_sums(self) -> None:
        """Write the list, in the order of names; lines of an earlier list stay while their files are there."""
        earlier = {name: digest for name, digest in self._known.items() if (self.path / name).is_file()}
        lines = [checksum_line(digest, name) for name, digest in sorted({**earlier, **self._sums}.items())]
        _publish(self.path / CHECKSUMS_NAME, "".join(lines).encode("utf-8"))


def _is_in_the_way(path: Path, *, max_size_bytes: int | None = None) -> bool:
    """Whether something stands there that no export wrote: a pipe (which would be waited for), a folder, a link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISREG(found.st_mode) or (max_size_bytes is not None and found.st_size > max_size_bytes)


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _publish(path: Path, content: bytes) -> None:
    """An exported folder is for the person's other programs, too: ordinary permissions, whole or not at all."""
    temporary = path.with_name(f".safelight-{secrets.token_hex(8)}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Refused(Code.FILE_UNREADABLE, f"{path.name}: {error.strerror}") from None
