"""Rolls: a run of uploads under one fresh key, sealed to the space's inboxes and then forgotten (docs/spec/records.md).

Who adds need not read: everything here works from the verified ledger's public inboxes. Roll and asset keys live in
memory only.
"""

import ctypes
import secrets
import sys
from dataclasses import dataclass

from safelight.clients.engine.inboxes import Inboxes
from safelight.sync_protocol import ids
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_ASSETS_PER_ROLL, MAX_ROLL_AGE_S
from safelight.sync_protocol.records import (
    VIEW_RENDITIONS,
    AssetBody,
    FullPart,
    OpenAlbumRollBody,
    OpenRollBody,
    RenditionName,
    RenditionRef,
    ViewPart,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.wire import pack, unpack


@dataclass(frozen=True, slots=True)
class RollRef:
    """A roll, and the shared album whose generation it is sealed to as well, if it is."""

    roll_id: bytes
    album_id: bytes = b""
    generation: int = 0


def roll_info(label: Label, space_id: bytes, epoch: int, roll_id: bytes, device_id: bytes) -> bytes:
    """Return what binds a sealed roll key to its space, epoch, roll and adding device."""
    return context(label, space_id, uint(epoch), roll_id, device_id)


def album_roll_info(label: Label, space_id: bytes, roll: RollRef, device_id: bytes) -> bytes:
    """Return what binds a roll key, sealed to a shared album, to its place there."""
    return context(label, space_id, roll.album_id, uint(roll.generation), roll.roll_id, device_id)


def _place(label: Label, space_id: bytes, roll_id: bytes, asset_id: bytes, tier: Tier) -> bytes:
    return context(label, space_id, roll_id, asset_id, tier.value.encode("ascii"))


def wipe(key: bytes) -> None:
    """Overwrite a key of ours that nothing else refers to: memory that Python frees keeps what was in it.

    Copies that libraries made while they used it are theirs to clear; where Python is not CPython, nothing is done.
    """
    if len(key) == KEY_SIZE_BYTES and sys.implementation.name == "cpython":
        ctypes.memset(id(key) + bytes.__basicsize__ - 1, 0, KEY_SIZE_BYTES)


class NewAsset:
    """One asset being sealed: its id, and the keys of its renditions until `finish` wraps them away."""

    def __init__(self, roll: "Roll", asset_id: bytes = b"", key: bytes = b"") -> None:
        self.asset_id = asset_id or ids.new_id()
        self._roll = roll
        self._key = bytes(bytearray(key)) or secrets.token_bytes(KEY_SIZE_BYTES)  # ours alone: it is wiped

    @property
    def roll(self) -> RollRef:
        """The roll that the asset is sealed under."""
        return self._roll.ref

    def rendition_key(self, name: RenditionName, rendition_id: bytes) -> bytes:
        """Return the key for one file: under the asset key for the full tier, under its view key for the view tier."""
        above = keytree.asset_view_key(self._key) if name in VIEW_RENDITIONS else self._key
        return keytree.rendition_key(above, name.value, rendition_id)

    def finish(
        self, renditions: list[RenditionRef], view: ViewPart, full: FullPart, *, fingerprint: bytes = b""
    ) -> AssetBody:
        """Return the asset for the record, metadata sealed and keys wrapped; afterwards its key is forgotten."""
        key, self._key = self._key, b""
        try:
            return self._roll.finish_asset(self, key, renditions, view, full, fingerprint)
        finally:
            wipe(key)


class Roll:
    """A roll that is open: makes assets until it is spent or closed.

    What is sealed opens for the readers of the epoch that the *inboxes* are of, and for no one who adds; where they
    name a shared album, whose keys stand, for that album's readers as well.
    """

    def __init__(self, inboxes: Inboxes, device_id: bytes, *, opened_ms: int) -> None:
        key = secrets.token_bytes(KEY_SIZE_BYTES)
        view_key = keytree.roll_view_key(key)
        self.roll_id = ids.new_id()
        self.epoch = inboxes.epoch
        self.assets = 0
        self._space_id = inboxes.space_id
        self._opened_ms = opened_ms
        self._wrap_key = keytree.roll_wrap_key(key)
        self._view_wrap_key = keytree.roll_view_wrap_key(view_key)
        place = (inboxes.space_id, self.epoch, self.roll_id, device_id)
        full = hpke.seal(inboxes.full, roll_info(Label.ROLL_FULL, *place), key)
        view = hpke.seal(inboxes.view, roll_info(Label.ROLL_VIEW, *place), view_key)
        self.body: OpenRollBody | OpenAlbumRollBody
        album = inboxes.album
        if album is not None:
            self.ref = RollRef(self.roll_id, album.album_id, album.generation)
            info = (inboxes.space_id, self.ref, device_id)
            self.body = OpenAlbumRollBody(
                roll_id=self.roll_id,
                epoch=self.epoch,
                full=full,
                view=view,
                album_id=album.album_id,
                generation=album.generation,
                album_full=hpke.seal(album.full_inbox, album_roll_info(Label.ALBUM_ROLL_FULL, *info), key),
                album_view=hpke.seal(album.view_inbox, album_roll_info(Label.ALBUM_ROLL_VIEW, *info), view_key),
            )
        else:
            self.ref = RollRef(self.roll_id)
            self.body = OpenRollBody(self.roll_id, self.epoch, full, view)
        wipe(key)
        wipe(view_key)

    def is_spent(self, inboxes: Inboxes, *, now_ms: int) -> bool:
        """Whether a new roll is due: another epoch, album or generation of it, 500 assets, a day, or `close`."""
        old = now_ms - self._opened_ms >= MAX_ROLL_AGE_S * 1000 or now_ms < self._opened_ms
        album = (inboxes.album.album_id, inboxes.album.generation) if inboxes.album else (b"", 0)
        old = old or album != (self.ref.album_id, self.ref.generation)
        return old or self.epoch != inboxes.epoch or self.assets >= MAX_ASSETS_PER_ROLL or not self._wrap_key

    def new_asset(self) -> NewAsset:
        """Begin an asset; ROLL_FULL when the roll has as many as it may."""
        if self.assets >= MAX_ASSETS_PER_ROLL:
            raise Refused(Code.ROLL_FULL)
        self.assets += 1
        return NewAsset(self)

    def adopt_asset(self, asset_id: bytes, key: bytes) -> NewAsset:
        """The same for an asset that is in another space already, under its id and key: its files stay as they are."""
        if self.assets >= MAX_ASSETS_PER_ROLL:
            raise Refused(Code.ROLL_FULL)
        self.assets += 1
        return NewAsset(self, asset_id, key)

    def finish_asset(
        self,
        asset: NewAsset,
        asset_key: bytes,
        renditions: list[RenditionRef],
        view: ViewPart,
        full: FullPart,
        fingerprint: bytes,
    ) -> AssetBody:
        """Seal an asset's metadata and wrap its keys; ROLL_UNKNOWN once the roll is closed."""
        if not self._wrap_key or not asset_key:
            raise Refused(Code.ROLL_UNKNOWN, "the roll was closed, or the asset is finished")
        view_key = keytree.asset_view_key(asset_key)
        place = (self._space_id, self.roll_id, asset.asset_id)

        def seal(label: Label, tier: Tier, key: bytes, plaintext: bytes) -> bytes:
            return seal_box(key, _place(label, *place, tier), plaintext, nonce=random_nonce())

        return AssetBody(
            asset_id=asset.asset_id,
            fingerprint=fingerprint,
            renditions=renditions,
            wrap_full=seal(Label.ROLL_WRAP, Tier.FULL, self._wrap_key, asset_key),
            wrap_view=seal(Label.ROLL_WRAP, Tier.VIEW, self._view_wrap_key, view_key),
            view=seal(Label.ASSET_FIELD, Tier.VIEW, keytree.asset_metadata_key(view_key), pack(view)),
            full=seal(Label.ASSET_FIELD, Tier.FULL, keytree.asset_metadata_key(asset_key), pack(full)),
        )

    def close(self) -> None:
        """Forget the keys: from here on this process opens nothing that it added, and seals nothing more."""
        wipe(self._wrap_key)
        wipe(self._view_wrap_key)
        self._wrap_key = self._view_wrap_key = b""


@dataclass(frozen=True, slots=True)
class RollKeys:
    """What a reader opened of a roll: wrap keys of its tier. `full` is None for the view tier."""

    roll_id: bytes
    view: bytes
    full: bytes | None


@dataclass(frozen=True, slots=True)
class AssetKeys:
    """What a reader holds of an asset: its view key, and with the full tier its asset key."""

    view: bytes
    full: bytes | None = None

    def rendition_key(self, ref: RenditionRef) -> bytes:
        """Return the key of one rendition; FORBIDDEN where this tier does not reach it."""
        above = self.view if ref.name in VIEW_RENDITIONS else self.full
        if above is None:
            raise Refused(Code.FORBIDDEN, f"{ref.name.value} is of the full tier")
        return keytree.rendition_key(above, ref.name.value, ref.rendition_id)


def open_roll(
    body: OpenRollBody | OpenAlbumRollBody,
    space_id: bytes,
    device_id: bytes,
    *,
    view_secret: bytes,
    epoch_secret: bytes | None,
) -> RollKeys:
    """Open a roll with its epoch's secrets; OPEN_FAILED unless both tiers say the same."""
    place = (space_id, body.epoch, body.roll_id, device_id)
    view_seed = keytree.view_inbox_seed(view_secret)
    view_key = hpke.open_sealed(view_seed, roll_info(Label.ROLL_VIEW, *place), body.view)
    key = None
    if epoch_secret is not None:
        full_seed = keytree.full_inbox_seed(epoch_secret)
        key = hpke.open_sealed(full_seed, roll_info(Label.ROLL_FULL, *place), body.full)
    return _opened(body.roll_id, view_key, key)


def open_album_roll(
    body: OpenAlbumRollBody, space_id: bytes, device_id: bytes, *, album_view_key: bytes, album_key: bytes | None
) -> RollKeys:
    """Open a roll with the keys of the album that it adds to; OPEN_FAILED unless both tiers say the same."""
    info = (space_id, RollRef(body.roll_id, body.album_id, body.generation), device_id)
    view_seed = keytree.album_view_inbox_seed(album_view_key)
    view_key = hpke.open_sealed(view_seed, album_roll_info(Label.ALBUM_ROLL_VIEW, *info), body.album_view)
    key = None
    if album_key is not None:
        full_seed = keytree.album_full_inbox_seed(album_key)
        key = hpke.open_sealed(full_seed, album_roll_info(Label.ALBUM_ROLL_FULL, *info), body.album_full)
    return _opened(body.roll_id, view_key, key)


def _opened(roll_id: bytes, view_key: bytes, key: bytes | None) -> RollKeys:
    if key is None:
        return RollKeys(roll_id, keytree.roll_view_wrap_key(view_key), None)
    if keytree.roll_view_key(key) != view_key:
        raise Refused(Code.OPEN_FAILED, "the roll's view key does not come from its key")
    return RollKeys(roll_id, keytree.roll_view_wrap_key(view_key), keytree.roll_wrap_key(key))


def open_asset_keys(body: AssetBody, roll: RollKeys, space_id: bytes) -> AssetKeys:
    """Unwrap an asset's keys; OPEN_FAILED for wraps that were moved, changed, or do not belong together."""
    place = (space_id, roll.roll_id, body.asset_id)
    view_key = open_box(roll.view, _place(Label.ROLL_WRAP, *place, Tier.VIEW), body.wrap_view)
    if roll.full is None:
        return AssetKeys(view_key)
    key = open_box(roll.full, _place(Label.ROLL_WRAP, *place, Tier.FULL), body.wrap_full)
    if keytree.asset_view_key(key) != view_key:
        raise Refused(Code.OPEN_FAILED, "the asset's view key does not come from its key")
    return AssetKeys(view_key, key)


def open_view_part(body: AssetBody, keys: AssetKeys, space_id: bytes, roll_id: bytes) -> ViewPart:
    """Open an asset's display metadata."""
    place = _place(Label.ASSET_FIELD, space_id, roll_id, body.asset_id, Tier.VIEW)
    return unpack(open_box(keytree.asset_metadata_key(keys.view), place, body.view), ViewPart, Code.OPEN_FAILED)


def open_full_part(body: AssetBody, keys: AssetKeys, space_id: bytes, roll_id: bytes) -> FullPart:
    """Open an asset's other metadata; FORBIDDEN for the view tier."""
    if keys.full is None:
        raise Refused(Code.FORBIDDEN, "this is of the full tier")
    place = _place(Label.ASSET_FIELD, space_id, roll_id, body.asset_id, Tier.FULL)
    return unpack(open_box(keytree.asset_metadata_key(keys.full), place, body.full), FullPart, Code.OPEN_FAILED)
