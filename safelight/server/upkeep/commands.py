"""The table of upkeep's commands."""

import argparse
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from safelight.server.settings import Settings
from safelight.server.upkeep import check_command, move_command, upgrade_command


class Run(Protocol):
    """Does what a command says, and returns the exit status."""

    def __call__(self, settings: Settings, arguments: dict[str, Any], *, as_json: bool) -> Coroutine[Any, Any, int]:
        """Run it."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its sentence, the settings that it takes as `run` does, arguments of its own, and what it does."""

    help: str
    settings: frozenset[str]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Run


COMMANDS = {
    "check": Command(
        "look whether all that is stored is whole: hash blobs, verify rows",
        check_command.SETTINGS,
        check_command.add_arguments,
        check_command.run,
    ),
    "upgrade": Command(
        "bring the data of an older Safelight to this one's form, after a backup",
        upgrade_command.SETTINGS,
        upgrade_command.add_arguments,
        upgrade_command.run,
    ),
    "move": Command(
        "copy a whole installation to another database and place for blobs, and compare",
        move_command.SETTINGS,
        move_command.add_arguments,
        move_command.run,
    ),
}
