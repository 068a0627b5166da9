"""The folder store's own: in which order it syncs, what it makes of a disk that fails, and where things lie."""

import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from safelight.server.stores import disk
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import some_id
from tests.conformance.test_blobs import MIB, read, store


def failing(number: int) -> Callable[..., None]:
    """What a disk does that fails with the error *number*."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


async def check_order(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a blob is synced, then renamed, then its folder synced, before it is said to be there."""
    events: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        events.append(f"sync folder {path.name}" if path.is_dir() else f"sync file in {path.parent.name}")
        real_fsync(fd)

    def replace(source: Path, target: Path) -> None:
        events.append(f"rename into {Path(target).parent.name}")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    prefix = (await store(directory, secrets.token_bytes(MIB + 1))).hex()[:2]
    assert events == ["sync file in uploads", f"rename into {prefix}", f"sync folder {prefix}"]


async def test_order_of_publishing(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync, rename, sync the folder: in any other order a power loss leaves a name without its bytes."""
    await check_order(directory, monkeypatch)


@pytest.mark.parametrize("forgotten", ["sync_file", "sync_folder"])
async def test_mutant_that_does_not_sync(
    directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """A store that forgets to sync the file, or the folder, is caught."""
    monkeypatch.setattr(disk, forgotten, lambda _: None)
    with pytest.raises(AssertionError):
        await check_order(directory, monkeypatch)


async def test_offsets_are_synced_before_they_are_stated(
    directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush syncs the bytes, and the first one the part's name, too; with nothing new it syncs nothing."""
    events: list[str] = []
    real = disk.sync_data

    def sync_data(fd: int) -> None:
        events.append("data")
        real(fd)

    monkeypatch.setattr(disk, "sync_data", sync_data)
    monkeypatch.setattr(disk, "sync_folder", lambda folder: events.append(folder.name))
    appender = await directory.append(some_id(), 0)
    for _ in range(2):
        await appender.write(b"some bytes")
        await appender.flush()
    await appender.flush()
    await appender.close()
    assert events == ["data", "uploads", "data"]


async def test_where_things_lie(directory: DirectoryBlobs, tmp_path: Path) -> None:
    """A blob lies under its name in one of 256 folders, for its owner alone; nothing is left in uploads."""
    name = await store(directory, b"content")
    path = tmp_path / "blobs" / name.hex()[:2] / name.hex()
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "blobs" / "uploads").iterdir()) == []


async def test_full_disk(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses the upload and nothing else: when there is room again, uploading works again."""
    with monkeypatch.context() as full:
        full.setattr(os, "writev", failing(errno.ENOSPC))
        for _ in range(2):
            with pytest.raises(Refused) as refusal:
                await store(directory, secrets.token_bytes(3 * MIB))
            assert refusal.value.code is Code.STORAGE_FULL
    await store(directory, b"content")


async def test_full_disk_in_the_middle_of_an_upload(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stated before the disk was full is still there, and the upload goes on from it."""
    upload_id, data = some_id(), secrets.token_bytes(3 * MIB)
    appender = await directory.append(upload_id, 0)
    await appender.write(data[:MIB])
    offset = await appender.flush()
    with monkeypatch.context() as full:
        full.setattr(os, "writev", failing(errno.ENOSPC))
        await appender.write(data[MIB : 2 * MIB])
        for _ in range(2):
            with pytest.raises(Refused):
                await appender.flush()
        await appender.close()
    appender = await directory.append(upload_id, offset)
    await appender.write(data[offset:])
    assert (await appender.finish())[0] == hashlib.sha256(data).digest()
    await appender.close()


@pytest.mark.parametrize("call", ["fsync", "fdatasync", "writev"])
async def test_broken_disk(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """After a failed write or sync nothing more is taken, though the disk may seem well again; reading goes on."""
    kept = await store(directory, b"content")
    with monkeypatch.context() as broken:
        broken.setattr(os, call, failing(errno.EIO))
        appender = await directory.append(some_id(), 0)
        await appender.write(bytes(1000))
        with pytest.raises(Refused) as refusal:
            await (appender.flush() if call == "fdatasync" else appender.finish())
        assert refusal.value.code is Code.STORAGE_READ_ONLY
        await appender.close()
    with pytest.raises(Refused) as refusal:
        await store(directory, b"other content")
    assert refusal.value.code is Code.STORAGE_READ_ONLY
    with pytest.raises(Refused):
        await directory.delete(kept)
    assert await read(directory, kept) == b"content"


async def test_failed_sync_is_never_tried_again(directory: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that fails for want of space spoils the upload: its bytes may be gone, and another sync would lie."""
    upload_id = some_id()
    appender = await directory.append(upload_id, 0)
    await appender.write(bytes(1000))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(Refused) as refusal:
            await appender.finish()
    assert refusal.value.code is Code.STORAGE_FULL
    with pytest.raises(Refused):
        await appender.finish()
    await appender.close()
    assert await directory.part_size_bytes(upload_id) == 0


async def test_flipped_bit(directory: DirectoryBlobs, tmp_path: Path) -> None:
    """A blob whose bytes changed on disk does not verify; uploading it again heals it."""
    data = secrets.token_bytes(2 * MIB)
    name = await store(directory, data)
    path = tmp_path / "blobs" / name.hex()[:2] / name.hex()
    damaged = bytearray(data)
    damaged[MIB] ^= 1
    path.write_bytes(damaged)
    assert not await directory.verify(name)
    await store(directory, data)
    assert await directory.verify(name)


async def test_folder_syncs_are_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait for a folder's sync together share one that began after they all asked."""
    syncs, gate, waiting = [], threading.Event(), threading.Barrier(9)

    def slow(folder: Path) -> None:
        syncs.append(folder)
        gate.wait(5)

    monkeypatch.setattr(disk, "sync_folder", slow)
    folder = disk.FolderSync(tmp_path)
    first = threading.Thread(target=folder.sync)
    first.start()
    while not syncs:
        pass

    def ask() -> None:
        waiting.wait(5)
        folder.sync()

    others = [threading.Thread(target=ask) for _ in range(8)]
    for thread in others:
        thread.start()
    waiting.wait(5)
    while folder._asked < 9:
        pass
    gate.set()
    for thread in (first, *others):
        thread.join(5)
    assert len(syncs) == 2
