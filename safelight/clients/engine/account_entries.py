"""Account-ledger entries: signed by the identity that the account secret makes, one after another."""

import hashlib
import secrets

from safelight.clients.engine.connection import DeviceKey
from safelight.sync_protocol import account_ledger, signatures
from safelight.sync_protocol.account_ledger import (
    AccountKind,
    AccountState,
    AddDeviceBody,
    CreateAccountBody,
    Identity,
    RotateIdentityBody,
    SetUnlockerBody,
    Unlocker,
    build_account_entry,
)
from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.limits import ARGON2_SALT_SIZE_BYTES, HASH_SIZE_BYTES
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.messages.accounts import NewUnlocker
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.passwords import Costs, wrap_account_secret
from safelight.sync_protocol.wire import Signed


class AccountKeys:
    """The account secret and the identity that it makes."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.signing_seed = keytree.identity_signing_seed(secret)
        self.sealing_seed = keytree.identity_sealing_seed(secret)
        self.identity = Identity(signatures.public_key_of(self.signing_seed), hpke.public_key(self.sealing_seed))

    def check(self, state: AccountState) -> None:
        """Check that the ledger's identity is this one; LEDGER_RULE if it was swapped or rotated (*swapped key*)."""
        if state.identity != self.identity:
            raise Refused(Code.LEDGER_RULE, "the ledger's identity is not the one that the account secret makes")


class EntryChain:
    """Entries that follow an account ledger's head, each signed by the identity."""

    def __init__(self, keys: AccountKeys, account_id: bytes, head: Head) -> None:
        self.keys = keys
        self.account_id = account_id
        self.head = head
        self.entries: list[bytes] = []

    def add(self, kind: AccountKind, body: Signed, signed_ms: int) -> None:
        """Sign one more entry."""
        envelope = build_account_entry(
            kind, body, self.keys.signing_seed, account=self.account_id, head=self.head, signed_ms=signed_ms
        )
        self.entries.append(envelope)
        self.head = Head(self.head.number + 1, hashlib.sha256(envelope).digest())

    def rotate(self, keys: AccountKeys, recovery_seed: bytes, signed_ms: int) -> None:
        """Put the identity of *keys* in place of the one in force; that signs it, the recovery key does, and itself."""
        header = account_ledger.account_header(
            AccountKind.ROTATE_IDENTITY, account=self.account_id, head=self.head, signed_ms=signed_ms
        )
        by_recovery, by_itself = (
            account_ledger.rotation_message(label, header, keys.identity)
            for label in (Label.SIGN_IDENTITY_RECOVERY, Label.SIGN_IDENTITY_NEW)
        )
        body = RotateIdentityBody(
            keys.identity,
            signatures.sign(recovery_seed, by_recovery),
            signatures.sign(keys.signing_seed, by_itself),
        )
        self.add(AccountKind.ROTATE_IDENTITY, body, signed_ms)
        self.keys = keys


def device_body(device: DeviceKey) -> AddDeviceBody:
    """Return what adds *device* to its account."""
    return AddDeviceBody(device.device_id, signatures.public_key_of(device.signing_seed))


def start_account(keys: AccountKeys, recovery_seed: bytes, device: DeviceKey, *, signed_ms: int) -> EntryChain:
    """Return the ledger of a new account, so far its first entry: identity, recovery key and first device."""
    nonce = secrets.token_bytes(HASH_SIZE_BYTES)
    recovery_signing = signatures.public_key_of(recovery_seed)
    added = device_body(device)
    body = CreateAccountBody(nonce, keys.identity, recovery_signing, added.device_id, added.device_key)
    chain = EntryChain(keys, account_ledger.account_id(nonce, keys.identity, recovery_signing), NO_HEAD)
    chain.add(AccountKind.CREATE, body, signed_ms)
    return chain


def new_unlocker(
    chain: EntryChain,
    kind: Unlocker,
    auth_key: bytes,
    wrap_key: bytes,
    signed_ms: int,
    *,
    salt: bytes = bytes(ARGON2_SALT_SIZE_BYTES),
    costs: Costs | None = None,
) -> NewUnlocker:
    """Wrap the account secret for one unlocker, and add the entry that says which wrapping counts."""
    wrapped = wrap_account_secret(wrap_key, chain.account_id, kind.value, chain.keys.secret)
    body = SetUnlockerBody(kind.value, hashlib.sha256(wrapped).digest())
    chain.add(AccountKind.SET_UNLOCKER, body, signed_ms)
    return NewUnlocker(
        kind=kind.value,
        auth_key=auth_key,
        wrapped=wrapped,
        salt=salt,
        memory_kib=costs.memory_kib if costs else 0,
        passes=costs.passes if costs else 0,
    )
