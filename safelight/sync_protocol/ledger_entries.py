"""The entries of a space's ledger, kind by kind: what each says. Who may sign it, and what it does, stands in `ledger`.

docs/spec/log.md §5.
"""

from enum import StrEnum, unique
from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol.account_ledger import InboxKey, PublicKey
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash, Id
from safelight.sync_protocol.limits import MAX_MEMBERS
from safelight.sync_protocol.wire import Count, SealedField, SignatureBytes, Signed, SizeBytes, TimeMs

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


BODIES: dict[str, type[Signed]] = {
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


def bind_message(space_id: bytes, camera_id: bytes, device_key: bytes) -> bytes:
    """Return what the pairing key signs when a camera binds its own key."""
    return context(Label.SIGN_CAMERA_BIND, space_id, camera_id, device_key)
