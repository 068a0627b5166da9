"""Content fingerprints: equal within a space, and silent outside it."""

import hashlib

import pytest

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint
from tests.support.refusing import refuses

KEY, SPACE, DIGEST = bytes(32), b"\x01" * 32, hashlib.sha256(b"a photograph").digest()


def test_it_is_keyed_blake2b_over_the_context() -> None:
    """The fingerprint is what the specification says, computed here a second time."""
    expected = hashlib.blake2b(context(Label.FINGERPRINT, SPACE, DIGEST), key=KEY, digest_size=32).digest()
    assert content_fingerprint(KEY, SPACE, DIGEST) == expected


def test_another_key_space_or_file_gives_another() -> None:
    """One photograph in two spaces has two fingerprints, so the server cannot tell that it is the same."""
    other = b"\x07" * 32
    inputs = ((KEY, SPACE, DIGEST), (other, SPACE, DIGEST), (KEY, other, DIGEST), (KEY, SPACE, other))
    assert len({content_fingerprint(*values) for values in inputs}) == 4


@pytest.mark.parametrize("position", [0, 1, 2])
def test_inputs_have_32_bytes(position: int) -> None:
    """An empty dedupe key would make the fingerprint a public hash; it is refused like every other size."""
    for size_bytes in (0, 16, 31, 33):
        inputs = [KEY, SPACE, DIGEST]
        inputs[position] = bytes(size_bytes)
        with refuses(Code.LENGTH_MISMATCH):
            content_fingerprint(*inputs)
