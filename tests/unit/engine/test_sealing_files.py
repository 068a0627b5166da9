"""Rolls, files and epochs: what is sealed comes back, at its place and tier only."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine import epochs
from safelight.clients.engine.downloads import Opener, StoredFile
from safelight.clients.engine.epochs import make_epoch, open_all_epochs, open_epoch_box
from safelight.clients.engine.files import MAX_IN_MEMORY_SIZE_BYTES, SealedFile, seal_bytes, seal_file
from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.rolls import Roll
from safelight.sync_protocol.padding import padme
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.sealing import floe
from tests.support.readers import DEVICE, NONCE, member, readable_space

SEGMENT = floe.PLAINTEXT_SEGMENT_SIZE_BYTES


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
    state, _ = readable_space()
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    asset = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0).new_asset()
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
    state, _ = readable_space()
    asset = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0).new_asset()
    first, second = (seal_bytes(asset, RenditionName.PREVIEW, b"picture") for _ in range(2))
    assert first.ref.rendition_id != second.ref.rendition_id
    assert first.ref.blob != second.ref.blob


def test_files_that_cannot_be_sealed(tmp_path: Path) -> None:
    """Missing files, folders and pipes are unreadable, at once; a large file needs a spool."""
    state, _ = readable_space()
    asset = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0).new_asset()
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
    state, _ = readable_space()
    path = tmp_path / "f"
    asset = Roll(inboxes_of(state), DEVICE.device_id, opened_ms=0).new_asset()
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


def test_an_epoch_that_is_passed_over() -> None:
    """What opens for nobody is handed down by nobody: the next epoch hands down the one before it, at either tier."""
    full_keys, full_id, owner = member()
    view_keys, view_id, viewer = member(Role.PREVIEWER)
    members = {full_id: owner, view_id: viewer}
    made = [make_epoch(1, NONCE, members, None)]
    made.append(make_epoch(2, NONCE, members, made[0].secrets))
    made.append(make_epoch(3, NONCE, members, made[0].secrets))
    made.append(make_epoch(4, NONCE, members, made[2].secrets))
    ledger = [new.epoch for new in made]
    for keys, account_id in ((full_keys, full_id), (view_keys, view_id)):
        box = next(bytes(new.box) for new in made[3].boxes if new.account_id == account_id.hex())
        held = open_all_epochs(ledger, NONCE, open_epoch_box(ledger[3], NONCE, account_id, keys.sealing_seed, box))
        assert sorted(held) == [1, 3, 4]
        assert held[1].view == made[0].secrets.view


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
            [other.epoch],
            NONCE,
            second.secrets,
        )
    assert refused.value.code is Code.EPOCH_MISMATCH
