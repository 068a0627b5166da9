"""What a camera finds in a folder, and what it names as left out."""

import os
import socket
from pathlib import Path

import pytest

from safelight.clients.camera import scan
from safelight.sync_protocol.refusals import Code, Refused


def _found(folder: Path) -> list[str]:
    return [item.relative for item in scan.scan(folder) if isinstance(item, scan.Found)]


def _left_out(folder: Path) -> dict[str, scan.LeftOut]:
    return {item.relative: item for item in scan.scan(folder) if isinstance(item, scan.LeftOut)}


def test_finds_every_file_in_a_stable_order(tmp_path: Path) -> None:
    """Each folder's files come by name, then its folders, whatever order the disk lists them in."""
    for name in ("b.jpg", "a.txt", "sub/z.mov", "sub/deeper/c", "another/d.NEF", "empty.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert _found(tmp_path) == ["a.txt", "b.jpg", "empty.jpg", "another/d.NEF", "sub/z.mov", "sub/deeper/c"]


def test_names_what_it_skips(tmp_path: Path) -> None:
    """Dotfiles, dot folders, system files, symbolic links, FIFOs and sockets are skipped, each with its reason."""
    (tmp_path / ".nomedia").touch()
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "inside.jpg").touch()
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "DESKTOP.INI").touch()
    (tmp_path / "outside").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "kept.jpg").touch()
    left_out = _left_out(tmp_path)
    assert sorted(left_out) == sorted(
        [".nomedia", ".thumbnails", "Thumbs.db", "DESKTOP.INI", "outside", "loop", "fifo", "socket"]
    )
    assert not any(item.failed for item in left_out.values())
    assert all(item.reason for item in left_out.values())
    assert _found(tmp_path) == ["kept.jpg"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9.jpg", "caf%E9.jpg"),
        ("naïve – 写真.jpg".encode(), "naïve – 写真.jpg"),
        (b"\xff\xfe", "%FF%FE"),
        (b"a%E9b", "a%E9b"),
    ],
)
def test_names_of_any_bytes_become_text(tmp_path: Path, name: bytes, text: str) -> None:
    """A name that is not UTF-8 can be encoded, sent and shown, and its file is still found on the disk."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    (item,) = scan.scan(tmp_path)
    assert isinstance(item, scan.Found)
    assert item.name == text
    item.name.encode()
    assert item.path.read_bytes() == b"x"


def test_a_name_cannot_break_a_line_of_output(tmp_path: Path) -> None:
    """Line breaks, control characters and direction overrides in a name do not reach a terminal."""
    (tmp_path / "a\nuploaded b\x1b[2J\u202egpj.exe").touch()
    (item,) = scan.scan(tmp_path)
    assert isinstance(item, scan.Found)
    assert item.relative.isprintable()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """An unmounted disk must not look like an empty one."""
    with pytest.raises(Refused) as refused:
        scan.scan(tmp_path / "absent")
    assert refused.value.code is Code.FILE_UNREADABLE
    (tmp_path / "file").touch()
    with pytest.raises(Refused):
        scan.scan(tmp_path / "file")


def test_what_cannot_be_read_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or folder that may not be read is a failure with a reason, and the others are found all the same."""
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "open.jpg").touch()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "secret" not in str(path) and may(path, mode))
    left_out = _left_out(tmp_path)
    assert left_out["secret.jpg"].failed
    assert _found(tmp_path) == ["open.jpg"]
