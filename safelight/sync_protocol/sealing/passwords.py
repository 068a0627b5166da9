"""Passwords and recovery words: what unlocks the account secret (docs/spec/keys.md).

Argon2id stretches the password on the person's device; HKDF parts the result into an auth key, which the server sees,
and a wrap key, which it never does. Floors and ceilings of the costs are the client's own.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass

from mnemonic import Mnemonic
from nacl.exceptions import RuntimeError as SodiumError
from nacl.pwhash import argon2id

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import (
    ARGON2_MAX_MEMORY_KIB,
    ARGON2_MAX_PASSES,
    ARGON2_MIN_MEMORY_KIB,
    ARGON2_MIN_PASSES,
    ARGON2_SALT_SIZE_BYTES,
    HASH_SIZE_BYTES,
    ID_SIZE_BYTES,
    KEY_SIZE_BYTES,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe
from safelight.sync_protocol.sealing.keytree import derive
from safelight.sync_protocol.sealing.sizes import require_key, require_size

RECOVERY_WORD_COUNT = 24

_WORD = re.compile("[A-Za-z]+")
_WORDS = Mnemonic("english")


@dataclass(frozen=True, slots=True)
class Costs:
    """What stretching a password costs: memory in KiB, and passes over it; always one lane."""

    memory_kib: int
    passes: int


DEFAULT_COSTS = Costs(memory_kib=ARGON2_MIN_MEMORY_KIB, passes=ARGON2_MIN_PASSES)
LINK_COSTS = Costs(memory_kib=64 * 1024, passes=3)  # fixed by version 1 of the link's address


def check_costs(costs: Costs) -> None:
    """Refuse with PASSWORD_COST_REFUSED what a server has no reason to ask for (*lowered cost, memory bomb*)."""
    if not ARGON2_MIN_MEMORY_KIB <= costs.memory_kib <= ARGON2_MAX_MEMORY_KIB:
        raise Refused(Code.PASSWORD_COST_REFUSED, f"memory of {costs.memory_kib} KiB")
    if not ARGON2_MIN_PASSES <= costs.passes <= ARGON2_MAX_PASSES:
        raise Refused(Code.PASSWORD_COST_REFUSED, f"{costs.passes} passes")


def stretch(password: str, salt: bytes, costs: Costs) -> bytes:
    """Return 32 bytes: Argon2id (RFC 9106, version 0x13, one lane) of *password* as UTF-8 NFC.

    Takes about a quarter of a second and *costs*.memory_kib of memory; the GIL is released meanwhile. Refuses costs as
    `check_costs` and those for which this device has no memory, a salt of another size than 16 bytes with
    LENGTH_MISMATCH, and what is no text or empty with BAD_REQUEST.
    """
    check_costs(costs)
    require_size(salt, ARGON2_SALT_SIZE_BYTES, "a salt")
    if not password:
        raise Refused(Code.BAD_REQUEST, "the password is empty")
    try:
        encoded = unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(Code.BAD_REQUEST, "the password is not valid text") from None
    try:
        return argon2id.kdf(KEY_SIZE_BYTES, encoded, salt, opslimit=costs.passes, memlimit=costs.memory_kib * 1024)
    except SodiumError:
        # Within the ceiling, and yet more than this device has: the server asked for it.
        raise Refused(Code.PASSWORD_COST_REFUSED, f"this device has no {costs.memory_kib} KiB to spare") from None


def password_keys(stretched: bytes) -> tuple[bytes, bytes]:
    """Return auth key (shown to the server) and wrap key (never shown) of a stretched password."""
    require_key(stretched, "a stretched password")
    return derive(stretched, Label.PASSWORD_AUTH), derive(stretched, Label.PASSWORD_WRAP)


def new_recovery_words(entropy: bytes | None = None) -> list[str]:
    """Return the 24 words (BIP-39, English) of 32 bytes of *entropy*, fresh ones if none are given."""
    entropy = secrets.token_bytes(KEY_SIZE_BYTES) if entropy is None else entropy
    require_key(entropy, "recovery entropy")
    return _WORDS.to_mnemonic(entropy).split(" ")


def words_to_entropy(text: str) -> bytes:
    """Return the 32 bytes that 24 recovery words stand for; case, commas, numbers and line breaks do not matter.

    Refuses with WORDS_INVALID another number of words, words not in the list, and a wrong checksum.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) != RECOVERY_WORD_COUNT:
        raise Refused(Code.WORDS_INVALID, f"{len(words)} words instead of {RECOVERY_WORD_COUNT}")
    unknown = [number for number, word in enumerate(words, 1) if word not in _WORDS.wordlist]
    if unknown:
        # Positions, not words: what was typed may be nearly right, and details end up in logs.
        raise Refused(Code.WORDS_INVALID, f"not in the list: word {', '.join(map(str, unknown))}")
    try:
        return bytes(_WORDS.to_entropy(words))
    except ValueError:
        raise Refused(Code.WORDS_INVALID, "the checksum does not fit: a word is wrong or in another place") from None


def recovery_keys(entropy: bytes) -> tuple[bytes, bytes, bytes]:
    """Return auth key, wrap key and recovery signing seed of the recovery words' 32 bytes."""
    require_key(entropy, "recovery entropy")
    return (
        derive(entropy, Label.RECOVERY_AUTH),
        derive(entropy, Label.RECOVERY_WRAP),
        derive(entropy, Label.RECOVERY_SIGNING),
    )


def wrap_account_secret(
    wrap_key: bytes, account_id: bytes, unlocker_kind: str, secret: bytes, *, random: floe.Random = secrets.token_bytes
) -> bytes:
    """Return the account secret sealed for one unlocker (`password`, `recovery`, …) of one account.

    FLOE commits to the key: a server cannot make one wrapped secret that opens under many guessed passwords.
    """
    require_key(secret, "an account secret")
    return floe.seal_bytes(wrap_key, _unlocker_context(account_id, unlocker_kind), secret, random=random)


def unwrap_account_secret(wrap_key: bytes, account_id: bytes, unlocker_kind: str, wrapped: bytes) -> bytes:
    """Return the 32-byte account secret in *wrapped*; the reverse of `wrap_account_secret`.

    Refuses as `floe.open_bytes`, and a secret of another size with LENGTH_MISMATCH.
    """
    secret = floe.open_bytes(wrap_key, _unlocker_context(account_id, unlocker_kind), wrapped)
    require_key(secret, "an account secret")
    return secret


def wrap_vault_secret(
    wrap_key: bytes, account_id: bytes, nonce: bytes, secret: bytes, *, random: floe.Random = secrets.token_bytes
) -> bytes:
    """Return an account's secret of the vault with the genesis *nonce*, sealed under `keytree.vault_wrap_key`."""
    require_key(secret, "a vault secret")
    return floe.seal_bytes(wrap_key, _vault_context(account_id, nonce), secret, random=random)


def unwrap_vault_secret(wrap_key: bytes, account_id: bytes, nonce: bytes, wrapped: bytes) -> bytes:
    """Return the 32-byte vault secret in *wrapped*; the reverse of `wrap_vault_secret`.

    Refuses as `floe.open_bytes`, and a secret of another size with LENGTH_MISMATCH.
    """
    secret = floe.open_bytes(wrap_key, _vault_context(account_id, nonce), wrapped)
    require_key(secret, "a vault secret")
    return secret


def _vault_context(account_id: bytes, nonce: bytes) -> bytes:
    require_size(account_id, ID_SIZE_BYTES, "an account id")
    require_size(nonce, HASH_SIZE_BYTES, "a space's nonce")
    return context(Label.VAULT_SECRET, account_id, nonce)


def _unlocker_context(account_id: bytes, unlocker_kind: str) -> bytes:
    require_size(account_id, ID_SIZE_BYTES, "an account id")
    return context(Label.ACCOUNT_SECRET, account_id, unlocker_kind.encode("ascii"))
