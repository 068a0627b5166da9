"""Generations: the keys of a shared album, made for its grantees, and opened without trusting who made them.

docs/spec/albums.md. What one opened must give the very inboxes and history that the ledger entry shows to everyone.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safelight.clients.engine.epochs import EpochSecrets
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.grant_entries import FIRST_SHARED_GENERATION, Generation, GrantBox
from safelight.sync_protocol.ledger_state import Grant, Member
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box


@dataclass(frozen=True, slots=True)
class AlbumKeys:
    """What a reader holds of one generation: the album view key, and with the full tier the album key above it."""

    number: int
    view: bytes
    full: bytes | None = None

    def __repr__(self) -> str:
        return f"AlbumKeys(number={self.number})"

    def require_full(self) -> bytes:
        """Return the album key; FORBIDDEN for the view tier."""
        if self.full is None:
            raise Refused(Code.FORBIDDEN, "this is of the full tier")
        return self.full


@dataclass(frozen=True, slots=True)
class Place:
    """Which album, of which space."""

    space_id: bytes
    album_id: bytes

    def key(self, generation: int, epoch: int, tier: Tier) -> bytes:
        """What binds an album's key, boxed for the members of an epoch."""
        parts = (self.space_id, self.album_id, uint(generation), uint(epoch), tier.value.encode("ascii"))
        return context(Label.ALBUM_KEY, *parts)

    def title(self, generation: int) -> bytes:
        """What binds the title."""
        return context(Label.ALBUM_FIELD, self.space_id, self.album_id, uint(generation), b"title")

    def new_title(self, generation: int, author_id: bytes, log: Head) -> bytes:
        """What binds the title that an author gives an album whose own log ends at *log*."""
        parts = (self.space_id, self.album_id, uint(generation), b"renamed", author_id, uint(log.number), log.hash)
        return context(Label.ALBUM_FIELD, *parts)

    def wrap(self, generation: int, asset_id: bytes, tier: Tier) -> bytes:
        """What binds an asset's key, wrapped for the album."""
        parts = (self.space_id, self.album_id, uint(generation), asset_id, tier.value.encode("ascii"))
        return context(Label.ALBUM_WRAP, *parts)

    def history(self, generation: int, tier: Tier) -> bytes:
        """What binds the keys of the generation before, boxed under those of *generation*."""
        parts = (self.space_id, self.album_id, uint(generation), tier.value.encode("ascii"))
        return context(Label.ALBUM_HISTORY, *parts)

    def box(self, generation: int, account_id: bytes, tier: Tier) -> bytes:
        """What binds a grantee's box."""
        parts = (self.space_id, self.album_id, uint(generation), account_id, tier.value.encode("ascii"))
        return context(Label.ALBUM_BOX, *parts)


def make_generation(
    place: Place,
    number: int,
    title: str,
    held: EpochSecrets,
    grants: Mapping[bytes, Grant],
    members: Mapping[bytes, Member],
    previous: AlbumKeys | None,
) -> tuple[Generation, AlbumKeys]:
    """Make the generation *number* for the members of the epoch *held* and all *grants*, handing down *previous*."""
    full = secrets.token_bytes(KEY_SIZE_BYTES)
    view = keytree.album_view_key(full)
    keys = AlbumKeys(number, view, full)
    full_history = view_history = b""
    if previous is not None:
        full_history = _box(
            keytree.album_full_history_key(full), place.history(number, Tier.FULL), previous.require_full()
        )
        view_history = _box(keytree.album_view_history_key(view), place.history(number, Tier.VIEW), previous.view)
    generation = Generation(
        number=number,
        epoch=held.number,
        full_inbox=hpke.public_key(keytree.album_full_inbox_seed(full)),
        view_inbox=hpke.public_key(keytree.album_view_inbox_seed(view)),
        boxes=[_box_or_noise(place, keys, members[key], grant.tier) for key, grant in sorted(grants.items())],
        key_full=_box(held.full_metadata_key, place.key(number, held.number, Tier.FULL), full),
        key_view=_box(held.view_metadata_key, place.key(number, held.number, Tier.VIEW), view),
        full_history=full_history,
        view_history=view_history,
        title=_box(keytree.album_metadata_key(view), place.title(number), title.encode()),
    )
    return generation, keys


def _box(key: bytes, place: bytes, content: bytes) -> bytes:
    return seal_box(key, place, content, nonce=random_nonce())


def grant_box(place: Place, keys: AlbumKeys, member: Member, tier: Tier) -> GrantBox:
    """Seal a generation's key to *member*'s identity, at *tier*; FORMAT_UNSUPPORTED where its key is no key."""
    account_id = member.account.account_id
    secret = keys.require_full() if tier is Tier.FULL else keys.view
    box = hpke.seal(member.account.identity.sealing, place.box(keys.number, account_id, tier), secret)
    return _named(account_id, tier, box)


def _box_or_noise(place: Place, keys: AlbumKeys, member: Member, tier: Tier) -> GrantBox:
    """*A grantee whose key is no key* opens nothing, and must not stop everyone else from beginning a generation."""
    try:
        return grant_box(place, keys, member, tier)
    except Refused:
        size_bytes = hpke.ENCAPSULATED_SIZE_BYTES + KEY_SIZE_BYTES + hpke.TAG_SIZE_BYTES
        return _named(member.account.account_id, tier, secrets.token_bytes(size_bytes))


def _named(account_id: bytes, tier: Tier, box: bytes) -> GrantBox:
    return GrantBox(account_id, "full" if tier is Tier.FULL else "view", box)


def open_grant_box(place: Place, generation: Generation, account_id: bytes, seeds: Sequence[bytes]) -> AlbumKeys:
    """Open this account's box with the first of its *seeds* that does; EPOCH_MISMATCH unless the keys are the ledger's.

    *Different keys to different grantees*, or a box that was exchanged.
    """
    box = next((box for box in generation.boxes if box.account_id == account_id), None)
    if box is None:
        raise Refused(Code.EPOCH_MISMATCH, f"generation {generation.number} of the album has no box for this account")
    info = place.box(generation.number, account_id, Tier(box.tier))
    for seed in seeds:
        try:
            opened = hpke.open_sealed(seed, info, box.box)
        except Refused:
            continue  # sealed to a former identity, or to this one
        return _checked(generation, Tier(box.tier), opened)
    raise Refused(Code.EPOCH_MISMATCH, f"this account's box of the album's generation {generation.number}")


def open_for_members(place: Place, generation: Generation, held: EpochSecrets) -> AlbumKeys:
    """Open a generation's keys with the secrets of its epoch; OPEN_FAILED, or EPOCH_MISMATCH."""
    number = generation.number
    view = open_box(held.view_metadata_key, place.key(number, held.number, Tier.VIEW), generation.key_view)
    if held.full is None:
        return _checked(generation, Tier.VIEW, view)
    full = open_box(held.full_metadata_key, place.key(number, held.number, Tier.FULL), generation.key_full)
    keys = _checked(generation, Tier.FULL, full)
    if keys.view != view:
        raise Refused(Code.EPOCH_MISMATCH, f"generation {number} of the album has another view key for members")
    return keys


def _checked(generation: Generation, tier: Tier, opened: bytes) -> AlbumKeys:
    """Check an opened key against the inboxes in the ledger; EPOCH_MISMATCH."""
    what = f"generation {generation.number} of the album"
    if len(opened) != KEY_SIZE_BYTES:
        raise Refused(Code.EPOCH_MISMATCH, f"{what} holds no key")
    full = opened if tier is Tier.FULL else None
    view = keytree.album_view_key(opened) if tier is Tier.FULL else opened
    if hpke.public_key(keytree.album_view_inbox_seed(view)) != generation.view_inbox:
        raise Refused(Code.EPOCH_MISMATCH, f"{what}: the view inbox")
    if full is not None and hpke.public_key(keytree.album_full_inbox_seed(full)) != generation.full_inbox:
        raise Refused(Code.EPOCH_MISMATCH, f"{what}: the full inbox")
    return AlbumKeys(generation.number, view, full)


def open_all_generations(place: Place, generations: Sequence[Generation], newest: AlbumKeys) -> dict[int, AlbumKeys]:
    """Return the keys of every generation from the *newest* back to the first that is shared.

    Or as far as they were handed down: *one editor who hands down none* hides what was shown before, and not what is
    shown since.
    """
    held = {newest.number: newest}
    for index in range(newest.number - FIRST_SHARED_GENERATION, 0, -1):
        generation, before = generations[index], generations[index - 1]
        try:
            held[before.number] = _open_history(place, generation, before, held[generation.number])
        except Refused:
            break
    return held


def keys_handed_down(keys: Mapping[int, AlbumKeys], number: int) -> AlbumKeys:
    """Return the keys of the generation *number*; EPOCH_MISMATCH where they were not handed down."""
    if number not in keys:
        raise Refused(Code.EPOCH_MISMATCH, f"the keys of the album's generation {number} were not handed down")
    return keys[number]


def _open_history(place: Place, generation: Generation, before: Generation, held: AlbumKeys) -> AlbumKeys:
    number = generation.number
    try:
        view = open_box(
            keytree.album_view_history_key(held.view), place.history(number, Tier.VIEW), generation.view_history
        )
        if held.full is None:
            return _checked(before, Tier.VIEW, view)
        full = open_box(
            keytree.album_full_history_key(held.full), place.history(number, Tier.FULL), generation.full_history
        )
    except Refused as refusal:
        raise Refused(Code.EPOCH_MISMATCH, f"generation {number} of the album: {refusal.code}") from None
    opened = _checked(before, Tier.FULL, full)
    if opened.view != view:
        raise Refused(Code.EPOCH_MISMATCH, f"generation {number} of the album hands down another view key")
    return opened


def open_title(place: Place, generation: Generation, keys: AlbumKeys) -> str:
    """Open the album's title."""
    sealed = open_box(keytree.album_metadata_key(keys.view), place.title(generation.number), generation.title)
    return sealed.decode("utf-8", "replace")
