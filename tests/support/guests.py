"""Guests of upload links, as the command line has them: a folder of pictures, a profile for each link."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.camera.push import Pusher, pushing
from safelight.clients.camera.sent import SentFiles
from safelight.clients.camera.who_adds import guest_adds
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.guests import GuestSession, guest_folder, open_guest, parse_upload_address
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.upload_links import open_upload_link
from safelight.sync_protocol.upload_entries import UploadTerms
from tests.support.people import Someone
from tests.support.pushing import Silent

HOUR_MS = 60 * 60 * 1000


async def upload_link(someone: Someone, space: str, *, album: str = "", **changes: int) -> str:
    """Make an upload link and return its address; an hour, a hundred files, a gigabyte, unless said otherwise."""
    usual = {"expires_ms": now_ms() + HOUR_MS, "max_files": 100, "quota_bytes": 10**9, "max_guests": 10}
    async with someone.space(space) as view:
        found = await find_album(view, album) if album else None
        made = await open_upload_link(view, UploadTerms(**{**usual, **changes}), album=found, title="The wedding")
        return made.url


@dataclass
class Guest:
    """Somebody who has an address, and nothing else."""

    folder: Path
    url: str
    made: int = field(default=0, init=False)

    def pictures(self, count: int = 1, size_bytes: int = 20_000) -> Path:
        """Make a folder of so many new pictures."""
        self.made += 1
        made = self.folder / f"roll-{self.made}"
        made.mkdir(parents=True)
        for number in range(count):
            (made / f"{self.folder.name}-{self.made}-{number}.jpg").write_bytes(os.urandom(size_bytes))
        return made

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[GuestSession, Pusher]]:
        """Open the link."""
        address = parse_upload_address(self.url)
        with ProfileFolder(guest_folder(self.folder / "profile", address.link.link_id)) as held:
            async with open_guest(held, address) as guest:
                place = held.space_folder(guest.profile.space_id)
                who = guest_adds(guest, SentFiles(place / "sent", guest.committer))
                async with pushing(who, place / "spool", None, Silent()) as pusher:
                    yield guest, pusher

    async def push(self, folder: Path | None = None) -> Tally:
        """Add a folder, or one new picture."""
        async with self.session() as (_, pusher):
            return await pusher.push(folder or self.pictures())

    async def adds(self, count: int = 1) -> None:
        """Add new pictures, all of which must arrive."""
        tally = await self.push(self.pictures(count))
        assert tally.counts[Outcome.UPLOADED] == count, tally.reasons
