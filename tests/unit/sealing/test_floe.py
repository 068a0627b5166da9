"""FLOE: what opens, and that nothing which was cut, moved, mixed or changed does."""

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.sync_protocol.limits import MAX_BLOB_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe
from tests.support.refusing import refuses
from tests.unit.sealing.small_floe import with_profile

KEY = bytes(range(32))
PLACE = b"the place"
SMALL = floe._Profile(48, rotation_bits=1, max_segments=16)
PER_SEGMENT = 16
SmallEncryptor, SmallDecryptor = with_profile(SMALL)


def _segments(sealed: bytes) -> list[bytes]:
    body = sealed[floe.HEADER_SIZE_BYTES :]
    return [body[start : start + 48] for start in range(0, len(body), 48)]


@given(st.binary(max_size=15 * PER_SEGMENT))
def test_small_segments_round_trip(plaintext: bytes) -> None:
    """Whatever the size, also at every border of segments and rotations: what was sealed opens, at its stated size."""
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, plaintext)
    assert SmallDecryptor.open_bytes(KEY, PLACE, sealed) == plaintext
    assert len(sealed) == SMALL.sealed_size_bytes(len(plaintext))


@pytest.mark.parametrize("size_bytes", [0, 1, 262_111, 262_112, 262_113, 524_224, 600_000])
def test_sizes_of_the_public_interface(size_bytes: int) -> None:
    """Sealed and plain sizes belong together at every border, and whole values round-trip."""
    plaintext = secrets.token_bytes(size_bytes)
    sealed = floe.seal_bytes(KEY, PLACE, plaintext)
    assert len(sealed) == floe.sealed_size_bytes(size_bytes)
    assert floe.plaintext_size_bytes(len(sealed)) == size_bytes
    assert floe.segment_count(len(sealed)) == max(1, -(-size_bytes // floe.PLAINTEXT_SEGMENT_SIZE_BYTES))
    assert floe.open_bytes(KEY, PLACE, memoryview(sealed)) == plaintext


def test_header_is_as_specified() -> None:
    """The header names AES-256-GCM, SHA-384, 256 KiB and an iv of 32 bytes, as any other implementation expects."""
    header = floe.FloeEncryptor(KEY, PLACE).header
    assert len(header) == floe.HEADER_SIZE_BYTES == 74
    assert header[:10].hex() == "00000004000000000020"


def test_two_seals_differ() -> None:
    """The iv and nonces are fresh: equal plaintexts under an equal key do not look equal."""
    first, second = (floe.seal_bytes(KEY, PLACE, b"same") for _ in range(2))
    for part in (slice(10, 42), slice(42, 74), slice(78, 90), slice(90, None)):  # iv, header tag, nonce, ciphertext
        assert first[part] != second[part]


def test_every_cut_is_noticed() -> None:
    """No shorter piece of a value opens, whether it ends inside a segment or exactly at its end."""
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, bytes(4 * PER_SEGMENT + 5))
    for size_bytes in range(len(sealed)):
        with pytest.raises(Refused) as caught:
            SmallDecryptor.open_bytes(KEY, PLACE, sealed[:size_bytes])
        assert caught.value.code in {Code.OPEN_FAILED, Code.LENGTH_MISMATCH}


def test_every_changed_byte_is_noticed() -> None:
    """Each byte of a value is authenticated, header and length fields included."""
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, bytes(2 * PER_SEGMENT + 5))
    for offset in range(len(sealed)):
        changed = bytearray(sealed)
        changed[offset] ^= 0x40
        with refuses(Code.FORMAT_UNSUPPORTED if offset < 10 else Code.OPEN_FAILED):
            SmallDecryptor.open_bytes(KEY, PLACE, changed)


def test_no_other_order_opens() -> None:
    """Segments exchanged, repeated or left out are refused, within one rotation of the key and across."""
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, secrets.token_bytes(3 * PER_SEGMENT + 4))
    header, segments = sealed[: floe.HEADER_SIZE_BYTES], _segments(sealed)
    for length in range(5):
        for chosen in itertools.product(segments, repeat=length):
            if list(chosen) != segments:
                with pytest.raises(Refused):
                    SmallDecryptor.open_bytes(KEY, PLACE, header + b"".join(chosen))


def test_segments_of_another_value_do_not_fit() -> None:
    """A segment, or a header, of a value sealed under the same key at the same place cannot be swapped in."""
    plaintext = bytes(2 * PER_SEGMENT + 4)
    first, second = (SmallEncryptor.seal_bytes(KEY, PLACE, plaintext) for _ in range(2))
    for index in range(3):
        mixed = _segments(first)
        mixed[index] = _segments(second)[index]
        with refuses(Code.OPEN_FAILED):
            SmallDecryptor.open_bytes(KEY, PLACE, first[:74] + b"".join(mixed))
    with refuses(Code.OPEN_FAILED):
        SmallDecryptor.open_bytes(KEY, PLACE, first[:74] + second[74:])


def test_the_last_segment_counts_as_the_last_alone() -> None:
    """The final mark is authenticated: a full last segment is not taken for an inner one, nor the other way round."""
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, bytes(2 * PER_SEGMENT))
    inner, last = _segments(sealed)
    decryptor, out = SmallDecryptor(KEY, PLACE, sealed[:74]), bytearray(PER_SEGMENT)
    unmarked = b"\xff\xff\xff\xff" + last[4:]
    marked = (48).to_bytes(4, "big") + inner[4:]
    for index, segment, final in ((1, last, False), (1, unmarked, False), (0, inner, True), (0, marked, True)):
        with refuses(Code.OPEN_FAILED):
            decryptor.decrypt_segment_into(index, segment, out, final=final)
    assert decryptor.decrypt_segment_into(1, last, out, final=True) == PER_SEGMENT


def test_another_key_or_place_fails_at_the_header() -> None:
    """A wrong key is noticed before any segment is read: the header commits to the key and the place."""
    header = floe.FloeEncryptor(KEY, PLACE).header
    for key, place in ((bytes(32), PLACE), (KEY, b"another place"), (KEY, b"")):
        with refuses(Code.OPEN_FAILED):
            floe.FloeDecryptor(key, place, header)
    with refuses(Code.LENGTH_MISMATCH):
        floe.FloeDecryptor(KEY[:16], PLACE, header)


def test_other_parameters_are_refused_before_the_key_is_used() -> None:
    """A value of another segment size is another format, even with a header tag that would be right for it."""
    header = SmallEncryptor(KEY, PLACE).header
    with refuses(Code.FORMAT_UNSUPPORTED):
        floe.FloeDecryptor(KEY, PLACE, header)


def test_segments_open_in_any_order() -> None:
    """A range reader may start anywhere, go back, and cross rotations of the segment key."""
    plaintext = secrets.token_bytes(9 * PER_SEGMENT + 3)
    sealed = SmallEncryptor.seal_bytes(KEY, PLACE, plaintext)
    decryptor, segments = SmallDecryptor(KEY, PLACE, sealed[:74]), _segments(sealed)
    for index in (9, 0, 5, 4, 8, 1, 9):
        out = bytearray(PER_SEGMENT)
        written = decryptor.decrypt_segment_into(index, segments[index], out, final=index == 9)
        assert out[:written] == plaintext[index * PER_SEGMENT : (index + 1) * PER_SEGMENT]


def test_an_empty_last_segment_opens() -> None:
    """An encryptor that learns late that it is at the end may close with an empty segment, as FLOE allows."""
    encryptor, out = SmallEncryptor(KEY, PLACE), bytearray(48)
    encryptor.encrypt_segment_into(bytes(PER_SEGMENT), out, final=False)
    sealed = encryptor.header + bytes(out)
    assert encryptor.encrypt_segment_into(b"", out, final=True) == 32
    assert SmallDecryptor.open_bytes(KEY, PLACE, sealed + bytes(out[:32])) == bytes(PER_SEGMENT)


def test_nothing_unverified_is_left_behind() -> None:
    """When a segment does not open, the buffer holds zeros where its plaintext would have been."""
    sealed = bytearray(floe.seal_bytes(KEY, PLACE, b"secret" * 100))
    sealed[-1] ^= 1
    out = bytearray(b"\xaa" * 601)
    with refuses(Code.OPEN_FAILED):
        floe.FloeDecryptor(KEY, PLACE, bytes(sealed[:74])).decrypt_segment_into(0, sealed[74:], out, final=True)
    assert out == bytes(600) + b"\xaa"


def test_threads_share_a_decryptor() -> None:
    """Threads that read different rotations through one decryptor do not disturb one another."""
    profile = floe._Profile(4096, rotation_bits=0, max_segments=2**20)
    encryptor_kind, decryptor_kind = with_profile(profile)
    plaintext = secrets.token_bytes(64 * profile.plaintext_segment_size_bytes)
    sealed = encryptor_kind.seal_bytes(KEY, PLACE, plaintext)
    decryptor = decryptor_kind(KEY, PLACE, sealed[:74])

    def read(index: int) -> bytes:
        out, start = bytearray(4096), 74 + index * 4096
        written = decryptor.decrypt_segment_into(index, sealed[start : start + 4096], out, final=index == 63)
        return bytes(out[:written])

    with ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(read, range(64))) == plaintext


@pytest.mark.parametrize(
    ("plaintext", "room", "final"),
    [
        (bytes(PER_SEGMENT - 1), 48, False),
        (bytes(PER_SEGMENT + 1), 64, False),
        (bytes(PER_SEGMENT + 1), 64, True),
        (bytes(PER_SEGMENT), 47, True),
    ],
)
def test_segments_that_cannot_be_sealed(plaintext: bytes, room: int, final: bool) -> None:
    """Inner segments are full, none is larger, and it must fit; the encryptor goes on as if it had not been asked."""
    encryptor = SmallEncryptor(KEY, PLACE)
    with refuses(Code.LENGTH_MISMATCH):
        encryptor.encrypt_segment_into(plaintext, bytearray(room), final=final)
    out = bytearray(48)
    written = encryptor.encrypt_segment_into(b"whole", out, final=True)
    assert SmallDecryptor.open_bytes(KEY, PLACE, encryptor.header + bytes(out[:written])) == b"whole"


def test_nothing_follows_the_last_segment() -> None:
    """After the last segment the encryptor seals no more."""
    encryptor = floe.FloeEncryptor(KEY, PLACE)
    encryptor.encrypt_segment_into(b"", bytearray(32), final=True)
    with refuses(Code.LENGTH_MISMATCH):
        encryptor.encrypt_segment_into(b"", bytearray(32), final=True)


def test_the_number_of_segments_is_limited() -> None:
    """The last possible segment must be the last one, and none beyond is sealed, counted or opened."""
    encryptor, out = SmallEncryptor(KEY, PLACE), bytearray(48)
    for _ in range(15):
        encryptor.encrypt_segment_into(bytes(PER_SEGMENT), out, final=False)
    with refuses(Code.TOO_LARGE):
        encryptor.encrypt_segment_into(bytes(PER_SEGMENT), out, final=False)
    encryptor.encrypt_segment_into(b"end", out, final=True)
    decryptor = SmallDecryptor(KEY, PLACE, encryptor.header)
    assert decryptor.decrypt_segment_into(15, out[:35], bytearray(3), final=True) == 3
    for index in (16, -1):
        with refuses(Code.OPEN_FAILED):
            decryptor.decrypt_segment_into(index, out[:35], bytearray(3), final=True)
    with refuses(Code.LENGTH_MISMATCH):
        decryptor.decrypt_segment_into(15, out[:35], bytearray(2), final=True)


def test_sizes_that_are_refused() -> None:
    """No size that sealing never makes is computed with, nor one beyond a blob's limit."""
    with refuses(Code.TOO_LARGE):
        floe.sealed_size_bytes(MAX_BLOB_SIZE_BYTES)
    with refuses(Code.TOO_LARGE):
        floe.sealed_size_bytes(-1)
    with refuses(Code.TOO_LARGE):
        floe.segment_count(MAX_BLOB_SIZE_BYTES + 74 + 1000)
    with refuses(Code.LENGTH_MISMATCH):
        floe.plaintext_size_bytes(105)


def test_randomness_of_the_wrong_size_is_refused() -> None:
    """An iv that is too short would make two values collide; a source that gives one is refused."""
    with refuses(Code.LENGTH_MISMATCH):
        floe.FloeEncryptor(KEY, PLACE, random=lambda _: bytes(16))
    with refuses(Code.LENGTH_MISMATCH):
        floe.seal_bytes(bytes(31), PLACE, b"")
