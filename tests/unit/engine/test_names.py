"""Names for export: safe wherever they land, told apart, and listed so that `sha256sum` reads them."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.clients.engine.safe_names import checksum_line, folded, numbered, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("IMG_1.JPG", "IMG_1.JPG"),
        ("grüße 🎉.heic", "grüße 🎉.heic"),
        ("..", "_."),
        (".", "_"),
        ("", "_"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        (".bashrc", "_bashrc"),
        ("a\nb\0c\x1b[31m", "a_b_c_[31m"),
        ("CON", "_CON"),
        ("con.jpg", "_con.jpg"),
        ("COM1 .txt", "_COM1 .txt"),
        ("CONTACT.jpg", "CONTACT.jpg"),
        ("back\\slash:colon?.jpg", "back\\slash:colon?.jpg"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    """Separators, control characters, devices and what reverses text go; all else stays as it is."""
    assert safe_name(name) == safe


def test_a_strict_folder_takes_what_windows_takes() -> None:
    """On a stick that Windows formatted, reserved characters and trailing dots go, too."""
    assert safe_name('a<b>c:"d|e?f*g\\h. .', strict=True) == "a_b_c__d_e_f_g_h"


@given(st.text(max_size=400))
def test_any_name_is_safe(name: str) -> None:
    """Whatever the name, it is one part of a path, at most 255 bytes, and safe again unchanged."""
    for strict in (False, True):
        made = safe_name(name, strict=strict)
        assert 0 < len(made.encode()) <= 255
        assert made not in (".", "..")
        assert not set(made) & {"/", "\0", "\n", "\r"}
        assert safe_name(made, strict=strict) == made
        assert len(numbered(made, 123456).encode()) <= 255


def test_long_names_keep_their_ending_and_stay_apart() -> None:
    """Two names that differ only at the end are still two after cutting, with room for a sidecar's ending."""
    first, second = (safe_name("é" * 200 + f"{n}.jpg") for n in (1, 2))
    assert first != second
    assert first.endswith(".jpg")
    assert len((first + " (2).json").encode()) <= 255


def test_folding_joins_what_file_systems_join() -> None:
    """Case and Unicode form do not make two files everywhere."""
    assert folded("Ä.JPG") == folded("a\u0308.jpg")


def test_numbers_stand_before_the_ending() -> None:
    """A number goes where people expect it."""
    assert numbered("a.tar.gz", 2) == "a.tar (2).gz"
    assert numbered("README", 3) == "README (3)"


def test_checksum_lines_are_read_by_sha256sum(tmp_path: Path) -> None:
    """Backslashes and line ends are escaped as coreutils does."""
    lines = []
    for name in ("plain.jpg", "back\\slash.jpg", "line\nend.jpg", "carriage\rreturn.jpg", " spaces "):
        (tmp_path / name).write_bytes(name.encode())
        lines.append(checksum_line(sha256(name.encode()).digest(), name))
    (tmp_path / "SUMS").write_text("".join(lines), newline="")
    subprocess.run(["sha256sum", "-c", "--strict", "SUMS"], cwd=tmp_path, check=True, capture_output=True)
