"""Passwords and recovery words: one person, however they type, and no costs but safe ones."""

import resource
import unicodedata
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.sync_protocol import limits
from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords
from safelight.sync_protocol.sealing.floe import seal_bytes
from safelight.sync_protocol.sealing.keytree import derive
from tests.support.refusing import refuses

SALT = bytes(range(16))


def test_the_same_text_in_two_encodings_is_one_password() -> None:
    """A keyboard that composes letters and one that does not give one key (UTF-8 NFC)."""
    composed = "Grüße"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    stretched = {passwords.stretch(text, SALT, passwords.DEFAULT_COSTS) for text in (composed, decomposed)}
    assert len(stretched) == 1


def test_everything_else_is_another_password() -> None:
    """Case, spaces and the salt matter."""
    inputs = (("Password", SALT), ("password", SALT), ("password ", SALT), ("password", bytes(16)))
    assert len({passwords.stretch(text, salt, passwords.DEFAULT_COSTS) for text, salt in inputs}) == 4


@pytest.mark.parametrize(
    "costs",
    [
        passwords.Costs(limits.ARGON2_MIN_MEMORY_KIB - 1, 3),
        passwords.Costs(limits.ARGON2_MAX_MEMORY_KIB + 1, 3),
        passwords.Costs(limits.ARGON2_MIN_MEMORY_KIB, 2),
        passwords.Costs(limits.ARGON2_MIN_MEMORY_KIB, limits.ARGON2_MAX_PASSES + 1),
        passwords.Costs(0, 0),
        passwords.Costs(-1, -1),
    ],
)
def test_a_server_cannot_choose_unsafe_costs(costs: passwords.Costs) -> None:
    """A lowered cost and a memory bomb are refused before any of it is spent."""
    with patch("nacl.pwhash.argon2id.kdf") as kdf, refuses(Code.PASSWORD_COST_REFUSED):
        passwords.stretch("password", SALT, costs)
    kdf.assert_not_called()


def test_our_own_costs_are_within_bounds() -> None:
    """What new accounts and links use is what clients accept, and so are the bounds themselves."""
    passwords.check_costs(passwords.DEFAULT_COSTS)
    passwords.check_costs(passwords.LINK_COSTS)
    passwords.check_costs(passwords.Costs(limits.ARGON2_MAX_MEMORY_KIB, limits.ARGON2_MAX_PASSES))
    assert passwords.Costs(64 * 1024, 3) == passwords.LINK_COSTS


def test_salts_have_16_bytes() -> None:
    """A server that sends a short salt is refused."""
    with refuses(Code.LENGTH_MISMATCH):
        passwords.stretch("password", bytes(8), passwords.DEFAULT_COSTS)


def test_what_is_not_text_is_refused() -> None:
    """Bytes of the environment that are no UTF-8 reach us as lone surrogates; they are no password."""
    with refuses(Code.BAD_REQUEST):
        passwords.stretch("\udcff", SALT, passwords.DEFAULT_COSTS)


def test_the_server_never_sees_the_wrap_key() -> None:
    """Auth keys, wrap keys and the recovery signing seed are derived apart."""
    auth_key, wrap_key = passwords.password_keys(bytes(32))
    recovery_auth, recovery_wrap, recovery_signing = passwords.recovery_keys(bytes(32))
    assert len({auth_key, wrap_key, recovery_auth, recovery_wrap, recovery_signing}) == 5
    assert auth_key == derive(bytes(32), Label.PASSWORD_AUTH)
    assert recovery_signing == derive(bytes(32), Label.RECOVERY_SIGNING)
    for function in (passwords.password_keys, passwords.recovery_keys):
        with refuses(Code.LENGTH_MISMATCH):
            function(bytes(31))


@given(st.binary(min_size=32, max_size=32))
def test_words_stand_for_their_entropy(entropy: bytes) -> None:
    """24 words give the entropy back."""
    words = passwords.new_recovery_words(entropy)
    assert len(words) == 24
    assert passwords.words_to_entropy(" ".join(words)) == entropy


def test_new_words_are_random() -> None:
    """Two accounts have different words; entropy of another size is refused."""
    assert passwords.new_recovery_words() != passwords.new_recovery_words()
    with refuses(Code.LENGTH_MISMATCH):
        passwords.new_recovery_words(bytes(16))


@pytest.mark.parametrize("separator", [" ", "  ", ", ", "\n", " - ", "\t", ";"])
def test_words_are_read_as_people_write_them(separator: str) -> None:
    """Case, commas, lines and numbers do not matter."""
    words = passwords.new_recovery_words(bytes(range(32)))
    assert passwords.words_to_entropy(separator.join(words).title()) == bytes(range(32))
    numbered = separator.join(f"{number}. {word}" for number, word in enumerate(words, 1))
    assert passwords.words_to_entropy(numbered) == bytes(range(32))


def test_wrong_words_are_refused_without_repeating_them() -> None:
    """A typing error is named by its position; the words themselves never reach a message, which could be logged."""
    words = passwords.new_recovery_words(bytes(range(32)))
    with pytest.raises(Refused) as caught:
        passwords.words_to_entropy(" ".join([*words[:5], "darkroom", *words[6:]]))
    assert caught.value.code is Code.WORDS_INVALID
    assert "word 6" in caught.value.detail
    assert "darkroom" not in str(caught.value)
    for wrong in (words[:-1], [*words, "abandon"], [], [*words[1:], words[0]]):
        with refuses(Code.WORDS_INVALID):
            passwords.words_to_entropy(" ".join(wrong))


def test_account_secrets_open_for_their_account_and_unlocker() -> None:
    """A wrapped secret that the server gives out for another account, or as another unlocker's, does not open."""
    wrap_key, account, secret = bytes(32), b"\x01" * 16, b"\x02" * 32
    wrapped = passwords.wrap_account_secret(wrap_key, account, "password", secret)
    assert passwords.unwrap_account_secret(wrap_key, account, "password", wrapped) == secret
    for key, owner, kind in (
        (b"\x03" * 32, account, "password"),
        (wrap_key, bytes(16), "password"),
        (wrap_key, account, "recovery"),
    ):
        with refuses(Code.OPEN_FAILED):
            passwords.unwrap_account_secret(key, owner, kind, wrapped)


def test_account_secrets_and_ids_have_their_sizes() -> None:
    """Neither end handles a secret or an account id of another size, whoever wrapped it."""
    with refuses(Code.LENGTH_MISMATCH):
        passwords.wrap_account_secret(bytes(32), bytes(16), "password", bytes(31))
    with refuses(Code.LENGTH_MISMATCH):
        passwords.wrap_account_secret(bytes(32), bytes(15), "password", bytes(32))
    place = passwords._unlocker_context(bytes(16), "password")
    with refuses(Code.LENGTH_MISMATCH):
        passwords.unwrap_account_secret(bytes(32), bytes(16), "password", seal_bytes(bytes(32), place, bytes(31)))


def test_a_device_without_the_memory_refuses_the_costs() -> None:
    """A server may ask for a gibibyte: where there is none that is a refusal, too, and not a crash."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + 256 * 2**20, hard))
    try:
        with refuses(Code.PASSWORD_COST_REFUSED):
            passwords.stretch("password", bytes(16), passwords.Costs(1024 * 1024, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
