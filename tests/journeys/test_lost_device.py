"""A lost device, by the engine against a real server: what its thief still opens, and what goes on for its owner."""

import os
import shutil
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from safelight.clients.engine.account_changes import recovery_words, words_were_shown
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.accounts import login, recover
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.devices import find_device, list_devices, revoke_device, tell_spaces
from safelight.clients.engine.epochs import open_epoch_box
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import begin_epoch_that_is_due
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from tests.support.people import PASSWORD, Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _add(someone: Someone, space: str, picture: bytes) -> None:
    photo = someone.path.with_name(f"{os.urandom(4).hex()}.jpg")
    photo.write_bytes(picture)
    async with someone.space(space) as view:
        await add_file(view, photo, preview=b"small")


async def _originals(someone: Someone, space: str) -> list[bytes]:
    async with someone.space(space) as view:
        reader = AssetReader(view)
        assets = [asset async for asset in reader.each() if isinstance(asset, OpenedAsset)]
        return [await reader.fetch_bytes(asset, RenditionName.ORIGINAL) for asset in assets]


async def _laptop(server: ServerProcess, owner: Someone, path: Path) -> Someone:
    with ProfileFolder(path) as folder:
        await login(folder, server.url, owner.name, PASSWORD, use_system_keyring=False)
    laptop = Someone(path, owner.name, owner.words)
    async with laptop.session() as session:
        await list_spaces(session)  # each hears of the new device
    return laptop


async def _lose(owner: Someone) -> None:
    async with owner.session() as session:
        await renew_identity(session, " ".join(owner.words), PASSWORD)
    async with owner.session() as session:
        assert {outcome.refused for outcome in await tell_spaces(session)} == {None}


async def _code(work: Awaitable[object]) -> Code:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.code


async def test_a_stolen_laptop_opens_nothing_that_comes_after(server: ServerProcess, tmp_path: Path) -> None:
    """*Stolen laptop opens the next epoch*: with all that it held, and even the box itself, it opens no newer one."""
    owner = await new_someone(server, tmp_path / "owner", "nora-lost")
    await new_space(owner, "Home")
    await _add(owner, "Home", b"before")
    laptop = await _laptop(server, owner, tmp_path / "laptop")
    async with laptop.space("Home") as space:
        stolen = list(space.session.sealing_seeds())
        old_number = space.state.epoch.number
    await _lose(owner)
    await _add(owner, "Home", b"after")
    assert await _originals(owner, "Home") == [b"before", b"after"]
    async with owner.space("Home") as space:
        newest = space.state.epoch
        assert newest.number == old_number + 1
        await space.epoch_secrets()
        box = space.index.box(newest.number)
        assert box is not None
        for seed in stolen:
            with pytest.raises(Refused) as refused:
                open_epoch_box(newest, space.state.nonce, space.session.account_id, seed, box)
            assert refused.value.code is Code.EPOCH_MISMATCH
        assert list(space.session.sealing_seeds())[1:] == stolen
        devices = await list_devices(space.session)
        assert [device.revoked for device in devices] == [False, True]
        assert devices[1].last_seen_ms
    async with owner.session() as session:
        assert await _code(_opened(laptop)) in {Code.DEVICE_REVOKED, Code.SIGNATURE_INVALID}
        assert session.content.former_secrets


async def _opened(someone: Someone) -> None:
    async with someone.session():
        pass


async def test_password_and_words_go_on(server: ServerProcess, tmp_path: Path) -> None:
    """On new devices everything opens, what came before included, by the same password and the same words."""
    owner = await new_someone(server, tmp_path / "owner", "olga-lost")
    await new_space(owner, "Home")
    await _add(owner, "Home", b"before")
    await _lose(owner)
    laptop = await _laptop(server, owner, tmp_path / "laptop")
    assert await _originals(laptop, "Home") == [b"before"]
    with ProfileFolder(tmp_path / "rescued") as folder:
        await recover(folder, server.url, owner.name, " ".join(owner.words), PASSWORD, use_system_keyring=False)
    assert await _originals(Someone(tmp_path / "rescued", owner.name, []), "Home") == [b"before"]
    await _lose(owner)  # and once more
    assert await _originals(owner, "Home") == [b"before"]
    async with owner.session() as session:
        assert len(session.content.former_secrets) == 2


async def test_what_does_not_vouch_changes_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """Another's words, newer words, words that are none, another password."""
    owner = await new_someone(server, tmp_path / "owner", "paul-lost")
    other = await new_someone(server, tmp_path / "other", "quin-lost")
    with ProfileFolder(owner.path) as folder:
        words_were_shown(folder, PASSWORD)
        newer = await recovery_words(folder, PASSWORD)
        words_were_shown(folder, PASSWORD)
    async with owner.session() as session:
        identity = session.state.identity
        for words in (other.words, newer, newer[:-1]):
            assert await _code(renew_identity(session, " ".join(words), PASSWORD)) is Code.WORDS_INVALID
        wrong = "another password"
        assert await _code(renew_identity(session, " ".join(owner.words), wrong)) is Code.PROFILE_LOCKED
    async with owner.session() as session:
        assert session.state.identity == identity
        await renew_identity(session, " ".join(owner.words), PASSWORD)
    async with owner.session() as session:
        assert session.state.identity != identity


@pytest.mark.parametrize("answered", [True, False])
async def test_stopped_in_between(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """*An account that nothing opens any more*: whether or not the server has taken it, the profile still opens."""
    owner = await new_someone(server, tmp_path / "owner", f"rosa-lost-{answered}".lower())
    await new_space(owner, "Home")
    await _add(owner, "Home", b"before")

    append = AccountSession.append

    async def broken(session: AccountSession, asked: AppendAccountEntries, *, repeatable: bool) -> None:
        if answered:
            await append(session, asked, repeatable=repeatable)
        raise Refused(Code.SERVER_UNREACHABLE)

    async with owner.session() as session:
        before = session.state.identity
        with monkeypatch.context() as patch:
            patch.setattr(AccountSession, "append", broken)
            assert await _code(renew_identity(session, " ".join(owner.words), PASSWORD)) is Code.SERVER_UNREACHABLE
    async with owner.session() as session:
        assert (session.state.identity != before) is answered
    assert await _originals(owner, "Home") == [b"before"]
    await _lose(owner)
    assert await _originals(owner, "Home") == [b"before"]


async def test_in_others_spaces(server: ServerProcess, tmp_path: Path) -> None:
    """A viewer begins the new epoch itself; for a previewer a manager's client does, and it reads on meanwhile."""
    host = await new_someone(server, tmp_path / "host", "host-lost")
    guest = await new_someone(server, tmp_path / "guest", "guest-lost")
    epochs = {}
    for name, role in (("Full", Role.VIEWER), ("Small", Role.PREVIEWER)):
        await new_space(host, name)
        async with host.space(name) as space:
            uri = (await invite_member(space, "Guest", role)).uri
        async with guest.session() as session:
            await join_space(session, uri)
        async with host.space(name) as space:
            await admit_joined(space)
        await _add(host, name, b"before")
        async with guest.space(name) as space:
            epochs[name] = space.state.epoch.number
            stolen = space.session.keys.sealing_seed
    await _lose(guest)
    async with guest.space("Full") as space:
        assert space.state.epoch.number == epochs["Full"] + 1
    assert await _originals(guest, "Full") == [b"before"]
    async with guest.space("Small") as space:
        assert space.state.epoch.number == epochs["Small"]
        assert space.state.epoch_due
        assert (await space.epoch_secrets()).view
    async with host.space("Small") as space:
        assert await begin_epoch_that_is_due(space)
        await add_file(space, _photo(tmp_path), preview=b"small")
    async with guest.space("Small") as space:
        assert space.state.epoch.number == epochs["Small"] + 1
        assert len(await _previews(space)) == 2
        box = space.index.box(space.state.epoch.number)
        assert box is not None
        with pytest.raises(Refused):
            open_epoch_box(space.state.epoch, space.state.nonce, space.session.account_id, stolen, box)


def _photo(folder: Path) -> Path:
    path = folder / "after.jpg"
    path.write_bytes(b"after")
    return path


async def _previews(space: SpaceView) -> list[bytes]:
    reader = AssetReader(space)
    assets = [asset async for asset in reader.each() if isinstance(asset, OpenedAsset)]
    return [await reader.fetch_bytes(asset, RenditionName.PREVIEW) for asset in assets]


async def test_a_vault_hears_of_it_when_it_is_opened(server: ServerProcess, tmp_path: Path) -> None:
    """Its passphrase opens it as before; until then nobody is asked for it, and the space list goes on."""
    owner = await new_someone(server, tmp_path / "owner", "sven-lost")
    owner.passphrase = "nine quiet owls"
    await new_space(owner, "Private", "vault")
    await _add(owner, "Private", b"before")
    owner.passphrase = None
    async with owner.session() as session:
        await renew_identity(session, " ".join(owner.words), PASSWORD)
    async with owner.session() as session:
        [outcome] = await tell_spaces(session)
        assert outcome.refused is not None
        assert outcome.refused.code is Code.VAULT_LOCKED
        assert [space.is_shut for space in (await list_spaces(session)).spaces] == [True]
    owner.passphrase = "nine quiet owls"
    assert await _originals(owner, "Private") == [b"before"]
    await _add(owner, "Private", b"after")
    assert await _originals(owner, "Private") == [b"before", b"after"]
    async with owner.session() as session:
        assert [outcome.refused for outcome in await tell_spaces(session)] == [None]
    async with owner.space("Private") as space:
        assert space.state.epoch.number == 2


async def test_a_device_that_one_still_has(server: ServerProcess, tmp_path: Path) -> None:
    """Revoked, it signs in no more, and a new epoch begins; a prefix that fits none, or this device, is refused."""
    owner = await new_someone(server, tmp_path / "owner", "tina-lost")
    await new_space(owner, "Home")
    laptop = await _laptop(server, owner, tmp_path / "laptop")
    shutil.copytree(laptop.path, tmp_path / "copy")
    async with owner.session() as session:
        devices = await list_devices(session)
        [mine] = [device for device in devices if device.is_this]
        [other] = [device for device in devices if not device.is_this]
        for wrong in ("", "zzzz", mine.device_id.hex()):
            with pytest.raises(Refused):
                find_device(devices, wrong)
        twin = replace(other, device_id=other.device_id[:4] + os.urandom(12))
        with pytest.raises(Refused):
            find_device([*devices, twin], other.device_id.hex()[:8])
        await revoke_device(session, find_device(devices, other.device_id.hex()[:8]).device_id)
        assert [outcome.refused for outcome in await tell_spaces(session)] == [None]
    async with owner.space("Home") as space:
        assert space.state.epoch.number == 2
    for gone in (laptop, Someone(tmp_path / "copy", owner.name, [])):
        assert await _code(_opened(gone)) in {Code.DEVICE_REVOKED, Code.SIGNATURE_INVALID}
