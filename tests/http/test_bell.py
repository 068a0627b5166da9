"""The bell: a WebSocket that says how far the log has come."""

import asyncio

import aiohttp
import msgspec
import pytest

from safelight.server.domain.spaces import Spaces
from safelight.server.routes.services import SERVICES
from safelight.sync_protocol.ledger_entries import RevokeCameraBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import Bell
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Owner, Server
from tests.support.api import Api
from tests.support.invitations import become_member, removal
from tests.support.protocol import Pairing


async def ring(socket: aiohttp.ClientWebSocketResponse[bool]) -> int:
    """Wait for the next ring."""
    message = await asyncio.wait_for(socket.receive(), 5)
    assert message.type is aiohttp.WSMsgType.TEXT
    return msgspec.json.decode(message.data, type=Bell).number


def listen(api: Api, owner: Owner) -> "aiohttp.client._WSRequestContextManager":
    """Connect to the space's bell."""
    url = api.url.replace("http", "ws") + f"{owner.space}/bell"
    return api.http.ws_connect(url, headers={"Authorization": f"Bearer {api.token}"})


async def test_ringing(owner: Owner) -> None:
    """Who connects hears at once where the log stands, and then of every commit, also cameras."""
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    async with listen(owner.api, owner) as member, listen(camera, owner) as phone:
        assert [await ring(member), await ring(phone)] == [3, 3]
        receipt = await owner.api.commit(owner.writer, owner.writer.open_roll())
        assert [await ring(member), await ring(phone)] == [receipt.number] * 2


async def ended(socket: aiohttp.ClientWebSocketResponse[bool]) -> tuple[int, str]:
    """Wait for what comes next, which is to be the end; returns its code and the word that says why."""
    message = await asyncio.wait_for(socket.receive(), 5)
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data, str(message.extra)


OUT = (aiohttp.WSCloseCode.POLICY_VIOLATION, "no longer in this space")


async def test_strangers_hear_nothing(server: Server, owner: Owner) -> None:
    """Strangers are refused before the connection is a WebSocket."""
    _, stranger = await server.account()
    for api, status in ((stranger, 404), (server.api, 401)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await listen(api, owner)
        assert refused.value.status == status
    assert (await owner.api.get(f"{owner.space}/bell")).status == 400


async def test_the_bell_ends_with_the_session(server: Server, owner: Owner) -> None:
    """A revoked device hears nothing more."""
    entry, laptop = owner.person.add_device()
    ledger = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    await owner.api.post(ledger, AppendAccountEntries([entry]))
    lost = await server.api.sign_in(laptop)
    async with listen(lost, owner) as socket:
        await ring(socket)
        await owner.api.post(ledger, AppendAccountEntries([owner.person.revoke_device(laptop.device_id)]))
        await owner.api.commit(owner.writer, owner.writer.open_roll())
        assert await ended(socket) == (aiohttp.WSCloseCode.POLICY_VIOLATION, "session ended")


async def test_who_is_removed_hears_nothing_more(server: Server, owner: Owner) -> None:
    """The entry that removes a member ends their bell and their camera's, and rings for those who stay."""
    person, api = await server.account()
    signer = await become_member(owner.api, owner.writer, person, api, Role.EDITOR)
    camera, _ = await api.pair_camera(owner.writer, Pairing(), signer)
    async with listen(owner.api, owner) as stays, listen(api, owner) as removed, listen(camera, owner) as phone:
        heard = [await ring(stays), await ring(removed), await ring(phone)]
        receipt = await owner.api.commit(owner.writer, *removal(owner.writer, person))
        assert heard == [receipt.number - 1] * 3
        assert await ring(stays) == receipt.number
        assert [await ended(removed), await ended(phone)] == [OUT, OUT]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await listen(api, owner)
    assert refused.value.status == 404


async def test_a_revoked_camera_hears_nothing_more(owner: Owner) -> None:
    """The entry that revokes a camera ends its bell."""
    pairing = Pairing()
    camera, _ = await owner.api.pair_camera(owner.writer, pairing)
    async with listen(camera, owner) as phone:
        await ring(phone)
        epoch, boxes = owner.writer.next_epoch()
        revocation = RevokeCameraBody(pairing.camera_id, epoch)
        await owner.api.commit(owner.writer, owner.writer.entry("camera.revoke", revocation), boxes)
        assert await ended(phone) == OUT


async def test_who_was_removed_without_a_ring(server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ring itself is lost, the next look ends the bell."""
    monkeypatch.setattr("safelight.server.routes.bell._ASK_AGAIN_S", 0.2)
    monkeypatch.setattr(server.app[SERVICES].bells, "ring", lambda *_: None)
    person, api = await server.account()
    await become_member(owner.api, owner.writer, person, api, Role.VIEWER)
    async with listen(api, owner) as socket:
        await ring(socket)
        await owner.api.commit(owner.writer, *removal(owner.writer, person))
        assert await ended(socket) == OUT


async def test_a_bell_that_does_not_ask(server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that looks at the session alone rings for who was removed, so these tests would see it."""

    async def never_asks(*_: object) -> None:
        pass

    person, api = await server.account()
    await become_member(owner.api, owner.writer, person, api, Role.VIEWER)
    monkeypatch.setattr(Spaces, "check_standing", never_asks)
    async with listen(api, owner) as socket:
        await ring(socket)
        receipt = await owner.api.commit(owner.writer, *removal(owner.writer, person))
        assert await ring(socket) == receipt.number


async def test_a_bell_whose_database_is_away(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can say whether the listener stands, nothing is rung: the client is told to come again."""

    async def away(*_: object) -> None:
        raise Refused(Code.STORAGE_UNAVAILABLE)

    async with listen(owner.api, owner) as socket:
        await ring(socket)
        monkeypatch.setattr(Spaces, "check_standing", away)
        await owner.api.commit(owner.writer, owner.writer.open_roll())
        assert await ended(socket) == (aiohttp.WSCloseCode.TRY_AGAIN_LATER, "ask again later")


async def test_the_server_stops_while_someone_listens(server: Server, owner: Owner) -> None:
    """Listeners do not keep the server from stopping."""
    async with listen(owner.api, owner) as socket:
        await ring(socket)
        await asyncio.wait_for(server.runner.cleanup(), 5)
        assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
