"""What a thief, a server or an accident does to `device lost`, by the engine against a real server."""

import os
from collections.abc import Awaitable
from pathlib import Path

import pytest

from safelight.clients.engine.account_changes import recovery_words, words_were_shown
from safelight.clients.engine.account_entries import EntryChain
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.accounts import login, recover
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.keyring_document import KeyringContent, KeyringDocument
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.profile_secrets import unwrap
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.unlocking import password_unlocker, recovery_unlocker
from safelight.sync_protocol.account_ledger import AccountKind, AddDeviceBody, RevokeDeviceBody
from safelight.sync_protocol.messages.accounts import AccountLedger, AppendAccountEntries
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.people import PASSWORD, Someone, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _renew(owner: Someone) -> None:
    async with owner.session() as session:
        await renew_identity(session, " ".join(owner.words), PASSWORD)


async def _lose(owner: Someone) -> None:
    await _renew(owner)
    async with owner.session() as session:
        assert {outcome.refused for outcome in await tell_spaces(session)} <= {None}


async def _code(work: Awaitable[object]) -> Code:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.code


async def _send(session: AccountSession, asked: AppendAccountEntries) -> None:
    path = f"/v1/accounts/{session.account_id.hex()}/ledger"
    await session.connection.request("POST", path, asked, AccountLedger)


def _chain(session: AccountSession) -> EntryChain:
    return EntryChain(session.keys, session.account_id, session.state.head)


async def test_a_thief_sets_password_and_words_first(server: ServerProcess, tmp_path: Path) -> None:
    """*The password changed by who has the device*: a device that stands, and the words, are enough all the same."""
    owner = await new_someone(server, tmp_path / "owner", "ulla-lost")
    async with owner.session() as session:  # as the thief has it, from the stolen device's memory
        chain = _chain(session)
        unlockers = [
            await password_unlocker(chain, "the thief's password", 1),
            recovery_unlocker(chain, os.urandom(32), 1),
        ]
        await _send(session, AppendAccountEntries(chain.entries, unlockers))
    await _lose(owner)
    with ProfileFolder(tmp_path / "again") as folder:
        await login(folder, server.url, owner.name, PASSWORD, use_system_keyring=False)
    with ProfileFolder(tmp_path / "rescued") as folder:
        await recover(folder, server.url, owner.name, " ".join(owner.words), PASSWORD, use_system_keyring=False)


async def test_a_thief_invites_a_friend_first(server: ServerProcess, tmp_path: Path) -> None:
    """*A thief lets a friend in*: no invitation that the former identity gave makes anyone a member."""
    owner = await new_someone(server, tmp_path / "owner", "vera-lost")
    await new_space(owner, "Home")
    friends = [await new_someone(server, tmp_path / name, f"{name}-of-thief") for name in ("early", "late")]
    async with owner.space("Home") as space:
        uris = [(await invite_member(space, "Friend", Role.OWNER)).uri for _ in friends]
    async with friends[0].session() as session:
        await join_space(session, uris[0])  # and waits
    await _lose(owner)
    async with friends[1].session() as session:
        assert await _code(join_space(session, uris[1])) is Code.INVITATION_EXPIRED
    async with owner.space("Home") as space:
        assert not await admit_joined(space)
        assert set(space.state.members) == {space.session.account_id}
        uri = (await invite_member(space, "Friend", Role.VIEWER)).uri
    async with friends[1].session() as session:
        await join_space(session, uri)
    async with owner.space("Home") as space:
        assert [admitted.refused for admitted in await admit_joined(space)] == [None]


async def test_a_thief_invites_a_friend_to_a_vault(server: ServerProcess, tmp_path: Path) -> None:
    """A vault that was shut hears of the new identity before its owner's device lets anyone in."""
    owner = await new_someone(server, tmp_path / "owner", "vito-lost")
    owner.passphrase = "nine quiet owls"
    space_id = await new_space(owner, "Private", "vault")
    friend = await new_someone(server, tmp_path / "friend", "friend-of-vitos-thief")
    friend.passphrase = "ten loud geese"
    async with owner.space("Private") as space:
        uri = (await invite_member(space, "Friend", Role.OWNER)).uri
    async with friend.session() as session:
        await join_space(session, uri, friend.ask_passphrase)
    owner.passphrase = None
    await _renew(owner)
    owner.passphrase = "nine quiet owls"
    async with owner.space(space_id.hex()[:12]) as space:  # by its name it is open before it is entered
        assert not await admit_joined(space)
        await space.epoch_secrets()
        await space.sync()
        assert set(space.state.members) == {space.session.account_id}


async def test_a_thief_fills_the_accounts_ledger(server: ServerProcess, tmp_path: Path) -> None:
    """*A ledger too long to be told*: however many devices a thief made and revoked, each space hears of the loss."""
    owner = await new_someone(server, tmp_path / "owner", "wim-lost")
    await new_space(owner, "Home")
    async with owner.session() as session:
        for _ in range(9):
            chain = _chain(session)
            for device_id in (os.urandom(16) for _ in range(120)):
                chain.add(AccountKind.ADD_DEVICE, AddDeviceBody(device_id, os.urandom(32)), 1)
                chain.add(AccountKind.REVOKE_DEVICE, RevokeDeviceBody(device_id), 1)
            await _send(session, AppendAccountEntries(chain.entries))
            await session.refresh()
    await _lose(owner)
    async with owner.space("Home") as space:
        assert space.state.members[space.session.account_id].account.head == space.session.state.head
        assert space.state.epoch.number == 2


async def test_newer_words_that_were_not_shown_yet(server: ServerProcess, tmp_path: Path) -> None:
    """*Words that open nothing*: what was not shown before the loss counts no more, so it is never shown."""
    owner = await new_someone(server, tmp_path / "owner", "xaver-lost")
    with ProfileFolder(owner.path) as folder:
        words_were_shown(folder, PASSWORD)
        newer = await recovery_words(folder, PASSWORD)
    await _renew(owner)
    with ProfileFolder(owner.path) as folder:
        shown = await recovery_words(folder, PASSWORD)
    assert shown != newer
    with ProfileFolder(tmp_path / "rescued") as folder:
        await recover(folder, server.url, owner.name, " ".join(shown), PASSWORD, use_system_keyring=False)


async def test_a_server_that_took_the_ledger_and_no_keyring(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile keeps both secrets until the keyring that holds the former one was read back, also after a stop."""
    owner = await new_someone(server, tmp_path / "owner", "yves-lost")
    await new_space(owner, "Home")

    async def hides(keyring: KeyringDocument) -> KeyringContent | None:
        raise Refused(Code.HISTORY_ROLLED_BACK)

    async with owner.session() as session:
        secret, fetch = session.keys.secret, KeyringDocument.fetch
        with monkeypatch.context() as patch:
            patch.setattr(KeyringDocument, "fetch", hides)
            assert await _code(renew_identity(session, " ".join(owner.words), PASSWORD)) is Code.HISTORY_ROLLED_BACK

    async def forgets(keyring: KeyringDocument) -> KeyringContent | None:
        content = await fetch(keyring)
        return content and KeyringContent(content.server_key, content.account_number, content.account_hash)

    for answer in (hides, forgets):
        with monkeypatch.context() as patch:
            patch.setattr(KeyringDocument, "fetch", answer)
            assert await _code(_opened(owner)) in {Code.HISTORY_ROLLED_BACK, Code.OPEN_FAILED}
        with ProfileFolder(owner.path) as folder:
            held = unwrap(folder.load_account(), PASSWORD)
        assert held.account_secret == secret
        assert held.next_account_secret
    async with owner.session() as session:
        assert session.content.former_secrets == [secret]
        assert len(session.content.spaces) == 1


async def _opened(someone: Someone) -> None:
    async with someone.session():
        pass


async def test_the_new_head_is_pinned(server: ServerProcess, tmp_path: Path) -> None:
    """*The old ledger shown again*: closing the session that made the new identity moves no pin back."""
    owner = await new_someone(server, tmp_path / "owner", "zoe-lost")
    await _renew(owner)
    with ProfileFolder(owner.path) as folder:
        pinned = folder.load_account()
    async with owner.session() as session:
        assert pinned.account_number == session.state.head.number
        assert pinned.keyring_version == session.keyring.version
