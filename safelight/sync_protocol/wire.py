"""How Structs become bytes and back: MessagePack for what is signed or sealed, strict JSON for requests.

Signed bytes are kept and verified exactly as they came; nothing here is ever used to re-encode before verifying.
"""

import json
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec

from safelight.sync_protocol.limits import MAX_INTEGER, MAX_SEALED_FIELD_SIZE_BYTES, SIGNATURE_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER, description="milliseconds since 1970-01-01 UTC")]
WideInteger = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1, description="64 bits with a sign")]
SizeBytes = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
SignatureBytes = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_SIZE_BYTES, max_length=SIGNATURE_SIZE_BYTES)]
SealedField = Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_FIELD_SIZE_BYTES)]

_packer = msgspec.msgpack.Encoder()


class Signed(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of everything that is signed: a MessagePack array, so that no key can be repeated, added or reordered.

    It never gains a field: a new kind or version has a shape of its own.
    """


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of what stands inside a sealed part: a MessagePack map whose unknown keys a later version may add."""


def pack(value: Signed | Sealed) -> bytes:
    """Encode *value* as MessagePack."""
    return _packer.encode(value)


def unpack(data: bytes, shape: type[T], code: Code = Code.ENTRY_MALFORMED) -> T:
    """Decode MessagePack *data* as *shape*; raises *code* if it is anything else.

    What is `Signed` has one encoding, the shortest. MessagePack has several for one value: some decoders take what
    others refuse, so a signer could split readers; and an envelope, which is hashed and not signed, could be rewritten
    by anyone on the way, so that one entry had two ids.
    """
    try:
        value = msgspec.msgpack.decode(data, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(code, str(error)) from None
    if isinstance(value, Signed) and pack(value) != data:
        raise Refused(code, "not in its shortest encoding")
    return value


def parse_request(data: bytes, shape: type[T]) -> T:
    """Decode strict JSON *data*, in UTF-8, as *shape*.

    Raises BAD_REQUEST for unknown or repeated keys, for numbers that are not integers below 2^53, for text that has no
    UTF-8 (half a surrogate pair), and for anything that is not of the shape.
    """
    try:
        text = data.decode("utf-8")  # never guessed from the bytes, as `json` would
        document = json.loads(
            text,
            object_pairs_hook=_object_without_repeats,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        return msgspec.convert(document, type=shape, strict=True)
    except (ValueError, RecursionError) as error:
        raise Refused(Code.BAD_REQUEST, str(error)) from None


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _integer(text: str) -> int:
    value = int(text)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError(f"the integer {text[:32]} is 2^53 or more")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:32]} is not an integer")
