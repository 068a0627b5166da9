"""Reading a file that may change meanwhile: what was read counts only if the file is still the one that was found.

All of it blocks: run it in a thread.
"""

import contextlib
import dataclasses
import hashlib
import os
import stat
from functools import partial
from io import FileIO
from pathlib import Path

from safelight.clients.camera.magic import HEAD_SIZE_BYTES, FileType, file_type
from safelight.clients.camera.scan import Found, stamp_of
from safelight.clients.engine.files import KeepsKeys, SealedFile, seal_file
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused


def look_again(found: Found) -> Found:
    """Return *found* with the file's stamp as it is now; FILE_UNREADABLE if it is gone or no ordinary file any more."""
    try:
        status = found.path.lstat()
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{found.relative}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Refused(Code.FILE_UNREADABLE, f"{found.relative} is no ordinary file any more")
    return dataclasses.replace(found, stamp=stamp_of(status))


def check_unchanged(found: Found) -> None:
    """Raise FILE_CHANGED if the file is not the one that was found: another size, time, or file of that name."""
    if look_again(found).stamp != found.stamp:
        raise Refused(Code.FILE_CHANGED, found.relative)


def check_opened(found: Found, status: os.stat_result) -> None:
    """Raise FILE_CHANGED if *status*, of a file that was opened, is not that of the one that was found.

    A folder that someone else may write to can lead elsewhere for a moment; what is open stays what it is.
    """
    if stamp_of(status) != found.stamp:
        raise Refused(Code.FILE_CHANGED, found.relative)


def digest_of(found: Found) -> bytes:
    """Return the file's SHA-256; FILE_CHANGED or FILE_UNREADABLE as for sealing it."""
    try:
        with _open(found.path) as file:
            check_opened(found, os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{found.relative}: {error.strerror}") from None
    check_unchanged(found)
    return digest


def type_of(found: Found) -> FileType:
    """Return what the file is, by its first bytes."""
    try:
        with _open(found.path) as file:
            check_opened(found, os.fstat(file.fileno()))
            return file_type(file.read(HEAD_SIZE_BYTES), found.name)
    except OSError as error:
        raise Refused(Code.FILE_UNREADABLE, f"{found.relative}: {error.strerror}") from None


def seal_original(asset: KeepsKeys, found: Found, spool: Path | None) -> SealedFile:
    """Seal the file as an asset's original, into the file *spool* if it is large; what was read is what was found."""
    try:
        # A FIFO that took the file's place would otherwise be waited for without end.
        check_unchanged(found)
        sealed = seal_file(asset, RenditionName.ORIGINAL, found.path, spool=spool, check=partial(check_opened, found))
        check_unchanged(found)
    except BaseException:
        if spool is not None:
            with contextlib.suppress(OSError):
                spool.unlink()
        raise
    return sealed


def _open(path: Path) -> FileIO:
    return FileIO(path, opener=_opener)


def _opener(path: str, flags: int) -> int:
    # A link, or a FIFO, that took the file's place is neither followed nor waited for.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
