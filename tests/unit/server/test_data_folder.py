"""The data folder: taken by one process at a time, marked, and keeper of the server's secrets."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.server import data_folder
from safelight.server.data_folder import DataFolderRefused

IN_USE = "another Safelight server or command is using"


def names_in(folder: Path) -> set[str]:
    """What lies in the folder."""
    return {entry.name for entry in folder.iterdir()}


def test_the_same_secrets_each_time(tmp_path: Path) -> None:
    """They are made once, and readable by their owner alone."""
    with data_folder.opened(tmp_path / "data", existing=False) as first:
        pass
    with data_folder.opened(tmp_path / "data", existing=True) as again:
        assert again == first
    assert (tmp_path / "data" / "server.key").stat().st_mode & 0o777 == 0o600


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second opening is refused at once, by this process or another; afterwards it is let in."""
    script = (
        "import sys; from pathlib import Path; from safelight.server import data_folder\n"
        "with data_folder.opened(Path(sys.argv[1]), existing=False): pass"
    )
    other = [sys.executable, "-c", script, str(tmp_path)]
    with data_folder.opened(tmp_path, existing=False):
        with pytest.raises(DataFolderRefused, match=IN_USE), data_folder.opened(tmp_path, existing=True):
            pass
        refused = subprocess.run(other, capture_output=True, text=True, check=False, timeout=60)
        assert IN_USE in refused.stderr
    subprocess.run(other, check=True, timeout=60)


def test_whoever_comes_second_writes_nothing(tmp_path: Path) -> None:
    """Two servers that are started at once on a new folder: the second makes no key over the first one's."""
    first = os.open(tmp_path / "safelight.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(first, fcntl.LOCK_EX)
    with pytest.raises(DataFolderRefused, match=IN_USE), data_folder.opened(tmp_path, existing=False):
        pass
    assert names_in(tmp_path) == {"safelight.lock"}
    os.close(first)


def test_a_first_start_that_was_cut_short(tmp_path: Path) -> None:
    """The folder of a server that was killed before it had marked it is taken as an empty one."""
    (tmp_path / "safelight.lock").touch()
    (tmp_path / "safelight-data.new").touch()
    with data_folder.opened(tmp_path, existing=False):
        assert names_in(tmp_path) == {"safelight.lock", "safelight-data", "server.key"}


def test_a_folder_of_others_stays_as_it_was(tmp_path: Path) -> None:
    """What is refused is not written to, not even with a lock."""
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(DataFolderRefused, match=r"thesis\.doc"), data_folder.opened(tmp_path, existing=False):
        pass
    with pytest.raises(DataFolderRefused, match="mounted"), data_folder.opened(tmp_path, existing=True):
        pass
    assert names_in(tmp_path) == {"thesis.doc"}


@pytest.mark.parametrize("damage", ["", "safelight server key 1\n", "safelight server key 1\n00\n11\n", "x\n" * 3])
def test_damaged_secrets(tmp_path: Path, damage: str) -> None:
    """A key file that is not whole is never replaced by a new one: the server would be another."""
    with data_folder.opened(tmp_path, existing=False):
        pass
    (tmp_path / "server.key").write_text(damage)
    for _ in range(2):  # the first refusal lets go of the lock
        with pytest.raises(DataFolderRefused, match="put it back"), data_folder.opened(tmp_path, existing=False):
            pass
