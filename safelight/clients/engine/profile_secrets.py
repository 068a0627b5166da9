"""The secrets of an account's profile, and what they lie under: the system's keyring, or the password."""

import secrets

import keyring
import msgspec
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from safelight.clients.engine.profile import AccountProfile
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import ARGON2_SALT_SIZE_BYTES, KEY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe
from safelight.sync_protocol.sealing.keytree import derive
from safelight.sync_protocol.sealing.passwords import DEFAULT_COSTS, Costs, stretch
from safelight.sync_protocol.wire import Sealed, pack, unpack

_SERVICE = "safelight"
_GOOD_PRIORITY = 1  # keyring's own measure; below are plain files and the one that always fails


class ProfileSecrets(Sealed, frozen=True):
    """What an account's device holds: the account secret, and the seed that this device signs with.

    `recovery_entropy` are the recovery words, for as long as they were not shown. `next_account_secret` is what a new
    identity comes from, from before the server hears of it until it is known to count.
    """

    account_secret: bytes
    signing_seed: bytes
    recovery_entropy: bytes = b""
    next_account_secret: bytes = b""

    def __repr__(self) -> str:
        return "ProfileSecrets(…)"


def with_next_secret(held: ProfileSecrets) -> ProfileSecrets:
    """Return *held* once the next account secret counts.

    *Words that open nothing*: with a new identity the first recovery words count, which its owner has, and no newer
    ones that wait to be shown.
    """
    return ProfileSecrets(held.next_account_secret, held.signing_seed)


def system_keyring() -> KeyringBackend | None:
    """Return the system's keyring where there is one that encrypts; None on a machine without."""
    try:
        backend = keyring.get_keyring()
        return backend if backend.priority >= _GOOD_PRIORITY else None
    except (KeyringError, RuntimeError):
        return None


def wrap_with_password(profile: AccountProfile, held: ProfileSecrets, password: str) -> AccountProfile:
    """Return *profile* with its secrets under *password*; takes a quarter of a second."""
    salt = secrets.token_bytes(ARGON2_SALT_SIZE_BYTES)
    key = _password_key(password, salt, DEFAULT_COSTS)
    return msgspec.structs.replace(
        profile,
        wrapped_by="password",
        salt=salt,
        memory_kib=DEFAULT_COSTS.memory_kib,
        passes=DEFAULT_COSTS.passes,
        wrapped=floe.seal_bytes(key, _place(profile), pack(held)),
    )


def wrap_with_keyring(profile: AccountProfile, held: ProfileSecrets, backend: KeyringBackend) -> AccountProfile:
    """Return *profile* with its secrets under a random key that *backend* keeps; PROFILE_LOCKED if it does not."""
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    try:
        backend.set_password(_SERVICE, profile.device_id.hex(), key.hex())
    except KeyringError as error:
        raise Refused(Code.PROFILE_LOCKED, f"the system's keyring takes no key: {error}") from None
    wrapped = floe.seal_bytes(key, _place(profile), pack(held))
    return msgspec.structs.replace(profile, wrapped_by="system", salt=b"", memory_kib=0, passes=0, wrapped=wrapped)


def rewrap(profile: AccountProfile, held: ProfileSecrets, password: str | None = None) -> AccountProfile:
    """Return *profile* with other secrets under the key that it has; PROFILE_LOCKED if that is not to be had."""
    key = _key_of(profile, password)
    return msgspec.structs.replace(profile, wrapped=floe.seal_bytes(key, _place(profile), pack(held)))


def needs_password(profile: AccountProfile) -> bool:
    """Whether opening the profile needs its password."""
    return profile.wrapped_by == "password"


def unwrap(profile: AccountProfile, password: str | None = None) -> ProfileSecrets:
    """Return the profile's secrets; PROFILE_LOCKED if the password, or the system's keyring, does not open them."""
    key = _key_of(profile, password)
    try:
        opened = floe.open_bytes(key, _place(profile), profile.wrapped)
    except Refused:
        raise Refused(Code.PROFILE_LOCKED) from None
    return unpack(opened, ProfileSecrets, Code.PROFILE_LOCKED)


def _key_of(profile: AccountProfile, password: str | None) -> bytes:
    if profile.wrapped_by == "system":
        return _system_key(profile)
    if password is None:
        raise Refused(Code.PROFILE_LOCKED, "it needs the password")
    return _password_key(password, profile.salt, Costs(profile.memory_kib, profile.passes))


def _password_key(password: str, salt: bytes, costs: Costs) -> bytes:
    return derive(stretch(password, salt, costs), Label.PROFILE_WRAP)


def _system_key(profile: AccountProfile) -> bytes:
    try:
        kept = keyring.get_keyring().get_password(_SERVICE, profile.device_id.hex())
    except KeyringError as error:
        raise Refused(Code.PROFILE_LOCKED, f"the system's keyring does not open: {error}") from None
    if kept is None:
        raise Refused(Code.PROFILE_LOCKED, "the system's keyring holds no key for it")
    return bytes.fromhex(kept)


def _place(profile: AccountProfile) -> bytes:
    return context(Label.PROFILE_SECRETS, profile.account_id, profile.device_id)
