"""Epochs: making a generation of keys for a space's members, and opening one without trusting who made it.

docs/spec/keys.md. What a member opened must give the very inboxes and history that the ledger entry shows to everyone;
else members were given different secrets, and nothing is sealed to that epoch.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ledger_entries import BoxRef, Epoch
from safelight.sync_protocol.ledger_state import Member
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.messages.spaces import NewBox
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import TIERS, Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box

# One thing that was sealed wrong, or in an epoch that does not open, is told of as such and stops nothing else.
DOES_NOT_OPEN = frozenset({Code.OPEN_FAILED, Code.PADDING_INVALID, Code.EPOCH_OLD})


@dataclass(frozen=True, slots=True)
class EpochSecrets:
    """What a member holds of an epoch: its view secret, and with the full tier the epoch secret above it."""

    number: int
    view: bytes
    full: bytes | None = None

    def __repr__(self) -> str:
        return f"EpochSecrets(number={self.number})"

    @property
    def view_metadata_key(self) -> bytes:
        """The key of the space's own view-tier fields in this epoch."""
        return keytree.view_metadata_key(self.view)

    @property
    def full_metadata_key(self) -> bytes:
        """The key of the space's own full-tier fields; FORBIDDEN for the view tier."""
        return keytree.full_metadata_key(self.require_full())

    def require_full(self) -> bytes:
        """Return the epoch secret; FORBIDDEN for the view tier."""
        if self.full is None:
            raise Refused(Code.FORBIDDEN, "this is of the full tier")
        return self.full


def box_info(nonce: bytes, number: int, account_id: bytes, tier: Tier) -> bytes:
    """Return what binds an epoch's box to its space (by the genesis nonce), epoch, member and tier."""
    return context(Label.EPOCH_BOX, nonce, uint(number), account_id, tier.value.encode("ascii"))


def _history_place(nonce: bytes, number: int, tier: Tier) -> bytes:
    return context(Label.HISTORY, nonce, uint(number), tier.value.encode("ascii"))


@dataclass(frozen=True, slots=True)
class MemberBox:
    """A member's box of an epoch, and how a ledger entry names it."""

    ref: BoxRef
    new: NewBox


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """An epoch for a ledger entry, the boxes that go with it, and its secrets."""

    epoch: Epoch
    boxes: Sequence[NewBox]
    secrets: EpochSecrets


def make_epoch(
    number: int, nonce: bytes, members: Mapping[bytes, Member], previous: EpochSecrets | None, *, secret: bytes = b""
) -> NewEpoch:
    """Make the epoch *number* for all *members* that read, handing down *previous* (which must hold both tiers)."""
    full = secret or secrets.token_bytes(KEY_SIZE_BYTES)
    view = keytree.view_secret(full)
    made = EpochSecrets(number, view, full)
    readers = [member for _, member in sorted(members.items()) if TIERS[member.role] is not Tier.NONE]
    boxes = [_box_or_noise(made, nonce, member) for member in readers]
    full_history = view_history = b""
    if previous is not None:
        full_history = seal_box(
            keytree.full_history_key(full),
            _history_place(nonce, number, Tier.FULL),
            previous.require_full(),
            nonce=random_nonce(),
        )
        view_history = seal_box(
            keytree.view_history_key(view),
            _history_place(nonce, number, Tier.VIEW),
            previous.view,
            nonce=random_nonce(),
        )
    epoch = Epoch(
        number=number,
        full_inbox=hpke.public_key(keytree.full_inbox_seed(full)),
        view_inbox=hpke.public_key(keytree.view_inbox_seed(view)),
        boxes=[box.ref for box in boxes],
        full_history=full_history,
        view_history=view_history,
    )
    return NewEpoch(epoch, [box.new for box in boxes], made)


def member_box(held: EpochSecrets, nonce: bytes, member: Member) -> MemberBox | None:
    """Seal an epoch's secret to *member*, at the tier of its role; None for one that reads nothing.

    Raises FORBIDDEN where one does not hold that tier oneself, FORMAT_UNSUPPORTED where its key is no key.
    """
    tier, account_id = TIERS[member.role], member.account.account_id
    if tier is Tier.NONE:
        return None
    info = box_info(nonce, held.number, account_id, tier)
    secret = held.require_full() if tier is Tier.FULL else held.view
    return _boxed(account_id, tier, hpke.seal(member.sealing_key, info, secret))


def _box_or_noise(made: EpochSecrets, nonce: bytes, member: Member) -> MemberBox:
    """*A member whose key is no key* opens nothing, and must not stop everyone else from removing anyone."""
    try:
        box = member_box(made, nonce, member)
    except Refused:
        box = None
    size_bytes = hpke.ENCAPSULATED_SIZE_BYTES + KEY_SIZE_BYTES + hpke.TAG_SIZE_BYTES
    return box or _boxed(member.account.account_id, TIERS[member.role], secrets.token_bytes(size_bytes))


def _boxed(account_id: bytes, tier: Tier, box: bytes) -> MemberBox:
    ref = BoxRef(account_id, "full" if tier is Tier.FULL else "view", hashlib.sha256(box).digest())
    return MemberBox(ref, NewBox(account_id.hex(), box))


def open_epoch_box(epoch: Epoch, nonce: bytes, account_id: bytes, sealing_seed: bytes, box: bytes) -> EpochSecrets:
    """Open this account's box of *epoch*; EPOCH_MISMATCH unless it and what it gives are the ledger's."""
    ref = next((ref for ref in epoch.boxes if ref.account_id == account_id), None)
    if ref is None or hashlib.sha256(box).digest() != ref.hash:
        raise Refused(Code.EPOCH_MISMATCH, f"the box of epoch {epoch.number} is not the one in the ledger")
    try:
        opened = hpke.open_sealed(sealing_seed, box_info(nonce, epoch.number, account_id, Tier(ref.tier)), box)
    except Refused:
        raise Refused(Code.EPOCH_MISMATCH, f"the box of epoch {epoch.number} does not open") from None
    return check_secret(epoch, Tier(ref.tier), opened)


def check_secret(epoch: Epoch, tier: Tier, opened: bytes) -> EpochSecrets:
    """Check an opened secret against the inboxes in the ledger; EPOCH_MISMATCH (*different secrets to members*)."""
    if len(opened) != KEY_SIZE_BYTES:
        raise Refused(Code.EPOCH_MISMATCH, "it holds no secret")
    full = opened if tier is Tier.FULL else None
    view = keytree.view_secret(opened) if tier is Tier.FULL else opened
    if hpke.public_key(keytree.view_inbox_seed(view)) != epoch.view_inbox:
        raise Refused(Code.EPOCH_MISMATCH, f"the view inbox of epoch {epoch.number}")
    if full is not None and hpke.public_key(keytree.full_inbox_seed(full)) != epoch.full_inbox:
        raise Refused(Code.EPOCH_MISMATCH, f"the full inbox of epoch {epoch.number}")
    return EpochSecrets(epoch.number, view, full)


def open_history(epoch: Epoch, before: Sequence[Epoch], nonce: bytes, held: EpochSecrets) -> EpochSecrets:
    """Return the secrets that *epoch* hands down: of the one before it, or of an earlier one of those in *before*.

    Epochs that are passed over opened for none who could begin another (docs/spec/log.md §5). EPOCH_MISMATCH where what
    is handed down is of none of them.
    """
    try:
        view = open_box(
            keytree.view_history_key(held.view), _history_place(nonce, epoch.number, Tier.VIEW), epoch.view_history
        )
        full = None
        if held.full is not None:
            full = open_box(
                keytree.full_history_key(held.full), _history_place(nonce, epoch.number, Tier.FULL), epoch.full_history
            )
    except Refused as refusal:
        raise Refused(Code.EPOCH_MISMATCH, f"the history in epoch {epoch.number}: {refusal.code}") from None
    for earlier in reversed(before):
        try:
            opened = check_secret(earlier, Tier.VIEW, view) if full is None else check_secret(earlier, Tier.FULL, full)
        except Refused:
            continue
        if opened.view == view:
            return opened
        break
    raise Refused(Code.EPOCH_MISMATCH, f"epoch {epoch.number} hands down what is no epoch's before it")


def open_epochs(
    epochs: Sequence[Epoch], nonce: bytes, opened: EpochSecrets, known: Mapping[int, EpochSecrets]
) -> dict[int, EpochSecrets]:
    """Return the secrets of *opened* and of every epoch that it hands down, back to the first or to one that is known.

    EPOCH_MISMATCH where that ends before: then nothing is sealed to it either.
    """
    held = {opened.number: opened}
    while opened.number > 1 and opened.number not in known:
        opened = open_history(epochs[opened.number - 1], epochs[: opened.number - 1], nonce, opened)
        held.setdefault(opened.number, opened)
    return held


def open_all_epochs(epochs: Sequence[Epoch], nonce: bytes, newest: EpochSecrets) -> dict[int, EpochSecrets]:
    """Return the secrets of every epoch from *newest* back to the first, as far as none was passed over."""
    return open_epochs(epochs, nonce, newest, {})
