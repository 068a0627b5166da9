"""FLOE: files, and everything under a password-derived key (c2sp.org/FLOE; docs/spec/encodings.md).

AES-256-GCM in encrypted segments of 262,144 bytes, HKDF-SHA-384; random access, and key-committing: a sealed value
opens under one key only. A sealed value is a header of 74 bytes (parameters 10 ‖ iv 32 ‖ tag 32) and then segments
(length 4 ‖ nonce 12 ‖ ciphertext ‖ tag 16); all segments but the last are full, and the last one says that it is.

What fails how: other parameters are FORMAT_UNSUPPORTED; a total size that sealing never makes is LENGTH_MISMATCH;
everything else (another key, place or position, changed, cut or added bytes) is OPEN_FAILED.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_BLOB_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing.sizes import require_key, require_size

Buffer = bytes | bytearray | memoryview
Random = Callable[[int], bytes]

IV_SIZE_BYTES = 32
HEADER_SIZE_BYTES = 74

_LENGTH_SIZE_BYTES = 4
_NONCE_SIZE_BYTES = 12
_TAG_SIZE_BYTES = 16
_SEGMENT_HEAD_SIZE_BYTES = _LENGTH_SIZE_BYTES + _NONCE_SIZE_BYTES
_SEGMENT_OVERHEAD_BYTES = _SEGMENT_HEAD_SIZE_BYTES + _TAG_SIZE_BYTES
_PARAMETERS_SIZE_BYTES = 10
_HEADER_TAG_SIZE_BYTES = 32
_MESSAGE_KEY_SIZE_BYTES = 48
_NOT_LAST = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class _Profile:
    """FLOE's parameters. Safelight has one set; others exist only for the public known answers."""

    segment_size_bytes: int
    rotation_bits: int
    max_segments: int

    @property
    def plaintext_segment_size_bytes(self) -> int:
        return self.segment_size_bytes - _SEGMENT_OVERHEAD_BYTES

    def encode(self) -> bytes:
        """Return the 10 bytes of the header that name AES-256-GCM (0), SHA-384 (0), segment size and iv size."""
        return b"\0\0" + self.segment_size_bytes.to_bytes(4, "big") + IV_SIZE_BYTES.to_bytes(4, "big")

    def sealed_size_bytes(self, plaintext_size_bytes: int) -> int:
        segments = max(1, -(-plaintext_size_bytes // self.plaintext_segment_size_bytes))
        if plaintext_size_bytes < 0 or segments > self.max_segments:
            raise Refused(Code.TOO_LARGE, "not a size that can be sealed")
        return HEADER_SIZE_BYTES + plaintext_size_bytes + segments * _SEGMENT_OVERHEAD_BYTES

    def segment_count(self, sealed_size_bytes: int) -> int:
        segments, last_size_bytes = divmod(sealed_size_bytes - HEADER_SIZE_BYTES, self.segment_size_bytes)
        if last_size_bytes:
            segments += 1
        if segments < 1 or 0 < last_size_bytes < _SEGMENT_OVERHEAD_BYTES:
            raise Refused(Code.LENGTH_MISMATCH, "not a size that sealing makes")
        if segments > self.max_segments:
            raise Refused(Code.TOO_LARGE, "more segments than are ever sealed")
        return segments


_SAFELIGHT = _Profile(262_144, rotation_bits=20, max_segments=MAX_BLOB_SIZE_BYTES // 262_144)

SEGMENT_SIZE_BYTES = _SAFELIGHT.segment_size_bytes
PLAINTEXT_SEGMENT_SIZE_BYTES = _SAFELIGHT.plaintext_segment_size_bytes


def _expand(key: bytes, info: bytes, size_bytes: int) -> bytes:
    return HKDFExpand(algorithm=SHA384(), length=size_bytes, info=info).derive(key)


class _Schedule:
    """The keys of one sealed value: header tag, message key, and the segment key of the last rotation asked for."""

    __slots__ = ("_associated_data", "_cipher", "_iv", "_message_key", "_prefix", "_profile", "header_tag")

    def __init__(self, profile: _Profile, key: bytes, associated_data: bytes, iv: bytes) -> None:
        require_key(key)
        self._profile = profile
        self._prefix = profile.encode() + iv
        self._associated_data = associated_data
        self.header_tag = self._derive(key, b"HEADER_TAG:", _HEADER_TAG_SIZE_BYTES)
        self._message_key = self._derive(key, b"MESSAGE_KEY:", _MESSAGE_KEY_SIZE_BYTES)
        self._cipher: tuple[int, AESGCM] | None = None

    def _derive(self, key: bytes, purpose: bytes, size_bytes: int) -> bytes:
        return _expand(key, self._prefix + purpose + self._associated_data, size_bytes)

    def cipher(self, segment_index: int) -> AESGCM:
        """Return the cipher of the segment; 2^rotation_bits neighbours share one key."""
        rotation = segment_index >> self._profile.rotation_bits
        cached = self._cipher  # read once: threads may decrypt through one schedule
        if cached is None or cached[0] != rotation:
            masked = rotation << self._profile.rotation_bits
            segment_key = self._derive(self._message_key, b"DEK:" + masked.to_bytes(8, "big"), KEY_SIZE_BYTES)
            cached = self._cipher = (rotation, AESGCM(segment_key))
        return cached[1]


def _associated_data_of(segment_index: int, *, final: bool) -> bytes:
    # Position and end are authenticated: reordered, dropped or cut segments do not open.
    return segment_index.to_bytes(8, "big") + (b"\x01" if final else b"\x00")


class FloeEncryptor:
    """Seals one value, segment after segment. A key may seal many values: each derives keys of its own from a fresh iv.

    `header` comes first, then every segment in order; `random` gives the iv and each segment's nonce, fresh each time.
    """

    _profile: ClassVar[_Profile] = _SAFELIGHT

    def __init__(self, key: bytes, associated_data: bytes, *, random: Random = secrets.token_bytes) -> None:
        """Start. Refuses a key of another size than 32 bytes with LENGTH_MISMATCH."""
        iv = random(IV_SIZE_BYTES)
        require_size(iv, IV_SIZE_BYTES, "an iv")
        self._random = random
        self._schedule = _Schedule(self._profile, key, associated_data, iv)
        self._next_index = 0
        self._ended = False
        self.header = self._profile.encode() + iv + self._schedule.header_tag

    def encrypt_segment_into(self, plaintext: Buffer, out: Buffer, *, final: bool) -> int:
        """Seal the next segment into the start of *out*, which must not overlap *plaintext*; return the bytes written.

        All segments but the last hold exactly PLAINTEXT_SEGMENT_SIZE_BYTES, the last one at most that (none is fine):
        LENGTH_MISMATCH otherwise, and when *out* is too small or the last segment was sealed already.
        """
        profile, index = self._profile, self._next_index
        full_size_bytes = profile.plaintext_segment_size_bytes
        plaintext_size_bytes = len(plaintext)
        if plaintext_size_bytes > full_size_bytes or (plaintext_size_bytes < full_size_bytes and not final):
            raise Refused(Code.LENGTH_MISMATCH, "all segments but the last are full")
        size_bytes = plaintext_size_bytes + _SEGMENT_OVERHEAD_BYTES
        if len(out) < size_bytes:
            raise Refused(Code.LENGTH_MISMATCH, "no room for the segment")
        if self._ended:
            raise Refused(Code.LENGTH_MISMATCH, "the last segment was sealed already")
        if index >= profile.max_segments - (0 if final else 1):
            raise Refused(Code.TOO_LARGE, "more segments than are ever sealed")
        nonce = self._random(_NONCE_SIZE_BYTES)
        view = memoryview(out)
        view[:_LENGTH_SIZE_BYTES] = size_bytes.to_bytes(_LENGTH_SIZE_BYTES, "big") if final else _NOT_LAST
        view[_LENGTH_SIZE_BYTES:_SEGMENT_HEAD_SIZE_BYTES] = nonce
        self._schedule.cipher(index).encrypt_into(
            nonce, plaintext, _associated_data_of(index, final=final), view[_SEGMENT_HEAD_SIZE_BYTES:size_bytes]
        )
        self._next_index, self._ended = index + 1, final
        return size_bytes

    @classmethod
    def seal_bytes(
        cls, key: bytes, associated_data: bytes, plaintext: Buffer, *, random: Random = secrets.token_bytes
    ) -> bytes:
        """Return a whole value sealed, header included."""
        profile = cls._profile
        sealed = bytearray(profile.sealed_size_bytes(len(plaintext)))
        encryptor = cls(key, associated_data, random=random)
        sealed[:HEADER_SIZE_BYTES] = encryptor.header
        source, target = memoryview(plaintext), memoryview(sealed)[HEADER_SIZE_BYTES:]
        step, segments = profile.plaintext_segment_size_bytes, profile.segment_count(len(sealed))
        for index in range(segments):
            piece, room = source[index * step : (index + 1) * step], target[index * profile.segment_size_bytes :]
            encryptor.encrypt_segment_into(piece, room, final=index + 1 == segments)
        return bytes(sealed)


class FloeDecryptor:
    """Opens the segments of one value, in any order.

    Which index is the last comes from the value's size, and that from a signed record or from the whole value in hand,
    never from the wire: else a value cut at a segment's end would look like a read past it.
    """

    _profile: ClassVar[_Profile] = _SAFELIGHT

    def __init__(self, key: bytes, associated_data: bytes, header: bytes) -> None:
        """Check *header* (74 bytes): FORMAT_UNSUPPORTED for other parameters, OPEN_FAILED for another key or place."""
        if len(header) != HEADER_SIZE_BYTES:
            raise Refused(Code.OPEN_FAILED, "not a whole header")
        if header[:_PARAMETERS_SIZE_BYTES] != self._profile.encode():
            raise Refused(Code.FORMAT_UNSUPPORTED, "other parameters of FLOE")
        iv = header[_PARAMETERS_SIZE_BYTES:-_HEADER_TAG_SIZE_BYTES]
        self._schedule = _Schedule(self._profile, key, associated_data, iv)
        if not hmac.compare_digest(self._schedule.header_tag, header[-_HEADER_TAG_SIZE_BYTES:]):
            raise Refused(Code.OPEN_FAILED, "the header does not belong to this key and place")

    def decrypt_segment_into(self, segment_index: int, ciphertext: Buffer, out: Buffer, *, final: bool) -> int:
        """Open the segment *segment_index* into the start of *out*; return the bytes written.

        *out* must not overlap *ciphertext*; it is zeroed when the segment does not open. Threads may share a decryptor.
        """
        size_bytes = len(ciphertext)
        if not _SEGMENT_OVERHEAD_BYTES <= size_bytes <= self._profile.segment_size_bytes:
            raise Refused(Code.OPEN_FAILED, "not a segment's size")
        if not final and size_bytes != self._profile.segment_size_bytes:
            raise Refused(Code.OPEN_FAILED, "all segments but the last are full")
        view = memoryview(ciphertext)
        expected = size_bytes.to_bytes(_LENGTH_SIZE_BYTES, "big") if final else _NOT_LAST
        if view[:_LENGTH_SIZE_BYTES] != expected:
            raise Refused(Code.OPEN_FAILED, "cut, or followed by what does not belong to it")
        if not 0 <= segment_index < self._profile.max_segments:
            raise Refused(Code.OPEN_FAILED, "there is no such segment")
        plaintext_size_bytes = size_bytes - _SEGMENT_OVERHEAD_BYTES
        if len(out) < plaintext_size_bytes:
            raise Refused(Code.LENGTH_MISMATCH, "no room for the segment")
        plaintext = memoryview(out)[:plaintext_size_bytes]
        nonce = view[_LENGTH_SIZE_BYTES:_SEGMENT_HEAD_SIZE_BYTES]
        cipher = self._schedule.cipher(segment_index)
        try:
            return cipher.decrypt_into(
                nonce, view[_SEGMENT_HEAD_SIZE_BYTES:], _associated_data_of(segment_index, final=final), plaintext
            )
        except InvalidTag:
            plaintext[:] = bytes(plaintext_size_bytes)  # nothing unverified is left for a caller to use
            raise Refused(Code.OPEN_FAILED, f"segment {segment_index}") from None

    @classmethod
    def open_bytes(cls, key: bytes, associated_data: bytes, sealed: Buffer) -> bytes:
        """Return the plaintext of a whole value, header included; nothing of it if any segment does not open."""
        profile, source = cls._profile, memoryview(sealed)
        decryptor = cls(key, associated_data, bytes(source[:HEADER_SIZE_BYTES]))
        segments = profile.segment_count(len(source))
        plaintext = bytearray(len(source) - HEADER_SIZE_BYTES - segments * _SEGMENT_OVERHEAD_BYTES)
        body, target, step = source[HEADER_SIZE_BYTES:], memoryview(plaintext), profile.segment_size_bytes
        for index in range(segments):
            piece, room = (
                body[index * step : (index + 1) * step],
                target[index * profile.plaintext_segment_size_bytes :],
            )
            decryptor.decrypt_segment_into(index, piece, room, final=index + 1 == segments)
        return bytes(plaintext)


def sealed_size_bytes(plaintext_size_bytes: int) -> int:
    """Return the size of a sealed value, header included. Refuses what exceeds a blob's limit with TOO_LARGE."""
    return _SAFELIGHT.sealed_size_bytes(plaintext_size_bytes)


def segment_count(sealed_size_bytes: int) -> int:
    """Return how many segments a sealed value of this size (header included) has.

    Refuses with LENGTH_MISMATCH a size that sealing never makes, with TOO_LARGE one that exceeds a blob's limit.
    """
    return _SAFELIGHT.segment_count(sealed_size_bytes)


def plaintext_size_bytes(sealed_size_bytes: int) -> int:
    """Return the size of the plaintext in a sealed value of this size; refuses as `segment_count` does."""
    return sealed_size_bytes - HEADER_SIZE_BYTES - segment_count(sealed_size_bytes) * _SEGMENT_OVERHEAD_BYTES


def seal_bytes(key: bytes, associated_data: bytes, plaintext: Buffer, *, random: Random = secrets.token_bytes) -> bytes:
    """Return *plaintext* sealed under *key* and bound to *associated_data*."""
    return FloeEncryptor.seal_bytes(key, associated_data, plaintext, random=random)


def open_bytes(key: bytes, associated_data: bytes, sealed: Buffer) -> bytes:
    """Return the plaintext of *sealed*. Refuses as this module's head says; nothing of a bad value is returned."""
    return FloeDecryptor.open_bytes(key, associated_data, sealed)
