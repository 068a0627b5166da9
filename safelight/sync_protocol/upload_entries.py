"""The ledger's entries about upload links: who holds one adds to a space, and reads nothing of it.

docs/spec/upload-links.md. Who may sign which, and what it does, stands in `ledger_uploads`; what a link's guests are
told, in `upload_links`.
"""

from typing import Annotated

import msgspec

from safelight.sync_protocol.account_ledger import PublicKey
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Id, OptionalId
from safelight.sync_protocol.limits import MAX_UPLOAD_LINK_FILES, MAX_UPLOAD_LINK_GUESTS
from safelight.sync_protocol.wire import Count, SealedField, SignatureBytes, Signed, SizeBytes, TimeMs


class UploadTerms(Signed, frozen=True):
    """How much a link takes: until when, how many files and bytes of all guests together, and from how many guests."""

    expires_ms: TimeMs
    max_files: Annotated[int, msgspec.Meta(ge=1, le=MAX_UPLOAD_LINK_FILES)]
    quota_bytes: SizeBytes
    max_guests: Annotated[int, msgspec.Meta(ge=1, le=MAX_UPLOAD_LINK_GUESTS)]


class OpenUploadLinkBody(Signed, frozen=True):
    """An upload link. Its secret makes the private half of `guest_key`; `publishing_key` is its maker's alone.

    What is added is in the shared album `album_id` as well, unless that is empty. `makers` boxes a packed
    `upload_links.MakersCopy` under the epoch's full metadata key (`context(UPLOAD_MAKERS, space id, link id, epoch)`).
    """

    link_id: Id
    guest_key: PublicKey
    publishing_key: PublicKey
    terms: UploadTerms
    album_id: OptionalId
    epoch: Count
    makers: SealedField


class BindGuestBody(Signed, frozen=True):
    """A guest's own key, signed by the link's guest key over `bind_guest_message`."""

    link_id: Id
    guest_id: Id
    device_key: PublicKey
    guest_signature: SignatureBytes


class CloseUploadLinkBody(Signed, frozen=True):
    """The link takes nothing more, and its guests add nothing more."""

    link_id: Id


def bind_guest_message(space_id: bytes, link_id: bytes, guest_id: bytes, device_key: bytes) -> bytes:
    """Return what a link's guest key signs when a guest binds a key of their own."""
    return context(Label.SIGN_GUEST_BIND, space_id, link_id, guest_id, device_key)
