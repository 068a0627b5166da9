"""Accounts: creating one by invite, logging in on another device, recovering by words, changing the password.

Every step that a server could turn against a person is checked here: the costs it asks for, the wrapped secret it hands
out, and the account's ledger, whose identity must be the one that the account secret makes.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from safelight.clients.engine.account_entries import (
    AccountKeys,
    EntryChain,
    device_body,
    new_unlocker,
    start_account,
)
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.keyring_document import KeyringContent, KeyringDocument
from safelight.clients.engine.profile import PROFILE_VERSION, AccountProfile, ProfileFolder
from safelight.clients.engine.profile_secrets import (
    ProfileSecrets,
    system_keyring,
    wrap_with_keyring,
    wrap_with_password,
)
from safelight.sync_protocol import ids
from safelight.sync_protocol.account_ledger import (
    AccountKind,
    AccountState,
    Unlocker,
    apply_account_entries,
)
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import (
    AccountCreated,
    AccountLedger,
    AppendAccountEntries,
    CreateAccount,
    FinishUnlock,
    StartUnlock,
    Unlocked,
    UnlockStarted,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords

_NAME = re.compile(r"[\w.\-]{1,64}")
MIN_PASSWORD_LENGTH = 8


@dataclass(frozen=True, slots=True)
class CreatedAccount:
    """A new account: its profile, and the 24 recovery words, which are shown once and kept nowhere."""

    profile: AccountProfile
    recovery_words: list[str]

    def __repr__(self) -> str:
        return f"CreatedAccount({self.profile.name})"


async def create_account(
    folder: ProfileFolder,
    server_url: str,
    name: str,
    invite: str,
    password: str,
    *,
    use_system_keyring: bool = True,
    clock: Clock = now_ms,
) -> CreatedAccount:
    """Create an account on a server that is met for the first time, and make *folder* its first device's profile.

    The server's key is pinned. Raises NAME_INVALID, BAD_REQUEST for a password under 8 characters, PROFILE_EXISTS,
    INVITE_INVALID and NAME_TAKEN.
    """
    folder.require_free()
    _check_new(name, password)
    stretched = await stretch_password(password, salt := secrets.token_bytes(16), passwords.DEFAULT_COSTS)
    words = passwords.new_recovery_words()
    recovery = passwords.recovery_keys(passwords.words_to_entropy(" ".join(words)))
    keys = AccountKeys(secrets.token_bytes(32))
    device = DeviceKey(ids.new_id(), secrets.token_bytes(32))
    chain = start_account(keys, recovery[2], device, signed_ms=clock())
    auth_key, wrap_key = passwords.password_keys(stretched)
    unlockers = [
        new_unlocker(chain, Unlocker.PASSWORD, auth_key, wrap_key, clock(), salt=salt, costs=passwords.DEFAULT_COSTS),
        new_unlocker(chain, Unlocker.RECOVERY, recovery[0], recovery[1], clock()),
    ]
    async with Connection(server_url, device=device) as connection:
        await connection.server_info()
        # All that can fail here comes before the account is made: afterwards its words must be shown.
        held = ProfileSecrets(keys.secret, device.signing_seed)
        profile = _new_profile(connection, chain.account_id, name, device, chain.head)
        profile = await asyncio.to_thread(wrap_profile, profile, held, password, use_system_keyring=use_system_keyring)
        asked = CreateAccount(invite.strip(), name, chain.entries, unlockers)
        try:
            await connection.request("POST", "/v1/accounts", asked, AccountCreated, anonymous=True, repeatable=False)
        except Refused as refusal:
            # The answer may have been lost after the account was made: then its device can sign in.
            if refusal.code is not Code.SERVER_UNREACHABLE or not await _exists(connection, chain.account_id):
                raise
        folder.save(profile)
        keyring = KeyringDocument(connection, chain.account_id, keys.secret, 0)
        with contextlib.suppress(Refused):  # opening the account makes up for it, or says what is wrong
            await keyring.update(pin_account(connection.server_key, chain.head))
    return CreatedAccount(profile, words)


async def login(
    folder: ProfileFolder,
    server_url: str,
    name: str,
    password: str,
    *,
    use_system_keyring: bool = True,
    clock: Clock = now_ms,
) -> AccountProfile:
    """Make *folder* the profile of another device of an account. Raises UNLOCK_FAILED for wrong name or password."""
    folder.require_free()
    device = DeviceKey(ids.new_id(), secrets.token_bytes(32))
    async with Connection(server_url, device=device) as connection:
        opened = await unlock_account(connection, name, Unlocker.PASSWORD, password)
        chain = EntryChain(opened.keys, opened.state.account_id, opened.state.head)
        chain.add(AccountKind.ADD_DEVICE, device_body(device), clock())
        await append_entries(connection, opened, AppendAccountEntries(chain.entries))
        return await _finish(
            folder, connection, name, device, opened, chain.head, password, use_system_keyring=use_system_keyring
        )


async def recover(
    folder: ProfileFolder,
    server_url: str,
    name: str,
    words: str,
    new_password: str,
    *,
    use_system_keyring: bool = True,
    clock: Clock = now_ms,
) -> AccountProfile:
    """Make *folder* a device of an account by its recovery words, and set a new password.

    The other devices go on working. Raises WORDS_INVALID and UNLOCK_FAILED.
    """
    folder.require_free()
    _check_new(name, new_password)
    device = DeviceKey(ids.new_id(), secrets.token_bytes(32))
    stretched = await stretch_password(new_password, salt := secrets.token_bytes(16), passwords.DEFAULT_COSTS)
    auth_key, wrap_key = passwords.password_keys(stretched)
    async with Connection(server_url, device=device) as connection:
        opened = await unlock_account(connection, name, Unlocker.RECOVERY, words)
        chain = EntryChain(opened.keys, opened.state.account_id, opened.state.head)
        chain.add(AccountKind.ADD_DEVICE, device_body(device), clock())
        unlocker = new_unlocker(
            chain, Unlocker.PASSWORD, auth_key, wrap_key, clock(), salt=salt, costs=passwords.DEFAULT_COSTS
        )
        await append_entries(connection, opened, AppendAccountEntries(chain.entries, unlocker))
        return await _finish(
            folder, connection, name, device, opened, chain.head, new_password, use_system_keyring=use_system_keyring
        )


def _check_new(name: str, password: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(Code.NAME_INVALID)
    check_new_password(password)


def check_new_password(password: str) -> None:
    """Refuse a new password under 8 characters with BAD_REQUEST."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"a password has at least {MIN_PASSWORD_LENGTH} characters")


async def stretch_password(password: str, salt: bytes, costs: passwords.Costs) -> bytes:
    """Stretch in a thread; PASSWORD_COST_REFUSED for costs that no honest server asks for."""
    return await asyncio.to_thread(passwords.stretch, password, salt, costs)


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """What unlocking gave, verified: keys, ledger, and a ticket that may append to it."""

    keys: AccountKeys
    state: AccountState
    entries: list[bytes]
    ticket: str


async def unlock_account(connection: Connection, name: str, kind: Unlocker, typed: str) -> OpenedAccount:
    """Prove the password or the words, and check all that the server hands out before it is used."""
    started = await connection.request(
        "POST", "/v1/unlock/start", StartUnlock(name, kind.value), UnlockStarted, anonymous=True
    )
    if kind is Unlocker.PASSWORD:
        costs = passwords.Costs(started.memory_kib, started.passes)
        auth_key, wrap_key = passwords.password_keys(await stretch_password(typed, started.salt, costs))
    else:
        auth_key, wrap_key, _ = passwords.recovery_keys(passwords.words_to_entropy(typed))
    unlocked = await connection.request(
        "POST", "/v1/unlock/finish", FinishUnlock(name, kind.value, auth_key), Unlocked, anonymous=True
    )
    state = apply_account_entries(None, unlocked.ledger)
    if state.account_id.hex() != unlocked.account_id:
        raise Refused(Code.LEDGER_RULE, "the server answered with another account's ledger")
    if state.unlockers.get(kind.value) != hashlib.sha256(unlocked.wrapped).digest():
        # *Unlocker replaced, recovery turned against the account*: the account itself never set this one.
        raise Refused(Code.LEDGER_RULE, "the wrapped secret is not the one that the account set")
    secret = passwords.unwrap_account_secret(wrap_key, state.account_id, kind.value, unlocked.wrapped)
    keys = AccountKeys(secret)
    keys.check(state)
    return OpenedAccount(keys, state, unlocked.ledger, unlocked.ticket)


async def append_entries(connection: Connection, opened: OpenedAccount, asked: AppendAccountEntries) -> None:
    """Append to the account's ledger by the ticket."""
    path = f"/v1/accounts/{opened.state.account_id.hex()}/ledger"
    await connection.request("POST", path, asked, AccountLedger, ticket=opened.ticket, repeatable=False)


async def _finish(
    folder: ProfileFolder,
    connection: Connection,
    name: str,
    device: DeviceKey,
    opened: OpenedAccount,
    head: Head,
    password: str,
    *,
    use_system_keyring: bool,
) -> AccountProfile:
    """Compare with what the account's other devices pinned, write the profile, and pin the new head for them."""
    keyring = KeyringDocument(connection, opened.state.account_id, opened.keys.secret, 0)
    content = await keyring.fetch()
    if content is not None:
        check_account_pin(opened.entries, Head(content.account_number, content.account_hash))
    profile = _new_profile(connection, opened.state.account_id, name, device, head)
    held = ProfileSecrets(opened.keys.secret, device.signing_seed)
    profile = await asyncio.to_thread(wrap_profile, profile, held, password, use_system_keyring=use_system_keyring)
    folder.save(profile)
    await keyring.update(pin_account(connection.server_key, head))
    return profile


def check_account_pin(entries: list[bytes], pinned: Head) -> None:
    """Check an account's ledger against a pin; HISTORY_ROLLED_BACK or HISTORY_FORKED where it is not the same one."""
    if pinned.number > len(entries):
        raise Refused(Code.HISTORY_ROLLED_BACK, f"the account's ledger had {pinned.number} entries")
    if pinned.number and hashlib.sha256(entries[pinned.number - 1]).digest() != pinned.hash:
        raise Refused(Code.HISTORY_FORKED, f"entry {pinned.number} of the account's ledger is not what it was")


async def _exists(connection: Connection, account_id: bytes) -> bool:
    try:
        await connection.request("GET", f"/v1/accounts/{account_id.hex()}/ledger?after=0", None, AccountLedger)
    except Refused:
        return False
    return True


def _new_profile(connection: Connection, account_id: bytes, name: str, device: DeviceKey, head: Head) -> AccountProfile:
    return AccountProfile(
        version=PROFILE_VERSION,
        server_url=str(connection.url),
        server_key=connection.server_key,
        account_id=account_id,
        name=name,
        device_id=device.device_id,
        wrapped_by="password",
        salt=b"",
        memory_kib=0,
        passes=0,
        wrapped=b"",
        account_number=head.number,
        account_hash=head.hash,
    )


def wrap_profile(
    profile: AccountProfile, held: ProfileSecrets, password: str, *, use_system_keyring: bool
) -> AccountProfile:
    """Wrap a profile's secrets by the system's keyring where wanted and there, else by the password."""
    backend = system_keyring() if use_system_keyring else None
    return wrap_with_keyring(profile, held, backend) if backend else wrap_with_password(profile, held, password)


def pin_account(server_key: bytes, head: Head) -> Callable[[KeyringContent | None], KeyringContent]:
    """Return the change to a keyring that makes, or keeps, it and pins the account's own ledger."""

    def change(content: KeyringContent | None) -> KeyringContent:
        if content is None:
            return KeyringContent(server_key, head.number, head.hash)
        if content.account_number >= head.number:
            return content
        return KeyringContent(content.server_key, head.number, head.hash, content.spaces)

    return change
