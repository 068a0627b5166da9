"""Watching: what is settled, what is done with, what is waited out."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.clients.camera import watch as watching
from safelight.clients.camera.outcomes import Outcome, Selection, Tally
from safelight.clients.camera.scan import Found, scan
from safelight.clients.camera.watch import Settling, watch
from safelight.sync_protocol.refusals import Code, Refused


def _found(path: Path) -> Found:
    (item,) = (item for item in scan(path.parent) if isinstance(item, Found) and item.path == path)
    return item


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A file that nobody has touched for a day."""
    path = tmp_path / "old.jpg"
    path.write_bytes(b"x")
    os.utime(path, (path.stat().st_mtime - 86_400,) * 2)
    return path


class Time:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def test_an_old_file_is_ready_at_once_and_only_once(old_file: Path) -> None:
    """What nobody writes to goes up at the first look; what is done with does not go up again until it changes."""
    settling = Settling()
    assert settling.ready(_found(old_file))
    settling.done(_found(old_file))
    assert not settling.ready(_found(old_file))
    assert not settling.waits
    old_file.write_bytes(b"changed")
    assert not settling.ready(_found(old_file))
    assert settling.waits


def test_a_growing_file_is_waited_for(tmp_path: Path) -> None:
    """A file counts as settled when it has stood unchanged for a while, by a clock of our own."""
    clock = Time()
    settling, path = Settling(clock_s=clock), tmp_path / "growing.mov"
    for size in range(1, 5):
        path.write_bytes(bytes(size))
        assert not settling.ready(_found(path))
        clock.now_s += 1.5
    assert not settling.ready(_found(path))
    clock.now_s += 1.0
    assert settling.ready(_found(path))
    settling.done(_found(path))
    assert not settling.waits


def test_a_time_in_the_future_does_not_hold_a_file_up(tmp_path: Path) -> None:
    """A camera whose clock is years ahead still gets its files uploaded."""
    clock = Time()
    settling, path = Settling(clock_s=clock), tmp_path / "future.jpg"
    path.write_bytes(b"x")
    os.utime(path, (4_000_000_000,) * 2)
    assert not settling.ready(_found(path))
    clock.now_s += 2.0
    assert settling.ready(_found(path))


def test_a_file_that_vanished_is_not_waited_for(tmp_path: Path) -> None:
    """A temporary file that comes and goes does not keep the watcher awake."""
    settling, path = Settling(), tmp_path / "temporary"
    path.write_bytes(b"x")
    assert not settling.ready(_found(path))
    path.unlink()
    settling.forget_vanished()
    assert not settling.waits


def test_unusual_names_and_stamps_are_told_apart(tmp_path: Path, old_file: Path) -> None:
    """Done means this file, this content, this time: a change in any of them is another file to look at."""
    settling = Settling()
    found = _found(old_file)
    settling.done(found)
    for changed in (
        dataclasses.replace(found, path=tmp_path / "other.jpg"),
        dataclasses.replace(found, stamp=dataclasses.replace(found.stamp, inode=found.stamp.inode + 1)),
        dataclasses.replace(found, stamp=dataclasses.replace(found.stamp, changed_ns=0)),
    ):
        assert settling.ready(changed)


class Pusher:
    """Pushes nothing, as it is told to."""

    def __init__(self, results: list[Refused | None]) -> None:
        self.results = results
        self.pushes = 0
        self.closed = 0
        self.idle = asyncio.Event()

    async def push(self, folder: Path, selection: Selection | None = None) -> Tally:
        """Give the next result; with none left, wait for the end of the test."""
        self.pushes += 1
        if not self.results:
            self.idle.set()
            await asyncio.Event().wait()
        refusal = self.results.pop(0)
        if refusal:
            raise refusal
        tally = Tally()
        tally.add("x", Outcome.UPLOADED, "")
        return tally

    def close(self) -> None:
        """Count."""
        self.closed += 1

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Pusher"]:
        """Open it."""
        yield self


class Heard:
    """Remembers what a person would have been told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def expect(self, files: int, size_bytes: int) -> None:
        """Nothing."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """Nothing."""

    def sent(self, size_bytes: int) -> None:
        """Nothing."""

    def waiting(self, refusal: Refused, pause_s: float) -> None:
        """Remember."""
        self.told.append(f"{refusal.code} {pause_s:.0f}")

    def rested(self) -> None:
        """Remember."""
        self.told.append("rested")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pause be over at once."""
    real: Callable[[float], object] = asyncio.sleep

    async def sleep(_: float) -> None:
        await real(0)  # type: ignore[misc]  # the real one is a coroutine function

    async def unchanged(_folder: Path, _seconds: float) -> bool:
        await real(0)  # type: ignore[misc]  # likewise
        return False

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(watching, "_changed_within", unchanged)


async def _watch(pusher: Pusher, folder: Path) -> Heard:
    heard = Heard()
    task = asyncio.create_task(watch(folder, pusher.opened, heard))
    await asyncio.wait([task, asyncio.create_task(pusher.idle.wait())], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait([task])
    return heard


@pytest.mark.usefixtures("no_pauses")
async def test_a_lost_network_is_waited_out(tmp_path: Path) -> None:
    """Pauses grow while the server cannot be reached and begin anew after a success; the roll is closed at rest."""
    gone = Refused(Code.SERVER_UNREACHABLE)
    pusher = Pusher([gone, gone, gone, None, Refused(Code.STORAGE_FULL), None])
    heard = await _watch(pusher, tmp_path)
    assert heard.told == [
        "server-unreachable 2", "server-unreachable 4", "server-unreachable 8", "rested", "storage-full 2", "rested",
    ]  # fmt: skip
    assert pusher.closed >= 1


@pytest.mark.usefixtures("no_pauses")
async def test_what_no_waiting_cures_ends_it(tmp_path: Path) -> None:
    """A revoked camera does not try for ever."""
    with pytest.raises(Refused) as refused:
        await _watch(Pusher([None, Refused(Code.SIGNER_UNKNOWN), None]), tmp_path)
    assert refused.value.code is Code.SIGNER_UNKNOWN


async def test_the_system_tells_of_changes(tmp_path: Path) -> None:
    """A new file ends the wait at once; nothing new ends it in time; a missing folder is waited for."""
    loop = asyncio.get_running_loop()
    loop.call_later(0.3, (tmp_path / "new.jpg").touch)
    assert await watching._changed_within(tmp_path, 20)
    assert not await watching._changed_within(tmp_path, 0.3)
    assert not await watching._changed_within(tmp_path / "absent", 0.05)
