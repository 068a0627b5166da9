"""The spool: what survives a restart, what is swept away, and how much room it takes."""

import shutil
from pathlib import Path

import pytest

from safelight.clients.camera.spool import Spool, Spooled
from safelight.clients.engine.rolls import RollRef
from safelight.sync_protocol.records import AssetBody, RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.ledgers import id_of, seed_of


def _spooled(room: Path) -> Spooled:
    refs = [
        RenditionRef(RenditionName.ORIGINAL, id_of("original"), seed_of("blob"), 9, bytes(74)),
        RenditionRef(RenditionName.PREVIEW, id_of("preview"), seed_of("small blob"), 3, bytes(74)),
    ]
    spooled = Spooled(
        room,
        RollRef(id_of("roll"), id_of("album"), 3),
        AssetBody(id_of("asset"), seed_of("f"), refs, b"", b"", b"", b""),
        {},
        seed_of("f"),
    )
    spooled.blob(refs[0]).write_bytes(b"nine byte")
    spooled.blob(refs[1]).write_bytes(b"abc")
    return spooled


async def test_an_entry_survives_and_can_be_removed(tmp_path: Path) -> None:
    """What was saved is there in the next process, with the uploads begun; once removed it is gone for good."""
    async with Spool(tmp_path / "spool").room(12) as room:
        spooled = _spooled(room)
        spooled.save()
        spooled.note_upload(spooled.asset.renditions[0], "/v1/blobs/uploads/x")
    (again,) = Spool(tmp_path / "spool").entries()
    assert (again.roll, again.asset) == (spooled.roll, spooled.asset)
    assert again.uploads == {id_of("original"): "/v1/blobs/uploads/x"}
    assert again.blob(again.asset.renditions[0]).read_bytes() == b"nine byte"
    again.remove()
    assert list(Spool(tmp_path / "spool").entries()) == []
    assert list((tmp_path / "spool").iterdir()) == []


async def test_what_was_not_saved_is_gone(tmp_path: Path) -> None:
    """A file that was being sealed when something went wrong leaves nothing behind."""
    room = Spool(tmp_path / "spool").room(12)
    (await room.__aenter__() / "original").write_bytes(b"half")
    assert not await room.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("damage", ["no entry", "cut entry", "cut blob", "missing blob", "other version"])
async def test_damaged_entries_are_swept_away(tmp_path: Path, damage: str) -> None:
    """What a killed process left half-written is removed: its file is sealed anew."""
    async with Spool(tmp_path / "spool").room(12) as room:
        _spooled(room).save()
    entry = room / "entry"
    if damage == "no entry":
        entry.unlink()
    elif damage == "cut entry":
        entry.write_bytes(entry.read_bytes()[:-5])
    elif damage == "cut blob":
        (room / "original").write_bytes(b"nine byt")
    elif damage == "missing blob":
        (room / "preview").unlink()
    else:
        entry.write_bytes(entry.read_bytes().replace(b"version\x02", b"version\x01"))
    assert list(Spool(tmp_path / "spool").entries()) == []
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for which the disk has no room fails with that reason, before anything is written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    with pytest.raises(Refused) as refused:
        async with Spool(tmp_path / "spool").room(10**9):
            pass
    assert refused.value.code is Code.FILE_UNREADABLE
    assert list((tmp_path / "spool").iterdir()) == []
