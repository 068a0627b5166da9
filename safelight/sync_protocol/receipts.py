"""Receipts: the server's signed promise that an entry has its slot and its blobs are durable (docs/spec/records.md)."""

from collections.abc import Collection
from typing import Annotated

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Count, Signed, TimeMs, pack, unpack

RECEIPT_VERSION = 1


class Receipt(Signed, frozen=True):
    """What is promised: the entry, its slot and chain there, the server's time, and the blobs that it made durable."""

    version: Count
    space_id: Hash
    entry_id: Hash
    number: Count
    chain: Hash
    time_ms: TimeMs
    blobs: Annotated[list[Hash], msgspec.Meta(max_length=100_000)]


def sign_receipt(receipt: Receipt, server: signatures.Signer) -> tuple[bytes, bytes]:
    """Return the receipt's bytes and the server's signature over them."""
    content = pack(receipt)
    return content, server.sign(context(Label.SIGN_RECEIPT, content))


def verify_receipt(
    content: bytes, signature: bytes, server_key: bytes, *, space_id: bytes, entry_id: bytes, blobs: Collection[bytes]
) -> Receipt:
    """Verify a receipt for exactly this entry and at least these *blobs*; raises RECEIPT_INVALID otherwise."""
    try:
        signatures.verify(server_key, signature, context(Label.SIGN_RECEIPT, content))
    except Refused:
        raise Refused(Code.RECEIPT_INVALID, "its signature is not the server's") from None
    receipt = unpack(content, Receipt, Code.RECEIPT_INVALID)
    if receipt.version != RECEIPT_VERSION or receipt.space_id != space_id or receipt.entry_id != entry_id:
        raise Refused(Code.RECEIPT_INVALID, "it is a receipt for something else")
    if not set(blobs) <= set(receipt.blobs):
        raise Refused(Code.RECEIPT_INVALID, "it leaves out a blob")
    return receipt
