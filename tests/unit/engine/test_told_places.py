"""A ledger that is shown to someone who was told by another way what stands in it."""

from typing import cast

import pytest

from safelight.clients.engine.connection import Connection
from safelight.clients.engine.ledger_view import LedgerView
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Frame, Head
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.ledgers import Person, Space
from tests.support.members import invite_body


class _Pages:
    """Answers with all of a space's ledger at once, and then with nothing."""

    def __init__(self, space: Space) -> None:
        self._frames = list(space.frames)

    async def fetch_frames(self, _path: str, **_kept: object) -> list[Frame]:
        frames, self._frames = self._frames, []
        return frames


@pytest.fixture
def space() -> Space:
    """A space whose ledger has three entries."""
    space = Space(Person("anna")).create()
    for name in ("bert", "carla"):
        space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, name)))
    return space


async def _read(space: Space, told: Head) -> int:
    memory = SpaceMemory()
    memory.pin_ledger(space.state.head)  # seen before, and later than the place of which we were told
    view = LedgerView(cast("Connection", _Pages(space)), space.state.space_id, memory)
    view.told = told
    return (await view.take_pages("/")).head.number


async def test_another_ledger_than_the_one_told_of(space: Space) -> None:
    """An invitation's place is looked for where it stands, though more of the ledger was seen already."""
    assert await _read(space, Head(2, space.frames[1].entry_id)) == 3
    for number in (1, 2, 3):
        with pytest.raises(Refused) as refused:
            await _read(space, Head(number, b"another entry of 32 bytes' length"[:32]))
        assert refused.value.code is Code.HISTORY_FORKED
