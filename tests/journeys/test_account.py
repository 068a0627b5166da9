"""Accounts by the engine against a real server: created, used on several devices, recovered, given a new password."""

from pathlib import Path

import pytest

from safelight.clients.engine.account_changes import change_password
from safelight.clients.engine.accounts import create_account, login, recover
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.spaces import create_space, list_spaces
from safelight.sync_protocol.refusals import Code, Refused
from tests.hostile.proxy import lying_server
from tests.support.people import PASSWORD, Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _login(server: ServerProcess, path: Path, name: str, password: str = PASSWORD) -> Someone:
    with ProfileFolder(path) as folder:
        await login(folder, server.url, name, password, use_system_keyring=False)
    return Someone(path, name, [], password)


async def test_a_second_device_reads_and_writes(server: ServerProcess, tmp_path: Path) -> None:
    """A laptop that logs in sees the spaces of the account and may add to them at once."""
    anna = await new_someone(server, tmp_path / "anna", "anna")
    await new_space(anna, "Home")
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"picture")
    laptop = await _login(server, tmp_path / "laptop", "anna")
    async with laptop.space("Home") as space:
        await add_file(space, photo)
    async with anna.space("Home") as space:
        assert len(list(space.index.assets())) == 1
        assert space.problems == []
        assert len(space.state.members[space.session.account_id].account.devices) == 2


async def test_recovery_words_set_a_new_password(server: ServerProcess, tmp_path: Path) -> None:
    """Who forgot the password gets in by the words, typed loosely; the old password then opens nothing new."""
    bert = await new_someone(server, tmp_path / "bert", "bert")
    await new_space(bert, "Shed")
    assert len(bert.words) == 24
    with ProfileFolder(tmp_path / "again") as folder:
        typed = " , ".join(bert.words).upper()
        await recover(folder, server.url, "bert", typed, "another password", use_system_keyring=False)
    again = Someone(tmp_path / "again", "bert", [], "another password")
    async with again.session() as session:
        assert [space.name for space in (await list_spaces(session)).spaces] == ["Shed"]
    with pytest.raises(Refused) as refused:
        await _login(server, tmp_path / "old", "bert")
    assert refused.value.code is Code.UNLOCK_FAILED
    async with bert.session() as session:  # the first device goes on
        assert len(session.state.devices) == 2


async def test_changing_the_password(server: ServerProcess, tmp_path: Path) -> None:
    """The new password opens this profile and the account; the old one neither."""
    cora = await new_someone(server, tmp_path / "cora", "cora")
    with ProfileFolder(cora.path) as folder:
        with pytest.raises(Refused) as refused:
            await change_password(folder, "not the password", "brand new password", use_system_keyring=False)
        assert refused.value.code is Code.UNLOCK_FAILED
        await change_password(folder, PASSWORD, "brand new password", use_system_keyring=False)
    with pytest.raises(Refused) as refused:
        async with cora.session():
            pass
    assert refused.value.code is Code.PROFILE_LOCKED
    changed = Someone(cora.path, "cora", [], "brand new password")
    async with changed.session() as session:
        assert session.state.head.number == 4
    await _login(server, tmp_path / "cora2", "cora", "brand new password")


async def test_what_cannot_be_created(server: ServerProcess, tmp_path: Path) -> None:
    """A used or wrong invite, a taken or odd name, a short password: each its own refusal, and no profile is left."""
    await new_someone(server, tmp_path / "dora", "dora")
    cases = [
        ("x", "eve", PASSWORD, Code.INVITE_INVALID),
        (server.invite(), "dora", PASSWORD, Code.NAME_TAKEN),
        ("x", "two words", PASSWORD, Code.NAME_INVALID),
        ("x", "eve", "short", Code.BAD_REQUEST),
    ]
    for number, (invite, name, password, code) in enumerate(cases):
        with ProfileFolder(tmp_path / str(number)) as folder:
            with pytest.raises(Refused) as refused:
                await create_account(folder, server.url, name, invite, password, use_system_keyring=False)
            assert refused.value.code is code
            with pytest.raises(Refused) as refused:
                folder.load()
            assert refused.value.code is Code.PROFILE_MISSING


async def test_a_profile_is_not_overwritten(server: ServerProcess, tmp_path: Path) -> None:
    """Logging in where a profile is already is refused before anything is sent."""
    await new_someone(server, tmp_path / "finn", "finn")
    with pytest.raises(Refused) as refused:
        await _login(server, tmp_path / "finn", "finn")
    assert refused.value.code is Code.PROFILE_EXISTS


async def test_wrong_password_and_unknown_name_look_alike(server: ServerProcess, tmp_path: Path) -> None:
    """Nobody learns from an answer which names exist."""
    await new_someone(server, tmp_path / "gus", "gus")
    codes = []
    for name in ("gus", "nobody-of-that-name"):
        with pytest.raises(Refused) as refused:
            await _login(server, tmp_path / f"try-{name}", name, "a wrong password")
        codes.append((refused.value.code, refused.value.detail))
    assert codes[0] == codes[1]
    assert codes[0][0] is Code.UNLOCK_FAILED


async def test_spaces_that_cannot_be_made(server: ServerProcess, tmp_path: Path) -> None:
    """A vault without a passphrase, another space with one, a passphrase that is short, and a name that is taken."""
    hans = await new_someone(server, tmp_path / "hans", "hans")
    async with hans.session() as session:
        for kind, passphrase in (("vault", None), ("vault", "7 chars"), ("family", "a long passphrase")):
            with pytest.raises(Refused) as refused:
                await create_space(session, "Secrets", kind, passphrase)  # type: ignore[arg-type]  # a word of three
            assert refused.value.code is Code.BAD_REQUEST
        await create_space(session, "Shed", "family")
        with pytest.raises(Refused) as refused:
            await create_space(session, " Shed ", "work")
        assert refused.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize("url", ["http://example.org", "ftp://localhost", "localhost:8080", "http://192.168.1.7:80"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """No password is ever typed towards an address that anybody on the way can read."""
    with pytest.raises(Refused) as refused:
        Connection(url)
    assert refused.value.code is Code.INSECURE_SERVER


async def test_two_devices_change_the_keyring_at_once(server: ServerProcess, tmp_path: Path) -> None:
    """Each device's change is made on top of the other's: both spaces are there for both."""
    ida = await new_someone(server, tmp_path / "ida", "ida")
    laptop = await _login(server, tmp_path / "laptop", "ida")
    async with ida.session() as first, laptop.session() as second:
        await create_space(first, "One", "family")
        await create_space(second, "Two", "work")
    for device in (ida, laptop):
        async with device.session() as session:
            listing = await list_spaces(session)
            assert sorted((space.name, space.kind) for space in listing.spaces) == [("One", "family"), ("Two", "work")]
            assert listing.refused == {}


async def test_a_space_whose_receipt_was_lost(server: ServerProcess, tmp_path: Path) -> None:
    """The server took the genesis and its answer was lost: the keyring knows the space, so it counts."""
    jan = await new_someone(server, tmp_path / "jan", "jan")
    async with lying_server(server.url) as proxy:
        proxy.lie("POST", "/v1/spaces$", lambda e: e.cut())
        async with jan.session() as session:
            honest = session.connection
            session.connection = Connection(
                proxy.url, server_key=honest.server_key, device=session.device, retries=Retries(attempts=1)
            )
            async with session.connection:
                with pytest.raises(Refused) as refused:
                    await create_space(session, "Home", "family")
            assert refused.value.code is Code.SERVER_UNREACHABLE
            session.connection = honest
            listing = await list_spaces(session)
            assert [space.name for space in listing.spaces] == ["Home"]
            assert listing.refused == {}
