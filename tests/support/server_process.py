"""The real server as a process of its own, as people run it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safelight.server import control, data_folder
from tests.support.samples import REPOSITORY


@dataclass
class ServerAddress:
    """A server that runs: where it listens, and where its data lies."""

    url: str
    data: Path

    def invite(self) -> str:
        """Make an invite code as `safelight-server invite` does, without starting Python for each.

        The command itself is tried in tests/http/test_process.py.
        """
        asking = control.ask(data_folder.control_path(self.data), "invite")
        with ThreadPoolExecutor(1) as thread:  # whoever calls may have a loop of its own
            code: str = thread.submit(asyncio.run, asking).result()["code"]
        return code


@dataclass
class ServerProcess(ServerAddress):
    """A server that runs, and its process."""

    process: "subprocess.Popen[str]"

    def kill(self) -> None:
        """End the process without warning."""
        self.process.kill()
        self.process.wait()


def run_server_command(*arguments: str) -> str:
    """Run `safelight-server` and return what it printed."""
    command = [sys.executable, "-m", "safelight.server", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY, timeout=60).stdout


@contextmanager
def server_process(data: Path, *options: str, listen: str = "127.0.0.1:0") -> Iterator[ServerProcess]:
    """Run a server over *data* until the end of the block."""
    command = [sys.executable, "-m", "safelight.server", "run", "--data", str(data), "--listen", listen, *options]
    log = (data.parent / f"{data.name}.log").open("ab")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=REPOSITORY)
    try:
        yield ServerProcess(_wait_for_url(process), data, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        log.close()


def _wait_for_url(process: "subprocess.Popen[str]") -> str:
    lines = process.stdout
    assert lines is not None
    for line in lines:
        if line.startswith("listening on "):
            return line.split()[2]
    raise AssertionError(f"the server ended with {process.wait()} before it listened")
