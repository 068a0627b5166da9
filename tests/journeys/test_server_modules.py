"""What is loaded into the server's process after a whole journey: nothing that could open a photograph."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.export import export_space
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.sync_protocol.records import RenditionName
from tests.support.guest import open_link
from tests.support.people import add_file, new_someone, new_space
from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerProcess

# Runs the server's own command, and writes down at its end what was loaded.
_WITNESS = """
import atexit, json, pathlib, sys
{more}
target = pathlib.Path(sys.argv.pop())
atexit.register(lambda: target.write_text(json.dumps(sorted(sys.modules))))
from safelight.server.__main__ import main
sys.exit(main())
"""
_OPENING = "safelight.sync_protocol.sealing"


@contextmanager
def watched_server(folder: Path, more: str) -> Iterator[ServerProcess]:
    """Run a server whose process writes down, at its end, what it had loaded."""
    arguments = ["run", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", str(folder / "modules.json")]
    command = [sys.executable, "-c", _WITNESS.format(more=more), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("listening on "))
            yield ServerProcess(line.split()[-1], folder / "data", process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def loaded_by_the_end(folder: Path) -> set[str]:
    """The modules that the server's process had loaded when it ended."""
    return set(json.loads((folder / "modules.json").read_text()))


async def journey(server: ServerProcess, folder: Path) -> None:
    """Do everything that a person does with a photograph."""
    anna = await new_someone(server, folder / "anna", "anna")
    await new_space(anna, "Work", "work")
    picture = folder / "picture.jpg"
    picture.write_bytes(b"a picture" * 1000)
    async with anna.space("Work") as space:
        await add_file(space, picture, preview=b"a preview")
        await space.sync()
        await create_album(space, "Shown")
        await space.sync()
        opened = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await find_album(space, "Shown"), opened)
        await space.sync()
        link = await create_link(space, await find_album(space, "Shown"), LinkWish(password="a password"))
        await export_space(space, folder / "export")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        guest = await open_link(http, link.url, "a password")
        shown = next(r for r in guest.assets[0].renditions if r.name is RenditionName.PREVIEW)
        assert await guest.see(guest.assets[0], shown) == b"a preview"


async def test_the_server_never_loads_what_opens(tmp_path: Path) -> None:
    """After upload, commit, feed, download and link, the module that decrypts is not in the server's process."""
    with watched_server(tmp_path, "") as server:
        await journey(server, tmp_path)
    loaded = loaded_by_the_end(tmp_path)
    assert "safelight.sync_protocol.signatures" in loaded, "the witness saw another process"
    assert not [name for name in loaded if name.startswith((_OPENING, "cryptography", "safelight.clients"))]


def test_the_witness_would_say_so(tmp_path: Path) -> None:
    """The check can fail: a server that loads it is seen."""
    with watched_server(tmp_path, f"import {_OPENING}.floe"):
        pass
    assert _OPENING in loaded_by_the_end(tmp_path)
