"""Changes to an account: another password, other recovery words (docs/spec/keys.md §§3–5)."""

import asyncio
import secrets

import msgspec

from safelight.clients.engine.accounts import wrap_profile
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.profile import AccountProfile, ProfileFolder
from safelight.clients.engine.profile_secrets import rewrap, unwrap
from safelight.clients.engine.unlocking import (
    OpenedAccount,
    append_entries,
    check_account_pin,
    check_new_password,
    password_unlocker,
    recovery_unlocker,
    unlock_account,
)
from safelight.sync_protocol.account_ledger import Unlocker
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords


async def change_password(
    folder: ProfileFolder, password: str, new_password: str, *, use_system_keyring: bool = True, clock: Clock = now_ms
) -> None:
    """Set a new password for the account, proven by the old one. UNLOCK_FAILED if that is wrong.

    The account secret stays the same: who knew it still knows it. Other devices of this person go on working, and ask
    for the password that they were set up with. Where *new_password* is the account's already, only this device
    takes it: it was changed elsewhere, or here by a call whose answer was lost.
    """
    profile = folder.load_account()
    check_new_password(new_password)
    async with Connection(profile.server_url, server_key=profile.server_key) as connection:
        try:
            opened = await unlock_account(connection, profile.name, Unlocker.PASSWORD, password)
            is_set = False
        except Refused as refusal:
            if refusal.code is not Code.UNLOCK_FAILED:
                raise
            opened = await unlock_account(connection, profile.name, Unlocker.PASSWORD, new_password)
            is_set = True
        _check_ours(opened, profile)
        held = await asyncio.to_thread(unwrap, profile, password)
        head = opened.state.head if is_set else await _set_password(connection, opened, new_password, clock())
    pinned = msgspec.structs.replace(profile, account_number=head.number, account_hash=head.hash)
    folder.save(
        await asyncio.to_thread(wrap_profile, pinned, held, new_password, use_system_keyring=use_system_keyring)
    )


async def _set_password(connection: Connection, opened: OpenedAccount, password: str, signed_ms: int) -> Head:
    """Set the account's password at the server, and return the ledger's new head."""
    chain = opened.chain()
    unlocker = await password_unlocker(chain, password, signed_ms)
    await append_entries(connection, opened, AppendAccountEntries(chain.entries, [unlocker]))
    return chain.head


async def recovery_words(folder: ProfileFolder, password: str | None, *, clock: Clock = now_ms) -> list[str]:
    """Return recovery words to be shown: those that never were, or else new ones, by which the old ones end.

    New ones need the account's *password* (UNLOCK_FAILED), and are tried before they are returned. The profile keeps
    them, sealed with its secrets, from before the server hears of them until `words_were_shown`: stopped anywhere, the
    same call gives the same words.
    """
    profile = folder.load_account()
    held = await asyncio.to_thread(unwrap, profile, password)
    if profile.words == "unshown":
        return passwords.new_recovery_words(held.recovery_entropy)
    async with Connection(profile.server_url, server_key=profile.server_key) as connection:
        opened = await unlock_account(connection, profile.name, Unlocker.PASSWORD, password or "")
        _check_ours(opened, profile)
        entropy = held.recovery_entropy or secrets.token_bytes(KEY_SIZE_BYTES)
        renewing = msgspec.structs.replace(held, recovery_entropy=entropy)
        profile = msgspec.structs.replace(profile, words="renewing")
        profile = await asyncio.to_thread(rewrap, profile, renewing, password)
        folder.save(profile)
        chain = opened.chain()
        unlocker = recovery_unlocker(chain, entropy, clock())
        await append_entries(connection, opened, AppendAccountEntries(chain.entries, [unlocker]))
        words = passwords.new_recovery_words(entropy)
        # *Words that open nothing*: a server that said yes and kept the old ones is found out while the old ones count.
        await unlock_account(connection, profile.name, Unlocker.RECOVERY, " ".join(words))
    folder.save(
        msgspec.structs.replace(
            profile, words="unshown", account_number=chain.head.number, account_hash=chain.head.hash
        )
    )
    return words


def words_were_shown(folder: ProfileFolder, password: str | None) -> None:
    """Forget the recovery words: their owner has them now. Blocks for the password's stretching."""
    profile = folder.load_account()
    held = msgspec.structs.replace(unwrap(profile, password), recovery_entropy=b"")
    folder.save(msgspec.structs.replace(rewrap(profile, held, password), words="shown"))


def _check_ours(opened: OpenedAccount, profile: AccountProfile) -> None:
    if opened.state.account_id != profile.account_id:
        raise Refused(Code.LEDGER_RULE, "the server answered with another account")
    check_account_pin(opened.entries, Head(profile.account_number, profile.account_hash))
