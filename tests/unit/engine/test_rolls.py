"""Rolls: what is sealed under one opens at its place and tier only, and its keys are forgotten where they stood."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from safelight.clients.engine import rolls
from safelight.clients.engine.epochs import EpochSecrets
from safelight.clients.engine.files import seal_bytes
from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.rolls import (
    Roll,
    RollKeys,
    open_asset_keys,
    open_full_part,
    open_roll,
    open_view_part,
    roll_info,
    wipe,
)
from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_ASSETS_PER_ROLL, MAX_ROLL_AGE_S
from safelight.sync_protocol.records import (
    AssetBody,
    FullPart,
    OpenAlbumRollBody,
    OpenRollBody,
    RenditionName,
    ViewPart,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from tests.support.readers import DEVICE, readable_space
from tests.support.refusing import refuses


def test_an_asset_opens_for_its_tier(tmp_path: Path) -> None:
    """Full readers open all of it, view readers the view part and its keys only, adders after closing nothing."""
    state, held = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    asset = roll.new_asset()
    original = seal_bytes(asset, RenditionName.ORIGINAL, b"original")
    preview = seal_bytes(asset, RenditionName.PREVIEW, b"preview")
    view, full = ViewPart(kind="photo", caption="Lake"), FullPart("a.jpg", original.sha256, 8, "image/jpeg", 0)
    body = asset.finish([original.ref, preview.ref], view, full)
    where = (state.space_id, DEVICE.device_id)
    keys = open_asset_keys(
        body, open_roll(roll.body, *where, view_secret=held.view, epoch_secret=held.full), state.space_id
    )
    assert open_view_part(body, keys, state.space_id, roll.roll_id) == view
    assert open_full_part(body, keys, state.space_id, roll.roll_id) == full
    viewing = open_roll(roll.body, *where, view_secret=held.view, epoch_secret=None)
    keys = open_asset_keys(body, viewing, state.space_id)
    assert open_view_part(body, keys, state.space_id, roll.roll_id) == view
    assert keys.rendition_key(preview.ref)
    for forbidden in (
        lambda: open_full_part(body, keys, state.space_id, roll.roll_id),
        lambda: keys.rendition_key(original.ref),
    ):
        with pytest.raises(Refused) as refused:
            forbidden()
        assert refused.value.code is Code.FORBIDDEN
    with pytest.raises(Refused) as refused:
        open_roll(roll.body, state.space_id, b"o" * 16, view_secret=held.view, epoch_secret=held.full)
    assert refused.value.code is Code.OPEN_FAILED
    with pytest.raises(Refused):
        asset.finish([original.ref], view, full)  # its key is forgotten
    late = roll.new_asset()
    roll.close()
    with pytest.raises(Refused) as refused:
        late.finish([original.ref], view, full)
    assert refused.value.code is Code.ROLL_UNKNOWN


def test_when_a_roll_is_spent() -> None:
    """500 assets, a day, a clock that went back, another epoch, or closing."""
    state, _ = readable_space()
    inboxes = inboxes_of(state)
    roll = Roll(inboxes, DEVICE.device_id, opened_ms=1000)
    assert not roll.is_spent(inboxes, now_ms=1000)
    assert roll.is_spent(replace(inboxes, epoch=2), now_ms=1000)
    assert roll.is_spent(inboxes, now_ms=1000 + MAX_ROLL_AGE_S * 1000)
    assert roll.is_spent(inboxes, now_ms=999)
    for _ in range(MAX_ASSETS_PER_ROLL):
        roll.new_asset()
    assert roll.is_spent(inboxes, now_ms=1000)
    with pytest.raises(Refused) as refused:
        roll.new_asset()
    assert refused.value.code is Code.ROLL_FULL
    other = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=1000)
    other.close()
    assert other.is_spent(inboxes, now_ms=1000)


def open_with(
    body: OpenRollBody | OpenAlbumRollBody, state: LedgerState, held: EpochSecrets, device_id: bytes = DEVICE.device_id
) -> RollKeys:
    """Open a roll as a full reader."""
    return open_roll(body, state.space_id, device_id, view_secret=held.view, epoch_secret=held.full)


def sealed_asset(roll: Roll) -> AssetBody:
    """An asset without files."""
    return roll.new_asset().finish([], ViewPart(kind="photo"), FullPart("a.jpg", bytes(32), 0, "", 0))


def test_a_key_is_wiped_where_it_stands() -> None:
    """Python frees memory and leaves in it what was there: the key's own bytes are overwritten."""
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    wipe(key)
    assert key == bytes(KEY_SIZE_BYTES)
    other = b"not a key of ours"
    wipe(other)
    assert other == b"not a key of ours"


def test_a_rolls_own_keys_are_wiped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the roll is sealed to its readers, nobody here needs the keys above its wrap keys."""
    state, held = readable_space()
    made: list[bytes] = []

    def keep(make: Callable[..., bytes]) -> Callable[..., bytes]:
        def making(*arguments: object) -> bytes:
            made.append(make(*arguments))
            return made[-1]

        return making

    monkeypatch.setattr(rolls, "secrets", SimpleNamespace(token_bytes=keep(secrets.token_bytes)))
    monkeypatch.setattr(keytree, "roll_view_key", keep(keytree.roll_view_key))
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    assert made == [bytes(KEY_SIZE_BYTES)] * 2
    monkeypatch.undo()
    assert open_with(roll.body, state, held).full  # what was sealed before is the key that was


def test_an_assets_key_is_wiped_when_it_is_finished() -> None:
    """Also when finishing fails."""
    state, _ = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    for close in (False, True):
        asset = roll.new_asset()
        key = asset._key
        assert key != bytes(KEY_SIZE_BYTES)
        if close:
            roll.close()
        with suppress(Refused):
            asset.finish([], ViewPart(kind="photo"), FullPart("a.jpg", bytes(32), 0, "", 0))
        assert key == bytes(KEY_SIZE_BYTES)


def test_a_closed_roll_has_wiped_its_wrap_keys() -> None:
    """With them everything that was added under the roll could be opened."""
    state, _ = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    keys = (roll._wrap_key, roll._view_wrap_key)
    assert bytes(KEY_SIZE_BYTES) not in keys
    roll.close()
    assert keys == (bytes(KEY_SIZE_BYTES),) * 2
    assert (roll._wrap_key, roll._view_wrap_key) == (b"", b"")


def test_a_roll_that_shows_two_tiers_two_keys() -> None:
    """Full readers would see one picture and view readers another: both keys are of one tree, or none opens."""
    state, held = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    info = roll_info(Label.ROLL_VIEW, state.space_id, 1, roll.roll_id, DEVICE.device_id)
    other = hpke.seal(state.epoch.view_inbox, info, secrets.token_bytes(KEY_SIZE_BYTES))
    split = msgspec.structs.replace(roll.body, view=other)
    viewing = open_roll(split, state.space_id, DEVICE.device_id, view_secret=held.view, epoch_secret=None)
    assert viewing.full is None
    with refuses(Code.OPEN_FAILED):
        open_with(split, state, held)


def test_an_asset_that_shows_two_tiers_two_keys() -> None:
    """The same below: an asset's view key comes of its key."""
    state, held = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    body = sealed_asset(roll)
    place = rolls._place(Label.ROLL_WRAP, state.space_id, roll.roll_id, body.asset_id, Tier.VIEW)
    other = seal_box(roll._view_wrap_key, place, secrets.token_bytes(KEY_SIZE_BYTES), nonce=random_nonce())
    keys = open_with(roll.body, state, held)
    assert open_asset_keys(body, keys, state.space_id).full is not None
    with refuses(Code.OPEN_FAILED):
        open_asset_keys(msgspec.structs.replace(body, wrap_view=other), keys, state.space_id)


def test_a_wrap_of_the_full_tier_is_none_of_the_view_tier() -> None:
    """Under the very same key, what was sealed for one tier does not open at the other's place."""
    state, held = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    body = sealed_asset(roll)
    viewing = open_roll(roll.body, state.space_id, DEVICE.device_id, view_secret=held.view, epoch_secret=None)
    place = rolls._place(Label.ROLL_WRAP, state.space_id, roll.roll_id, body.asset_id, Tier.FULL)
    other = seal_box(roll._view_wrap_key, place, secrets.token_bytes(KEY_SIZE_BYTES), nonce=random_nonce())
    with refuses(Code.OPEN_FAILED):
        open_asset_keys(msgspec.structs.replace(body, wrap_view=other), viewing, state.space_id)
    assert open_asset_keys(body, viewing, state.space_id).full is None


def test_wraps_open_at_their_own_place_only() -> None:
    """Keys of one asset shown as another's, in another roll, or in another space."""
    state, held = readable_space()
    roll = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0)
    one, other = sealed_asset(roll), sealed_asset(roll)
    keys = open_with(roll.body, state, held)
    moved = msgspec.structs.replace(one, wrap_full=other.wrap_full, wrap_view=other.wrap_view)
    for body, space_id, roll_keys in (
        (moved, state.space_id, keys),
        (one, b"o" * 32, keys),
        (one, state.space_id, replace(keys, roll_id=b"r" * 16)),
    ):
        with refuses(Code.OPEN_FAILED):
            open_asset_keys(body, roll_keys, space_id)
    with refuses(Code.OPEN_FAILED):
        open_with(roll.body, state, held, b"another camera's")
    assert open_asset_keys(one, keys, state.space_id).full is not None
