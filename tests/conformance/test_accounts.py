"""Invites, accounts, unlockers, keyrings, devices and sessions."""

import asyncio
from dataclasses import replace

import pytest

from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import AccountChange, AccountRow, UnlockerRow
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import DAY_MS, NOW_MS, Library, a_device, a_session, add_account, some_hash, some_id


def new_account(name: str) -> tuple[AccountRow, AccountChange]:
    """An account with a first entry, an unlocker and a device."""
    account_id, entry_id = some_id(), some_hash()
    unlocker = UnlockerRow("password", some_hash(), b"wrapped", some_id(), 65536, 3)
    change = AccountChange(
        account_id, 0, [(1, entry_id, b"one")], NOW_MS, [a_device(some_id(), account_id)], (), [unlocker]
    )
    return AccountRow(account_id, name, NOW_MS, 1, entry_id), change


async def test_create_and_find(database: Database) -> None:
    """An account is found by id and by name, with its ledger, unlocker and device."""
    account, change = new_account("ada")
    await database.add_invite(invite := some_hash(), NOW_MS + 1)
    await database.create_account(account, invite, change, NOW_MS)
    assert await database.account(account.account_id) == account
    assert await database.account_by_name("ada") == account
    assert await database.account_by_name("Ada") is None
    assert await database.account(some_id()) is None
    assert await database.account_entries(account.account_id, 0) == [b"one"]
    assert await database.unlocker(account.account_id, "password") == change.unlockers[0]
    assert await database.unlocker(account.account_id, "recovery") is None
    assert await database.devices_of(account.account_id) == list(change.devices)


async def test_invite_is_used_once(database: Database) -> None:
    """Of fifty who use one invite at once, one gets an account; the others leave nothing."""
    await database.add_invite(invite := some_hash(), NOW_MS + 1)
    accounts = [new_account(f"racer{number}") for number in range(50)]
    results = await asyncio.gather(
        *(database.create_account(account, invite, change, NOW_MS) for account, change in accounts),
        return_exceptions=True,
    )
    refusals = [result.code for result in results if isinstance(result, Refused)]
    assert refusals == [Code.INVITE_INVALID] * 49
    created = [account for account, _ in accounts if await database.account(account.account_id)]
    assert len(created) == 1
    devices = [await database.devices_of(account.account_id) for account, _ in accounts]
    assert sum(map(len, devices)) == 1


async def test_invite_expires(database: Database) -> None:
    """An invite whose time is over opens nothing, nor does one that never was."""
    await database.add_invite(invite := some_hash(), NOW_MS)
    for code_hash in (invite, some_hash()):
        with pytest.raises(Refused) as refusal:
            await database.create_account(*_with(new_account("late"), code_hash), NOW_MS)
        assert refusal.value.code is Code.INVITE_INVALID


def _with(made: tuple[AccountRow, AccountChange], invite: bytes) -> tuple[AccountRow, bytes, AccountChange]:
    return made[0], invite, made[1]


async def test_taken_name_keeps_the_invite(database: Database) -> None:
    """Where the name is taken the invite stays good: both or neither."""
    await add_account(database, "ada")
    await database.add_invite(invite := some_hash(), NOW_MS + 1)
    with pytest.raises(Refused) as refusal:
        await database.create_account(*_with(new_account("ada"), invite), NOW_MS)
    assert refusal.value.code is Code.NAME_TAKEN
    await database.create_account(*_with(new_account("bea"), invite), NOW_MS)


async def test_change_account(database: Database) -> None:
    """A change appends to the ledger, adds and revokes devices and sets unlockers, all at once."""
    account_id, device_id = await add_account(database)
    session = a_session(account_id, device_id)
    await database.add_session(session)
    device, entry_id = a_device(some_id(), account_id), some_hash()
    unlocker = UnlockerRow("password", some_hash(), b"other", some_id(), 65536, 4)
    change = AccountChange(account_id, 1, [(2, entry_id, b"two")], NOW_MS, [device], [device_id], [unlocker])
    await database.change_account(change)
    account = await database.account(account_id)
    assert account is not None
    assert (account.ledger_number, account.ledger_hash) == (2, entry_id)
    assert await database.account_entries(account_id, 1) == [b"two"]
    assert await database.unlocker(account_id, "password") == unlocker
    assert {row.device_id: row.revoked for row in await database.devices_of(account_id)} == {
        device_id: True,
        device.device_id: False,
    }
    assert await database.session(session.token_hash) is None


async def test_a_change_with_a_keyring(database: Database) -> None:
    """Both or neither: where the keyring is not the next one, nothing of the change is kept."""
    account_id, _ = await add_account(database)
    for version, expected in ((2, 0), (1, 1), (1, 1), (2, 2)):
        account = await database.account(account_id)
        assert account is not None
        change = AccountChange(
            account_id,
            account.ledger_number,
            [(account.ledger_number + 1, some_hash(), b"next")],
            NOW_MS,
            keyring=(version, b"a keyring"),
        )
        before = await database.account_entries(account_id, 0)
        kept = (await database.keyring(account_id))[0]
        if version == kept + 1:
            await database.change_account(change)
            assert len(await database.account_entries(account_id, 0)) == len(before) + 1
        else:
            with pytest.raises(Refused) as refusal:
                await database.change_account(change)
            assert refusal.value.code is Code.KEYRING_CONFLICT
            assert await database.account_entries(account_id, 0) == before
        assert (await database.keyring(account_id))[0] == expected


async def test_account_ledger_has_one_next_entry(database: Database) -> None:
    """Of two that append at one place one does; a change at an old place writes nothing."""
    account_id, _ = await add_account(database)
    changes = [
        AccountChange(account_id, 1, [(2, some_hash(), b"two")], NOW_MS, [a_device(some_id(), account_id)])
        for _ in range(10)
    ]
    results = await asyncio.gather(*map(database.change_account, changes), return_exceptions=True)
    assert [result.code for result in results if isinstance(result, Refused)] == [Code.ACCOUNT_LEDGER_CONFLICT] * 9
    assert len(await database.devices_of(account_id)) == 2
    assert len(await database.account_entries(account_id, 0)) == 2


async def test_device_id_is_given_once(database: Database) -> None:
    """A device's id cannot be taken over by another account, whose whole change then falls."""
    account_id, device_id = await add_account(database)
    other_id, _ = await add_account(database)
    change = AccountChange(other_id, 1, [(2, some_hash(), b"two")], NOW_MS, [a_device(device_id, other_id)])
    with pytest.raises(Refused) as refusal:
        await database.change_account(change)
    assert refusal.value.code is Code.ACCOUNT_LEDGER_CONFLICT
    assert len(await database.account_entries(other_id, 0)) == 1
    device = await database.device(device_id)
    assert device is not None
    assert device.owner_id == account_id


async def test_nobody_revokes_anothers_device(database: Database) -> None:
    """An account revokes its own devices only."""
    _, device_id = await add_account(database)
    other_id, _ = await add_account(database)
    await database.change_account(AccountChange(other_id, 1, [(2, some_hash(), b"two")], NOW_MS, (), [device_id]))
    device = await database.device(device_id)
    assert device is not None
    assert not device.revoked


async def test_keyring_versions(database: Database) -> None:
    """A keyring's versions follow one another; of two next ones, one is kept."""
    account_id, device_id = await add_account(database)
    await database.add_session(session := a_session(account_id, device_id))
    token_hash = session.token_hash
    assert await database.keyring(account_id) == (0, b"")
    results = await asyncio.gather(
        *(database.put_keyring(account_id, token_hash, 1, b"ring %d" % number) for number in range(5)),
        return_exceptions=True,
    )
    assert sum(result is None for result in results) == 1
    assert (await database.keyring(account_id))[0] == 1
    await database.put_keyring(account_id, token_hash, 2, b"second")
    for version in (1, 2, 4):
        with pytest.raises(Refused) as refusal:
            await database.put_keyring(account_id, token_hash, version, b"no")
        assert refusal.value.code is Code.KEYRING_CONFLICT
    other_id, other_device_id = await add_account(database)
    await database.add_session(others := a_session(other_id, other_device_id))
    for wrong in (some_hash(), others.token_hash):
        with pytest.raises(Refused) as refusal:
            await database.put_keyring(account_id, wrong, 3, b"no")
        assert refusal.value.code is Code.SESSION_REQUIRED
    await database.change_account(AccountChange(account_id, 1, [(2, some_hash(), b"two")], NOW_MS, (), [device_id]))
    with pytest.raises(Refused) as refusal:
        await database.put_keyring(account_id, token_hash, 3, b"no")
    assert refusal.value.code is Code.SESSION_REQUIRED
    assert await database.keyring(account_id) == (2, b"second")


async def test_a_change_by_a_session(database: Database) -> None:
    """What a session asks for is appended only while it stands, whatever else would fit."""
    account_id, device_id = await add_account(database)
    await database.add_session(session := a_session(account_id, device_id))
    change = AccountChange(account_id, 1, [(2, some_hash(), b"two")], NOW_MS, token_hash=session.token_hash)
    with pytest.raises(Refused) as refusal:
        await database.change_account(replace(change, token_hash=some_hash()))
    assert refusal.value.code is Code.SESSION_REQUIRED
    await database.change_account(change)
    revocation = AccountChange(account_id, 2, [(3, some_hash(), b"three")], NOW_MS, (), [device_id])
    await database.change_account(replace(revocation, token_hash=session.token_hash))
    late = AccountChange(account_id, 3, [(4, some_hash(), b"four")], NOW_MS, token_hash=session.token_hash)
    with pytest.raises(Refused) as refusal:
        await database.change_account(late)
    assert refusal.value.code is Code.SESSION_REQUIRED
    assert len(await database.account_entries(account_id, 0)) == 3


async def test_a_ticket_of_an_unlocker(database: Database) -> None:
    """It is kept if the unlocker that gave it is still the account's."""
    account_id, _ = await add_account(database)
    first, second = (UnlockerRow("password", some_hash(), b"wrapped", some_id(), 65536, 3) for _ in range(2))
    await database.change_account(AccountChange(account_id, 1, (), NOW_MS, unlockers=[first]))
    ticket = replace(a_session(account_id, b""), purpose="ticket")
    await database.add_ticket(ticket, first)
    assert await database.session(ticket.token_hash) == ticket
    await database.change_account(AccountChange(account_id, 1, (), NOW_MS, unlockers=[second]))
    late = replace(ticket, token_hash=some_hash())
    for unlocker in (first, replace(second, kind="recovery")):
        with pytest.raises(Refused) as refusal:
            await database.add_ticket(late, unlocker)
        assert refusal.value.code is Code.UNLOCK_FAILED
    assert await database.session(ticket.token_hash) is None
    assert await database.session(late.token_hash) is None


async def test_sessions(database: Database) -> None:
    """A session is found by its token's hash until it is deleted."""
    account_id, device_id = await add_account(database)
    session = a_session(account_id, device_id)
    ticket = replace(session, token_hash=some_hash(), purpose="ticket", device_id=b"")
    await database.add_session(session)
    await database.add_session(ticket)
    assert await database.session(session.token_hash) == session
    assert await database.session(ticket.token_hash) == ticket
    await database.delete_session(session.token_hash)
    assert await database.session(session.token_hash) is None
    assert await database.session(ticket.token_hash) == ticket


async def test_revoked_device_has_no_session(library: Library) -> None:
    """A revocation ends the camera's sessions at the next request, those made after it included."""
    camera = a_device(some_id(), library.account_id, library.space_id)
    await library.do(replace(library.a_ledger_entry(camera.device_id), cameras=[camera]))
    session = a_session(library.account_id, camera.device_id)
    await library.database.add_session(session)
    assert await library.database.session(session.token_hash) == session
    await library.do(replace(library.a_ledger_entry(epoch=2), revoked_devices=[camera.device_id]))
    assert await library.database.session(session.token_hash) is None
    late = a_session(library.account_id, camera.device_id)
    await library.database.add_session(late)
    assert await library.database.session(late.token_hash) is None


async def test_delete_expired(library: Library) -> None:
    """Sessions, invites and hand-overs whose time is over are gone; the others stay."""
    database = library.database
    link_id = await library.publish(await library.a_link())
    old = a_session(library.account_id, library.device_id, NOW_MS)
    young = a_session(library.account_id, library.device_id, NOW_MS + 1)
    for session in (old, young):
        await database.add_session(session)
    await database.add_invite(invite := some_hash(), NOW_MS)
    await database.delete_expired(NOW_MS)
    assert await database.session(old.token_hash) is None
    assert await database.session(young.token_hash) == young
    with pytest.raises(Refused):
        await database.create_account(*_with(new_account("late"), invite), NOW_MS - DAY_MS)
    assert await database.link(link_id) is not None


async def test_touch_device(database: Database) -> None:
    """When a device was last seen only grows."""
    _, device_id = await add_account(database)
    for now_ms in (NOW_MS + 5, NOW_MS + 3):
        await database.touch_device(device_id, now_ms)
    device = await database.device(device_id)
    assert device is not None
    assert device.last_seen_ms == NOW_MS + 5


async def test_meta(database: Database) -> None:
    """A value about the server is kept until it is set anew."""
    assert await database.get_meta("key") is None
    for value in (b"one", b"two"):
        await database.set_meta("key", value)
        assert await database.get_meta("key") == value
    assert await database.highest_time_ms() == 0


async def test_sessions_are_limited(database: Database) -> None:
    """A device that signs in again and again keeps its newest sessions; another device's are not touched."""
    account_id, device_id = await add_account(database)
    others = [a_session(account_id, some_id()), replace(a_session(account_id, b""), purpose="ticket")]
    sessions = [a_session(account_id, device_id, NOW_MS + number) for number in range(50)]
    for session in [*others, *sessions]:
        await database.add_session(session)
    kept = [await database.session(session.token_hash) is not None for session in sessions]
    assert kept == [False] * 18 + [True] * 32
    assert [await database.session(session.token_hash) for session in others] == others
