"""A lying server against accounts: each attack ends in a named refusal, before anything is given away."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.account_entries import AccountKeys, start_account
from safelight.clients.engine.accounts import login, recover
from safelight.clients.engine.connection import DeviceKey
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.messages.accounts import AccountLedger, Keyring, Unlocked, UnlockStarted
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.spaces import Spaces
from safelight.sync_protocol.refusals import Code, Refused
from tests.hostile.proxy import Exchange, Proxy
from tests.support.people import Someone, new_space


async def _login(victim: Someone, proxy: Proxy, path: Path) -> Refused:
    with ProfileFolder(path) as folder:
        with pytest.raises(Refused) as refused:
            await login(folder, proxy.url, victim.name, victim.password, use_system_keyring=False)
        with pytest.raises(Refused):
            folder.load()  # nothing is left of it
    return refused.value


async def _open(victim: Someone) -> Refused:
    with pytest.raises(Refused) as refused:
        async with victim.session():
            pass
    return refused.value


@pytest.mark.parametrize(
    ("memory_kib", "passes"), [(1024, 3), (65536, 1), (64 * 1024 * 1024, 3), (65536, 1000), (0, 0)]
)
async def test_costs_outside_the_safe_range(
    victim: Someone, proxy: Proxy, tmp_path: Path, memory_kib: int, passes: int
) -> None:
    """Lowered KDF parameters, and a memory bomb: no password is stretched, and nothing made of it is sent."""
    sent: list[Exchange] = []

    def lower(exchange: Exchange) -> Exchange:
        return exchange.changed(exchange.as_(UnlockStarted), memory_kib=memory_kib, passes=passes)

    def note(exchange: Exchange) -> Exchange:
        sent.append(exchange)
        return exchange

    proxy.lie("POST", "/v1/unlock/start", lower)
    proxy.lie("POST", "/v1/unlock/finish", note)
    refusal = await _login(victim, proxy, tmp_path / "laptop")
    assert refusal.code is Code.PASSWORD_COST_REFUSED
    assert sent == []


async def test_another_identity_in_the_account_ledger(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Swapped account entries: a ledger with keys of the server's own is not the account's."""
    device = DeviceKey(b"d" * 16, b"s" * 32)
    forged = start_account(AccountKeys(b"x" * 32), b"r" * 32, device, signed_ms=1)

    def swap(exchange: Exchange) -> Exchange:
        return exchange.changed(exchange.as_(Unlocked), ledger=forged.entries, account_id=forged.account_id.hex())

    proxy.lie("POST", "/v1/unlock/finish", swap)
    assert (await _login(victim, proxy, tmp_path / "laptop")).code is Code.LEDGER_RULE


async def test_an_unlocker_that_the_account_never_set(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Unlocker replaced: a wrapped secret whose hash does not stand in the ledger is not tried."""

    def swap(exchange: Exchange) -> Exchange:
        unlocked = exchange.as_(Unlocked)
        return exchange.changed(unlocked, wrapped=unlocked.wrapped[:-1] + bytes([unlocked.wrapped[-1] ^ 1]))

    proxy.lie("POST", "/v1/unlock/finish", swap)
    assert (await _login(victim, proxy, tmp_path / "laptop")).code is Code.LEDGER_RULE


async def test_recovery_turned_against_the_account(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Recovery is answered with the password's wrapping, or another's: refused, and no password is set."""
    kept: list[bytes] = []

    def swap(exchange: Exchange) -> Exchange:
        kept.append(exchange.request_body)
        return exchange.changed(exchange.as_(Unlocked), wrapped=b"w" * 200)

    proxy.lie("POST", "/v1/unlock/finish", swap)
    with ProfileFolder(tmp_path / "again") as folder, pytest.raises(Refused) as refused:
        await recover(folder, proxy.url, victim.name, " ".join(victim.words), "new password", use_system_keyring=False)
    assert refused.value.code is Code.LEDGER_RULE
    assert len(kept) == 1


async def test_an_account_ledger_that_was_cut_short(victim: Someone, proxy: Proxy) -> None:
    """Rolled back: what this device saw of its account's ledger must still be there."""

    def cut(exchange: Exchange) -> Exchange:
        ledger = exchange.as_(AccountLedger)
        return exchange.changed(ledger, entries=ledger.entries[:-1])

    proxy.lie("GET", "/v1/accounts/.*/ledger", cut)
    assert (await _open(victim)).code is Code.HISTORY_ROLLED_BACK


async def test_a_keyring_that_was_rolled_back(victim: Someone, proxy: Proxy) -> None:
    """An older keyring, however well sealed, is noticed; and so is an older one under a newer number."""
    first: list[Keyring] = []

    def note(exchange: Exchange) -> Exchange:
        first.append(exchange.as_(Keyring))
        return exchange

    proxy.lie("GET", "/v1/keyring", note)
    async with victim.session():
        pass
    await new_space(victim, "Home")
    proxy.be_honest()
    old = first[0]
    proxy.lie("GET", "/v1/keyring", lambda e: e.with_json(old))
    assert (await _open(victim)).code is Code.HISTORY_ROLLED_BACK
    proxy.be_honest()
    proxy.lie("GET", "/v1/keyring", lambda e: e.changed(e.as_(Keyring), sealed=old.sealed))
    assert (await _open(victim)).code is Code.OPEN_FAILED


async def test_a_server_with_another_key(victim: Someone, proxy: Proxy) -> None:
    """Server key changed: whoever answers at the address is not the server that this profile knows."""
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), server_key=hashlib.sha256(b"").digest()))
    assert (await _open(victim)).code is Code.SERVER_KEY_CHANGED


async def test_a_space_that_i_never_made_or_joined(victim: Someone, proxy: Proxy) -> None:
    """Injected space: listed by the server and not by the keyring, it is ignored and reported."""
    await new_space(victim, "Home")

    def inject(exchange: Exchange) -> Exchange:
        spaces = exchange.as_(Spaces).spaces
        ghost = msgspec.structs.replace(spaces[0], space_id="ab" * 32)
        return exchange.with_json(Spaces([*spaces, ghost]))

    proxy.lie("GET", "/v1/spaces$", inject)
    async with victim.session() as session:
        listing = await list_spaces(session)
    assert [space.name for space in listing.spaces] == ["Home"]
    assert {key: refusal.code for key, refusal in listing.refused.items()} == {b"\xab" * 32: Code.SPACE_INJECTED}


async def test_a_space_that_is_hidden(victim: Someone, proxy: Proxy) -> None:
    """A space that the keyring lists and the server shows no more is missed, not forgotten."""
    space_id = await new_space(victim, "Home")
    proxy.lie("GET", "/v1/spaces$", lambda e: e.with_json(Spaces([])))
    async with victim.session() as session:
        listing = await list_spaces(session)
    assert listing.spaces == []
    assert listing.refused[space_id].code is Code.SPACE_UNKNOWN
