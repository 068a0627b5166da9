"""A device that commits while it asks where the log ends: what it was promised meanwhile need not be in the answer.

Found by the week of ten cameras: the answer came by way of one server process, late, and the receipt by way of the
other; the camera said that the server had been restored from a backup.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.clients.engine.adding import RollKeeper
from safelight.clients.engine.cameras import add_camera, open_camera
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


@pytest.fixture
def overtake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Have the next answer to where the log ends wait until something was committed."""
    request = Connection.request
    waiting: list[Callable[[], Awaitable[object]]] = []

    async def late(self: Connection, method: str, path: str, body: Any, shape: type[Any], **options: Any) -> Any:
        answer = await request(self, method, path, body, shape, **options)
        if shape is SpaceRow and waiting:
            await waiting.pop()()
        return answer

    monkeypatch.setattr(Connection, "request", late)
    return waiting.append


async def test_of_a_member(server: ServerProcess, tmp_path: Path, overtake: Callable[..., None]) -> None:
    """A member syncs, and adds a photograph meanwhile; the next look finds it."""
    anna = await new_someone(server, tmp_path / "anna", "member")
    await new_space(anna, "Home")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"a photograph")
    async with anna.space("Home") as space:
        before = space.reader.log.number
        overtake(lambda: add_file(space, photo))
        await space.sync()
        assert space.reader.log.number == before
        await space.sync()
        assert space.reader.log.number == before + 2  # its roll, and itself


async def test_of_a_camera(
    server: ServerProcess, tmp_path: Path, overtake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera looks whether a photograph stands in the log, and opens a roll meanwhile. A shorter log is refused."""
    anna = await new_someone(server, tmp_path / "anna", "camera")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        uri = (await pair_camera(space, "Phone")).uri
    with ProfileFolder(tmp_path / "phone") as folder:
        await add_camera(folder, uri)
        async with open_camera(folder) as camera:
            before = camera.memory.log.number
            keeper = RollKeeper(camera.committer, camera.profile.camera_id, sealing_to(lambda: camera.view.state))
            overtake(keeper.roll)
            await camera.view.refresh()
            assert (camera.view.log_head.number, camera.memory.log.number) == (before, before + 1)
            shorter = camera.view.log_head
            await camera.view.refresh()
            assert camera.view.log_head.number == before + 1

            request = Connection.request

            async def restored(
                self: Connection, method: str, path: str, body: Any, shape: type[Any], **more: Any
            ) -> Any:
                answer = await request(self, method, path, body, shape, **more)
                if shape is SpaceRow:
                    return msgspec.structs.replace(answer, number=shorter.number, chain=shorter.hash)
                return answer

            monkeypatch.setattr(Connection, "request", restored)
            with pytest.raises(Refused) as refused:
                await camera.view.refresh()
            assert refused.value.code is Code.HISTORY_ROLLED_BACK
