"""Reading files that change, vanish or turn into something else meanwhile."""

import dataclasses
import os
from pathlib import Path

import pytest

from safelight.clients.camera import reading, scan
from safelight.clients.engine import files
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.ledgers import id_of, seed_of


class Keys:
    """An asset's keys, as sealing wants them."""

    asset_id = id_of("asset")

    def rendition_key(self, name: RenditionName, rendition_id: bytes) -> bytes:
        """One key for all."""
        return seed_of(name.value + rendition_id.hex())


@pytest.fixture
def found(tmp_path: Path) -> scan.Found:
    """A file that was just found."""
    (tmp_path / "file.jpg").write_bytes(b"\xff\xd8\xff" + b"x" * 1000)
    (item,) = scan.scan(tmp_path)
    assert isinstance(item, scan.Found)
    return item


def _refusal(found: scan.Found) -> Code:
    with pytest.raises(Refused) as refused:
        reading.seal_original(Keys(), found, None)
    return refused.value.code


def test_what_was_read_is_what_was_found(found: scan.Found) -> None:
    """An unchanged file is sealed, with its digest and its time."""
    sealed = reading.seal_original(Keys(), found, None)
    assert sealed.length_bytes == 1003
    assert sealed.sha256 == reading.digest_of(found)
    assert sealed.modified_ns == found.stamp.modified_ns
    assert reading.type_of(found).media_type == "image/jpeg"


@pytest.mark.parametrize("change", ["grown", "rewritten", "replaced", "touched"])
def test_a_file_that_changed_is_read_again(found: scan.Found, change: str) -> None:
    """Another size, content, file of that name, or time since it was found: FILE_CHANGED, and then it is as it is."""
    if change == "grown":
        with found.path.open("ab") as file:
            file.write(b"more")
    elif change == "rewritten":
        found.path.write_bytes(b"y" * 1003)
        os.utime(found.path, ns=(found.stamp.modified_ns, found.stamp.modified_ns))
    elif change == "replaced":
        other = found.path.with_name("other")
        other.write_bytes(b"z" * 1003)
        os.utime(other, ns=(found.stamp.modified_ns, found.stamp.modified_ns))
        other.replace(found.path)
    else:
        os.utime(found.path)
    assert _refusal(found) is Code.FILE_CHANGED
    reading.seal_original(Keys(), reading.look_again(found), None)


def test_a_file_that_changes_while_it_is_read(found: scan.Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in the middle of reading is noticed at the end."""
    real = files.seal_file

    def seal_and_change(*arguments: object, **named: object) -> files.SealedFile:
        sealed = real(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came
        os.utime(found.path, ns=(1, 1))
        return sealed

    monkeypatch.setattr(reading, "seal_file", seal_and_change)
    assert _refusal(found) is Code.FILE_CHANGED


@pytest.mark.parametrize("become", ["gone", "link", "fifo", "folder"])
def test_what_is_no_file_any_more_is_left(found: scan.Found, become: str, tmp_path: Path) -> None:
    """A file that vanished, or whose name is now a link, a FIFO or a folder, is neither followed nor waited for."""
    found.path.unlink()
    if become == "link":
        found.path.symlink_to("/etc/passwd")
    elif become == "fifo":
        os.mkfifo(found.path)
    elif become == "folder":
        found.path.mkdir()
    assert _refusal(found) is Code.FILE_UNREADABLE
    for read in (reading.digest_of, reading.look_again):
        with pytest.raises(Refused):
            read(found)
    if become in {"gone", "link"}:
        with pytest.raises(Refused):
            reading.type_of(found)


@pytest.mark.parametrize("read", ["seal", "digest"])
def test_a_file_that_is_another_while_it_is_read(
    found: scan.Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """Exchanged for a link to another file just while it is opened, and put back: what was opened is looked at."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 1003)
    os.utime(secret, ns=(found.stamp.modified_ns, found.stamp.modified_ns))
    # The attacker holds the folder: its parent is exchanged, so that no last component is a link.
    (tmp_path / "theirs").mkdir()
    os.link(secret, tmp_path / "theirs" / "file.jpg")
    there = dataclasses.replace(found, path=tmp_path / "here" / "file.jpg")
    (tmp_path / "ours").mkdir()
    found.path.rename(tmp_path / "ours" / "file.jpg")
    (tmp_path / "here").symlink_to("ours")
    there = reading.look_again(there)
    real = os.open

    def exchange_and_open(path: str, flags: int, mode: int = 0o777, **named: int) -> int:
        if not str(path).endswith("file.jpg"):
            return real(path, flags, mode, **named)
        (tmp_path / "here").unlink()
        (tmp_path / "here").symlink_to("theirs")
        try:
            return real(path, flags, mode, **named)
        finally:
            (tmp_path / "here").unlink()
            (tmp_path / "here").symlink_to("ours")

    monkeypatch.setattr(os, "open", exchange_and_open)
    with pytest.raises(Refused) as refused:
        reading.seal_original(Keys(), there, None) if read == "seal" else reading.digest_of(there)
    assert refused.value.code is Code.FILE_CHANGED


def test_a_spool_file_does_not_outlive_a_failure(found: scan.Found, tmp_path: Path) -> None:
    """What was half sealed into the spool is removed when the file turns out to have changed."""
    os.utime(found.path)
    spool = tmp_path / "spooled"
    spool.write_bytes(b"half")
    with pytest.raises(Refused):
        reading.seal_original(Keys(), found, spool)
    assert not spool.exists()
