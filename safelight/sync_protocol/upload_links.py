"""Upload links as their guests know them: the head that its maker signs (docs/spec/upload-links.md).

A guest reads neither log nor ledger: what it seals to, and whose receipts count, it believes the publishing key alone,
whose fingerprint is in the link's address.
"""

from typing import Annotated

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.account_ledger import InboxKey, PublicKey
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash, Id, key_fingerprint
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.links import LINK_SECRET_SIZE_BYTES, KeyBytes, LinkAddress
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.upload_entries import UploadTerms
from safelight.sync_protocol.wire import Count, Sealed, SealedField, Signed, TimeMs, pack, unpack

UPLOAD_HEAD_VERSION = 1


class AlbumInboxes(Signed, frozen=True):
    """The shared album that is added to as well: the public inboxes of its newest generation."""

    album_id: Id
    generation: Count
    full_inbox: InboxKey
    view_inbox: InboxKey


class UploadHead(Signed, frozen=True):
    """What the publishing key signs, over `context(SIGN_UPLOAD_HEAD, link id, head)`: where a link's guests seal to.

    `server_key` is whose receipts count, `ledger` and `log` where both ended for who signed; the log's number is the
    head's, too. `sealed` boxes the packed `HeadContent` under the link's head key (`context(UPLOAD_HEAD, space id, link
    id, log number)`).
    """

    version: Count
    link_id: Id
    space_id: Hash
    server_key: PublicKey
    epoch: Count
    full_inbox: InboxKey
    view_inbox: InboxKey
    album: AlbumInboxes | None
    ledger: Head
    log: Head
    terms: UploadTerms
    signed_ms: TimeMs
    sealed: SealedField


class HeadContent(Sealed, frozen=True):
    """What a guest is told of what it adds to."""

    title: str


class MakersCopy(Sealed, frozen=True):
    """What the makers keep, so that the address can be shown again and the head signed anew."""

    secret: Annotated[bytes, msgspec.Meta(min_length=LINK_SECRET_SIZE_BYTES, max_length=LINK_SECRET_SIZE_BYTES)]
    publishing_seed: KeyBytes
    title: str
    label: str = ""


def sign_upload_head(head: UploadHead, publishing_seed: bytes) -> tuple[bytes, bytes]:
    """Return the head's bytes and the publishing key's signature over them."""
    content = pack(head)
    return content, signatures.sign(publishing_seed, _signed(head.link_id, content))


def verify_upload_head(address: LinkAddress, content: bytes, signature: bytes, publishing_key: bytes) -> UploadHead:
    """Verify a head against the link's address alone; raises MANIFEST_INVALID for a substituted one."""
    if key_fingerprint(publishing_key) != address.publisher_fingerprint:
        raise Refused(Code.MANIFEST_INVALID, "another key signed it")
    return read_upload_head(address.link_id, content, signature, publishing_key)


def read_upload_head(link_id: bytes, content: bytes, signature: bytes, publishing_key: bytes) -> UploadHead:
    """Verify a head under a publishing key that is known to be the link's; raises MANIFEST_INVALID."""
    try:
        signatures.verify(publishing_key, signature, _signed(link_id, content))
    except Refused:
        raise Refused(Code.MANIFEST_INVALID, "its signature does not match") from None
    head = unpack(content, UploadHead, Code.MANIFEST_INVALID)
    if head.version != UPLOAD_HEAD_VERSION or head.link_id != link_id:
        raise Refused(Code.MANIFEST_INVALID, "it belongs to another link")
    return head


def check_upload_head(state: LedgerState, head: UploadHead) -> None:
    """Check a head against the ledger; raises MANIFEST_INVALID, EPOCH_OLD or GENERATION_OLD.

    *An insider's own inbox*: who may make links, and knows the publishing key, would alone open what guests add.
    """
    link = state.upload_links[head.link_id]
    if head.space_id != state.space_id or head.terms != link.terms:
        raise Refused(Code.MANIFEST_INVALID, "its terms, or its space, are not what the ledger says")
    if head.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD, f"epoch {head.epoch}, now {state.epoch.number}")
    if (head.full_inbox, head.view_inbox) != (state.epoch.full_inbox, state.epoch.view_inbox):
        raise Refused(Code.MANIFEST_INVALID, "its inboxes are not the epoch's")
    if head.album == album_inboxes(state, link.album_id):
        return
    if head.album is None or head.album.album_id != link.album_id:
        raise Refused(Code.MANIFEST_INVALID, "its album is not the link's")
    if head.album.generation != state.albums[link.album_id].generation.number:
        raise Refused(Code.GENERATION_OLD, "its album has other keys by now")
    raise Refused(Code.MANIFEST_INVALID, "its album's inboxes are not the generation's")


def album_inboxes(state: LedgerState, album_id: bytes) -> AlbumInboxes | None:
    """The inboxes of a shared album's newest generation; None for no album."""
    if not album_id:
        return None
    generation = state.albums[album_id].generation
    return AlbumInboxes(album_id, generation.number, generation.full_inbox, generation.view_inbox)


def _signed(link_id: bytes, content: bytes) -> bytes:
    return context(Label.SIGN_UPLOAD_HEAD, link_id, content)
