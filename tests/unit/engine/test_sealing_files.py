"""Rolls, files and epochs: what is sealed comes back, at its place and tier only."""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine import epochs
from safelight.clients.engine.account_entries import AccountKeys, start_account
from safelight.clients.engine.connection import DeviceKey
from safelight.clients.engine.downloads import Opener, StoredFile
from safelight.clients.engine.epochs import EpochSecrets, make_epoch, open_all_epochs, open_epoch_box
from safelight.clients.engine.files import MAX_IN_MEMORY_SIZE_BYTES, SealedFile, seal_bytes, seal_file
from safelight.clients.engine.rolls import Roll, open_asset_keys, open_full_part, open_roll, open_view_part
from safelight.sync_protocol.account_ledger import apply_account_entries
from safelight.sync_protocol.ledger_entries import Policy
from safelight.sync_protocol.ledger_state import LedgerState, Member
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL, MAX_ROLL_AGE_S
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.padding import padme
from safelight.sync_protocol.records import FullPart, RenditionName, ViewPart
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.sealing import floe

NONCE = b"n" * 32
DEVICE = DeviceKey(b"d" * 16, b"s" * 32)
SEGMENT = floe.PLAINTEXT_SEGMENT_SIZE_BYTES


def member(role: Role = Role.OWNER) -> tuple[AccountKeys, bytes, Member]:
    """An account as a member of a space."""
    keys = AccountKeys(secrets.token_bytes(32))
    chain = start_account(keys, secrets.token_bytes(32), DEVICE, signed_ms=1)
    return keys, chain.account_id, Member(role, apply_account_entries(None, chain.entries))


def space(*, role: Role = Role.OWNER) -> tuple[LedgerState, EpochSecrets]:
    """A space's ledger with one epoch, and that epoch's secrets."""
    _, account_id, one = member(role)
    new = make_epoch(1, NONCE, {account_id: one}, None)
    state = LedgerState(
        space_id=b"p" * 32,
        head=Head(1, b"h" * 32),
        kind="family",
        nonce=NONCE,
        creator_id=account_id,
        policy=Policy(1, "view"),
        name=b"",
        dedupe=b"",
        members={account_id: one},
        epochs=(new.epoch,),
    )
    return state, new.secrets


def opened(sealed: SealedFile, stored: StoredFile) -> bytes:
    """Open a sealed file as a download does."""
    source = sealed.source.read_bytes() if isinstance(sealed.source, Path) else bytes(sealed.source)
    content = bytearray()
    opener = Opener(stored, content.extend)
    while wanted := opener.wanted:
        opener.take(source[opener.at : opener.at + wanted])
    opener.finish()
    return bytes(content)


@pytest.mark.parametrize("size", [0, 1, 2, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, MAX_IN_MEMORY_SIZE_BYTES])
def test_a_file_sealed_and_opened(tmp_path: Path, size: int) -> None:
    """Any size comes back, padded in between; hashes of both sides are taken in the same pass."""
    state, _ = space()
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    asset = Roll(state, DEVICE.device_id, opened_ms=0).new_asset()
    sealed = seal_file(asset, RenditionName.ORIGINAL, tmp_path / "f", spool=tmp_path / "spool")
    assert isinstance(sealed.source, Path) == (size >= MAX_IN_MEMORY_SIZE_BYTES)
    assert sealed.sha256 == hashlib.sha256(data).digest()
    assert sealed.ref.size_bytes == floe.sealed_size_bytes(padme(size))
    key = asset.rendition_key(RenditionName.ORIGINAL, sealed.ref.rendition_id)
    stored = StoredFile(state.space_id, asset.asset_id, sealed.ref, key, size, sealed.sha256)
    assert opened(sealed, stored) == data
    with pytest.raises(Refused) as refused:
        opened(sealed, replace(stored, sha256=b"x" * 32))
    assert refused.value.code is Code.OPEN_FAILED
    with pytest.raises(Refused) as refused:
        opened(sealed, replace(stored, length_bytes=size * 2 + 1))
    assert refused.value.code is Code.PADDING_INVALID
    with pytest.raises(Refused) as refused:
        opened(sealed, replace(stored, asset_id=b"o" * 16))
    assert refused.value.code is Code.OPEN_FAILED


def test_the_same_file_twice_is_sealed_apart(tmp_path: Path) -> None:
    """Each sealing has a rendition id, and so a key, of its own."""
    state, _ = space()
    asset = Roll(state, DEVICE.device_id, opened_ms=0).new_asset()
    first, second = (seal_bytes(asset, RenditionName.PREVIEW, b"picture") for _ in range(2))
    assert first.ref.rendition_id != second.ref.rendition_id
    assert first.ref.blob != second.ref.blob


def test_files_that_cannot_be_sealed(tmp_path: Path) -> None:
    """Missing files, folders and pipes are unreadable, at once; a large file needs a spool."""
    state, _ = space()
    asset = Roll(state, DEVICE.device_id, opened_ms=0).new_asset()
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "pipe", "."):
        with pytest.raises(Refused) as refused:
            seal_file(asset, RenditionName.ORIGINAL, tmp_path / name)
        assert refused.value.code is Code.FILE_UNREADABLE
    (tmp_path / "large").write_bytes(bytes(MAX_IN_MEMORY_SIZE_BYTES))
    with pytest.raises(Refused) as refused:
        seal_file(asset, RenditionName.ORIGINAL, tmp_path / "large")
    assert refused.value.code is Code.TOO_LARGE


def _after(change: Callable[[], None]) -> Callable[..., int]:
    """Sealing of a segment, before the first of which *change* happens."""
    todo, seal = [change], floe.FloeEncryptor.encrypt_segment_into

    def encrypt(self: floe.FloeEncryptor, plain: floe.Buffer, out: floe.Buffer, *, final: bool) -> int:
        if todo:
            todo.pop()()
        return seal(self, plain, out, final=final)

    return encrypt


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer, shorter or touched: it is refused and leaves no spool."""
    state, _ = space()
    path = tmp_path / "f"
    asset = Roll(state, DEVICE.device_id, opened_ms=0).new_asset()
    size = MAX_IN_MEMORY_SIZE_BYTES + 5
    changes: list[Callable[[], None]] = [
        lambda: os.truncate(path, 10),
        lambda: os.truncate(path, size + 1),
        lambda: os.utime(path, ns=(1, 1)),
    ]
    for change in changes:
        path.write_bytes(bytes(size))
        monkeypatch.setattr(floe.FloeEncryptor, "encrypt_segment_into", _after(change))
        with pytest.raises(Refused) as refused:
            seal_file(asset, RenditionName.ORIGINAL, path, spool=tmp_path / "spool")
        assert refused.value.code is Code.FILE_CHANGED
        monkeypatch.undo()
        assert not (tmp_path / "spool").exists()


def test_an_asset_opens_for_its_tier(tmp_path: Path) -> None:
    """Full readers open all of it, view readers the view part and its keys only, adders after closing nothing."""
    state, held = space()
    roll = Roll(state, DEVICE.device_id, opened_ms=0)
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
    state, _ = space()
    roll = Roll(state, DEVICE.device_id, opened_ms=1000)
    assert not roll.is_spent(epoch=1, now_ms=1000)
    assert roll.is_spent(epoch=2, now_ms=1000)
    assert roll.is_spent(epoch=1, now_ms=1000 + MAX_ROLL_AGE_S * 1000)
    assert roll.is_spent(epoch=1, now_ms=999)
    for _ in range(MAX_ASSETS_PER_ROLL):
        roll.new_asset()
    assert roll.is_spent(epoch=1, now_ms=1000)
    with pytest.raises(Refused) as refused:
        roll.new_asset()
    assert refused.value.code is Code.ROLL_FULL
    other = Roll(state, DEVICE.device_id, opened_ms=1000)
    other.close()
    assert other.is_spent(epoch=1, now_ms=1000)


def test_epochs_hand_down_their_secrets_by_tier() -> None:
    """Who joins later reads the history at their tier, checked against the ledger all the way down."""
    full_keys, full_id, owner = member()
    view_keys, view_id, viewer = member(Role.PREVIEWER)
    members = {full_id: owner, view_id: viewer}
    made = [make_epoch(1, NONCE, members, None)]
    for number in (2, 3):
        made.append(make_epoch(number, NONCE, members, made[-1].secrets))
    ledger = [new.epoch for new in made]
    for keys, account_id, full in ((full_keys, full_id, True), (view_keys, view_id, False)):
        box = next(bytes(new.box) for new in made[2].boxes if new.account_id == account_id.hex())
        newest = open_epoch_box(ledger[2], NONCE, account_id, keys.sealing_seed, box)
        held = open_all_epochs(ledger, NONCE, newest)
        assert [held[n].view for n in (1, 2, 3)] == [new.secrets.view for new in made]
        assert [held[n].full for n in (1, 2, 3)] == [new.secrets.full if full else None for new in made]
    assert "view" not in repr(newest)
    with pytest.raises(Refused) as refused:
        held[1].require_full()
    assert refused.value.code is Code.FORBIDDEN


def test_an_epoch_that_gives_members_different_secrets() -> None:
    """A box that opens to other inboxes than the ledger shows, or history of another epoch, is a mismatch."""
    keys, account_id, one = member()
    honest, other = (make_epoch(1, NONCE, {account_id: one}, None) for _ in range(2))
    lying = msgspec.structs.replace(honest.epoch, boxes=other.epoch.boxes)
    cases = [
        (lying, bytes(other.boxes[0].box)),
        (honest.epoch, bytes(other.boxes[0].box)),
        (msgspec.structs.replace(lying, full_inbox=other.epoch.full_inbox), bytes(other.boxes[0].box)),
    ]
    for epoch, box in cases:
        with pytest.raises(Refused) as refused:
            open_epoch_box(epoch, NONCE, account_id, keys.sealing_seed, box)
        assert refused.value.code is Code.EPOCH_MISMATCH
    second = make_epoch(2, NONCE, {account_id: one}, other.secrets)  # hands down what epoch 1 never was
    with pytest.raises(Refused) as refused:
        open_all_epochs([honest.epoch, second.epoch], NONCE, second.secrets)
    assert refused.value.code is Code.EPOCH_MISMATCH
    with pytest.raises(Refused) as refused:
        epochs.open_history(
            msgspec.structs.replace(second.epoch, view_history=honest.epoch.view_history),
            other.epoch,
            NONCE,
            second.secrets,
        )
    assert refused.value.code is Code.EPOCH_MISMATCH
