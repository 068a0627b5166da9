"""An account at work on this device: its profile unlocked, its own ledger verified, its keyring fetched."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from safelight.clients.engine.account_entries import AccountKeys
from safelight.clients.engine.accounts import pin_account
from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.keyring_document import KeyringContent, KeyringDocument
from safelight.clients.engine.profile import AccountProfile, ProfileFolder
from safelight.clients.engine.profile_secrets import ProfileSecrets, rewrap, unwrap, with_next_secret
from safelight.clients.engine.unlocking import check_account_pin
from safelight.clients.engine.vaults import AskPassphrase, Vaults, nobody
from safelight.sync_protocol.account_ledger import AccountState, apply_account_entries
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.accounts import AccountLedger, AppendAccountEntries
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree


class AccountSession:
    """One account on one device, connected. Use `open_account`."""

    def __init__(
        self,
        folder: ProfileFolder,
        profile: AccountProfile,
        held: ProfileSecrets,
        connection: Connection,
        clock: Clock,
        ask_passphrase: AskPassphrase = nobody,
    ) -> None:
        self.folder = folder
        self.profile = profile
        self.connection = connection
        self.clock = clock
        self.keys = AccountKeys(held.account_secret)
        self.next_secret = held.next_account_secret
        self.device = DeviceKey(profile.device_id, held.signing_seed)
        self.keyring = KeyringDocument(connection, profile.account_id, held.account_secret, profile.keyring_version)
        self.vaults = Vaults(profile.account_id, held.account_secret, ask_passphrase, clock=clock)
        self.entries: list[bytes] = []
        self._state: AccountState | None = None

    @property
    def account_id(self) -> bytes:
        """The account's id."""
        return self.profile.account_id

    @property
    def state(self) -> AccountState:
        """The account's own ledger, verified."""
        if self._state is None:
            raise Refused(Code.SESSION_REQUIRED, "the account's ledger was not fetched yet")
        return self._state

    @property
    def content(self) -> KeyringContent:
        """The keyring as last fetched."""
        return self.keyring.content or KeyringContent(
            self.connection.server_key, self.state.head.number, self.state.head.hash
        )

    def sealing_seeds(self) -> Iterator[bytes]:
        """Yield the seeds of what may be sealed to this account: its identity's, and then those of its former ones."""
        yield self.keys.sealing_seed
        yield from map(keytree.identity_sealing_seed, self.content.former_secrets)

    def keep(self, profile: AccountProfile) -> None:
        """Save a changed profile."""
        self.profile = profile
        self.folder.save(profile)

    async def append(self, asked: AppendAccountEntries, *, repeatable: bool = True) -> None:
        """Append to the account's own ledger, as this device; `refresh` then says what counts."""
        path = f"/v1/accounts/{self.account_id.hex()}/ledger"
        await self.connection.request("POST", path, asked, AccountLedger, repeatable=repeatable)

    async def refresh(self) -> None:
        """Fetch and verify the account's ledger and keyring, and pin both.

        HISTORY_ROLLED_BACK, HISTORY_FORKED and LEDGER_RULE when the server shows another account than it did;
        DEVICE_REVOKED when this device was revoked by another.
        """
        entries = await _own_ledger(self.connection, self.account_id)
        state = apply_account_entries(None, entries)
        if state.account_id != self.account_id:
            raise Refused(Code.LEDGER_RULE, "the server answered with another account's ledger")
        check_account_pin(entries, Head(self.profile.account_number, self.profile.account_hash))
        self.keys.check(state)
        if state.device_key(self.device.device_id) is None:
            raise Refused(Code.DEVICE_REVOKED)
        self.entries, self._state = entries, state
        content = await self.keyring.fetch()
        if content is not None:
            check_account_pin(entries, Head(content.account_number, content.account_hash))
        await self.keyring.update(pin_account(self.connection.server_key, state.head))
        self.vaults.know_former(self.content.former_secrets)
        self._pin()

    def _pin(self) -> None:
        if self.state.head.number < self.profile.account_number:
            return  # a new identity was made meanwhile: what it pinned stays
        pinned = msgspec.structs.replace(
            self.profile,
            account_number=self.state.head.number,
            account_hash=self.state.head.hash,
            keyring_version=self.keyring.version,
        )
        if pinned != self.profile:
            self.keep(pinned)

    def close(self) -> None:
        """Forget what vaults were open, and keep what was pinned meanwhile."""
        self.vaults.shut_all()
        if self._state is not None:
            self._pin()


async def _adopt_next(
    folder: ProfileFolder, profile: AccountProfile, held: ProfileSecrets, password: str | None, connection: Connection
) -> tuple[AccountProfile, ProfileSecrets]:
    """A new identity was on its way when this device stopped: take over its secret, if it counts by now."""
    entries = await _own_ledger(connection, profile.account_id)
    check_account_pin(entries, Head(profile.account_number, profile.account_hash))
    secret = held.next_account_secret
    if apply_account_entries(None, entries).identity != AccountKeys(secret).identity:
        return profile, held  # it does not count, or not yet
    content = await KeyringDocument(connection, profile.account_id, secret, profile.keyring_version).fetch()
    if content is None or held.account_secret not in content.former_secrets:
        # *A server that took the ledger and no keyring*: the former secret is in this profile, and nowhere else.
        raise Refused(Code.OPEN_FAILED, "the keyring of the new identity does not hold the former one's secret")
    held = with_next_secret(held)
    profile = await asyncio.to_thread(rewrap, msgspec.structs.replace(profile, words="shown"), held, password)
    folder.save(profile)
    return profile, held


async def _own_ledger(connection: Connection, account_id: bytes) -> list[bytes]:
    path = f"/v1/accounts/{account_id.hex()}/ledger?after=0"
    ledger = await connection.request("GET", path, None, AccountLedger)
    return ledger.entries


@asynccontextmanager
async def open_account(
    folder: ProfileFolder,
    password: str | None = None,
    *,
    clock: Clock = now_ms,
    ask_passphrase: AskPassphrase = nobody,
) -> AsyncIterator[AccountSession]:
    """Open this folder's account: unlocked, connected, its ledger and keyring verified.

    *password* is needed where `profile_secrets.needs_password` says so; *ask_passphrase* opens vaults. Raises
    PROFILE_MISSING, PROFILE_LOCKED, and what `AccountSession.refresh` raises.
    """
    profile = folder.load_account()
    held = await asyncio.to_thread(unwrap, profile, password)
    device = DeviceKey(profile.device_id, held.signing_seed)
    async with Connection(profile.server_url, server_key=profile.server_key, device=device) as connection:
        if held.next_account_secret:
            profile, held = await _adopt_next(folder, profile, held, password, connection)
        session = AccountSession(folder, profile, held, connection, clock, ask_passphrase)
        await session.refresh()
        try:
            yield session
        finally:
            session.close()
