"""The key tree: HKDF with one label a derivation, so that no key of one purpose is a key of another."""

import hashlib
import hmac
import inspect
from collections.abc import Callable

import pytest

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import keytree
from tests.support.refusing import refuses

KEY = bytes(range(32))
FROM_KEY: list[Callable[[bytes], bytes]] = [
    function
    for _, function in inspect.getmembers(keytree, inspect.isfunction)
    if function.__module__ == keytree.__name__
    and not function.__name__.startswith("_")
    and len(inspect.signature(function).parameters) == 1
]
FROM_SECRET = (
    keytree.link_access_token,
    keytree.link_base,
    keytree.link_password_salt,
    keytree.link_picks_key,
    keytree.upload_signing_seed,
    keytree.upload_head_key,
)
FROM_PASSWORD = (keytree.link_key_with_password, keytree.link_password_proof, keytree.vault_wrap_key)
FROM_32_BYTES = [function for function in FROM_KEY if function not in FROM_SECRET + FROM_PASSWORD]


def test_derive_is_hkdf_over_the_context() -> None:
    """`derive` is RFC 5869 with an empty salt, computed here a second time by hand."""
    extracted = hmac.digest(bytes(32), KEY, hashlib.sha256)
    info = context(Label.FILE, b"part")
    first = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    second = hmac.digest(extracted, first + info + b"\x02", hashlib.sha256)
    assert keytree.derive(KEY, Label.FILE, b"part") == first
    assert keytree.derive(KEY, Label.FILE, b"part", size_bytes=48) == first + second[:16]


def test_no_two_derivations_give_one_key() -> None:
    """From one and the same key every named function derives something else: each has a label of its own."""
    assert len(FROM_32_BYTES) == 30
    derived = [function(KEY) for function in FROM_32_BYTES]
    derived += [keytree.rendition_key(KEY, "original", bytes(16)), keytree.link_page_key(KEY, 0)]
    assert len(set(derived)) == len(derived)
    assert {len(key) for key in derived} == {32}


def test_a_link_secret_gives_unrelated_values() -> None:
    """What the server learns of a link (token, salt) is no prefix of what it must not learn."""
    values = [function(bytes(16)) for function in FROM_SECRET]
    assert len({value[:16] for value in values}) == len(FROM_SECRET)
    assert [len(value) for value in values] == [32, 32, 16, 32, 32, 32]
    assert keytree.link_key_with_password(bytes(64)) != keytree.link_password_proof(bytes(64))
    assert keytree.link_key(bytes(32)) != keytree.link_key_with_password(bytes(64))


def test_renditions_have_keys_of_their_own() -> None:
    """Another name or another id is another key: an old preview cannot be swapped back in."""
    names, ids = ("original", "motion", "preview"), (bytes(16), b"\x01" * 16)
    keys = {keytree.rendition_key(KEY, name, rendition_id) for name in names for rendition_id in ids}
    assert len(keys) == 6
    assert len({keytree.link_page_key(KEY, number) for number in range(200)}) == 200


def test_a_view_key_leads_nowhere_but_down() -> None:
    """From the asset view key, the same derivations give other keys than from the asset key: the tiers are real."""
    view_key = keytree.asset_view_key(KEY)
    for name in ("original", "preview"):
        assert keytree.rendition_key(view_key, name, bytes(16)) != keytree.rendition_key(KEY, name, bytes(16))
    assert keytree.asset_metadata_key(view_key) != keytree.asset_metadata_key(KEY)


@pytest.mark.parametrize("size_bytes", [0, 16, 31, 33, 64])
def test_keys_have_32_bytes(size_bytes: int) -> None:
    """A key of another size is refused, so that what an insider sealed in a key's place is a refusal, not a key."""
    for function in FROM_32_BYTES:
        with refuses(Code.LENGTH_MISMATCH):
            function(bytes(size_bytes))
    with refuses(Code.LENGTH_MISMATCH):
        keytree.rendition_key(bytes(size_bytes), "original", bytes(16))
    with refuses(Code.LENGTH_MISMATCH):
        keytree.link_page_key(bytes(size_bytes), 0)


@pytest.mark.parametrize("size_bytes", [0, 15, 32, 63, 65])
def test_other_inputs_have_their_sizes(size_bytes: int) -> None:
    """Link secrets have 16 bytes, link base and stretched password 64 together, rendition ids 16."""
    for function in FROM_SECRET + FROM_PASSWORD:
        with refuses(Code.LENGTH_MISMATCH):
            function(bytes(size_bytes))
    with refuses(Code.LENGTH_MISMATCH):
        keytree.rendition_key(KEY, "original", bytes(size_bytes))
