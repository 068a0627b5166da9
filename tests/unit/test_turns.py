"""Turns between the processes that run our tests: who is to be alone is alone, and nobody waits for ever."""

import fcntl
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.turns import turn


class One(Thread):
    """A test in a process of its own, which runs from its turn until it is told to end."""

    def __init__(self, folder: Path, *, alone: bool) -> None:
        super().__init__(daemon=True)
        config = SimpleNamespace(workerinput={}, getoption=lambda _: str(folder / "gw0"))
        marker = object() if alone else None
        self.item = cast(pytest.Item, SimpleNamespace(config=config, get_closest_marker=lambda _: marker))
        self.runs, self.ends = Event(), Event()
        self.start()

    def run(self) -> None:
        """Wait for the turn, and take it."""
        with turn(self.item):
            self.runs.set()
            self.ends.wait(60)

    def end(self) -> None:
        """End, and give the turn to others."""
        self.ends.set()
        self.join()


def _is_kept(door: Path) -> bool:
    with door.open("a") as tried:
        try:
            fcntl.flock(tried, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_who_is_alone_waits_for_all_and_all_wait_for_it(tmp_path: Path) -> None:
    """Others share; one that is to be alone comes after those who run and before those who came later."""
    first, second = (One(tmp_path, alone=False) for _ in range(2))
    assert first.runs.wait(60)
    assert second.runs.wait(60)
    alone = One(tmp_path, alone=True)
    while not _is_kept(tmp_path / "door"):
        assert not alone.runs.wait(0.01)
    later = One(tmp_path, alone=False)
    first.end()
    assert not alone.runs.wait(0.2)
    assert not later.runs.is_set()
    second.end()
    assert alone.runs.wait(60)
    assert not later.runs.wait(0.2)
    alone.end()
    assert later.runs.wait(60)
    later.end()


def test_a_process_by_itself_waits_for_nobody() -> None:
    """Without pytest-xdist there are no turns, and no folder that has them."""
    with turn(cast(pytest.Item, SimpleNamespace(config=SimpleNamespace()))):
        pass
