"""The entries of a space's ledger, kind by kind: what each says. Who may sign it, and what it does, stands in `ledger`.

docs/spec/log.md §5.
"""

from enum import StrEnum, unique
from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol.account_ledger import InboxKey, PublicKey
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.grant_entries import EndGrantBody, GiveGrantBody, OpenGenerationBody
from safelight.sync_protocol.ids import Hash, Id, OptionalId
from safelight.sync_protocol.limits import MAX_ACCOUNT_ENTRIES, MAX_MEMBERS
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.upload_entries import BindGuestBody, CloseUploadLinkBody, OpenUploadLinkBody
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
    POINT_CAMERA = "camera.point"
    ROTATE_EPOCH = "epoch.rotate"
    INVITE_MEMBER = "member.invite"
    WITHDRAW_INVITATION = "member.withdraw"
    JOIN_SPACE = "member.join"
    ADMIT_MEMBER = "member.admit"
    SET_ROLE = "member.role"
    REMOVE_MEMBER = "member.remove"
    SET_POLICY = "policy.set"
    OPEN_GENERATION = "grant.open"
    GIVE_GRANT = "grant.give"
    END_GRANT = "grant.end"
    OPEN_UPLOAD_LINK = "upload.open"
    BIND_GUEST = "upload.bind"
    CLOSE_UPLOAD_LINK = "upload.close"


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
    (`context(SPACE_FIELD, nonce, "dedupe", epoch)`). `vault_key` is what the creator's boxes are sealed to in a vault;
    in other spaces there is none.
    """

    kind: SpaceKind
    nonce: Hash
    account_id: Id
    account_entries: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_ACCOUNT_ENTRIES)]
    vault_key: InboxKey | None
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
    entries: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_ACCOUNT_ENTRIES)]
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
    """The camera may add nothing more; comes with a new epoch, if its signer may begin one."""

    camera_id: Id
    epoch: Epoch | None


class PointCameraBody(Signed, frozen=True):
    """What the camera adds from now on is in a shared album as well; in none, where `album_id` is empty."""

    camera_id: Id
    album_id: OptionalId


class RotateEpochBody(Signed, frozen=True):
    """A new epoch without any other change."""

    epoch: Epoch


Rights = Annotated[list[Right], msgspec.Meta(max_length=len(Right))]


class InviteMemberBody(Signed, frozen=True):
    """An invitation: who holds the secret that `key` was derived from may join once, until `expires_ms`.

    `rights` are those of the role, or others that it may have, in the order of their words and each once. `name`, which
    the inviter gave whom it awaits, is boxed under the view metadata key (`context(INVITATION_NAME, nonce, invitation
    id, epoch)`).
    """

    invitation_id: Id
    key: PublicKey
    role: Role
    rights: Rights
    expires_ms: TimeMs
    epoch: Count
    name: SealedField


class WithdrawInvitationBody(Signed, frozen=True):
    """The invitation lets nobody in any more, nor who joined by it and was not admitted."""

    invitation_id: Id


class JoinSpaceBody(Signed, frozen=True):
    """An account's own word that it joins, by one invitation: its whole ledger, signed by its identity and the key.

    Both sign `join_message`; the entry is signed by a device of the account. It reads nothing until it is admitted.
    `vault_key` is what its boxes are to be sealed to in a vault; in other spaces there is none.
    """

    invitation_id: Id
    account_entries: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_ACCOUNT_ENTRIES)]
    vault_key: InboxKey | None
    identity_signature: SignatureBytes
    invitation_signature: SignatureBytes


class AdmitMemberBody(Signed, frozen=True):
    """Whom an invitation brought is a member now, with the box of the epoch in force for those who read."""

    invitation_id: Id
    account_id: Id
    epoch: Count
    box: BoxRef | None


class SetRoleBody(Signed, frozen=True):
    """Another role, or other rights. With a box of the epoch in force for who reads more now, a new epoch for less."""

    account_id: Id
    role: Role
    rights: Rights
    box: BoxRef | None
    epoch: Epoch | None


class RemoveMemberBody(Signed, frozen=True):
    """The account is no member any more, and a new epoch begins."""

    account_id: Id
    epoch: Epoch


class SetPolicyBody(Signed, frozen=True):
    """The space allows something else from now on."""

    policy: Policy


BODIES: dict[str, type[Signed]] = {
    LedgerKind.CREATE_SPACE: CreateSpaceBody,
    LedgerKind.ADVANCE_ACCOUNT: AdvanceAccountBody,
    LedgerKind.CERTIFY_CAMERA: CertifyCameraBody,
    LedgerKind.BIND_CAMERA: BindCameraBody,
    LedgerKind.REVOKE_CAMERA: RevokeCameraBody,
    LedgerKind.POINT_CAMERA: PointCameraBody,
    LedgerKind.ROTATE_EPOCH: RotateEpochBody,
    LedgerKind.INVITE_MEMBER: InviteMemberBody,
    LedgerKind.WITHDRAW_INVITATION: WithdrawInvitationBody,
    LedgerKind.JOIN_SPACE: JoinSpaceBody,
    LedgerKind.ADMIT_MEMBER: AdmitMemberBody,
    LedgerKind.SET_ROLE: SetRoleBody,
    LedgerKind.REMOVE_MEMBER: RemoveMemberBody,
    LedgerKind.SET_POLICY: SetPolicyBody,
    LedgerKind.OPEN_GENERATION: OpenGenerationBody,
    LedgerKind.GIVE_GRANT: GiveGrantBody,
    LedgerKind.END_GRANT: EndGrantBody,
    LedgerKind.OPEN_UPLOAD_LINK: OpenUploadLinkBody,
    LedgerKind.BIND_GUEST: BindGuestBody,
    LedgerKind.CLOSE_UPLOAD_LINK: CloseUploadLinkBody,
}

# A kind of these families is a ledger entry, known to this version or not.
_LEDGER_FAMILIES = frozenset({"space", "account", "camera", "epoch", "member", "grant", "upload", "policy", "hold"})


def is_ledger_kind(kind: str) -> bool:
    """Whether an entry of *kind* belongs to the ledger (who) rather than to the records (what)."""
    return kind.split(".", 1)[0] in _LEDGER_FAMILIES


def bind_message(space_id: bytes, camera_id: bytes, device_key: bytes) -> bytes:
    """Return what the pairing key signs when a camera binds its own key."""
    return context(Label.SIGN_CAMERA_BIND, space_id, camera_id, device_key)


def join_message(
    label: Label, space_id: bytes, invitation_id: bytes, device_id: bytes, account: Head, vault_key: bytes | None
) -> bytes:
    """Return what the joiner's identity and the invitation's key sign, each under its own *label*.

    *account* is the head of the account's ledger, whose hash stands for its keys: a server that puts others in their
    place has no signature of the invitation's key, and one that offers the join elsewhere none of the identity. The
    same holds for *vault_key*, which stands in no account's ledger.
    """
    parts = (space_id, invitation_id, device_id, uint(account.number), account.hash, vault_key or b"")
    return context(label, *parts)
