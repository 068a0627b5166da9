"""Links: the address that carries the secret, and the signed manifest that carries the keys (docs/spec/link.md).

The fragment never reaches the server. Key derivations from the secret are in `sealing.keytree`.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.codes import from_letters, to_letters
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash, Id, key_fingerprint
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MANIFEST_PAGE_ASSETS, MAX_MANIFEST_PAGES
from safelight.sync_protocol.records import FloeHeader, PageRef, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Count, Sealed, SealedField, Signed, SizeBytes, TimeMs, pack, unpack

LINK_VERSION = 1
LINK_SECRET_SIZE_BYTES = 16
KeyBytes = Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)]
_FLAG_PASSWORD = 1
_FLAG_UPLOAD = 2
_FRAGMENT_SIZE_BYTES = 38
_FRAGMENT_LENGTH = 61
_HANDOVER_SIZE_BYTES = 16
_HANDOVER_LENGTH = 26
_ADDRESS = re.compile(r"/s/([0-9a-f]{32})(?:#|%23)?(.*)$", re.IGNORECASE | re.DOTALL)
# What chat programs and mail scanners put around an address.
_STRAY = " \t\r\n.,;:!?'\"()<>[]{}*_~\u00ab\u00bb\u2018\u2019\u201c\u201d\u200b\ufeff"


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """What a link's address says: the link, whether it has a password, its secret and who publishes it.

    An *upload* link takes pictures and shows none.
    """

    link_id: bytes
    has_password: bool
    secret: bytes
    publisher_fingerprint: bytes
    handover: bytes = b""
    is_upload: bool = False


def build_fragment(address: LinkAddress) -> str:
    """Return the 61 letters and digits after the `#` (87 with a hand-over token)."""
    flags = (_FLAG_PASSWORD if address.has_password else 0) | (_FLAG_UPLOAD if address.is_upload else 0)
    body = bytes((LINK_VERSION, flags)) + address.secret + address.publisher_fingerprint
    whole = body + _checksum(address.link_id, body)
    return to_letters(whole) + (to_letters(address.handover) if address.handover else "")


def parse_fragment(link_id: bytes, text: str) -> LinkAddress:
    """Read a fragment, after repairing what is put around addresses on their way.

    Raises LINK_ADDRESS_CUT for a short one, LINK_ADDRESS_VERSION for a newer one, LINK_ADDRESS_MANGLED for others.
    """
    fragment = re.sub(r"^(?:#|%23)+", "", text.strip(_STRAY), flags=re.IGNORECASE).strip(_STRAY)
    if len(fragment) < _FRAGMENT_LENGTH:
        raise Refused(Code.LINK_ADDRESS_CUT)
    whole = from_letters(fragment[:_FRAGMENT_LENGTH])
    if whole is None or len(whole) != _FRAGMENT_SIZE_BYTES or whole[34:] != _checksum(link_id, whole[:34]):
        raise Refused(Code.LINK_ADDRESS_MANGLED)
    if whole[0] != LINK_VERSION or whole[1] not in {0, _FLAG_PASSWORD, _FLAG_UPLOAD}:
        raise Refused(Code.LINK_ADDRESS_VERSION)
    handover = _parse_handover(fragment[_FRAGMENT_LENGTH:])
    return LinkAddress(
        link_id, whole[1] == _FLAG_PASSWORD, whole[2:18], whole[18:34], handover, is_upload=whole[1] == _FLAG_UPLOAD
    )


def parse_address(text: str) -> LinkAddress:
    """Read a whole link, pasted with whatever stands around it; raises as `parse_fragment` does."""
    found = _ADDRESS.search(text.strip(_STRAY))
    if found is None:
        raise Refused(Code.LINK_ADDRESS_CUT)
    return parse_fragment(bytes.fromhex(found[1]), found[2])


def _parse_handover(text: str) -> bytes:
    """A hand-over token that is not whole is passed over: without it the link opens at the price of an opening."""
    token = from_letters(text) if len(text) == _HANDOVER_LENGTH else None
    return token if token and len(token) == _HANDOVER_SIZE_BYTES else b""


def _checksum(link_id: bytes, body: bytes) -> bytes:
    return hashlib.sha256(context(Label.LINK_CHECKSUM, link_id, body)).digest()[:4]


class ManifestHead(Signed, frozen=True):
    """What the publishing key signs: the manifest's number, its pages in order, and the sealed `HeadContent`.

    `sealed` is FLOE under the link's head key (`context(LINK_HEAD, link id, number)`) of the padded packed
    `HeadContent`; page *n* (from 0) is a blob, FLOE under its page key (`context(LINK_PAGE, link id, number, n)`) of
    the padded packed `PageContent`.
    """

    version: Count
    link_id: Id
    number: Count
    created_ms: TimeMs
    pages: Annotated[list[PageRef], msgspec.Meta(min_length=1, max_length=MAX_MANIFEST_PAGES)]
    sealed: SealedField


class HeadContent(Sealed, frozen=True):
    """What a guest sees first: the title, how many assets there are, and what may be fetched."""

    title: str
    asset_count: Count
    tier: Literal["view", "full"]
    originals: bool = False
    label: str = ""
    expires_ms: TimeMs = 0


class LinkRendition(Sealed, frozen=True):
    """A rendition that the link shows, with its own key: never the asset's, which would open the others too."""

    name: RenditionName
    rendition_id: Id
    key: KeyBytes
    blob: Hash
    size_bytes: SizeBytes
    header: FloeHeader
    length_bytes: SizeBytes
    media_type: str
    width: Count = 0
    height: Count = 0


class LinkAsset(Sealed, frozen=True):
    """An asset as the link shows it; `number` is short and stays. The file name is there only with the original."""

    number: Count
    asset_id: Id
    kind: Literal["photo", "video", "file"]
    renditions: list[LinkRendition]
    width: Count = 0
    height: Count = 0
    duration_ms: Count = 0
    thumbhash: bytes = b""
    caption: str = ""
    taken_local: str = ""
    name: str = ""


class PageContent(Sealed, frozen=True):
    """One page of a manifest: at most 500 assets."""

    assets: Annotated[list[LinkAsset], msgspec.Meta(max_length=MANIFEST_PAGE_ASSETS)]


class MakersCopy(Sealed, frozen=True):
    """What the makers keep, so that the address can be shown again and the manifest published anew.

    `watermark` is the text over the link's pictures, empty where they are the assets' own.
    """

    secret: Annotated[bytes, msgspec.Meta(min_length=LINK_SECRET_SIZE_BYTES, max_length=LINK_SECRET_SIZE_BYTES)]
    publishing_seed: KeyBytes
    has_password: bool
    label: str = ""
    created_by: str = ""
    watermark: str = ""


def sign_head(head: ManifestHead, publishing_seed: bytes) -> tuple[bytes, bytes]:
    """Return the head's bytes and the publishing key's signature over them."""
    content = pack(head)
    return content, signatures.sign(publishing_seed, context(Label.SIGN_MANIFEST, head.link_id, content))


def verify_head(address: LinkAddress, content: bytes, signature: bytes, publishing_key: bytes) -> ManifestHead:
    """Verify a manifest's head against the address alone; raises MANIFEST_INVALID for a substituted one."""
    if key_fingerprint(publishing_key) != address.publisher_fingerprint:
        raise Refused(Code.MANIFEST_INVALID, "another key published it")
    try:
        signatures.verify(publishing_key, signature, context(Label.SIGN_MANIFEST, address.link_id, content))
    except Refused:
        raise Refused(Code.MANIFEST_INVALID, "its signature does not match") from None
    head = unpack(content, ManifestHead, Code.MANIFEST_INVALID)
    if head.version != LINK_VERSION or head.link_id != address.link_id:
        raise Refused(Code.MANIFEST_INVALID, "it belongs to another link")
    return head


def check_page(head: ManifestHead, page: int, blob: bytes) -> None:
    """Check that *blob* is the page that the head names; raises MANIFEST_INVALID."""
    if not 0 <= page < len(head.pages) or hashlib.sha256(blob).digest() != head.pages[page].blob:
        raise Refused(Code.MANIFEST_INVALID, f"page {page} is not the one that was signed")
