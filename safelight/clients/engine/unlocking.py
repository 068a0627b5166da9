"""Unlocking an account: by the password or the recovery words, with every answer of the server checked.

Every step that a server could turn against a person is checked here: the costs it asks for, the wrapped secret it hands
out, and the account's ledger, whose identity must be the one that the account secret makes.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass

from safelight.clients.engine.account_entries import AccountKeys, EntryChain, new_unlocker
from safelight.clients.engine.connection import Connection
from safelight.sync_protocol.account_ledger import AccountState, Unlocker, apply_account_entries
from safelight.sync_protocol.limits import ARGON2_SALT_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import (
    AccountLedger,
    AppendAccountEntries,
    FinishUnlock,
    NewUnlocker,
    StartUnlock,
    Unlocked,
    UnlockStarted,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords

MIN_PASSWORD_LENGTH = 8


def check_new_password(password: str) -> None:
    """Refuse a new password under 8 characters with BAD_REQUEST."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"a password has at least {MIN_PASSWORD_LENGTH} characters")


async def stretch_password(password: str, salt: bytes, costs: passwords.Costs) -> bytes:
    """Stretch in a thread; PASSWORD_COST_REFUSED for costs that no honest server asks for."""
    return await asyncio.to_thread(passwords.stretch, password, salt, costs)


async def password_unlocker(chain: EntryChain, password: str, signed_ms: int) -> NewUnlocker:
    """Add the entry that sets *password* to the account's ledger, and return what the server keeps for it."""
    salt = secrets.token_bytes(ARGON2_SALT_SIZE_BYTES)
    auth_key, wrap_key = passwords.password_keys(await stretch_password(password, salt, passwords.DEFAULT_COSTS))
    return new_unlocker(
        chain, Unlocker.PASSWORD, auth_key, wrap_key, signed_ms, salt=salt, costs=passwords.DEFAULT_COSTS
    )


def recovery_unlocker(chain: EntryChain, entropy: bytes, signed_ms: int) -> NewUnlocker:
    """The same for the recovery words of *entropy*."""
    auth_key, wrap_key, _ = passwords.recovery_keys(entropy)
    return new_unlocker(chain, Unlocker.RECOVERY, auth_key, wrap_key, signed_ms)


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """What unlocking gave, verified: keys, ledger, and a ticket that may append to it."""

    keys: AccountKeys
    state: AccountState
    entries: list[bytes]
    ticket: str

    def chain(self) -> EntryChain:
        """Entries that follow what is there."""
        return EntryChain(self.keys, self.state.account_id, self.state.head)


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


def check_account_pin(entries: list[bytes], pinned: Head) -> None:
    """Check an account's ledger against a pin; HISTORY_ROLLED_BACK or HISTORY_FORKED where it is not the same one."""
    if pinned.number > len(entries):
        raise Refused(Code.HISTORY_ROLLED_BACK, f"the account's ledger had {pinned.number} entries")
    if pinned.number and hashlib.sha256(entries[pinned.number - 1]).digest() != pinned.hash:
        raise Refused(Code.HISTORY_FORKED, f"entry {pinned.number} of the account's ledger is not what it was")
