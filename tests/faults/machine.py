"""What the harnesses ask of a machine: to trace processes, to mount, and to leave nothing behind.

Where a machine has or allows less, `needs` says what is missing and skips by name; nothing is then counted as passed.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.strace import COMMAND
from tests.support.samples import REPOSITORY
from tools.ensure_program import find

_START_S = 60
_STOP_S = 30


def _can(*command: str) -> bool:
    """Whether a command is here and works."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0


def needs_tracing() -> None:
    """Skip where processes cannot be traced, or strace is too old to inject faults."""
    if not _can(COMMAND[0], "-f", "--seccomp-bpf", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "true"):
        pytest.skip("NOT RUN: this needs strace (5.3 or newer), and the right to trace a process")


def needs_mounts(*, recorder: bool = False) -> None:
    """Skip where a tmpfs (and with *recorder* FUSE, loop devices and ext4) cannot be mounted."""
    if os.geteuid() != 0 or not _can("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"):
        pytest.skip("NOT RUN: this needs root and the right to mount")
    missing = [path for path in ("/dev/fuse", "/dev/loop-control") if recorder and not Path(path).exists()]
    missing += [tool for tool in ("e2fsprogs",) if recorder and find(tool) is None]
    if missing:
        pytest.skip(f"NOT RUN: this needs {', '.join(missing)}")


def run(*command: str | Path) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")
    return done.stdout.strip()


def _unmount(folder: Path) -> None:
    """Unmount, in any case: what is still busy goes when it is let go of."""
    try:
        run("umount", folder)
    except OSError:
        run("umount", "--lazy", folder)
        raise


@contextmanager
def tmpfs(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "safelight-test", folder)
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def loop_mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The ext4 file system in a file, over a loop device of its own."""
    folder.mkdir(exist_ok=True)
    device = run("losetup", "--find", "--show", image)
    try:
        run("mount", "-t", "ext4", "-o", "noatime", device, folder)
        try:
            yield folder
        finally:
            _unmount(folder)
    finally:
        run("losetup", "--detach", device)


@contextmanager
def recorded(image: Path, log: Path) -> Iterator[None]:
    """While the block runs, *image* is a file that logs to *log* what is written and flushed."""
    command = [sys.executable, str(Path(__file__).with_name("recorder.py")), str(image), str(log)]
    # A session of its own: Ctrl-C must not end it before what is mounted over it.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        if process.stdout is None or process.stdout.readline() != "mounted\n":
            raise OSError("the recorder could not be mounted")
        try:
            yield
        finally:
            _unmount(image)
    finally:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def leftovers(folder: Path) -> list[str]:
    """What is still mounted or attached below *folder*."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found = [line for line in mounts if str(folder) in line]
    if shutil.which("losetup"):
        found += [line for line in run("losetup", "--all").splitlines() if str(folder) in line]
    return found


@dataclass
class Traced:
    """A server, maybe under strace; *threads* are the numbers of its threads by name."""

    url: str
    data: Path
    process: asyncio.subprocess.Process
    threads: dict[str, int]
    traced: bool

    async def stop(self) -> None:
        """Stop it, and whoever traces it; a second time does nothing."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError, IndexError, FileNotFoundError):
                os.kill(_server_of(self.process.pid) if self.traced else self.process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.communicate(), _STOP_S)
        except TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.communicate()


_PROGRAM = """
import sys, threading
start = threading.Thread.start
def noted(self):
    start(self)
    with open({threads!r}, "a") as file:
        print(self.name, self.native_id, file=file)
threading.Thread.start = noted
{mutant}
from safelight.server.__main__ import main
sys.exit(main())
"""


@asynccontextmanager
async def served(
    data: Path, *options: str, mutant: str = "", strace: Sequence[str] = (), folder: Path | None = None
) -> AsyncIterator[Traced]:
    """Run the real server over *data*, started by *strace* where given, broken as the *mutant*'s code says."""
    beside = folder or data.parent
    threads, log = beside / "threads", beside / "server.log"
    threads.unlink(missing_ok=True)
    program = _PROGRAM.format(threads=str(threads), mutant=mutant)
    command = [*strace, sys.executable, "-c", program, "run", "--data", str(data), "--listen", "127.0.0.1:0", *options]
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=errors, cwd=REPOSITORY, start_new_session=True
        )
    server = Traced("", data, process, {}, traced=bool(strace))
    try:
        server.url = await asyncio.wait_for(_url(process, log), _START_S)
        noted = [line.split() for line in threads.read_text().splitlines()]
        server.threads = {words[0]: int(words[1]) for words in noted if len(words) == 2}
        yield server
    finally:
        await server.stop()


async def _url(process: asyncio.subprocess.Process, log: Path) -> str:
    while process.stdout is not None and (line := (await process.stdout.readline()).decode()):
        if line.startswith("listening on "):
            return line.split()[2]
    raise RuntimeError(f"the server ended before it listened: {_tail(log)}")


def _server_of(tracer: int) -> int:
    """The process that strace started."""
    return int(Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0])


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
