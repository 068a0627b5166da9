"""Where a space's ledger stands: its members, cameras and epochs, and what each of them may do there.

docs/spec/log.md §5. Only `ledger.apply` makes a new state of an old one.

Structs, though nothing here is sent: each entry makes a new state, and theirs are made several times as fast as those
of dataclasses. What stands in a state by the thousand is nothing that the garbage collector has to go through (`gc`):
it is frozen, so it can be part of no cycle.
"""

from collections.abc import Mapping

import msgspec

from safelight.sync_protocol.account_ledger import AccountState
from safelight.sync_protocol.grant_entries import Generation
from safelight.sync_protocol.ledger_entries import Epoch, Policy, SpaceKind
from safelight.sync_protocol.log import Entry, Head, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import CAMERA_RIGHTS, MANAGES, RIGHTS, TIERS, Right, Role, Tier
from safelight.sync_protocol.upload_entries import UploadTerms


class Member(msgspec.Struct, frozen=True, gc=False):
    """An account in the space: its role, its own ledger as far as it counts here, its rights, and how it came in.

    In a vault it has a key of its own, which opens with the vault's second secret alone (docs/spec/keys.md §10).
    """

    role: Role
    account: AccountState
    rights: frozenset[Right]
    invitation_id: bytes = b""  # by which it was admitted; empty for who made the space
    vault_key: bytes | None = None

    @classmethod
    def usual(cls, role: Role, account: AccountState, vault_key: bytes | None = None) -> "Member":
        """A member with the rights that its role usually has."""
        return cls(role, account, RIGHTS[role], vault_key=vault_key)

    @property
    def sealing_key(self) -> bytes:
        """The public key to which the boxes of its epochs are sealed."""
        return self.account.identity.sealing if self.vault_key is None else self.vault_key


class Invitation(msgspec.Struct, frozen=True, gc=False):
    """An invitation: given, then used once by `joiner`, and over when that was admitted or it was withdrawn.

    `given_at` is the ledger entry that its giver had before it, `vault_key` what the joiner brought into a vault.
    """

    invited_by: bytes
    key: bytes
    role: Role
    rights: frozenset[Right]
    expires_ms: int
    name: bytes
    name_epoch: int
    given_at: int
    joiner: AccountState | None = None
    vault_key: bytes | None = None
    over: bool = False


class Camera(msgspec.Struct, frozen=True, gc=False):
    """A camera: certified, then bound once, until revoked. A guest of an upload link (`link_id`) is one, too."""

    certified_by: bytes
    pairing_key: bytes
    expires_ms: int
    quota_bytes: int
    name: bytes
    name_epoch: int
    dedupe: bytes
    device_key: bytes | None = None
    revoked: bool = False
    album_id: bytes = b""  # what it adds is in this shared album as well
    link_id: bytes = b""


class UploadLink(msgspec.Struct, frozen=True, gc=False):
    """An upload link: opened, joined by guests, until it expires or is closed (docs/spec/upload-links.md)."""

    made_by: bytes
    guest_key: bytes
    publishing_key: bytes
    terms: UploadTerms
    album_id: bytes
    makers: bytes
    makers_epoch: int
    guests: int = 0
    closed: bool = False


class Grant(msgspec.Struct, frozen=True, gc=False):
    """One account reads one album at `tier`, until `expires_ms`; 0 means until it is ended."""

    tier: Tier
    expires_ms: int
    given_by: bytes
    given_ms: int
    can_add: bool = False
    can_organise: bool = False

    def stands_at(self, time_ms: int) -> bool:
        """Whether it has not expired by then."""
        return not self.expires_ms or time_ms < self.expires_ms


class SharedAlbum(msgspec.Struct, frozen=True):
    """An album that is shared by grants: the generations of its keys, and the grants that were not ended.

    Only the newest generation keeps its boxes.
    """

    generations: tuple[Generation, ...]
    grants: Mapping[bytes, Grant] = {}

    @property
    def generation(self) -> Generation:
        """The newest generation."""
        return self.generations[-1]

    def standing(self, time_ms: int) -> dict[bytes, Grant]:
        """The grants that have not expired by then."""
        return {account_id: grant for account_id, grant in self.grants.items() if grant.stands_at(time_ms)}


class LedgerState(msgspec.Struct, frozen=True):
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
    inboxes: tuple[frozenset[bytes], ...]  # of all epochs, both tiers', in few sets: see `with_inboxes`
    cameras: Mapping[bytes, Camera] = {}
    invitations: Mapping[bytes, Invitation] = {}
    removed: Mapping[bytes, int] = {}  # by account: the ledger entry before its last removal
    albums: Mapping[bytes, SharedAlbum] = {}
    upload_links: Mapping[bytes, UploadLink] = {}
    epoch_due: bool = False  # somebody lost reach who could not begin the epoch that belongs to it

    @property
    def epoch(self) -> Epoch:
        """The epoch in force."""
        return self.epochs[-1]

    def rights_of(self, author_id: bytes) -> frozenset[Right]:
        """The rights of a member or of a camera that is bound and not revoked; of anyone else, none."""
        member = self.members.get(author_id)
        if member:
            return member.rights
        return CAMERA_RIGHTS if self._standing_camera(author_id) else frozenset()

    def may_add(self, account_id: bytes) -> bool:
        """Whether a member may add, and so may its cameras."""
        member = self.members.get(account_id)
        return member is not None and Right.ADD in member.rights

    def may_manage(self, account_id: bytes, role: Role) -> bool:
        """Whether a member may invite, change and remove members of *role*."""
        member = self.members.get(account_id)
        return member is not None and Right.MEMBERS in member.rights and role in MANAGES[member.role]

    def tier_of(self, account_id: bytes) -> Tier:
        """The tier that an account reads here."""
        member = self.members.get(account_id)
        return TIERS[member.role] if member else Tier.NONE

    def grant_of(self, account_id: bytes, album_id: bytes, time_ms: int) -> Grant | None:
        """The grant by which a member reads a shared album at a time."""
        album = self.albums.get(album_id)
        grant = album.grants.get(account_id) if album and account_id in self.members else None
        return grant if grant and grant.stands_at(time_ms) else None

    def may_add_to(self, author_id: bytes, album_id: bytes, time_ms: int) -> bool:
        """Whether an author adds to a shared album at a time: a member, or a camera pointed at it.

        Members do who add and organise, or whose grant says so.
        """
        if album_id not in self.albums:
            return False
        if author_id in self.members:
            grant = self.grant_of(author_id, album_id, time_ms)
            granted = grant is not None and grant.can_add
            return granted or {Right.ADD, Right.ORGANISE} <= self.rights_of(author_id)
        camera = self._standing_camera(author_id)
        return camera is not None and camera.album_id == album_id

    def may_organise(self, author_id: bytes, album_id: bytes, time_ms: int) -> bool:
        """Whether an author takes pictures out of an album, and renames it, at a time: by a right, or by a grant."""
        grant = self.grant_of(author_id, album_id, time_ms)
        granted = grant is not None and grant.can_organise
        return granted or Right.ORGANISE in self.rights_of(author_id)

    def adds_by_grant(self, account_id: bytes, time_ms: int) -> bool:
        """Whether a member may add to some album by a grant, at a time."""
        grants = (self.grant_of(account_id, album_id, time_ms) for album_id in self.albums)
        return any(grant is not None and grant.can_add for grant in grants)

    def generation_stands(self, album_id: bytes, time_ms: int) -> bool:
        """Whether a shared album may be added to under its newest generation: nobody has its keys who reads no more."""
        album = self.albums[album_id]
        return album.generation.epoch == self.epoch.number and len(album.standing(time_ms)) == len(album.grants)

    def signing_key(self, author_id: bytes, device_id: bytes) -> bytes | None:
        """The signing key of a device in good standing, a camera's included (its device id is its own id)."""
        member = self.members.get(author_id)
        if member:
            return member.account.device_key(device_id)
        camera = self._standing_camera(author_id)
        return camera.device_key if camera and device_id == author_id else None

    def upload_link_stands(self, link_id: bytes, time_ms: int) -> bool:
        """Whether guests may add by an upload link at a time: while links are allowed, and its maker may add."""
        link = self.upload_links.get(link_id)
        if link is None or link.closed or time_ms >= link.terms.expires_ms:
            return False
        return self.policy.links != "none" and self.may_add(link.made_by)

    def holds_dedupe_key(self, author_id: bytes) -> bool:
        """Whether an author was given the space's dedupe key: who reads all, and cameras that are no guests."""
        camera = self.cameras.get(author_id) if author_id not in self.members else None
        return self.tier_of(author_id) is Tier.FULL if camera is None else not camera.link_id

    def guest_link(self, author_id: bytes) -> bytes:
        """The upload link by which an author came; empty for members and for other cameras."""
        camera = self.cameras.get(author_id) if author_id not in self.members else None
        return camera.link_id if camera else b""

    def _standing_camera(self, camera_id: bytes) -> Camera | None:
        camera = self.cameras.get(camera_id)
        if camera is None or camera.device_key is None or camera.revoked or not self.may_add(camera.certified_by):
            return None
        return camera


def check_vault_key(kind: SpaceKind, account: AccountState, vault_key: bytes | None) -> None:
    """Who comes into a vault brings a key for it, and only there; raises LEDGER_RULE.

    *A vault that opens without its second secret*: the account's own sealing key is none.
    """
    if (vault_key is not None) != (kind == "vault"):
        raise Refused(Code.LEDGER_RULE, "a vault's members have a key for it, and no others")
    if vault_key == account.identity.sealing:
        raise Refused(Code.LEDGER_RULE, "a vault's key is another one than the account's")


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
