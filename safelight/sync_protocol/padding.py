"""Padding: zeros up to Padmé sizes, so that a size says little; checked again when opened (docs/spec/encodings.md)."""

from safelight.sync_protocol.refusals import Code, Refused

LENGTH_SIZE_BYTES = 4


def padme(size_bytes: int) -> int:
    """Return the Padmé size for *size_bytes*: at most 12 % more, and one of few sizes that others have, too.

    The size keeps as many leading binary digits as its exponent has digits; the rest is rounded up. Raises ValueError
    for a negative size. Follows "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs" (2019).
    """
    if size_bytes < 0:
        raise ValueError("a size is not negative")
    if size_bytes < 2:
        return size_bytes
    exponent = size_bytes.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (size_bytes + mask) & ~mask


def pad(data: bytes) -> bytes:
    """Return *data* as a small value is sealed: 4-byte big-endian length, the data, zeros up to the Padmé size.

    Raises OverflowError for 4 GiB or more.
    """
    length = len(data).to_bytes(LENGTH_SIZE_BYTES, "big")
    return (length + data).ljust(padme(LENGTH_SIZE_BYTES + len(data)), b"\0")


def unpad(padded: bytes) -> bytes:
    """Return the data in *padded*; the reverse of `pad`.

    Refuses with PADDING_INVALID whatever `pad` would not have made: a length that does not fit, another size than
    exactly the Padmé size, or anything but zeros. So a value has one padded form, and padding hides no second message.
    """
    if len(padded) < LENGTH_SIZE_BYTES:
        raise Refused(Code.PADDING_INVALID, "shorter than its length field")
    end = LENGTH_SIZE_BYTES + int.from_bytes(padded[:LENGTH_SIZE_BYTES], "big")
    if end > len(padded):
        raise Refused(Code.PADDING_INVALID, "the length field says more than there is")
    if padme(end) != len(padded):
        raise Refused(Code.PADDING_INVALID, "not a Padmé size")
    check_zeros(padded[end:])
    return padded[LENGTH_SIZE_BYTES:end]


def check_zeros(tail: bytes | bytearray | memoryview) -> None:
    """Refuse with PADDING_INVALID if any byte of *tail*, the padding of a value or of a file, is not zero."""
    if bytes(tail) != bytes(len(tail)):  # compares whole blocks of memory: a film's padding is megabytes
        raise Refused(Code.PADDING_INVALID, "the padding is not zero")


def check_file_size(size_bytes: int, padded_size_bytes: int) -> None:
    """Refuse with PADDING_INVALID a file whose plaintext is not exactly the Padmé size of its real *size_bytes*.

    A file has no length field: its real size stands in its sealed metadata, its padding is zeros after its bytes.
    """
    if size_bytes < 0 or padme(size_bytes) != padded_size_bytes:
        raise Refused(Code.PADDING_INVALID, "the file's padded size does not belong to its size")
