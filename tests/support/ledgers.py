"""Accounts, spaces and entries made from fixed seeds, for tests and vectors of the log and its ledgers.

Everything is deterministic: the same calls give the same bytes.
"""

import hashlib
from dataclasses import dataclass, field

from msgspec.structs import replace

from safelight.sync_protocol import account_ledger, ids, ledger, ledger_entries, log, signatures
from safelight.sync_protocol.account_ledger import AccountKind, AccountState, Identity
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import BoxRef, Epoch, LedgerKind, Policy, SpaceTerms
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import NO_HEAD, Entry, Head, Header
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.roles import RIGHTS, TIERS, Role, Tier
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.wire import Signed, pack

NOW_MS = 1_790_000_000_000


def seed_of(name: str) -> bytes:
    """Return 32 bytes that stand for *name*."""
    return hashlib.sha256(b"safelight test seed " + name.encode()).digest()


def id_of(name: str) -> bytes:
    """Return a 16-byte id that stands for *name*."""
    return seed_of(name)[:16]


def inbox_of(name: str) -> bytes:
    """Return bytes of an inbox key's size; nothing in the ledger computes with it."""
    return (seed_of(name) * 38)[:1216]


@dataclass
class Person:
    """An account with its ledger and one device."""

    name: str
    entries: list[bytes] = field(default_factory=list)
    state: AccountState | None = None

    def __post_init__(self) -> None:
        """Create the account."""
        self.secret = seed_of(f"account {self.name}")
        self.identity_seed = keytree.identity_signing_seed(self.secret)
        self.recovery_seed = seed_of(f"recovery {self.name}")
        self.device_seed = seed_of(f"device {self.name}")
        self.device_id = id_of(f"device {self.name}")
        self.identity = Identity(signatures.public_key_of(self.identity_seed), inbox_of(self.name))
        nonce, recovery = seed_of(f"nonce {self.name}"), signatures.public_key_of(self.recovery_seed)
        self.account_id = account_ledger.account_id(nonce, self.identity, recovery)
        device_key = signatures.public_key_of(self.device_seed)
        body = account_ledger.CreateAccountBody(nonce, self.identity, recovery, self.device_id, device_key)
        self.take(self.entry(AccountKind.CREATE, body))

    @property
    def vault_key(self) -> bytes:
        """What its boxes are sealed to in a vault."""
        return inbox_of(f"vault {self.name}")

    @property
    def account(self) -> AccountState:
        """The account's state."""
        if self.state is None:
            raise LookupError(self.name)
        return self.state

    def entry(self, kind: AccountKind, body: Signed, *, seed: bytes | None = None, head: Head | None = None) -> bytes:
        """Build an account-ledger entry without taking it."""
        at = self.state.head if self.state else NO_HEAD
        return account_ledger.build_account_entry(
            kind, body, seed or self.identity_seed, account=self.account_id, head=head or at, signed_ms=NOW_MS
        )

    def take(self, envelope: bytes) -> bytes:
        """Apply an entry to the account's own state."""
        self.state = account_ledger.apply_account_entry(self.state, envelope)
        self.entries.append(envelope)
        return envelope

    def add_device(self, name: str) -> tuple[bytes, bytes]:
        """Add a device; returns its id and seed."""
        device_id, seed = id_of(f"device {name}"), seed_of(f"device {name}")
        body = account_ledger.AddDeviceBody(device_id, signatures.public_key_of(seed))
        self.take(self.entry(AccountKind.ADD_DEVICE, body))
        return device_id, seed

    def rotate_identity(self) -> bytes:
        """Put a new identity in place of the one in force."""
        seed = seed_of(f"new identity {self.name} {self.account.head.number}")
        identity = Identity(signatures.public_key_of(seed), inbox_of(f"new {self.name} {self.account.head.number}"))
        header = account_ledger.account_header(
            AccountKind.ROTATE_IDENTITY, account=self.account_id, head=self.account.head, signed_ms=NOW_MS
        )
        by_recovery, by_itself = (
            signatures.sign(key, account_ledger.rotation_message(label, header, identity))
            for key, label in ((self.recovery_seed, Label.SIGN_IDENTITY_RECOVERY), (seed, Label.SIGN_IDENTITY_NEW))
        )
        body = account_ledger.RotateIdentityBody(identity, by_recovery, by_itself)
        entry = self.take(self.entry(AccountKind.ROTATE_IDENTITY, body))
        self.identity_seed, self.identity = seed, identity
        return entry

    def revoke_device(self, device_id: bytes) -> bytes:
        """Revoke a device."""
        return self.take(self.entry(AccountKind.REVOKE_DEVICE, account_ledger.RevokeDeviceBody(device_id)))


@dataclass
class Signer:
    """Something that signs entries in one space, with its own counter."""

    author_id: bytes
    device_id: bytes
    seed: bytes
    counter: int = 0
    last_id: bytes = b""


class Space:
    """A space's log as an honest server and honest clients would grow it."""

    def __init__(self, owner: Person, kind: str = "family", links: str = "view") -> None:
        """Create the space."""
        self.owner = owner
        self.signer = Signer(owner.account_id, owner.device_id, owner.device_seed)
        self.terms = SpaceTerms(
            kind=kind,  # type: ignore[arg-type]  # tests also try kinds that do not exist
            nonce=seed_of("nonce"),
            account_id=owner.account_id,
            account_entries=list(owner.entries),
            vault_key=owner.vault_key if kind == "vault" else None,
            policy=Policy(1, links),  # type: ignore[arg-type]  # likewise
            epoch=self.epoch(1, [(owner.account_id, Tier.FULL)]),
            name=b"sealed name",
            dedupe=b"sealed dedupe key",
        )
        self.log = log.LogState()
        self.ledger: LedgerState | None = None
        self.frames: list[log.Frame] = []

    @staticmethod
    def epoch(number: int, readers: list[tuple[bytes, Tier]]) -> Epoch:
        """Build an epoch with a box for each of *readers*."""
        boxes = [BoxRef(account, tier.value, seed_of(f"box {number}")) for account, tier in readers]  # type: ignore[arg-type]  # the tests' word against the type's
        history = b"history" if number > 1 else b""
        return Epoch(number, inbox_of(f"full {number}"), inbox_of(f"view {number}"), boxes, history, history)

    @property
    def state(self) -> LedgerState:
        """The ledger's state."""
        if self.ledger is None:
            raise LookupError("the space has no genesis yet")
        return self.ledger

    def next_epoch(self) -> Epoch:
        """Build the epoch that follows, for the members there are."""
        tiers = [(key, TIERS[member.role]) for key, member in self.state.members.items()]
        return self.epoch(self.state.epoch.number + 1, [(key, tier) for key, tier in tiers if tier is not Tier.NONE])

    def genesis_body(self, terms: SpaceTerms | None = None) -> ledger_entries.CreateSpaceBody:
        """Build the genesis' body, signed by the owner's identity."""
        packed = pack(terms or self.terms)
        message = context(Label.SIGN_GENESIS_IDENTITY, self.owner.device_id, packed)
        return ledger_entries.CreateSpaceBody(packed, signatures.sign(self.owner.identity_seed, message))

    def header(self, kind: str, signer: Signer | None = None, **changes: object) -> Header:
        """Build the header of the entry that *signer* would sign next, with *changes*."""
        who = signer or self.signer
        values: dict[str, object] = {
            "version": 1,
            "critical": True,
            "kind": kind,
            "space_id": self.ledger.space_id if self.ledger else b"",
            "author_id": who.author_id,
            "device_id": who.device_id,
            "counter": who.counter + 1,
            "previous_id": who.last_id,
            "ledger": self.ledger.head if self.ledger else NO_HEAD,
            "log": self.log.head,
            "signed_ms": NOW_MS,
        }
        return Header(**{**values, **changes})  # type: ignore[arg-type]  # values by name

    def entry(self, kind: str, body: Signed, signer: Signer | None = None, **changes: object) -> Entry:
        """Build and parse an entry without taking it."""
        who = signer or self.signer
        return log.parse_entry(log.build_entry(self.header(kind, who, **changes), body, who.seed))

    def take(self, entry: Entry, signer: Signer | None = None) -> log.Frame:
        """Give *entry* the next slot, and apply it if it belongs to the ledger."""
        number = self.log.number + 1
        frame = log.Frame(number, NOW_MS, log.next_chain(self.log.chain, number, entry.id), entry.id, entry.envelope)
        if ledger_entries.is_ledger_kind(entry.header.kind):
            self.ledger = ledger.apply(self.ledger, entry, number)
        self.log = log.place(log.step(self.log, frame), entry)
        who = signer or self.signer
        who.counter, who.last_id = entry.header.counter, entry.id
        self.frames.append(frame)
        return frame

    def create(self) -> "Space":
        """Take the genesis."""
        self.take(self.entry(LedgerKind.CREATE_SPACE, self.genesis_body()))
        return self

    def certify_body(self, name: str = "phone", **changes: object) -> ledger_entries.CertifyCameraBody:
        """Build the certificate of a camera."""
        values: dict[str, object] = {
            "camera_id": id_of(f"camera {name}"),
            "pairing_key": signatures.public_key_of(seed_of(f"pairing {name}")),
            "expires_ms": NOW_MS + 60_000,
            "quota_bytes": 0,
            "epoch": self.state.epoch.number,
            "name": b"sealed camera name",
            "dedupe": b"sealed dedupe key",
        }
        return ledger_entries.CertifyCameraBody(**{**values, **changes})  # type: ignore[arg-type]  # values by name

    def bind_body(self, name: str = "phone", *, pairing_seed: bytes | None = None) -> ledger_entries.BindCameraBody:
        """Build the binding of a certified camera."""
        camera_id, key = id_of(f"camera {name}"), signatures.public_key_of(seed_of(f"camera {name}"))
        message = ledger_entries.bind_message(self.state.space_id, camera_id, key)
        signature = signatures.sign(pairing_seed or seed_of(f"pairing {name}"), message)
        return ledger_entries.BindCameraBody(camera_id, key, signature)

    def camera(self, name: str = "phone") -> Signer:
        """Certify and bind a camera; returns its signer."""
        self.take(self.entry(LedgerKind.CERTIFY_CAMERA, self.certify_body(name)))
        signer = self.camera_signer(name)
        self.take(self.entry(LedgerKind.BIND_CAMERA, self.bind_body(name), signer), signer)
        return signer

    @staticmethod
    def camera_signer(name: str = "phone") -> Signer:
        """Return a camera's signer, bound or not."""
        camera_id = id_of(f"camera {name}")
        return Signer(camera_id, camera_id, seed_of(f"camera {name}"))


def apply_next(space: Space, entry: Entry) -> LedgerState:
    """Judge an entry at the next slot without taking it."""
    return ledger.apply(space.ledger, entry, space.log.number + 1)


def with_role(state: LedgerState, account_id: bytes, role: Role) -> LedgerState:
    """The state in which the member has another role."""
    member = replace(state.members[account_id], role=role, rights=RIGHTS[role])
    return replace(state, members={**state.members, account_id: member})


__all__ = [
    "NOW_MS",
    "Person",
    "RecordKind",
    "Signer",
    "Space",
    "apply_next",
    "id_of",
    "ids",
    "inbox_of",
    "seed_of",
    "with_role",
]
