"""Profiles: a folder for one account's device, or for one camera. One process at a time uses it.

An account's secrets lie under a key that the system's keyring keeps, or else under the password (docs/spec/keys.md). A
camera's profile is a file of mode 0600 that holds no key that opens anything it uploaded.
"""

import fcntl
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

import msgspec
import platformdirs

from safelight.clients.engine import durable
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.ids import Hash, Id
from safelight.sync_protocol.refusals import Code, Refused

PROFILE_VARIABLE = "SAFELIGHT_PROFILE"
PROFILE_VERSION = 1
_PROFILE_FILE = "profile.json"
_LOCK_FILE = "lock"
_Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class AccountProfile(msgspec.Struct, frozen=True, tag="account", tag_field="kind", forbid_unknown_fields=True):
    """One device of an account. `wrapped` holds the secrets (see `profile_secrets`), wrapped as `wrapped_by` says.

    The account's head and `keyring_version` are the newest seen of what the server keeps for the account: pins. `words`
    says whether the secrets hold recovery words that were not shown yet: of an account that was asked for and perhaps
    not made (`asked`), of one that is there (`unshown`), or new ones that perhaps do not count yet (`renewing`).
    """

    version: int
    server_url: str
    server_key: _Key
    account_id: Id
    name: str
    device_id: Id
    wrapped_by: Literal["password", "system"]
    salt: bytes
    memory_kib: int
    passes: int
    wrapped: bytes
    account_number: int = 0
    account_hash: bytes = b""
    keyring_version: int = 0
    words: Literal["shown", "unshown", "asked", "renewing"] = "shown"


class CameraProfile(msgspec.Struct, frozen=True, tag="camera", tag_field="kind", forbid_unknown_fields=True):
    """A camera. The dedupe key tells which files were uploaded before; nothing here opens what was uploaded."""

    version: int
    server_url: str
    server_key: _Key
    space_id: Hash
    camera_id: Id
    signing_seed: _Key
    dedupe_key: _Key

    def __repr__(self) -> str:
        return f"CameraProfile({self.camera_id.hex()})"


class GuestProfile(msgspec.Struct, frozen=True, tag="guest", tag_field="kind", forbid_unknown_fields=True):
    """A guest of an upload link, in a folder of its own. The link's secret is in no profile: the address has it.

    `head_number` is the newest head that was seen: a pin. With `local_key` this computer tells its files apart.
    """

    version: int
    server_url: str
    server_key: _Key
    link_id: Id
    space_id: Hash
    guest_id: Id
    signing_seed: _Key
    local_key: _Key
    head_number: int
    is_bound: bool

    def __repr__(self) -> str:
        return f"GuestProfile({self.guest_id.hex()})"


AnyProfile = AccountProfile | CameraProfile | GuestProfile


def profile_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the profile's folder: SAFELIGHT_PROFILE, or the platform's place for such data."""
    named = environment.get(PROFILE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_data_path("safelight")


class ProfileFolder:
    """A profile's folder, held by this process alone while it is entered.

    Entering raises PROFILE_BUSY where another one holds it, and FILE_UNREADABLE where there can be no such folder, or
    where other users of the computer may change what is in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        try:
            _check_ours(durable.make_folder(self.path), "chmod 700")
            handle = os.open(self.path / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
            raise Refused(Code.FILE_UNREADABLE, f"the profile {self.path}: {why}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Refused(Code.PROFILE_BUSY, str(self.path)) from None
        self._lock = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> AnyProfile:
        """Return the profile; PROFILE_MISSING if there is none or it is damaged, FILE_UNREADABLE if it is not ours."""
        if (self.path / _PROFILE_FILE).exists():
            _check_ours(self.path / _PROFILE_FILE, "chmod 600")
        data = durable.read_file(self.path / _PROFILE_FILE)
        if data is None:
            raise Refused(Code.PROFILE_MISSING, str(self.path))
        try:
            profile: AnyProfile = msgspec.json.decode(data, type=AnyProfile)
        except msgspec.DecodeError as error:
            raise Refused(Code.PROFILE_MISSING, f"{self.path} holds none that can be read: {error}") from None
        if profile.version != PROFILE_VERSION:
            raise Refused(Code.UPDATE_REQUIRED, f"the profile has version {profile.version}")
        return profile

    def load_account(self) -> AccountProfile:
        """Return the account's profile; PROFILE_MISSING if this is a camera's, or of an account perhaps not made."""
        profile = self.load()
        if not isinstance(profile, AccountProfile):
            raise Refused(
                Code.PROFILE_MISSING,
                "this profile is a camera's, which adds and reads nothing; SAFELIGHT_PROFILE names another",
            )
        if profile.words == "asked":
            raise Refused(Code.PROFILE_MISSING, "making its account was cut off; run the same `account create` again")
        return profile

    def load_camera(self) -> CameraProfile:
        """Return the camera's profile; PROFILE_MISSING if this is an account's."""
        profile = self.load()
        if not isinstance(profile, CameraProfile):
            raise Refused(
                Code.PROFILE_MISSING,
                "this profile is an account's; pair a camera, and add it with another SAFELIGHT_PROFILE",
            )
        return profile

    def require_free(self) -> None:
        """Check that a new profile may be written here; PROFILE_EXISTS otherwise. See also `accounts.unfinished`."""
        if (self.path / _PROFILE_FILE).exists():
            raise Refused(Code.PROFILE_EXISTS, str(self.path))

    def save(self, profile: AnyProfile) -> None:
        """Write the profile durably, readable by its owner alone."""
        durable.write_file(self.path / _PROFILE_FILE, msgspec.json.encode(profile))

    def forget(self) -> None:
        """Remove the profile itself: what a server never heard of, or refused."""
        (self.path / _PROFILE_FILE).unlink(missing_ok=True)

    def space_folder(self, space_id: bytes) -> Path:
        """Return the folder for what belongs to one space, made where it is not there."""
        return durable.make_folder(self.path / "spaces" / space_id.hex())

    def memory(self, space_id: bytes) -> SpaceMemory:
        """Return what the profile remembers of a space: pins and the device's position."""
        return SpaceMemory(self.space_folder(space_id) / "memory.json")


def _check_ours(path: Path, remedy: str) -> None:
    """*Profile exchanged by another user of the computer*: who may write to it names the server that gets the password.

    What root owns is as safe as the computer.
    """
    found = path.stat()
    quoted = shlex.quote(str(path))
    if found.st_uid not in (os.geteuid(), 0):
        raise Refused(Code.FILE_UNREADABLE, f"{path} belongs to another user; if it is yours: chown $USER {quoted}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(Code.FILE_UNREADABLE, f"other users may write to {path}; run: {remedy} {quoted}")
