"""The bell: a WebSocket that says how far the log has come."""

import asyncio

import aiohttp
import msgspec
import pytest

from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import Bell
from tests.http.conftest import Owner, Server
from tests.support.api import Api
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
        message = await asyncio.wait_for(socket.receive(), 5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.POLICY_VIOLATION)


async def test_the_server_stops_while_someone_listens(server: Server, owner: Owner) -> None:
    """Listeners do not keep the server from stopping."""
    async with listen(owner.api, owner) as socket:
        await ring(socket)
        await asyncio.wait_for(server.runner.cleanup(), 5)
        assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
