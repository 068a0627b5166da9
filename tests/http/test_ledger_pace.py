"""Ledger entries leave pauses: every one makes stale what others were about to sign."""

import pytest

from safelight.server.domain import commits
from safelight.sync_protocol.messages.spaces import CommitEntry
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Server, StartServer
from tests.http.test_removal import join
from tests.support.invitations import removal
from tests.support.protocol import Pairing

AT_ONCE = 5


@pytest.fixture
async def server(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that takes few at once."""
    monkeypatch.setattr(commits, "LEDGER_ENTRIES_AT_ONCE", AT_ONCE)
    return await start_server()


async def test_a_member_who_writes_without_pause(server: Server) -> None:
    """Whoever is no owner has to wait; records do not, nor the owner, who removes them."""
    owner = await server.owner()
    other = await join(server, owner, Role.EDITOR)
    api, writer = other.uploader.api, owner.writer
    stale = Pairing().certify(writer, other.signer)
    await api.commit(writer, Pairing().certify(writer, other.signer), signer=other.signer)
    for _ in range(2 * AT_ONCE):
        assert (await api.try_commit(writer, stale)).code != "rate-limited"  # makes nothing stale, and does not count
    for _ in range(AT_ONCE - 1):
        await api.commit(writer, Pairing().certify(writer, other.signer), signer=other.signer)
    answer = await api.try_commit(writer, Pairing().certify(writer, other.signer))
    assert (answer.status, answer.code) == (429, "rate-limited")
    assert 0 < int(answer.headers["Retry-After"]) <= commits.LEDGER_REFILL_S
    await api.commit(writer, writer.open_roll(other.signer), signer=other.signer)
    for _ in range(2 * AT_ONCE):
        await owner.api.commit(writer, Pairing().certify(writer))
    await owner.api.commit(writer, *removal(writer, other.person))


async def test_cameras_that_were_kept_for_it(server: Server) -> None:
    """Binding a camera is an entry, too, and counts for who certified it, whoever sends it."""
    owner = await server.owner()
    other = await join(server, owner, Role.EDITOR)
    api, writer = other.uploader.api, owner.writer
    for _ in range(AT_ONCE // 2):
        await api.pair_camera(writer, Pairing(), other.signer)
    kept = Pairing()
    await api.commit(writer, kept.certify(writer, other.signer), signer=other.signer)
    binding = CommitEntry(kept.bind(writer, kept.signer).envelope)
    assert (await server.api.post(f"{owner.space}/bind", binding)).code == "rate-limited"
    await owner.api.pair_camera(writer, Pairing())
