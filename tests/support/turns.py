"""Turns between the processes of one run: a test that is marked `alone` runs while no other does."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """Wait until *item* may run, and keep others waiting that may not run beside it. One process waits for nobody."""
    if not hasattr(item.config, "workerinput"):  # of pytest-xdist
        yield
        return
    folder = Path(item.config.getoption("basetemp")).parent  # the one that all processes of the run have
    alone = item.get_closest_marker("alone") is not None
    with (folder / "door").open("a") as door, (folder / "room").open("a") as room:
        # Who waits to be alone keeps the door meanwhile, else those who share the room would never all be out of it.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
