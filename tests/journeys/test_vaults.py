"""Vaults, by the engine against a real server: without the passphrase a signed-in device holds nothing that opens."""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest

from safelight.clients.engine import vaults
from safelight.clients.engine.accounts import login, recover
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.epochs import open_epoch_box
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import change_passphrase, find_space, list_spaces
from safelight.clients.engine.unlocking import append_entries, unlock_account
from safelight.sync_protocol.account_ledger import AccountKind, RevokeDeviceBody, Unlocker
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import Committed
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.people import PASSWORD, Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess

PASSPHRASE = "nine quiet owls"
ANOTHER = "a lamp that turns"


async def _owner(server: ServerProcess, path: Path) -> Someone:
    """An account with a vault "Private" and a picture in it."""
    owner = await new_someone(server, path, f"{path.name}-vault")
    owner.passphrase = PASSPHRASE
    await new_space(owner, "Private", "vault")
    await _add(owner, b"a secret picture")
    return owner


async def _add(someone: Someone, picture: bytes) -> None:
    photo = someone.path.with_suffix(".jpg")
    photo.write_bytes(picture + os.urandom(20_000))
    async with someone.space("Private") as space:
        await add_file(space, photo, preview=b"a small picture")


async def _originals(space: SpaceView) -> list[bytes]:
    """What opens of the originals, cut to what they begin with."""
    reader = AssetReader(space)
    assets = [asset async for asset in reader.each() if isinstance(asset, OpenedAsset)]
    return [(await reader.fetch_bytes(asset, RenditionName.ORIGINAL))[:16] for asset in assets]


async def _code(work: Awaitable[object]) -> Code:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.code


async def _shut(someone: Someone) -> list[bool]:
    async with someone.session() as session:
        return [space.is_shut for space in (await list_spaces(session)).spaces]


async def test_a_vault_opens_with_its_passphrase_alone(server: ServerProcess, tmp_path: Path) -> None:
    """Signed in, but without it: not even the name is told. With it: everything, byte for byte."""
    owner = await _owner(server, tmp_path / "anna")
    await new_space(owner, "Home")
    async with owner.space("Private") as space:
        assert await _originals(space) == [b"a secret picture"]
    for passphrase, found in ((None, Code.SPACE_UNKNOWN), (ANOTHER, Code.VAULT_LOCKED)):
        owner.passphrase = passphrase
        async with owner.session() as session:
            listed = {summary.kind: summary for summary in (await list_spaces(session)).spaces}
            vault = listed["vault"]
            assert (vault.name, vault.is_shut, listed["family"].name) == ("", True, "Home")
            assert await _code(find_space(session, "Private")) is found
            with await find_space(session, vault.space_id.hex()) as space:
                await space.sync()
                assert await _code(space.epoch_secrets()) is Code.VAULT_LOCKED
                assert await _code(space.name()) is Code.VAULT_LOCKED
    owner.passphrase = PASSPHRASE
    async with owner.session() as session:
        assert await _code(find_space(session, "Nowhere")) is Code.SPACE_UNKNOWN
        assert [each.name for each in (await list_spaces(session)).spaces] == ["", "Home"], "it was not asked for"
        await find_space(session, "Private")
        assert [each.name for each in (await list_spaces(session)).spaces] == ["Private", "Home"]


async def test_nothing_of_a_vault_lies_in_the_profile(server: ServerProcess, tmp_path: Path) -> None:
    """*A stolen laptop that is signed in*: no log, no key, and the account's own secret opens no box."""
    owner = await _owner(server, tmp_path / "bert")
    async with owner.space("Private") as space:
        secrets, state = await space.epoch_secrets(), space.state
        box = space.index.box(state.epoch.number)
        assert box is not None
        assert space.index._db.execute("PRAGMA temp_store").fetchone() == (2,), "what SQLite sorts stays in memory"
        seed = await space.session.vaults.seed(space.space_id, space.vault_wrap)
        opened = open_epoch_box(state.epoch, state.nonce, owner_id := space.session.account_id, seed, box)
        assert opened == secrets
        with pytest.raises(Refused) as refused:
            open_epoch_box(state.epoch, state.nonce, owner_id, space.session.keys.sealing_seed, box)
        assert refused.value.code is Code.EPOCH_MISMATCH
    files = {path.name: path.read_bytes() for path in owner.path.rglob("*") if path.is_file()}
    assert not any(name.startswith("index") for name in files)
    for secret in (secrets.full, secrets.view, seed, PASSPHRASE.encode()):
        assert secret
        assert not any(secret in data for data in files.values())


async def test_a_vault_that_is_not_used_is_shut(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on using it is asked once; who pauses is asked again, and nothing is held meanwhile."""
    owner = await _owner(server, tmp_path / "carl")
    monkeypatch.setattr(vaults, "FORGOTTEN_AFTER_S", 1.0)
    owner.asked = 0
    async with owner.space("Private") as space:
        for _ in range(5):
            await asyncio.sleep(0.4)
            assert len(await _originals(space)) == 1
        assert owner.asked == 1
        assert space.rolls
        await asyncio.sleep(1.5)
        assert not space.session.vaults.is_open(space.space_id)
        assert not space.rolls
        assert not space._epochs
        assert len(await _originals(space)) == 1
        assert owner.asked == 2
        owner.passphrase = None
        await asyncio.sleep(1.5)
        assert await _code(_originals(space)) is Code.VAULT_LOCKED


async def test_a_vault_on_other_devices(server: ServerProcess, tmp_path: Path) -> None:
    """Neither the account's password nor its recovery words open it; the passphrase does, wherever one is signed in."""
    owner = await _owner(server, tmp_path / "dora")
    with ProfileFolder(tmp_path / "laptop") as folder:
        await login(folder, server.url, owner.name, PASSWORD, use_system_keyring=False)
    with ProfileFolder(tmp_path / "rescued") as folder:
        await recover(folder, server.url, owner.name, " ".join(owner.words), PASSWORD, use_system_keyring=False)
    for path in (tmp_path / "laptop", tmp_path / "rescued"):
        device = Someone(path, owner.name, [])
        assert await _shut(device) == [True]
        device.passphrase = PASSPHRASE
        async with device.space("Private") as space:
            assert await _originals(space) == [b"a secret picture"]


async def test_another_passphrase(server: ServerProcess, tmp_path: Path) -> None:
    """The old one opens nothing any more, on no device; one that is too short changes nothing."""
    owner = await _owner(server, tmp_path / "emil")
    with ProfileFolder(tmp_path / "laptop") as folder:
        await login(folder, server.url, owner.name, PASSWORD, use_system_keyring=False)
    await new_space(owner, "Home")
    async with owner.session() as session:
        with await find_space(session, "Private") as space:
            await space.sync()
            assert await _code(change_passphrase(space, "short")) is Code.BAD_REQUEST
            await change_passphrase(space, ANOTHER)
        with await find_space(session, "Home") as home:
            assert await _code(change_passphrase(home, ANOTHER)) is Code.BAD_REQUEST
    for device in (owner, Someone(tmp_path / "laptop", owner.name, [])):
        device.passphrase = PASSPHRASE
        async with device.session() as session:
            assert await _code(find_space(session, "Private")) is Code.VAULT_LOCKED
        device.passphrase = ANOTHER
        async with device.space("Private") as space:
            assert await _originals(space) == [b"a secret picture"]


async def test_a_vault_has_no_links(server: ServerProcess, tmp_path: Path) -> None:
    """Nor can its owner allow them."""
    owner = await _owner(server, tmp_path / "finn")
    async with owner.space("Private") as space:
        body = SetPolicyBody(Policy(1, "view"))
        assert await _code(space.commit(LedgerKind.SET_POLICY, body)) is Code.LEDGER_RULE
        assert space.state.policy.links == "none"


async def test_two_in_a_vault(server: ServerProcess, tmp_path: Path) -> None:
    """Who joins brings a passphrase of their own, reads what was there, and nothing after their removal."""
    owner = await _owner(server, tmp_path / "gerd")
    hanna = await new_someone(server, tmp_path / "hanna", "hanna-vault", url=server.url)
    hanna.passphrase = ANOTHER
    async with owner.space("Private") as space:
        uri = (await invite_member(space, "Hanna", Role.VIEWER)).uri
    async with hanna.session() as session:
        assert await _code(join_space(session, uri)) is Code.VAULT_LOCKED
        await join_space(session, uri, hanna.ask_passphrase)
        await join_space(session, uri, hanna.ask_passphrase)  # once more, as after a lost answer
    async with owner.space("Private") as space:
        assert [admitted.refused for admitted in await admit_joined(space)] == [None]
    assert await _shut(hanna) == [True]
    hanna.passphrase = PASSPHRASE
    async with hanna.session() as session:
        assert await _code(find_space(session, "Private")) is Code.VAULT_LOCKED
    hanna.passphrase = ANOTHER
    async with hanna.space("Private") as space:
        assert await _originals(space) == [b"a secret picture"]
        held = await space.epoch_secrets()
    async with owner.space("Private") as space:
        await remove_member(
            space, hanna_id := next(key for key in space.state.members if key != space.session.account_id)
        )
    await _add(owner, b"what came after!")
    async with owner.space("Private") as space:
        assert await _originals(space) == [b"a secret picture", b"what came after!"]
        newest = space.state.epoch
        assert newest.number == held.number + 1
        assert hanna_id not in {ref.account_id for ref in newest.boxes}
    async with hanna.session() as session:
        assert await _code(find_space(session, "Private")) is Code.SPACE_UNKNOWN


async def test_a_join_whose_answer_was_lost_keeps_its_key(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A key that nobody has any more*: the boxes would be sealed to the first, so a repeat makes no second."""
    owner = await _owner(server, tmp_path / "ida")
    jan = await new_someone(server, tmp_path / "jan", "jan-vault")
    jan.passphrase = ANOTHER
    async with owner.space("Private") as space:
        uri = (await invite_member(space, "Jan", Role.VIEWER)).uri
    request = Connection.request

    async def losing(self: Connection, method: str, path: str, body: object, shape: type[object]) -> object:
        answer = await request(self, method, path, body, shape)  # type: ignore[arg-type]  # as it comes
        if shape is Committed:
            raise Refused(Code.SERVER_UNREACHABLE)
        return answer

    async with jan.session() as session:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "request", losing)
            assert await _code(join_space(session, uri, jan.ask_passphrase)) is Code.SERVER_UNREACHABLE
        [first] = [known.vaults for known in session.content.spaces]
    async with jan.session() as session:
        await join_space(session, uri, jan.ask_passphrase)
        assert [known.vaults for known in session.content.spaces] == [first]
    async with owner.space("Private") as space:
        assert [admitted.refused for admitted in await admit_joined(space)] == [None]
    async with jan.space("Private") as space:
        assert await _originals(space) == [b"a secret picture"]


async def test_a_device_given_up_is_no_reason_to_ask(server: ServerProcess, tmp_path: Path) -> None:
    """A vault's new epoch, which needs its keys, waits until somebody opens it; listing spaces asks for nothing."""
    owner = await _owner(server, tmp_path / "karl")
    await new_space(owner, "Home")
    with ProfileFolder(tmp_path / "laptop") as folder:
        lost = await login(folder, server.url, owner.name, PASSWORD, use_system_keyring=False)
    assert sorted(await _shut(Someone(tmp_path / "laptop", owner.name, []))) == [False, True]
    async with owner.session() as session:
        opened = await unlock_account(session.connection, owner.name, Unlocker.PASSWORD, PASSWORD)
        chain = opened.chain()
        chain.add(AccountKind.REVOKE_DEVICE, RevokeDeviceBody(lost.device_id), session.clock())
        await append_entries(session.connection, opened, AppendAccountEntries(chain.entries))
    owner.asked = 0
    async with owner.session() as session:
        listing = await list_spaces(session)
        assert (listing.refused, sorted(space.name for space in listing.spaces)) == ({}, ["", "Home"])
        assert owner.asked == 0
        with await find_space(session, "Private") as space:
            state = await space.sync()
            assert state.epoch.number == 2
            assert state.members[session.account_id].account.devices[lost.device_id].revoked
            assert await _originals(space) == [b"a secret picture"]
        assert owner.asked == 1
