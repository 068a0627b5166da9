"""Envelopes: how an entry is packed and signed, in a space's log as in an account's ledger.

docs/spec/log.md §1. What is signed is `context(label, content)`, the content being header and body, packed. The SHA-256
of the whole envelope is the entry's id.
"""

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.wire import SignatureBytes, Signed, pack, unpack

H = TypeVar("H", bound=Signed)


class Content(Signed, Generic[H], frozen=True):
    """What is signed: a header of the entry's own log or ledger, and a body that the header's kind gives a shape."""

    header: H
    body: msgspec.Raw


class _Envelope(Signed, frozen=True):
    content: bytes
    signature: SignatureBytes


@dataclass(frozen=True, slots=True)
class SignedEntry(Generic[H]):
    """One parsed entry. Its signature is not verified by parsing: see `verify_envelope`."""

    id: bytes
    envelope: bytes
    content: bytes
    signature: bytes
    header: H
    body: bytes


def build_envelope(header: Signed, body: Signed, label: Label, signing_seed: bytes) -> bytes:
    """Sign *header* and *body* with *signing_seed* and return the envelope's bytes."""
    content = pack(Content(header, msgspec.Raw(pack(body))))
    return pack(_Envelope(content, signatures.sign(signing_seed, context(label, content))))


def parse_envelope(envelope: bytes, shape: type[Content[H]]) -> SignedEntry[H]:
    """Parse the envelope's bytes; raises ENTRY_MALFORMED."""
    outer = unpack(envelope, _Envelope)
    inner = unpack(outer.content, shape)
    return SignedEntry(
        id=hashlib.sha256(envelope).digest(),
        envelope=envelope,
        content=outer.content,
        signature=outer.signature,
        header=inner.header,
        body=bytes(inner.body),
    )


def verify_envelope(entry: SignedEntry[H], label: Label, key: bytes) -> None:
    """Verify the entry's signature by *key* (Ed25519, 32 bytes); raises SIGNATURE_INVALID."""
    signatures.verify(key, entry.signature, context(label, entry.content))
