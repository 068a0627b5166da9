"""A camera that pushes, closes its roll and then stands still, for whoever wants to look at its memory.

`python -m tests.support.forgetful_camera PROFILE FOLDER KEYS (open|closed)` writes the random keys of its roll and
assets into the file KEYS as they are made, every bit turned over so that it is not itself what is looked for.
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path
from unittest import mock

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import open_pusher
from safelight.clients.engine import rolls
from safelight.clients.engine.profile import ProfileFolder


class Silent:
    """Shows nothing of a push."""

    def expect(self, files: int, size_bytes: int) -> None:
        """Nothing."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """Nothing."""

    def sent(self, size_bytes: int) -> None:
        """Nothing."""


def stand_still() -> None:
    """Say that it is time to look, and wait until it was done."""
    sys.stdout.write("look now\n")
    sys.stdout.flush()
    sys.stdin.readline()


async def push(profile: Path, folder: Path, *, look_while_open: bool) -> None:
    """Push once."""
    with ProfileFolder(profile) as held:
        async with open_pusher(held, None, Silent()) as pusher:
            await pusher.push(folder)
            if look_while_open:
                stand_still()


def main() -> None:
    """Push, and stand still at the time asked for."""
    profile, folder, keys, when = sys.argv[1:]
    told = os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def token_bytes(size_bytes: int) -> bytes:
        made = secrets.token_bytes(size_bytes)
        os.write(told, bytes(byte ^ 0xFF for byte in made))
        return made

    with mock.patch.object(rolls, "secrets", mock.Mock(token_bytes=token_bytes)):
        asyncio.run(push(Path(profile), Path(folder), look_while_open=when == "open"))
    if when == "closed":
        stand_still()


if __name__ == "__main__":
    main()
