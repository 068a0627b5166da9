"""The space ledger: one pure function, *state + entry → state, or a named refusal*, run by both ends.

docs/spec/log.md. Ledger entries say who may do what: the space's genesis, its members' account ledgers, its cameras and
its epochs. Members, roles and grants by invitation join this table of kinds without changing its shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique
from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.account_ledger import AccountState, InboxKey, PublicKey, apply_account_entries
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash, Id
from safelight.sync_protocol.limits import MAX_MEMBERS, MAX_SEALED_FIELD_SIZE_BYTES, PAIRING_MAX_AGE_S
from safelight.sync_protocol.log import ENTRY_VERSION, Entry, Head, SignatureBytes, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import CAMERA_RIGHTS, RIGHTS, TIERS, Right, Role, Tier
from safelight.sync_protocol.wire import Count, Signed, SizeBytes, TimeMs, unpack

PROTOCOL_VERSION = 1

SealedField = Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_FIELD_SIZE_BYTES)]
SpaceKind = Literal["family", "work", "vault"]


@unique
class LedgerKind(StrEnum):
    """What a ledger entry does."""

    CREATE_SPACE = "space.create"
    ADVANCE_ACCOUNT = "account.advance"
    CERTIFY_CAMERA = "camera.certify"
    BIND_CAMERA = "camera.bind"
    REVOKE_CAMERA = "camera.revoke"
    ROTATE_EPOCH = "epoch.rotate"


class BoxRef(Signed, frozen=True):
    """The SHA-256 of the one box that gives a member an epoch's secret at its tier."""

    account_id: Id
    tier: Literal["view", "full"]
    hash: Hash


class Epoch(Signed, frozen=True):
    """A generation of keys: its public inboxes, one box a member, and the secrets before it wrapped under its own.

    `full_history` boxes the previous epoch's secret under this one's full history key (associated data
    `context(HISTORY, nonce, number, "full")`), `view_history` the view secret likewise; both are empty at number 1.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    full_inbox: InboxKey
    view_inbox: InboxKey
    boxes: Annotated[list[BoxRef], msgspec.Meta(max_length=MAX_MEMBERS)]
    full_history: SealedField
    view_history: SealedField


class Policy(Signed, frozen=True):
    """What a space allows: the lowest protocol version of its clients, and the tiers of its links."""

    min_version: Count
    links: Literal["none", "view", "full"]


class SpaceTerms(Signed, frozen=True):
    """What the creator's identity signs at genesis.

    `nonce` stands for the space wherever its id cannot yet be known. `name` is boxed under the view metadata key
    (`context(SPACE_FIELD, nonce, "name", epoch)`), `dedupe` holds the dedupe key boxed under the full metadata key
    (`context(SPACE_FIELD, nonce, "dedupe", epoch)`).
    """

    kind: SpaceKind
    nonce: Hash
    account_id: Id
    account_entries: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=1000)]
    policy: Policy
    epoch: Epoch
    name: SealedField
    dedupe: SealedField


class CreateSpaceBody(Signed, frozen=True):
    """Genesis: the packed `SpaceTerms`, and the identity's signature.

    It signs `context(SIGN_GENESIS_IDENTITY, device id, terms)`.
    """

    terms: bytes
    identity_signature: SignatureBytes


class AdvanceAccountBody(Signed, frozen=True):
    """The account-ledger entries since the head that counted here, with an epoch if they take reach away."""

    account_id: Id
    entries: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=1000)]
    epoch: Epoch | None


class CertifyCameraBody(Signed, frozen=True):
    """A camera that may be bound until `expires_ms` by who holds the pairing key.

    `name` is boxed under the view metadata key (`context(CAMERA_NAME, nonce, camera id, epoch)`); `dedupe` is the
    dedupe key boxed under the pairing box key (`context(PAIRING_BOX, nonce, camera id)`). A quota
    of 0 means none of its own.
    """

    camera_id: Id
    pairing_key: PublicKey
    expires_ms: TimeMs
    quota_bytes: SizeBytes
    epoch: Count
    name: SealedField
    dedupe: SealedField


class BindCameraBody(Signed, frozen=True):
    """The camera's own key, signed by the pairing key over `context(SIGN_CAMERA_BIND, space id, camera id, key)`."""

    camera_id: Id
    device_key: PublicKey
    pairing_signature: SignatureBytes


class RevokeCameraBody(Signed, frozen=True):
    """The camera may add nothing more; comes with a new epoch."""

    camera_id: Id
    epoch: Epoch


class RotateEpochBody(Signed, frozen=True):
    """A new epoch without any other change."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Member:
    """An account in the space: its role, and its own ledger as far as it counts here."""

    role: Role
    account: AccountState


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera: certified, then bound once, until revoked."""

    certified_by: bytes
    pairing_key: bytes
    expires_ms: int
    quota_bytes: int
    name: bytes
    name_epoch: int
    dedupe: bytes
    device_key: bytes | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Who may do what in a space, up to the ledger entry at `head`."""

    space_id: bytes
    head: Head
    kind: SpaceKind
    nonce: bytes
    creator_id: bytes
    policy: Policy
    name: bytes
    dedupe: bytes
    members: Mapping[bytes, Member]
    epochs: tuple[Epoch, ...]
    cameras: Mapping[bytes, Camera] = field(default_factory=dict)

    @property
    def epoch(self) -> Epoch:
        """The epoch in force."""
        return self.epochs[-1]

    def rights_of(self, author_id: bytes) -> frozenset[Right]:
        """The rights of a member or of a camera that is bound and not revoked; of anyone else, none."""
        member = self.members.get(author_id)
        if member:
            return RIGHTS[member.role]
        return CAMERA_RIGHTS if self._standing_camera(author_id) else frozenset()

    def may_add(self, account_id: bytes) -> bool:
        """Whether a member may add, and so may its cameras."""
        member = self.members.get(account_id)
        return member is not None and Right.ADD in RIGHTS[member.role]

    def tier_of(self, account_id: bytes) -> Tier:
        """The tier that an account reads here."""
        member = self.members.get(account_id)
        return TIERS[member.role] if member else Tier.NONE

    def signing_key(self, author_id: bytes, device_id: bytes) -> bytes | None:
        """The signing key of a device in good standing, a camera's included (its device id is its own id)."""
        member = self.members.get(author_id)
        if member:
            return member.account.device_key(device_id)
        camera = self._standing_camera(author_id)
        return camera.device_key if camera and device_id == author_id else None

    def _standing_camera(self, camera_id: bytes) -> Camera | None:
        camera = self.cameras.get(camera_id)
        if camera is None or camera.device_key is None or camera.revoked or not self.may_add(camera.certified_by):
            return None
        return camera


# What a space of a kind may allow at most (DESIGN §4).
_LINKS_OF_KIND: dict[SpaceKind, frozenset[str]] = {
    "family": frozenset({"none", "view"}),
    "work": frozenset({"none", "view", "full"}),
    "vault": frozenset({"none"}),
}

_BODIES: dict[str, type[Signed]] = {
    LedgerKind.CREATE_SPACE: CreateSpaceBody,
    LedgerKind.ADVANCE_ACCOUNT: AdvanceAccountBody,
    LedgerKind.CERTIFY_CAMERA: CertifyCameraBody,
    LedgerKind.BIND_CAMERA: BindCameraBody,
    LedgerKind.REVOKE_CAMERA: RevokeCameraBody,
    LedgerKind.ROTATE_EPOCH: RotateEpochBody,
}

# A kind of these families is a ledger entry, known to this version or not.
_LEDGER_FAMILIES = frozenset({"space", "account", "camera", "epoch", "member", "grant", "policy", "hold"})


def is_ledger_kind(kind: str) -> bool:
    """Whether an entry of *kind* belongs to the ledger (who) rather than to the records (what)."""
    return kind.split(".", 1)[0] in _LEDGER_FAMILIES


def apply(state: LedgerState | None, entry: Entry, number: int) -> LedgerState:
    """Take the ledger entry at slot *number*: the new state, or a refusal after which the space stops.

    Verifies the signature, the hash of the ledger entry before, the signer's standing and right, and the kind's own
    rule. Raises the refusals of the table's group "Entries, log and ledger".
    """
    shape = _BODIES.get(entry.header.kind)
    if shape is None or entry.header.version != ENTRY_VERSION:
        return _pass_over(state, entry, number)
    body = unpack(entry.body, shape)
    if isinstance(body, CreateSpaceBody):
        return _create(state, entry, body, number)
    if state is None:
        raise Refused(Code.LEDGER_RULE, "a space begins with its genesis")
    if entry.header.space_id != state.space_id:
        raise Refused(Code.ENTRY_WRONG_SPACE)
    if entry.header.ledger != state.head:
        raise Refused(Code.ENTRY_STALE, f"the ledger is at slot {state.head.number}")
    changed = _change(state, entry, body)
    return replace(changed, head=Head(number, entry.id))


def authorise(state: LedgerState, entry: Entry, right: Right | None) -> None:
    """Check by the ledger at the entry's slot that its signer stands, signed it, and has *right*.

    Raises ENTRY_WRONG_SPACE, SIGNER_UNKNOWN, SIGNATURE_INVALID or RIGHT_MISSING.
    """
    if entry.header.space_id != state.space_id:
        raise Refused(Code.ENTRY_WRONG_SPACE)
    key = state.signing_key(entry.header.author_id, entry.header.device_id)
    if key is None:
        raise Refused(Code.SIGNER_UNKNOWN)
    verify_entry(entry, key)
    if right is not None and right not in state.rights_of(entry.header.author_id):
        raise Refused(Code.RIGHT_MISSING, right.value)


def bind_message(space_id: bytes, camera_id: bytes, device_key: bytes) -> bytes:
    """Return what the pairing key signs when a camera binds its own key."""
    return context(Label.SIGN_CAMERA_BIND, space_id, camera_id, device_key)


def _pass_over(state: LedgerState | None, entry: Entry, number: int) -> LedgerState:
    if state is None or entry.header.critical:
        raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, entry.header.kind)
    if entry.header.ledger != state.head:
        raise Refused(Code.ENTRY_STALE, f"the ledger is at slot {state.head.number}")
    authorise(state, entry, None)
    if entry.header.author_id not in state.members:
        # Each moves the ledger's head: a stolen camera could make everyone's next ledger entry stale for ever.
        raise Refused(Code.RIGHT_MISSING, "a camera signs nothing in the ledger but its binding")
    return replace(state, head=Head(number, entry.id))


def _create(state: LedgerState | None, entry: Entry, body: CreateSpaceBody, number: int) -> LedgerState:
    header = entry.header
    if state is not None or number != 1 or header.space_id or header.counter != 1 or header.previous_id:
        raise Refused(Code.LEDGER_RULE, "a genesis stands only at the beginning")
    if header.ledger.number or header.log.number or header.ledger.hash or header.log.hash:
        raise Refused(Code.LEDGER_RULE, "nothing comes before a genesis")
    terms = unpack(body.terms, SpaceTerms)
    account = apply_account_entries(None, terms.account_entries)
    key = account.device_key(header.device_id)
    if account.account_id != terms.account_id or header.author_id != terms.account_id or key is None:
        raise Refused(Code.SIGNER_UNKNOWN)
    verify_entry(entry, key)
    message = context(Label.SIGN_GENESIS_IDENTITY, header.device_id, body.terms)
    signatures.verify(account.identity.signing, body.identity_signature, message)
    if terms.policy.min_version > PROTOCOL_VERSION:
        raise Refused(Code.UPDATE_REQUIRED)
    if terms.policy.links not in _LINKS_OF_KIND[terms.kind]:
        raise Refused(Code.LEDGER_RULE, f"a {terms.kind} space cannot allow links of the tier {terms.policy.links}")
    members = {terms.account_id: Member(Role.OWNER, account)}
    _check_epoch(terms.epoch, 1, members)
    return LedgerState(
        space_id=ids.space_id(entry.envelope),
        head=Head(number, entry.id),
        kind=terms.kind,
        nonce=terms.nonce,
        creator_id=terms.account_id,
        policy=terms.policy,
        name=terms.name,
        dedupe=terms.dedupe,
        members=members,
        epochs=(terms.epoch,),
    )


def _change(state: LedgerState, entry: Entry, body: Signed) -> LedgerState:
    match body:
        case AdvanceAccountBody():
            return _advance_account(state, entry, body)
        case CertifyCameraBody():
            return _certify_camera(state, entry, body)
        case BindCameraBody():
            return _bind_camera(state, entry, body)
        case RevokeCameraBody():
            return _revoke_camera(state, entry, body)
        case RotateEpochBody():
            authorise(state, entry, Right.MEMBERS)
            return _with_epoch(state, body.epoch)
        case _:
            raise Refused(Code.ENTRY_UNKNOWN_CRITICAL, entry.header.kind)


def _advance_account(state: LedgerState, entry: Entry, body: AdvanceAccountBody) -> LedgerState:
    """Any device of the account may post its account's new head, also one that only the new entries name."""
    member = state.members.get(body.account_id)
    if member is None or entry.header.author_id != body.account_id:
        raise Refused(Code.SIGNER_UNKNOWN)
    account = apply_account_entries(member.account, body.entries)
    advanced = replace(state, members={**state.members, body.account_id: replace(member, account=account)})
    authorise(advanced, entry, None)
    if body.epoch:
        return _with_epoch(advanced, body.epoch)
    if _lost_reach(member.account, account):
        raise Refused(Code.EPOCH_REQUIRED)
    return advanced


def _lost_reach(before: AccountState, after: AccountState) -> bool:
    """Whether a device or identity that could read no longer counts; a device that came and went in between did not."""
    gone = any(not device.revoked and after.devices[key].revoked for key, device in before.devices.items())
    return gone or before.identity != after.identity


def _certify_camera(state: LedgerState, entry: Entry, body: CertifyCameraBody) -> LedgerState:
    authorise(state, entry, Right.ADD)
    if entry.header.author_id not in state.members:
        raise Refused(Code.RIGHT_MISSING, "a camera certifies no cameras")
    if body.camera_id in state.cameras or body.camera_id in state.members:
        raise Refused(Code.LEDGER_RULE, "the camera's id is taken")
    if body.expires_ms > entry.header.signed_ms + PAIRING_MAX_AGE_S * 1000:
        raise Refused(Code.LEDGER_RULE, "a pairing code lives at most a day")
    if body.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD)
    camera = Camera(
        certified_by=entry.header.author_id,
        pairing_key=body.pairing_key,
        expires_ms=body.expires_ms,
        quota_bytes=body.quota_bytes,
        name=body.name,
        name_epoch=body.epoch,
        dedupe=body.dedupe,
    )
    return replace(state, cameras={**state.cameras, body.camera_id: camera})


def _bind_camera(state: LedgerState, entry: Entry, body: BindCameraBody) -> LedgerState:
    """The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides."""
    camera = state.cameras.get(body.camera_id)
    header = entry.header
    if camera is None or camera.revoked or not state.may_add(camera.certified_by):
        raise Refused(Code.SIGNER_UNKNOWN)
    if header.author_id != body.camera_id or header.device_id != body.camera_id:
        raise Refused(Code.SIGNER_UNKNOWN)
    if camera.device_key is not None:
        raise Refused(Code.CAMERA_ALREADY_BOUND)
    if header.signed_ms > camera.expires_ms:
        raise Refused(Code.PAIRING_EXPIRED)
    message = bind_message(state.space_id, body.camera_id, body.device_key)
    signatures.verify(camera.pairing_key, body.pairing_signature, message)
    verify_entry(entry, body.device_key)
    return replace(state, cameras={**state.cameras, body.camera_id: replace(camera, device_key=body.device_key)})


def _revoke_camera(state: LedgerState, entry: Entry, body: RevokeCameraBody) -> LedgerState:
    """Its certifier may, and who may manage members."""
    camera = state.cameras.get(body.camera_id)
    authorise(state, entry, None)
    if camera is None or camera.revoked:
        raise Refused(Code.LEDGER_RULE, "there is no such camera to revoke")
    author_id = entry.header.author_id
    if author_id != camera.certified_by and Right.MEMBERS not in state.rights_of(author_id):
        raise Refused(Code.RIGHT_MISSING, Right.MEMBERS.value)
    revoked = replace(state, cameras={**state.cameras, body.camera_id: replace(camera, revoked=True)})
    return _with_epoch(revoked, body.epoch)


def _with_epoch(state: LedgerState, epoch: Epoch) -> LedgerState:
    _check_epoch(epoch, state.epoch.number + 1, state.members)
    full, view = epoch.full_inbox, epoch.view_inbox
    if any(
        full in (old.full_inbox, old.view_inbox) or view in (old.full_inbox, old.view_inbox) for old in state.epochs
    ):
        # Under an old inbox, who was removed would read on.
        raise Refused(Code.LEDGER_RULE, "an epoch has new inboxes")
    return replace(state, epochs=(*state.epochs, epoch))


def _check_epoch(epoch: Epoch, number: int, members: Mapping[bytes, Member]) -> None:
    """The next number, an inbox a tier, and exactly one box for each member that reads, at its tier."""
    if epoch.number != number:
        raise Refused(Code.EPOCH_OLD, f"the next epoch is {number}")
    if bool(epoch.full_history) != (number > 1) or bool(epoch.view_history) != (number > 1):
        raise Refused(Code.LEDGER_RULE, "an epoch carries the one before it, and the first carries none")
    if epoch.full_inbox == epoch.view_inbox:
        raise Refused(Code.LEDGER_RULE, "an epoch has an inbox for each tier")
    expected = sorted((key, TIERS[member.role].value) for key, member in members.items() if _reads(member))
    if sorted((box.account_id, box.tier) for box in epoch.boxes) != expected:
        raise Refused(Code.LEDGER_RULE, "an epoch has exactly one box for each member that reads, at its tier")


def _reads(member: Member) -> bool:
    return TIERS[member.role] is not Tier.NONE
