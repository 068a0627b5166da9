"""Damaged and hostile pictures through the real developing process, and through a whole push."""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.clients.camera.develop.messages import Developed, NotDeveloped
from safelight.clients.camera.develop.pool import Developers, developers
from safelight.clients.camera.develop.sandbox import CPU_LIMIT_S, MEMORY_LIMIT_BYTES
from tests.support.commands import new_account, new_camera
from tests.support.server_process import server_process

SHORT, LONG = 40, 1500
_MAX_SAMPLE_BYTES = 2_500_000


def damaged(folder: Path, count: int, seed: int) -> Iterator[bytes]:
    """Real photographs with bits turned, cut short, with holes, with one's beginning before another's end."""
    chance = random.Random(seed)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size <= _MAX_SAMPLE_BYTES)
    assert found
    for _ in range(count):
        data = bytearray(chance.choice(found).read_bytes())
        head = min(len(data), 4096)
        match chance.randrange(6):
            case 0:
                del data[chance.randrange(len(data)) :]
            case 1:  # headers are where lengths and offsets are
                for _ in range(chance.randrange(1, 30)):
                    data[chance.randrange(head)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
            case 2:
                for _ in range(chance.randrange(1, 200)):
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 3:
                at = chance.randrange(len(data))
                data[at : at + chance.randrange(1, 5000)] = bytes(chance.randrange(1, 5000))
            case 4:
                other = chance.choice(found).read_bytes()
                data = data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]
            case _:
                at = chance.randrange(head)
                data[at:at] = data[at : at + chance.randrange(1, 400)] * chance.randrange(1, 50)
        yield bytes(data)


def _peak_bytes(pool: Developers) -> int:
    """The most memory that any of the pool's processes ever held."""
    peak = 0
    for worker in pool._workers:
        if worker._process is not None and worker._process.poll() is None:
            status = Path(f"/proc/{worker._process.pid}/status").read_text()
            peak = max(peak, *(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")))
    return peak


async def _develop(samples: Path, folder: Path, count: int, seed: int) -> tuple[int, float, int]:
    """Develop them all; returns how many gave a picture, the slowest, and the most memory."""
    developed, slowest_s, peak = 0, 0.0, 0
    async with developers(1) as pool:
        for number, data in enumerate(damaged(samples, count, seed)):
            path = folder / "picture"
            path.write_bytes(data)
            started_s = time.monotonic()
            answer = await pool.develop(path)
            slowest_s = max(slowest_s, time.monotonic() - started_s)
            assert isinstance(answer, Developed | NotDeveloped), (seed, number)
            assert path.read_bytes() == data
            developed += isinstance(answer, Developed)
            peak = max(peak, _peak_bytes(pool))
    assert slowest_s < 2 * CPU_LIMIT_S + 20
    assert 0 < peak < MEMORY_LIMIT_BYTES
    return developed, slowest_s, peak


async def test_damaged_pictures(shared_samples: Path, tmp_path: Path) -> None:
    """Each ends with a picture or a reason; the process stays within its memory, and the file is as it was."""
    developed, _, _ = await _develop(shared_samples, tmp_path, SHORT, 1)
    assert 0 < developed < SHORT


@pytest.mark.battery
async def test_many_damaged_pictures(shared_samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, far more often."""
    seed = random.SystemRandom().randrange(2**31)
    developed, slowest_s, peak = await _develop(shared_samples, tmp_path, LONG, seed)
    with capsys.disabled():
        told = f"seed {seed}: {developed} developed, slowest {slowest_s:.1f} s, {peak >> 20} MiB"
        sys.stdout.write(f"\n{LONG} pictures, {told}\n")


async def test_what_takes_too_much_is_caught(
    shared_samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a limit that every picture breaks, the check of memory fails; and so does one that never answers."""
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "MEMORY_LIMIT_BYTES", 1024 * 1024)
        with pytest.raises(AssertionError):
            await _develop(shared_samples, tmp_path, 2, 1)

    async def answers_nothing(_: Developers, __: Path) -> None:
        return None

    monkeypatch.setattr(Developers, "develop", answers_nothing)
    with pytest.raises(AssertionError):
        await _develop(shared_samples, tmp_path, 2, 1)


def test_originals_of_damaged_pictures_are_kept(shared_samples: Path, tmp_path: Path) -> None:
    """Whatever a picture is, its original goes up and comes back byte for byte."""
    roll = tmp_path / "roll"
    roll.mkdir()
    for number, data in enumerate(damaged(shared_samples, 12, 3)):
        (roll / f"{number}.jpg").write_bytes(data)
    with server_process(tmp_path / "data") as server:
        owner = new_account(server, tmp_path / "owner", "ada")
        owner.ok("space", "create", "Home", "--kind", "family")
        new_camera(owner, "Home", tmp_path / "phone").ok("camera", "push", str(roll))
        owner.ok("export", "--space", "Home", str(tmp_path / "out"))
    sent = sorted(path.read_bytes() for path in roll.iterdir())
    assert sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")) == sent
