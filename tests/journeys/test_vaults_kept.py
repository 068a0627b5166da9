"""No vault is lost: whatever two devices do at once, the key to which an account's boxes are sealed can be opened."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.clients.engine.accounts import login
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.invitations import admit_joined, invite_member, withdraw_invitation
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.spaces import change_passphrase
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.messages.accounts import Keyring, PutKeyring
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from safelight.sync_protocol.wire import pack
from tests.support.people import PASSWORD, Someone, new_someone, new_space
from tests.support.server_process import ServerProcess

PASSPHRASE = "nine quiet owls"
ON_THE_LAPTOP, ON_THE_PHONE = "a lamp that turns", "seven slow trains"


async def _invited(server: ServerProcess, path: Path) -> tuple[Someone, Someone, Someone, str]:
    """A vault's owner; another's two devices, with a passphrase each; and an invitation for them."""
    owner = await new_someone(server, path / "owner", f"{path.name[:20]}-owner")
    owner.passphrase = PASSPHRASE
    await new_space(owner, "Private", "vault")
    laptop = await new_someone(server, path / "laptop", f"{path.name[:20]}-joiner")
    with ProfileFolder(path / "phone") as folder:
        await login(folder, server.url, laptop.name, PASSWORD, use_system_keyring=False)
    phone = Someone(path / "phone", laptop.name, [])
    laptop.passphrase, phone.passphrase = ON_THE_LAPTOP, ON_THE_PHONE
    return owner, laptop, phone, await _invite(owner)


async def _invite(owner: Someone) -> str:
    async with owner.space("Private") as space:
        return (await invite_member(space, "Kim", Role.VIEWER)).uri


async def _opens(owner: Someone, device: Someone, passphrase: str) -> bool:
    """Whether, once the owner let them in, a device opens the vault with *passphrase*."""
    async with owner.space("Private") as space:
        assert [admitted.refused for admitted in await admit_joined(space)] == [None]
    return await _opens_now(device, passphrase)


async def _opens_now(device: Someone, passphrase: str) -> bool:
    device.passphrase = passphrase
    async with device.space("Private") as space:
        return await space.name() == "Private"


def _when_it_joins(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, happens: Callable[[], Awaitable[None]]
) -> None:
    """Let something happen when a device has its key in the keyring, and is about to say that it joins."""
    request = connection.request

    async def later(method: str, path: str, *others: Any, **named: Any) -> object:
        if path.endswith("/join"):
            await happens()
        return await request(method, path, *others, **named)

    monkeypatch.setattr(connection, "request", later)


async def _cut() -> None:
    raise Refused(Code.SERVER_UNREACHABLE)


async def test_two_devices_that_join_by_one_invitation(server: ServerProcess, tmp_path: Path) -> None:
    """*A vault that nothing opens any more*: while one still chooses a passphrase, the other joins with its own."""
    owner, laptop, phone, uri = await _invited(server, tmp_path)

    async def join_on_the_laptop_meanwhile() -> str | None:
        async with laptop.session() as session:
            await join_space(session, uri, laptop.ask_passphrase)
        return ON_THE_PHONE

    async with phone.session() as session:
        await join_space(session, uri, join_on_the_laptop_meanwhile)
    assert await _opens(owner, phone, ON_THE_LAPTOP)


async def test_a_device_that_joins_behind_anothers_back(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have a key in the keyring before either has joined; which of them is the one, only the ledger says."""
    owner, laptop, phone, uri = await _invited(server, tmp_path)

    async def begin_on_the_phone() -> None:
        async with phone.session() as session:
            _when_it_joins(monkeypatch, session.connection, _cut)
            with pytest.raises(Refused):
                await join_space(session, uri, phone.ask_passphrase)

    async with laptop.session() as session:
        _when_it_joins(monkeypatch, session.connection, begin_on_the_phone)
        await join_space(session, uri, laptop.ask_passphrase)
    assert await _opens(owner, laptop, ON_THE_LAPTOP)


async def test_a_join_that_never_arrived(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent again as it was, without another passphrase; by another invitation the forgotten one is not needed."""
    owner, laptop, _, uri = await _invited(server, tmp_path)

    async def begin(uri: str) -> None:
        async with laptop.session() as session:
            _when_it_joins(monkeypatch, session.connection, _cut)
            with pytest.raises(Refused) as refused:
                await join_space(session, uri, laptop.ask_passphrase)
            assert refused.value.code is Code.SERVER_UNREACHABLE

    await begin(uri)
    another = await _invite(owner)
    laptop.passphrase = "remembered now"
    async with laptop.session() as session:
        await join_space(session, another, laptop.ask_passphrase)
    async with owner.space("Private") as space:
        [first, second] = space.state.invitations
        assert space.state.invitations[first].joiner is None
        await withdraw_invitation(space, second)
    await begin(third := await _invite(owner))
    async with laptop.session() as session:
        await join_space(session, third)
    assert await _opens(owner, laptop, "remembered now")


async def test_who_was_removed_comes_back_with_another_key(server: ServerProcess, tmp_path: Path) -> None:
    """Though a device still has the old one open, and changes its passphrase, the new one is what opens the vault."""
    owner, laptop, phone, uri = await _invited(server, tmp_path)
    async with laptop.session() as session:
        await join_space(session, uri, laptop.ask_passphrase)
    assert await _opens(owner, laptop, ON_THE_LAPTOP)
    async with laptop.space("Private") as before:
        await before.epoch_secrets()
        async with owner.space("Private") as space:
            await remove_member(space, before.session.account_id)
        again = await _invite(owner)
        async with phone.session() as session:
            await join_space(session, again, phone.ask_passphrase)
        assert await _opens(owner, phone, ON_THE_PHONE)
        await change_passphrase(before, "one more lamp")
    assert await _opens_now(phone, ON_THE_PHONE)


@pytest.mark.parametrize("inside", [False, True])
async def test_a_keyring_of_a_newer_version_is_left_alone(
    server: ServerProcess, tmp_path: Path, *, inside: bool
) -> None:
    """*A vault lost to an older version*: what this one does not know, it would leave out of the next version."""
    owner = await new_someone(server, tmp_path / "owner", f"newer-{inside}")
    owner.passphrase = PASSPHRASE
    await new_space(owner, "Private", "vault")
    async with owner.session() as session:
        keyring, document = session.keyring, msgspec.msgpack.decode(pack(session.content))
        (document["spaces"][0] if inside else document)["later"] = b"what opens something"
        version = keyring.version + 1
        place = context(Label.KEYRING, session.account_id, uint(version))
        key = keytree.keyring_key(session.keys.secret)
        sealed = seal_box(key, place, msgspec.msgpack.encode(document), nonce=random_nonce())
        await session.connection.request("PUT", "/v1/keyring", PutKeyring(version, sealed), Keyring)
    with pytest.raises(Refused) as refused:
        async with owner.session():
            pass
    assert refused.value.code is Code.UPDATE_REQUIRED
