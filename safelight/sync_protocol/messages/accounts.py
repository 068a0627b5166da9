"""Accounts: creating one by invite, unlocking it, its ledger, unlockers and keyring."""

from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol.limits import (
    ARGON2_SALT_SIZE_BYTES,
    KEY_SIZE_BYTES,
    MAX_KEYRING_SIZE_BYTES,
)
from safelight.sync_protocol.messages.common import EntryBytes, Request, Response

# The look-ahead: `$` alone matches before a last line break, too.
AccountName = Annotated[
    str, msgspec.Meta(pattern=r"^[\w.\-]{1,64}$(?!\n)", description="1 to 64 letters, digits, . - _")
]
UnlockerKind = Literal["password", "recovery"]
AuthKey = Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)]
Wrapped = Annotated[bytes, msgspec.Meta(max_length=1024)]
Salt = Annotated[bytes, msgspec.Meta(min_length=ARGON2_SALT_SIZE_BYTES, max_length=ARGON2_SALT_SIZE_BYTES)]


class NewUnlocker(Request, frozen=True):
    """One way to unlock: what proves it (the server keeps a hash) and the account secret wrapped for it.

    `salt`, `memory_kib` and `passes` are Argon2id's for a password; for recovery words they are 16 zero bytes, 0 and 0.
    """

    kind: UnlockerKind
    auth_key: AuthKey
    wrapped: Wrapped
    salt: Salt
    memory_kib: int
    passes: int


class CreateAccount(Request, frozen=True):
    """A new account: its invite, its ledger's first entries (creation, then one `unlocker.set` each), its unlockers."""

    invite: Annotated[str, msgspec.Meta(max_length=64)]
    name: AccountName
    entries: Annotated[list[EntryBytes], msgspec.Meta(min_length=1, max_length=8)]
    unlockers: Annotated[list[NewUnlocker], msgspec.Meta(min_length=2, max_length=2)]


class AccountCreated(Response, frozen=True):
    """The account's id, in hexadecimal."""

    account_id: str


class StartUnlock(Request, frozen=True):
    """Ask what the unlocker needs; names that do not exist get deterministic false answers."""

    name: AccountName
    kind: UnlockerKind


class UnlockStarted(Response, frozen=True):
    """Argon2id's salt and costs; the client refuses costs outside its floors and ceilings."""

    account_id: str
    salt: bytes
    memory_kib: int
    passes: int


class FinishUnlock(Request, frozen=True):
    """Prove the unlocker."""

    name: AccountName
    kind: UnlockerKind
    auth_key: AuthKey


class Unlocked(Response, frozen=True):
    """The wrapped account secret, the account's ledger, and a short-lived ticket that may add a device or an unlocker.

    `ledger` holds the entries in order. The ticket goes into `Authorization: Bearer`.
    """

    account_id: str
    wrapped: bytes
    ledger: list[bytes]
    ticket: str
    ticket_expires_ms: int


class PutKeyring(Request, frozen=True):
    """The next version of the keyring; KEYRING_CONFLICT unless it follows the one kept."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_KEYRING_SIZE_BYTES)]


class AppendAccountEntries(Request, frozen=True):
    """Entries that follow the ledger's head, all or none; with the unlockers that they set.

    A new identity brings the next `keyring` as well, sealed under what it made: without that nothing would open it.
    """

    entries: Annotated[list[EntryBytes], msgspec.Meta(min_length=1, max_length=256)]
    unlockers: Annotated[list[NewUnlocker], msgspec.Meta(max_length=2)] = []
    keyring: PutKeyring | None = None


class AccountLedger(Response, frozen=True):
    """An account's ledger after the asked-for number, in order."""

    account_id: str
    name: str
    entries: list[bytes]


class Keyring(Response, frozen=True):
    """The newest keyring; version 0 and empty before the first."""

    version: int
    sealed: bytes
