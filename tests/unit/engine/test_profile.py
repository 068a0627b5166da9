"""Profiles: one process at a time, readable by their owner alone, and closed to a wrong password."""

import os
import stat
from pathlib import Path
from typing import ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend

from safelight.clients.engine import profile_secrets
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.profile import PROFILE_VERSION, AccountProfile, CameraProfile, ProfileFolder, profile_path
from safelight.clients.engine.profile_secrets import ProfileSecrets
from safelight.sync_protocol.log import DevicePosition, Head
from safelight.sync_protocol.refusals import Code, Refused

HELD = ProfileSecrets(b"a" * 32, b"s" * 32)


def account() -> AccountProfile:
    """A profile whose secrets are not wrapped yet."""
    return AccountProfile(
        version=PROFILE_VERSION,
        server_url="https://example.org",
        server_key=b"k" * 32,
        account_id=b"i" * 16,
        name="anna",
        device_id=b"d" * 16,
        wrapped_by="password",
        salt=b"",
        memory_kib=0,
        passes=0,
        wrapped=b"",
    )


def camera() -> CameraProfile:
    """A camera's profile."""
    return CameraProfile(PROFILE_VERSION, "https://h", b"k" * 32, b"s" * 32, b"c" * 16, b"x" * 32, b"y" * 32)


class Drawer(KeyringBackend):
    """A system keyring in memory."""

    priority = 5
    kept: ClassVar[dict[tuple[str, str], str]] = {}

    def get_password(self, service: str, username: str) -> str | None:
        """Return what is kept."""
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        self.kept[service, username] = password


def test_the_folder_is_named_by_the_environment(tmp_path: Path) -> None:
    """SAFELIGHT_PROFILE names it; without it the platform says where such data lies."""
    assert profile_path({"SAFELIGHT_PROFILE": str(tmp_path)}) == tmp_path
    assert profile_path({}).name == "safelight"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused until the first lets go."""
    with ProfileFolder(tmp_path / "p"):
        with pytest.raises(Refused) as refused, ProfileFolder(tmp_path / "p"):
            pass
        assert refused.value.code is Code.PROFILE_BUSY
    with ProfileFolder(tmp_path / "p"):
        pass


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to(tmp_path: Path, mode: int) -> None:
    """*Profile exchanged by another user of the computer*: refused before anything is read, with what to do."""
    path = tmp_path / "their profile"
    with ProfileFolder(path) as folder:
        folder.save(camera())
    path.chmod(mode)
    with pytest.raises(Refused) as refused, ProfileFolder(path):
        pass
    assert refused.value.code is Code.FILE_UNREADABLE
    assert f"chmod 700 '{path}'" in refused.value.detail
    path.chmod(0o755)  # to be looked into is no harm: what is in it is for its owner alone
    with ProfileFolder(path) as folder:
        assert folder.load() == camera()


def test_a_profile_that_others_may_write_to(tmp_path: Path) -> None:
    """The same for the file itself: who can change it names another server."""
    with ProfileFolder(tmp_path / "p") as folder:
        folder.save(camera())
        (tmp_path / "p" / "profile.json").chmod(0o666)
        with pytest.raises(Refused) as refused:
            folder.load()
    assert refused.value.code is Code.FILE_UNREADABLE
    assert "chmod 600" in refused.value.detail


@pytest.mark.parametrize("of", ["the folder", "the file"])
def test_a_profile_of_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    """Owned by another user, however closed to everyone else: that user may change it, and is named as the reason."""
    with ProfileFolder(tmp_path / "p") as folder:
        folder.save(camera())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:  # what root owns is safe from everyone else, so it is another's that is tried
        os.chown(tmp_path / "p" / ("" if of == "the folder" else "profile.json"), 54321, -1)
    with pytest.raises(Refused) as refused, ProfileFolder(tmp_path / "p") as folder:
        folder.load()
    assert refused.value.code is Code.FILE_UNREADABLE
    assert "chown" in refused.value.detail


def test_a_camera_profile_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700; it comes back as it was; it is no account's."""
    with ProfileFolder(tmp_path / "p") as folder:
        folder.require_free()
        folder.save(camera())
        assert stat.S_IMODE((tmp_path / "p" / "profile.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
        assert folder.load_camera() == camera()
        with pytest.raises(Refused) as refused:
            folder.load_account()
        assert refused.value.code is Code.PROFILE_MISSING
        with pytest.raises(Refused) as refused:
            folder.require_free()
        assert refused.value.code is Code.PROFILE_EXISTS


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", Code.PROFILE_MISSING), (b'{"kind":"robot"}', Code.PROFILE_MISSING), (b"\xff", Code.PROFILE_MISSING)],
)
def test_a_damaged_profile_is_no_profile(tmp_path: Path, content: bytes, code: Code) -> None:
    """What cannot be read is refused and stays as it is."""
    (tmp_path / "profile.json").write_bytes(content)
    with ProfileFolder(tmp_path) as folder, pytest.raises(Refused) as refused:
        folder.load()
    assert refused.value.code is code
    assert (tmp_path / "profile.json").read_bytes() == content


def test_a_newer_profile_asks_for_an_update(tmp_path: Path) -> None:
    """A profile of a later version is not guessed at."""
    with ProfileFolder(tmp_path) as folder:
        newer = CameraProfile(2, "https://h", b"k" * 32, b"s" * 32, b"c" * 16, b"x" * 32, b"y" * 32)
        folder.save(newer)
        with pytest.raises(Refused) as refused:
            folder.load()
    assert refused.value.code is Code.UPDATE_REQUIRED


def test_secrets_under_a_password() -> None:
    """The password opens them, in any Unicode form; another, or none, does not; nor does another profile's place."""
    wrapped = profile_secrets.wrap_with_password(account(), HELD, "pässword")
    assert profile_secrets.needs_password(wrapped)
    assert profile_secrets.unwrap(wrapped, "pa\u0308ssword") == HELD
    assert HELD.account_secret not in wrapped.wrapped
    for password in ("password", None):
        with pytest.raises(Refused) as refused:
            profile_secrets.unwrap(wrapped, password)
        assert refused.value.code is Code.PROFILE_LOCKED
    assert "aaaa" not in repr(HELD)


def test_secrets_under_the_system_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system keeps keys, no password is asked for; without its key the profile stays shut."""
    drawer = Drawer()  # type: ignore[no-untyped-call]  # keyring leaves its constructor untyped
    monkeypatch.setattr(keyring, "get_keyring", lambda: drawer)
    assert profile_secrets.system_keyring() is drawer
    wrapped = profile_secrets.wrap_with_keyring(account(), HELD, drawer)
    assert not profile_secrets.needs_password(wrapped)
    assert profile_secrets.unwrap(wrapped) == HELD
    drawer.kept.clear()
    with pytest.raises(Refused) as refused:
        profile_secrets.unwrap(wrapped)
    assert refused.value.code is Code.PROFILE_LOCKED


def test_pins_outlast_the_process(tmp_path: Path) -> None:
    """What was pinned is read again; a pin never goes down; what is older or other is named."""
    path = tmp_path / "memory.json"
    memory = SpaceMemory(path)
    memory.pin_log(Head(7, b"c" * 32))
    memory.pin_ledger(Head(5, b"l" * 32))
    memory.position = DevicePosition(3, b"e" * 32)
    memory.pending = b"entry"
    memory.save()
    again = SpaceMemory(path)
    assert (again.log, again.ledger) == (Head(7, b"c" * 32), Head(5, b"l" * 32))
    assert (again.position, again.pending) == (DevicePosition(3, b"e" * 32), b"entry")
    again.pin_log(Head(6, b"x" * 32))
    assert again.log.number == 7
    again.check_reached(Head(5, b""), Head(7, b""))
    for ledger, log in ((Head(4, b""), None), (None, Head(6, b""))):
        with pytest.raises(Refused) as refused:
            again.check_reached(ledger, log)
        assert refused.value.code is Code.HISTORY_ROLLED_BACK
    again.check_log_slot(Head(7, b"c" * 32))
    with pytest.raises(Refused) as refused:
        again.check_log_slot(Head(7, b"d" * 32))
    assert refused.value.code is Code.HISTORY_FORKED
    path.write_bytes(b"{")
    with pytest.raises(Refused) as refused:
        SpaceMemory(path)
    assert refused.value.code is Code.PROFILE_MISSING
