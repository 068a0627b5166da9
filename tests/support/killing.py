"""Ending a program without warning, with all processes that it began: none of them does anything any more."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def kill_with_children(pid: int) -> None:
    """`kill -9` a process of ours and its children at once, and wait until the children are gone."""
    os.kill(pid, signal.SIGSTOP)  # it begins no other meanwhile
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for each in (pid, *children):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    while any(_lives(child) for child in children):
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
