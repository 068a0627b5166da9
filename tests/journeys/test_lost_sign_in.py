"""A device whose sign-in was answered, and the answer lost, signs in once more.

Found by the week of ten cameras: the same challenge was sent again, the server had taken it already, and a push ended
with "this session has ended; sign in again".
"""

from pathlib import Path
from typing import Any

import pytest

from safelight.clients.engine.answers import Answer, ConnectionCut
from safelight.clients.engine.transport import Transport
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.people import new_someone, new_space
from tests.support.server_process import ServerProcess


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of requests, once each, that the server answers, and whose answer is lost."""
    send = Transport.send
    lost: list[str] = []

    async def lose(self: Transport, method: str, path: str, data: Any, headers: Any) -> Answer:
        answer = await send(self, method, path, data, headers)
        if path in lost:
            lost.remove(path)
            raise ConnectionCut("cut off")
        return answer

    monkeypatch.setattr(Transport, "send", lose)
    return lost


async def test_an_answer_is_lost(server: ServerProcess, tmp_path: Path, losing: list[str]) -> None:
    """Another challenge is asked for, and everything goes on."""
    anna = await new_someone(server, tmp_path / "anna", "lost")
    await new_space(anna, "Home")
    losing.append("/v1/sessions")
    async with anna.space("Home") as space:
        assert space.reader.log.number
    assert losing == []


async def test_there_is_an_end(server: ServerProcess, tmp_path: Path, losing: list[str]) -> None:
    """A server that takes no challenge is asked three times, not without end."""
    anna = await new_someone(server, tmp_path / "anna", "end")
    await new_space(anna, "Home")
    losing += ["/v1/sessions"] * 9
    with pytest.raises(Refused) as refused:
        async with anna.space("Home"):
            pass
    assert refused.value.code is Code.SESSION_EXPIRED
    assert len(losing) == 6
