"""Account ledgers: who a person is. Their identity, devices and unlockers, signed entry by signed entry.

docs/spec/keys.md. The account's id is the hash of its first keys, so a server cannot swap them; every later entry is
signed by the identity in force and names the hash of the entry before it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Annotated

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.envelopes import Content, SignedEntry, build_envelope, parse_envelope, verify_envelope
from safelight.sync_protocol.ids import Hash, Id, OptionalHash
from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES, KEY_SIZE_BYTES
from safelight.sync_protocol.log import NO_HEAD, Head, Kind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Count, SignatureBytes, Signed, TimeMs, pack, unpack

PublicKey = Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)]
InboxKey = Annotated[bytes, msgspec.Meta(min_length=INBOX_KEY_SIZE_BYTES, max_length=INBOX_KEY_SIZE_BYTES)]

ACCOUNT_ENTRY_VERSION = 1
# Revoked devices stay in the ledger for ever, so they have a limit of their own, far above what a person needs.
MAX_DEVICES = 200
MAX_DEVICES_EVER = 10_000
MAX_UNLOCKERS = 64


@unique
class Unlocker(StrEnum):
    """A way to open the account secret."""

    PASSWORD = "password"
    RECOVERY = "recovery"


@unique
class AccountKind(StrEnum):
    """What an account-ledger entry does."""

    CREATE = "account.create"
    ADD_DEVICE = "device.add"
    REVOKE_DEVICE = "device.revoke"
    SET_UNLOCKER = "unlocker.set"
    ROTATE_IDENTITY = "identity.rotate"


class AccountHeader(Signed, frozen=True):
    """What every account-ledger entry says of itself."""

    version: Count
    critical: bool
    kind: Kind
    account_id: Id
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    previous_id: OptionalHash
    signed_ms: TimeMs


class Identity(Signed, frozen=True):
    """An account's public identity: signing (Ed25519) and sealing (X-Wing) keys."""

    signing: PublicKey
    sealing: InboxKey


class CreateAccountBody(Signed, frozen=True):
    """The first entry: identity, recovery key and first device."""

    nonce: Hash
    identity: Identity
    recovery_signing: PublicKey
    device_id: Id
    device_key: PublicKey


class AddDeviceBody(Signed, frozen=True):
    """A device of the account, with its own signing key."""

    device_id: Id
    device_key: PublicKey


class RevokeDeviceBody(Signed, frozen=True):
    """The device may sign nothing more."""

    device_id: Id


class SetUnlockerBody(Signed, frozen=True):
    """Which wrapped account secret counts for one way of unlocking: the SHA-256 of its bytes."""

    unlocker: Annotated[str, msgspec.Meta(pattern=r"^[a-z-]+\Z", max_length=32)]
    wrapped_hash: Hash


class RotateIdentityBody(Signed, frozen=True):
    """A new identity, signed besides by the recovery key and by itself: see `rotation_message`."""

    identity: Identity
    recovery_signature: SignatureBytes
    new_signature: SignatureBytes


@dataclass(frozen=True, slots=True)
class Device:
    """A device's signing key, and whether it still counts."""

    key: bytes
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an account's ledger says up to its head."""

    account_id: bytes
    head: Head
    identity: Identity
    recovery_signing: bytes
    devices: Mapping[bytes, Device]
    unlockers: Mapping[str, bytes]

    def device_key(self, device_id: bytes) -> bytes | None:
        """The signing key of a device in good standing."""
        device = self.devices.get(device_id)
        return None if device is None or device.revoked else device.key


_BODIES: dict[str, type[Signed]] = {
    AccountKind.CREATE: CreateAccountBody,
    AccountKind.ADD_DEVICE: AddDeviceBody,
    AccountKind.REVOKE_DEVICE: RevokeDeviceBody,
    AccountKind.SET_UNLOCKER: SetUnlockerBody,
    AccountKind.ROTATE_IDENTITY: RotateIdentityBody,
}


def account_id(nonce: bytes, identity: Identity, recovery_signing: bytes) -> bytes:
    """Return the 16-byte id of the account that begins with these keys."""
    parts = (nonce, identity.signing, identity.sealing, recovery_signing)
    return hashlib.sha256(context(Label.ACCOUNT_ID, *parts)).digest()[:16]


def rotation_message(label: Label, header: AccountHeader, identity: Identity) -> bytes:
    """Return what the recovery key and the new identity sign when an identity is rotated."""
    return context(label, pack(header), pack(identity))


def account_header(kind: AccountKind, *, account: bytes, head: Head, signed_ms: int) -> AccountHeader:
    """Return the header of the entry that follows *head*."""
    return AccountHeader(
        version=ACCOUNT_ENTRY_VERSION,
        critical=True,
        kind=kind.value,
        account_id=account,
        number=head.number + 1,
        previous_id=head.hash,
        signed_ms=signed_ms,
    )


def build_account_entry(
    kind: AccountKind, body: Signed, signing_seed: bytes, *, account: bytes, head: Head, signed_ms: int
) -> bytes:
    """Sign an entry that follows *head* with the identity's *signing_seed*; returns the envelope's bytes."""
    header = account_header(kind, account=account, head=head, signed_ms=signed_ms)
    return build_envelope(header, body, Label.SIGN_ACCOUNT_ENTRY, signing_seed)


def apply_account_entry(state: AccountState | None, envelope: bytes) -> AccountState:
    """Take one entry: *state + entry → state*, or a named refusal; for servers to refuse, for clients to verify."""
    entry = parse_envelope(envelope, Content[AccountHeader])
    header = entry.header
    shape = _BODIES.get(header.kind)
    newer = Refused(Code.ENTRY_UNKNOWN_CRITICAL, f"{header.kind}, version {header.version}")
    if header.version != ACCOUNT_ENTRY_VERSION:
        shape = None
    body = unpack(entry.body, shape) if shape else None
    if state is None:
        if shape is None:
            raise newer
        return _create(entry, body)
    if header.account_id != state.account_id:
        raise Refused(Code.LEDGER_RULE, "the entry belongs to another account")
    if header.number != state.head.number + 1 or header.previous_id != state.head.hash:
        raise Refused(Code.ACCOUNT_LEDGER_CONFLICT, f"entry {header.number} does not follow entry {state.head.number}")
    verify_envelope(entry, Label.SIGN_ACCOUNT_ENTRY, state.identity.signing)
    if shape is None and header.critical:
        raise newer
    return replace(_change(state, header, body), head=Head(header.number, entry.id))


def is_known_account_entry(envelope: bytes) -> bool:
    """Whether this version knows what an entry does; raises ENTRY_MALFORMED.

    Readers pass over others that are not critical. A server takes none: it could not say what they may cost.
    """
    header = parse_envelope(envelope, Content[AccountHeader]).header
    return header.kind in _BODIES and header.version == ACCOUNT_ENTRY_VERSION


def apply_account_entries(state: AccountState | None, envelopes: Sequence[bytes]) -> AccountState:
    """Take several entries in order; raises LEDGER_RULE if there is none to begin with."""
    for envelope in envelopes:
        state = apply_account_entry(state, envelope)
    if state is None:
        raise Refused(Code.LEDGER_RULE, "an account's ledger begins with its creation")
    return state


def _create(entry: SignedEntry[AccountHeader], body: Signed | None) -> AccountState:
    header = entry.header
    if not isinstance(body, CreateAccountBody) or header.number != 1 or header.previous_id != NO_HEAD.hash:
        raise Refused(Code.LEDGER_RULE, "an account's ledger begins with its creation")
    if header.account_id != account_id(body.nonce, body.identity, body.recovery_signing):
        raise Refused(Code.LEDGER_RULE, "the account's id is not made from its keys")
    verify_envelope(entry, Label.SIGN_ACCOUNT_ENTRY, body.identity.signing)
    head, devices = Head(1, entry.id), {body.device_id: Device(body.device_key)}
    return AccountState(header.account_id, head, body.identity, body.recovery_signing, devices, {})


def _change(state: AccountState, header: AccountHeader, body: Signed | None) -> AccountState:
    match body:
        case AddDeviceBody():
            standing = sum(not device.revoked for device in state.devices.values())
            if body.device_id in state.devices or standing >= MAX_DEVICES or len(state.devices) >= MAX_DEVICES_EVER:
                raise Refused(Code.LEDGER_RULE, "the device is there already, or there are too many")
            return replace(state, devices={**state.devices, body.device_id: Device(body.device_key)})
        case RevokeDeviceBody():
            device = state.devices.get(body.device_id)
            if device is None or device.revoked:
                raise Refused(Code.LEDGER_RULE, "there is no such device to revoke")
            return replace(state, devices={**state.devices, body.device_id: replace(device, revoked=True)})
        case SetUnlockerBody():
            if body.unlocker not in state.unlockers and len(state.unlockers) >= MAX_UNLOCKERS:
                raise Refused(Code.LEDGER_RULE, "there are too many unlockers")
            return replace(state, unlockers={**state.unlockers, body.unlocker: body.wrapped_hash})
        case RotateIdentityBody():
            by_recovery = rotation_message(Label.SIGN_IDENTITY_RECOVERY, header, body.identity)
            signatures.verify(state.recovery_signing, body.recovery_signature, by_recovery)
            by_itself = rotation_message(Label.SIGN_IDENTITY_NEW, header, body.identity)
            signatures.verify(body.identity.signing, body.new_signature, by_itself)
            return replace(state, identity=body.identity)
        case CreateAccountBody():
            raise Refused(Code.LEDGER_RULE, "an account is created once")
        case _:
            return state
