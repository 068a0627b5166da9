"""Accounts: creating one by invite, logging in on another device, recovering by words. Each makes a profile.

How the account secret is got at, and what is checked on the way: `unlocking`.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from safelight.clients.engine.account_entries import AccountKeys, device_body, start_account
from safelight.clients.engine.answers import check_server_url, is_settled
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.keyring_document import KeyringContent, KeyringDocument
from safelight.clients.engine.profile import PROFILE_VERSION, AccountProfile, ProfileFolder
from safelight.clients.engine.profile_secrets import (
    ProfileSecrets,
    system_keyring,
    unwrap,
    wrap_with_keyring,
    wrap_with_password,
)
from safelight.clients.engine.unlocking import (
    OpenedAccount,
    append_entries,
    check_account_pin,
    check_new_password,
    password_unlocker,
    recovery_unlocker,
    unlock_account,
)
from safelight.sync_protocol import ids
from safelight.sync_protocol.account_ledger import AccountKind, Unlocker
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import (
    AccountCreated,
    AccountLedger,
    AppendAccountEntries,
    CreateAccount,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords

_NAME = re.compile(r"[\w.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class CreatedAccount:
    """A new account: its profile, and the 24 recovery words.

    The profile keeps the words, sealed with its secrets, until `account_changes.words_were_shown`.
    """

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

    The profile is written before the account is asked for, its recovery words with it: stopped anywhere, the same call
    goes on, with the same *password*, and no account is left without words. The server's key is pinned. Raises
    NAME_INVALID, BAD_REQUEST for a password under 8 characters, PROFILE_EXISTS, INVITE_INVALID and NAME_TAKEN; after
    SERVER_UNREACHABLE the same call may be made again.
    """
    begun = unfinished(folder, server_url, name)
    if begun is not None:
        finished = await _go_on(folder, begun, password)
        if finished is not None:
            return finished
        folder.forget()
    folder.require_free()
    _check_new(name, password)
    entropy = secrets.token_bytes(KEY_SIZE_BYTES)
    keys = AccountKeys(secrets.token_bytes(KEY_SIZE_BYTES))
    device = DeviceKey(ids.new_id(), secrets.token_bytes(KEY_SIZE_BYTES))
    chain = start_account(keys, passwords.recovery_keys(entropy)[2], device, signed_ms=clock())
    unlockers = [await password_unlocker(chain, password, clock()), recovery_unlocker(chain, entropy, clock())]
    held = ProfileSecrets(keys.secret, device.signing_seed, entropy)
    async with Connection(server_url, device=device) as connection:
        await connection.server_info()
        profile = _new_profile(connection, chain.account_id, name, device, chain.head)
        asked = msgspec.structs.replace(profile, words="asked")
        asked = await asyncio.to_thread(wrap_profile, asked, held, password, use_system_keyring=use_system_keyring)
        folder.save(asked)
        request = CreateAccount(invite.strip(), name, chain.entries, unlockers)
        try:
            await connection.request("POST", "/v1/accounts", request, AccountCreated, anonymous=True, repeatable=False)
        except Refused as refusal:
            # The answer may have been lost after the account was made: then its device can sign in.
            if is_settled(refusal) or not await _exists(connection, chain.account_id, refusal):
                folder.forget()
                raise
        return await _made(folder, connection, asked, held)


def unfinished(folder: ProfileFolder, server_url: str, name: str) -> AccountProfile | None:
    """Return the profile of an earlier, stopped call of `create_account` for the same account; None if there is none.

    PROFILE_EXISTS if it is another account's.
    """
    try:
        found = folder.load()
    except Refused as refusal:
        if refusal.code is not Code.PROFILE_MISSING:
            raise
        return None
    if not isinstance(found, AccountProfile) or found.words not in ("asked", "unshown"):
        return None
    if (found.name, found.server_url) != (name, str(check_server_url(server_url))):
        raise Refused(Code.PROFILE_EXISTS, f"making the account {found.name} was cut off here: go on with that first")
    return found


async def _go_on(folder: ProfileFolder, begun: AccountProfile, password: str) -> CreatedAccount | None:
    """What a stopped call had made; None if the server never heard of it."""
    held = await asyncio.to_thread(unwrap, begun, password)
    if begun.words == "unshown":
        return CreatedAccount(begun, passwords.new_recovery_words(held.recovery_entropy))
    device = DeviceKey(begun.device_id, held.signing_seed)
    async with Connection(begun.server_url, server_key=begun.server_key, device=device) as connection:
        if not await _exists(connection, begun.account_id, None):
            return None
        return await _made(folder, connection, begun, held)


async def _made(
    folder: ProfileFolder, connection: Connection, asked: AccountProfile, held: ProfileSecrets
) -> CreatedAccount:
    """Note that the account is there, and pin its ledger in the keyring."""
    profile = msgspec.structs.replace(asked, words="unshown")
    folder.save(profile)
    keyring = KeyringDocument(connection, profile.account_id, held.account_secret, 0)
    with contextlib.suppress(Refused):  # opening the account makes up for it, or says what is wrong
        await keyring.update(pin_account(connection.server_key, Head(profile.account_number, profile.account_hash)))
    return CreatedAccount(profile, passwords.new_recovery_words(held.recovery_entropy))


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
    device = DeviceKey(ids.new_id(), secrets.token_bytes(KEY_SIZE_BYTES))
    async with Connection(server_url, device=device) as connection:
        opened = await unlock_account(connection, name, Unlocker.PASSWORD, password)
        chain = opened.chain()
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
    device = DeviceKey(ids.new_id(), secrets.token_bytes(KEY_SIZE_BYTES))
    async with Connection(server_url, device=device) as connection:
        opened = await unlock_account(connection, name, Unlocker.RECOVERY, words)
        chain = opened.chain()
        chain.add(AccountKind.ADD_DEVICE, device_body(device), clock())
        unlocker = await password_unlocker(chain, new_password, clock())
        await append_entries(connection, opened, AppendAccountEntries(chain.entries, [unlocker]))
        return await _finish(
            folder, connection, name, device, opened, chain.head, new_password, use_system_keyring=use_system_keyring
        )


def _check_new(name: str, password: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(Code.NAME_INVALID)
    check_new_password(password)


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


async def _exists(connection: Connection, account_id: bytes, otherwise: Refused | None) -> bool:
    """Whether the account is there: its device can sign in. If that stays open, raises *otherwise* or the reason."""
    try:
        await connection.request("GET", f"/v1/accounts/{account_id.hex()}/ledger?after=0", None, AccountLedger)
    except Refused as refusal:
        if is_settled(refusal):
            return False
        raise otherwise or refusal from None
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
        return msgspec.structs.replace(content, account_number=head.number, account_hash=head.hash)

    return change
