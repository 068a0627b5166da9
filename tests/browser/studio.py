"""A space with photographs in it, pushed by a real camera, and the links that its owner makes of them."""

import asyncio
import concurrent.futures
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.push import open_pusher
from safelight.clients.camera.watermarks import watermark
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.cameras import add_camera
from safelight.clients.engine.link_listing import list_links, revoke_link
from safelight.clients.engine.link_making import LinkWish, MadeLink, create_link
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from tests.support.people import Someone, new_someone, new_space
from tests.support.samples import encoded, exif, picture, shared_folder
from tests.support.server_process import ServerProcess

T = TypeVar("T")
SPACE = "Studio"
ALBUM = "A week in the hills"
_MADE_SIZES = ((900, 600), (600, 900), (800, 800), (1200, 400), (640, 480))


class _Silent:
    """Listens to a push, and says nothing."""

    def expect(self, files: int, size_bytes: int) -> None:
        """So many files were found."""

    def settled(self, relative: str, outcome: Outcome, reason: str, size_bytes: int) -> None:
        """One file is done."""

    def sent(self, size_bytes: int) -> None:
        """Some of a large file is there."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on a loop of its own, in a thread of its own: Playwright's loop holds the one that tests run in."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def lay_out_photographs(folder: Path) -> list[Path]:
    """Put photographs of several shapes, a film and a raw file into *folder*; real ones where this machine has them."""
    folder.mkdir(parents=True)
    real = shared_folder("samples/albums")
    if real is not None:
        for source in sorted(real.iterdir()):
            shutil.copy2(source, folder / source.name)
    for number, size in enumerate(_MADE_SIZES):
        data = encoded(picture(number, size), "JPEG", exif=exif(), quality=85)
        (folder / f"IMG_{number:04}.JPG").write_bytes(data)
    (folder / "VID_0001.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + picture(1).tobytes()[:300_000])
    (folder / "RAW_0001.NEF").write_bytes(b"MM\0\x2a\0\0\0\x08" + picture(2).tobytes()[:100_000])
    return sorted(folder.iterdir())


@dataclass
class Studio:
    """The owner, the server, the files that the camera took, and ways to make links of them."""

    server: ServerProcess
    owner: Someone
    files: list[Path]

    def files_in_album(self) -> list[Path]:
        """The files in the order in which the album has them: by name."""
        return sorted(self.files, key=lambda file: file.name)

    def link(self, wish: LinkWish | None = None, *, album: str = ALBUM, text: str = "") -> MadeLink:
        """Publish a link to an album, watermarked where there is a *text*."""

        async def make() -> MadeLink:
            async with self.owner.space(SPACE) as space, developers(1) as pool:
                drawn = replace(wish or LinkWish(), watermark=watermark(pool, text) if text else None)
                return await create_link(space, await find_album(space, album), drawn)

        return run(make())

    def revoke(self, link: MadeLink) -> None:
        """Withdraw a link."""

        async def withdraw() -> None:
            async with self.owner.space(SPACE) as space:
                await revoke_link(space, link.link_id)

        run(withdraw())

    def opens(self, link: MadeLink) -> int:
        """How often the server counts the link as opened."""

        async def count() -> int:
            async with self.owner.space(SPACE) as space:
                rows = [listed.row for listed in await list_links(space)]
            return next(row.opens for row in rows if row.link_id == link.link_id.hex())

        return run(count())


async def open_studio(server: ServerProcess, folder: Path) -> Studio:
    """Create the owner and the space, have a camera push the photographs, and put them all into one album."""
    files = lay_out_photographs(folder / "DCIM")
    owner = await new_someone(server, folder / "owner", "olga")
    await new_space(owner, SPACE, "work")
    async with owner.space(SPACE) as space:
        code = await pair_camera(space, "phone")
    with ProfileFolder(folder / "phone") as held:
        await add_camera(held, code.uri)
        async with developers() as pool, open_pusher(held, pool, _Silent()) as pusher:
            tally = await pusher.push(folder / "DCIM")
    assert tally.counts[Outcome.UPLOADED] == len(files)
    async with owner.space(SPACE) as space:
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        assets.sort(key=lambda asset: asset.full.name if asset.full else "")
        await create_album(space, ALBUM)
        await add_to_album(space, await find_album(space, ALBUM), assets)
    return Studio(server, owner, files)
