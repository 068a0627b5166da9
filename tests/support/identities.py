"""Accounts with their devices, as a client makes them: new each time, so that tests share nothing."""

import hashlib
import os
import time
from dataclasses import dataclass

from safelight.sync_protocol import account_ledger, signatures
from safelight.sync_protocol.account_ledger import AccountKind, AccountState, Identity, Unlocker
from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.log import NO_HEAD
from safelight.sync_protocol.messages.accounts import CreateAccount, NewUnlocker
from safelight.sync_protocol.wire import Signed

INBOX_SIZE_BYTES = 1216


def now_ms() -> int:
    """The clock, as clients sign it."""
    return time.time_ns() // 1_000_000


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


@dataclass
class Signer:
    """A device or camera that signs entries in one space."""

    author_id: bytes
    device_id: bytes
    seed: bytes
    counter: int = 0
    last_id: bytes = b""

    @property
    def key(self) -> bytes:
        """Its public key."""
        return signatures.public_key_of(self.seed)


class Person:
    """An account with its ledger, a password, recovery words and one device."""

    def __init__(self, name: str = "") -> None:
        self.name = name or f"person-{os.urandom(4).hex()}"
        self.identity_seed, self.recovery_seed = os.urandom(32), os.urandom(32)
        self.device_seed, self.device_id = os.urandom(32), os.urandom(16)
        self.identity = Identity(signatures.public_key_of(self.identity_seed), os.urandom(INBOX_SIZE_BYTES))
        self.auth_keys = {kind.value: os.urandom(32) for kind in Unlocker}
        self.wrapped = {kind.value: os.urandom(200) for kind in Unlocker}
        self.salt = os.urandom(16)
        nonce, recovery = os.urandom(32), signatures.public_key_of(self.recovery_seed)
        self.account_id = account_ledger.account_id(nonce, self.identity, recovery)
        device_key = signatures.public_key_of(self.device_seed)
        body = account_ledger.CreateAccountBody(nonce, self.identity, recovery, self.device_id, device_key)
        self.entries: list[bytes] = []
        self._state: AccountState | None = None
        self.take(self.entry(AccountKind.CREATE, body))
        for kind in Unlocker:
            self.take(self.set_unlocker(kind.value, self.wrapped[kind.value]))

    @property
    def state(self) -> AccountState:
        """The account's state."""
        if self._state is None:
            raise LookupError(self.name)
        return self._state

    def entry(self, kind: AccountKind, body: Signed) -> bytes:
        """Build the next entry of the account's ledger without taking it."""
        head = self._state.head if self._state else NO_HEAD
        return account_ledger.build_account_entry(
            kind, body, self.identity_seed, account=self.account_id, head=head, signed_ms=now_ms()
        )

    def take(self, envelope: bytes) -> bytes:
        """Take an entry into the account's ledger."""
        self._state = account_ledger.apply_account_entry(self._state, envelope)
        self.entries.append(envelope)
        return envelope

    def set_unlocker(self, kind: str, wrapped: bytes) -> bytes:
        """Build the entry that names a wrapped secret."""
        return self.entry(AccountKind.SET_UNLOCKER, account_ledger.SetUnlockerBody(kind, sha256(wrapped)))

    def add_device(self) -> tuple[bytes, Signer]:
        """Take a new device; returns the entry and the device."""
        device_id, seed = os.urandom(16), os.urandom(32)
        body = account_ledger.AddDeviceBody(device_id, signatures.public_key_of(seed))
        return self.take(self.entry(AccountKind.ADD_DEVICE, body)), Signer(self.account_id, device_id, seed)

    def revoke_device(self, device_id: bytes) -> bytes:
        """Take a device away; returns the entry."""
        return self.take(self.entry(AccountKind.REVOKE_DEVICE, account_ledger.RevokeDeviceBody(device_id)))

    def rotate_identity(self) -> bytes:
        """Take a new identity, vouched for by the recovery key; returns the entry."""
        seed = os.urandom(32)
        identity = Identity(signatures.public_key_of(seed), os.urandom(INBOX_SIZE_BYTES))
        at = {"account": self.account_id, "head": self.state.head, "signed_ms": now_ms()}
        header = account_ledger.account_header(AccountKind.ROTATE_IDENTITY, **at)  # type: ignore[arg-type]  # as below
        by_recovery, by_itself = (
            signatures.sign(key, account_ledger.rotation_message(label, header, identity))
            for key, label in ((self.recovery_seed, Label.SIGN_IDENTITY_RECOVERY), (seed, Label.SIGN_IDENTITY_NEW))
        )
        body = account_ledger.RotateIdentityBody(identity, by_recovery, by_itself)
        entry = account_ledger.build_account_entry(
            AccountKind.ROTATE_IDENTITY,
            body,
            self.identity_seed,
            **at,  # type: ignore[arg-type]  # see above
        )
        self.identity_seed, self.identity = seed, identity
        return self.take(entry)

    def unlocker(self, kind: str) -> NewUnlocker:
        """Return an unlocker as the server gets it."""
        costs = (self.salt, 65536, 3) if kind == Unlocker.PASSWORD.value else (bytes(16), 0, 0)
        return NewUnlocker(kind, self.auth_keys[kind], self.wrapped[kind], *costs)  # type: ignore[arg-type]  # a word of two

    def create_request(self, invite: str) -> CreateAccount:
        """Return the request that creates the account."""
        return CreateAccount(invite, self.name, list(self.entries), [self.unlocker(kind.value) for kind in Unlocker])

    @property
    def signer(self) -> Signer:
        """The first device, before it signed anything in a space."""
        return Signer(self.account_id, self.device_id, self.device_seed)
